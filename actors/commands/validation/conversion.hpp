#pragma once

#include <compare>
#include <string_view>

#include <troupe/messages/command.hpp>
#include <troupe/messages/value.hpp>

namespace troupe {

/// Converts `given` to the parameter's type where no information is lost: an integral number
/// becomes an integer, an integer becomes a number when a double holds it exactly. Returns false
/// and leaves `given` unchanged when there is no such conversion.
bool convert_exactly(value& given, parameter_type type);

/// Reads typed text as a value of this type. Fails with `invalid_argument` for text of another
/// type, and with `limit_exceeded` for JSON beyond the limits of values, which the message names.
///
/// - `string`: the text itself, even when it looks like a number.
/// - `boolean`: `true` or `false`. `integer`: decimal digits. `floating`: a finite decimal number.
///   A number without fraction or exponent must be exact as a double.
/// - `binary`: the decoded rest of a text that starts with `base64:`, else the text's own bytes.
/// - `array`, `map`: JSON. `any`: JSON, or the text itself when it is not JSON.
result<value> read_text(std::string_view text, parameter_type type);

/// Compares an integer or number with a bound. Exact even for integers that no double holds.
std::partial_ordering compare(const value& number, double bound) noexcept;

}  // namespace troupe
