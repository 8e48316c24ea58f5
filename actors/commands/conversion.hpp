#pragma once

#include <compare>
#include <string_view>

#include <troupe/messages/command.hpp>
#include <troupe/messages/value.hpp>

namespace troupe {

/// Makes `given` a value of the parameter's type where no information is lost: an integral number
/// becomes an integer, an integer becomes a number when a double holds it exactly. Returns false,
/// and leaves `given` alone, when it is not one and cannot become one.
bool convert_exactly(value& given, parameter_type type);

/// Reads what a person typed as a value of this type. The error is `invalid_argument` when it is
/// not one, and `limit_exceeded` when it is JSON that passes the limits of values, which the
/// message names.
///
/// - `string`: the text as it is, also when it looks like a number.
/// - `boolean`: `true` or `false`. `integer`: decimal digits. `floating`: a finite decimal number;
/// one without fraction
///   or exponent must be exact as a double.
/// - `binary`: what follows `base64:`, decoded; any other text stands for its own bytes.
/// - `array`, `map`: JSON. `any`: JSON, or the text itself when it is not JSON.
result<value> read_text(std::string_view text, parameter_type type);

/// Compares an integer or number with a bound, exactly also where a double could not hold the
/// integer.
std::partial_ordering compare(const value& number, double bound) noexcept;

}  // namespace troupe
