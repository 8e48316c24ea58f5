#include <troupe/messages/value.hpp>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include <troupe/messages/msgpack/canonical.hpp>
#include <troupe/messages/msgpack/msgpack_reader.hpp>
#include <troupe/messages/msgpack/msgpack_scanner.hpp>
#include <troupe/messages/msgpack/msgpack_writer.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

template <class Write>
std::string packed(Write&& write) {
  std::string bytes;
  msgpack_writer writer{bytes};
  write(writer);
  return bytes;
}

/// The kind that the first byte of an element means (msgpack specification, "Formats").
constexpr value_type type_of_lead(unsigned lead) noexcept {
  if (lead <= 0x7f || lead >= 0xe0) return value_type::integer;
  if (lead <= 0x8f) return value_type::map;
  if (lead <= 0x9f) return value_type::array;
  if (lead <= 0xbf) return value_type::string;
  if (lead == 0xc2 || lead == 0xc3) return value_type::boolean;
  if (lead >= 0xc4 && lead <= 0xc6) return value_type::binary;
  if (lead == 0xca || lead == 0xcb) return value_type::floating;
  if (lead >= 0xcc && lead <= 0xd3) return value_type::integer;
  if (lead >= 0xd9 && lead <= 0xdb) return value_type::string;
  if (lead == 0xdc || lead == 0xdd) return value_type::array;
  if (lead == 0xde || lead == 0xdf) return value_type::map;
  return value_type::nil;
}

void require_utf8(std::string_view text, const char* what) {
  if (!is_utf8(text))
    throw std::invalid_argument{std::string{what} +
                                " is not UTF-8; use value::binary for other bytes"};
}

/// Checks the depth of an element of a container. Each level takes a byte, so short elements need
/// no look.
void require_depth(const value& element) {
  constexpr codec_limits inside{.frame_bytes = std::numeric_limits<std::size_t>::max(),
                                .depth = codec_limits{}.depth - 1,
                                .elements = std::numeric_limits<std::uint64_t>::max(),
                                .string_bytes = std::numeric_limits<std::size_t>::max()};
  if (element.msgpack().size() <= inside.depth || element.size() == 0 ||
      check_msgpack(element.msgpack(), inside))
    return;
  throw std::invalid_argument{"a value is nested too deep; at most " +
                              std::to_string(codec_limits{}.depth) + " levels are accepted"};
}

}  // namespace

std::string_view to_string(value_type type) noexcept {
  switch (type) {
    case value_type::nil: return "nil";
    case value_type::boolean: return "boolean";
    case value_type::integer: return "integer";
    case value_type::floating: return "number";
    case value_type::string: return "string";
    case value_type::binary: return "binary";
    case value_type::array: return "array";
    case value_type::map: return "map";
  }
  return "nil";
}

value::value() : bytes_(1, '\xc0') {}

value::value(std::nullptr_t) : value() {}

value::value(bool boolean) : bytes_(1, boolean ? '\xc3' : '\xc2') {}

value::value(double number) : bytes_(packed([&](auto& writer) { writer.floating(number); })) {}

value::value(std::string_view text) {
  require_utf8(text, "a string value");
  msgpack_writer{bytes_}.string(text);
}

std::string value::pack_signed(std::int64_t number) {
  return packed([&](auto& writer) { writer.integer(number); });
}

std::string value::pack_unsigned(std::uint64_t number) {
  return packed([&](auto& writer) { writer.unsigned_integer(number); });
}

value value::binary(std::string_view bytes) {
  return from_canonical(packed([&](auto& writer) { writer.binary(bytes); }));
}

value value::array(const std::vector<value>& elements) {
  return from_canonical(packed([&](auto& writer) {
    writer.array(elements.size());
    for (const auto& each : elements) {
      require_depth(each);
      writer.raw(each.msgpack());
    }
  }));
}

value value::map(std::vector<member> members) {
  std::sort(members.begin(), members.end(),
            [](const member& a, const member& b) { return a.first < b.first; });
  return from_canonical(packed([&](auto& writer) {
    writer.map(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) {
      const auto& [key, each] = members[i];
      require_utf8(key, "a key of a map");
      if (i > 0 && members[i - 1].first == key)
        throw std::invalid_argument{"a map has the key \"" + key + "\" twice"};
      require_depth(each);
      writer.string(key);
      writer.raw(each.msgpack());
    }
  }));
}

result<value> value::from_msgpack(std::string_view bytes, const codec_limits& limits) {
  auto canonical = canonical_msgpack(bytes, limits);
  if (!canonical) return fail(std::move(canonical.error()));
  return from_canonical(std::move(*canonical));
}

value value::from_canonical(std::string bytes) noexcept {
  value made;
  made.bytes_ = std::move(bytes);
  return made;
}

constinit const std::array<value_type, 256> value::type_by_lead = [] {
  std::array<value_type, 256> types{};
  for (unsigned lead = 0; lead < types.size(); ++lead) types[lead] = type_of_lead(lead);
  return types;
}();

std::optional<bool> value::as_bool() const noexcept { return msgpack_reader{bytes_}.read_bool(); }

std::optional<std::int64_t> value::as_integer() const noexcept {
  return msgpack_reader{bytes_}.read_signed();
}

std::optional<std::uint64_t> value::as_unsigned() const noexcept {
  return msgpack_reader{bytes_}.read_unsigned();
}

std::optional<double> value::as_double() const noexcept {
  return msgpack_reader{bytes_}.read_double();
}

std::optional<std::string_view> value::as_string() const noexcept {
  return msgpack_reader{bytes_}.read_string();
}

std::optional<std::string_view> value::as_binary() const noexcept {
  return msgpack_reader{bytes_}.read_binary();
}

std::size_t value::size() const noexcept {
  const auto header = read_msgpack_header(bytes_);
  return header.kind == msgpack_kind::array || header.kind == msgpack_kind::map ? header.length : 0;
}

std::vector<value> value::elements() const {
  std::vector<value> all;
  msgpack_reader reader{bytes_};
  const auto count = reader.read_array().value_or(0);
  all.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i)
    all.push_back(from_canonical(std::string{*reader.skip()}));
  return all;
}

std::vector<value::member> value::members() const {
  std::vector<member> all;
  msgpack_reader reader{bytes_};
  const auto count = reader.read_map().value_or(0);
  all.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string key{*reader.read_string()};
    all.emplace_back(std::move(key), from_canonical(std::string{*reader.skip()}));
  }
  return all;
}

std::optional<value> value::find(std::string_view key) const {
  msgpack_reader reader{bytes_};
  const auto count = reader.read_map().value_or(0);
  for (std::uint32_t i = 0; i < count; ++i) {
    const bool found = *reader.read_string() == key;
    const auto bytes = *reader.skip();
    if (found) return from_canonical(std::string{bytes});
  }
  return std::nullopt;
}

}  // namespace troupe
