#include <troupe/actors/commands/validation/conversion.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

constexpr double two_to_63 = 0x1p63;
constexpr double two_to_64 = 0x1p64;

std::optional<value> integral(double number) {
  if (!(number >= -two_to_63 && number < two_to_64) || number != std::trunc(number))
    return std::nullopt;
  if (number < two_to_63) return value{static_cast<std::int64_t>(number)};
  return value{static_cast<std::uint64_t>(number)};
}

std::optional<value> exact_double(const value& integer) {
  if (const auto small = integer.as_integer()) {
    const auto number = static_cast<double>(*small);
    if (number < two_to_63 && static_cast<std::int64_t>(number) == *small) return value{number};
  } else if (const auto large = integer.as_unsigned()) {
    const auto number = static_cast<double>(*large);
    if (number < two_to_64 && static_cast<std::uint64_t>(number) == *large) return value{number};
  }
  return std::nullopt;
}

/// The number that is the whole text, or nothing.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<value> read_integer(std::string_view text) {
  if (const auto small = parse_number<std::int64_t>(text)) return value{*small};
  if (const auto large = parse_number<std::uint64_t>(text)) return value{*large};
  return std::nullopt;
}

std::optional<value> read_floating(std::string_view text) {
  if (const auto integer = read_integer(text)) return exact_double(*integer);
  if (text.find_first_of(".eE") == std::string_view::npos)
    return std::nullopt;  // an integer beyond 64 bits
  const auto number = parse_number<double>(text);
  if (!number || !std::isfinite(*number)) return std::nullopt;
  return value{*number};
}

constexpr std::array<std::int8_t, 256> base64_digits = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  std::int8_t next = 0;
  for (const char c :
       std::string_view{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"})
    values[static_cast<unsigned char>(c)] = next++;
  return values;
}();

/// Padded base64 in its one canonical spelling (RFC 4648, section 4).
std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  std::string bytes;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int digit = base64_digits[static_cast<unsigned char>(c)];
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    held += 6;
    if (held >= 8) bytes += static_cast<char>(bits >> (held -= 8));
  }
  if ((bits & ((1u << held) - 1)) != 0) return std::nullopt;
  return bytes;
}

std::optional<value> read_binary(std::string_view text) {
  static constexpr std::string_view prefix = "base64:";
  if (!text.starts_with(prefix)) return value::binary(text);
  const auto bytes = decode_base64(text.substr(prefix.size()));
  return bytes ? std::optional{value::binary(*bytes)} : std::nullopt;
}

result<value> read_json(std::string_view text, value_type wanted) {
  auto parsed = value::from_json(text);
  if (parsed && parsed->type() != wanted)
    return fail(error_code::invalid_argument, "another type is wanted");
  return parsed;
}

result<value> if_any(std::optional<value> read) {
  if (!read) return fail(error_code::invalid_argument, "another type is wanted");
  return *std::move(read);
}

template <class Integer>
std::strong_ordering compare_truncated(Integer number, double bound) noexcept {
  const auto whole = static_cast<Integer>(bound);
  if (number != whole) return number <=> whole;
  const double fraction = bound - static_cast<double>(whole);
  return fraction > 0   ? std::strong_ordering::less
         : fraction < 0 ? std::strong_ordering::greater
                        : std::strong_ordering::equal;
}

}  // namespace

bool convert_exactly(value& given, parameter_type type) {
  const auto replace = [&](std::optional<value> converted) {
    if (converted) given = *std::move(converted);
    return converted.has_value();
  };
  const value_type has = given.type();
  switch (type) {
    case parameter_type::any: return true;
    case parameter_type::boolean: return has == value_type::boolean;
    case parameter_type::integer:
      if (has == value_type::floating) return replace(integral(*given.as_double()));
      return has == value_type::integer;
    case parameter_type::floating:
      if (has == value_type::integer) return replace(exact_double(given));
      return has == value_type::floating;
    case parameter_type::string: return has == value_type::string;
    case parameter_type::binary: return has == value_type::binary;
    case parameter_type::array: return has == value_type::array;
    case parameter_type::map: return has == value_type::map;
  }
  return false;
}

result<value> read_text(std::string_view text, parameter_type type) {
  if (type != parameter_type::binary && !is_utf8(text)) return if_any(std::nullopt);
  switch (type) {
    case parameter_type::any: {
      auto parsed = value::from_json(text);
      const bool is_json = parsed || parsed.error().code == error_code::limit_exceeded;
      return is_json ? std::move(parsed) : value{text};
    }
    case parameter_type::boolean:
      if (text != "true" && text != "false") return if_any(std::nullopt);
      return value{text == "true"};
    case parameter_type::integer: return if_any(read_integer(text));
    case parameter_type::floating: return if_any(read_floating(text));
    case parameter_type::string: return value{text};
    case parameter_type::binary: return if_any(read_binary(text));
    case parameter_type::array: return read_json(text, value_type::array);
    case parameter_type::map: return read_json(text, value_type::map);
  }
  return if_any(std::nullopt);
}

std::partial_ordering compare(const value& number, double bound) noexcept {
  if (number.type() == value_type::floating) return *number.as_double() <=> bound;
  if (std::isnan(bound)) return std::partial_ordering::unordered;
  if (const auto small = number.as_integer()) {
    if (bound >= two_to_63) return std::partial_ordering::less;
    if (bound < -two_to_63) return std::partial_ordering::greater;
    return compare_truncated(*small, bound);
  }
  if (bound >= two_to_64) return std::partial_ordering::less;
  if (bound < two_to_63) return std::partial_ordering::greater;
  return compare_truncated(number.as_unsigned().value_or(0), bound);
}

}  // namespace troupe
