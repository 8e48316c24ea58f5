#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/msgpack/limits.hpp>

namespace troupe {

/// The kinds of `value`. Integers keep their full signed or unsigned 64 bits.
enum class value_type : std::uint8_t {
  nil,
  boolean,
  integer,
  floating,
  string,
  binary,
  array,
  map
};

/// The name shown to people, such as `"integer"`.
std::string_view to_string(value_type type) noexcept;

/// How `value::to_json` lays out its text.
enum class json_style : std::uint8_t { compact, pretty };

/// A JSON-like value, kept as canonical msgpack bytes. Copying is one string copy, sending and
/// storing need no conversion, and equal values have equal bytes.
///
/// Canonical means: the shortest integer form, doubles of 64 bits, map keys that are unique strings
/// in byte order. Input from outside is validated and rewritten where needed, so a `value` always
/// holds one well-formed value.
class value {
public:
  /// One entry of a map.
  using member = std::pair<std::string, value>;

  /// Nil.
  value();
  value(std::nullptr_t);
  value(bool boolean);
  value(std::integral auto number) requires(!std::same_as<decltype(number), bool> &&
                                            !std::same_as<decltype(number), char>)
      : bytes_(std::signed_integral<decltype(number)>
                   ? pack_signed(static_cast<std::int64_t>(number))
                   : pack_unsigned(static_cast<std::uint64_t>(number))) {}
  value(double number);
  /// @param text UTF-8. @throws std::invalid_argument when it is not.
  value(std::string_view text);
  value(const std::string& text) : value(std::string_view{text}) {}
  value(const char* text) : value(std::string_view{text}) {}

  /// Raw bytes; shown in JSON as a string of the form `"base64:..."`.
  static value binary(std::string_view bytes);
  /// An array of copies of these, in this order. Reads only elements that are containers.
  /// @throws std::invalid_argument when containers are nested deeper than `codec_limits::depth`.
  static value array(const std::vector<value>& elements);
  /// A map of these members, in any order. @throws std::invalid_argument when a key occurs twice or
  /// is not UTF-8, or as `array` does.
  static value map(std::vector<member> members);

  /// Reads msgpack from outside: exactly one value with string keys, without extension types,
  /// within the limits.
  static result<value> from_msgpack(std::string_view bytes, const codec_limits& limits = {});
  /// Takes bytes that `msgpack()` returned, unchecked: only for bytes that this process wrote or
  /// verified.
  static value from_canonical(std::string bytes) noexcept;
  /// Reads JSON text. Fails with `invalid_argument` when it is not JSON, and with `limit_exceeded`
  /// when it passes the limits or has a number beyond 64 bits. The error names line and column.
  /// `"base64:..."` strings stay strings.
  static result<value> from_json(std::string_view text, const codec_limits& limits = {});

  /// The kind of this value. O(1).
  value_type type() const noexcept {
    return bytes_.empty() ? value_type::nil
                          : type_by_lead[static_cast<unsigned char>(bytes_.front())];
  }
  /// True for nil, such as a default-constructed value.
  bool is_nil() const noexcept { return type() == value_type::nil; }

  /// This and the following: the content as one C++ type, or nothing when the value is of another
  /// kind.
  std::optional<bool> as_bool() const noexcept;
  /// Nothing when the integer does not fit this type.
  std::optional<std::int64_t> as_integer() const noexcept;
  std::optional<std::uint64_t> as_unsigned() const noexcept;
  /// Also the value of an integer, rounded to the nearest double.
  std::optional<double> as_double() const noexcept;
  /// A view into this value.
  std::optional<std::string_view> as_string() const noexcept;
  std::optional<std::string_view> as_binary() const noexcept;

  /// The number of elements of an array or members of a map; 0 for everything else.
  std::size_t size() const noexcept;
  /// The elements of an array, each copied; empty for everything else. O(bytes).
  std::vector<value> elements() const;
  /// The members of a map in key order, each copied; empty for everything else. O(bytes).
  std::vector<member> members() const;
  /// The member of a map with this key. O(bytes) without copying the others.
  std::optional<value> find(std::string_view key) const;

  /// JSON text. NaN and infinities become `null`, because JSON has neither. All control characters
  /// are escaped.
  std::string to_json(json_style style = json_style::compact) const;

  /// The canonical bytes.
  const std::string& msgpack() const& noexcept { return bytes_; }
  std::string msgpack() && noexcept { return std::move(bytes_); }

  friend bool operator==(const value&, const value&) = default;

private:
  /// The type by the first canonical byte.
  static const std::array<value_type, 256> type_by_lead;

  static std::string pack_signed(std::int64_t number);
  static std::string pack_unsigned(std::uint64_t number);

  std::string bytes_;
};

}  // namespace troupe
