#include <troupe/messages/msgpack/msgpack_reader.hpp>

#include <bit>
#include <limits>

namespace troupe {

namespace {

std::uint64_t big_endian(const char* at, unsigned bytes) noexcept {
  std::uint64_t number = 0;
  for (unsigned i = 0; i < bytes; ++i) number = number << 8 | static_cast<unsigned char>(at[i]);
  return number;
}

std::uint64_t sign_extend(std::uint64_t number, unsigned bytes) noexcept {
  const unsigned shift = 64 - 8 * bytes;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(number << shift) >> shift);
}

msgpack_header scalar(msgpack_kind kind, unsigned bytes, std::uint64_t integer = 0,
                      double floating = 0) noexcept {
  return {kind, static_cast<std::uint8_t>(bytes), 0, integer, floating};
}

msgpack_header sized(msgpack_kind kind, unsigned bytes, std::uint64_t length) noexcept {
  return {kind, static_cast<std::uint8_t>(bytes), static_cast<std::uint32_t>(length), 0, 0};
}

/// A header whose lead byte is followed by `width` bytes that hold a length.
msgpack_header with_length(std::string_view bytes, msgpack_kind kind, unsigned width,
                           unsigned extra = 0) noexcept {
  if (bytes.size() < 1 + width + extra) return {};
  return sized(kind, 1 + width + extra, big_endian(bytes.data() + 1, width));
}

msgpack_header number(std::string_view bytes, msgpack_kind kind, unsigned width) noexcept {
  if (bytes.size() < 1 + width) return {};
  std::uint64_t bits = big_endian(bytes.data() + 1, width);
  if (kind == msgpack_kind::floating)
    return scalar(kind, 1 + width, 0,
                  width == 4
                      ? static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits)))
                      : std::bit_cast<double>(bits));
  if (kind == msgpack_kind::signed_integer) {
    bits = sign_extend(bits, width);
    if (static_cast<std::int64_t>(bits) >= 0) kind = msgpack_kind::unsigned_integer;
  }
  return scalar(kind, 1 + width, bits);
}

}  // namespace

msgpack_header read_msgpack_header(std::string_view bytes) noexcept {
  using enum msgpack_kind;
  if (bytes.empty()) return {};
  const auto lead = static_cast<unsigned char>(bytes.front());
  if (lead <= 0x7f) return scalar(unsigned_integer, 1, lead);
  if (lead <= 0x8f) return sized(map, 1, lead & 0x0fu);
  if (lead <= 0x9f) return sized(array, 1, lead & 0x0fu);
  if (lead <= 0xbf) return sized(string, 1, lead & 0x1fu);
  if (lead >= 0xe0) return scalar(signed_integer, 1, sign_extend(lead, 1));
  switch (lead) {
    case 0xc0: return scalar(nil, 1);
    case 0xc2: return scalar(boolean, 1, 0);
    case 0xc3: return scalar(boolean, 1, 1);
    case 0xc4: return with_length(bytes, binary, 1);
    case 0xc5: return with_length(bytes, binary, 2);
    case 0xc6: return with_length(bytes, binary, 4);
    case 0xc7: return with_length(bytes, extension, 1, 1);
    case 0xc8: return with_length(bytes, extension, 2, 1);
    case 0xc9: return with_length(bytes, extension, 4, 1);
    case 0xca: return number(bytes, floating, 4);
    case 0xcb: return number(bytes, floating, 8);
    case 0xcc: return number(bytes, unsigned_integer, 1);
    case 0xcd: return number(bytes, unsigned_integer, 2);
    case 0xce: return number(bytes, unsigned_integer, 4);
    case 0xcf: return number(bytes, unsigned_integer, 8);
    case 0xd0: return number(bytes, signed_integer, 1);
    case 0xd1: return number(bytes, signed_integer, 2);
    case 0xd2: return number(bytes, signed_integer, 4);
    case 0xd3: return number(bytes, signed_integer, 8);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return bytes.size() < 2 ? msgpack_header{} : sized(extension, 2, 1u << (lead - 0xd4));
    case 0xd9: return with_length(bytes, string, 1);
    case 0xda: return with_length(bytes, string, 2);
    case 0xdb: return with_length(bytes, string, 4);
    case 0xdc: return with_length(bytes, array, 2);
    case 0xdd: return with_length(bytes, array, 4);
    case 0xde: return with_length(bytes, map, 2);
    case 0xdf: return with_length(bytes, map, 4);
    default: return scalar(invalid, 1);
  }
}

bool msgpack_reader::read_nil() noexcept {
  if (peek() != msgpack_kind::nil) return false;
  rest_.remove_prefix(1);
  return true;
}

std::optional<bool> msgpack_reader::read_bool() noexcept {
  const auto header = read_msgpack_header(rest_);
  if (header.kind != msgpack_kind::boolean) return std::nullopt;
  rest_.remove_prefix(header.bytes);
  return header.integer != 0;
}

std::optional<std::int64_t> msgpack_reader::read_signed() noexcept {
  const auto header = read_msgpack_header(rest_);
  const bool fits =
      header.kind == msgpack_kind::signed_integer ||
      (header.kind == msgpack_kind::unsigned_integer &&
       header.integer <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  if (!fits) return std::nullopt;
  rest_.remove_prefix(header.bytes);
  return static_cast<std::int64_t>(header.integer);
}

std::optional<std::uint64_t> msgpack_reader::read_unsigned() noexcept {
  const auto header = read_msgpack_header(rest_);
  if (header.kind != msgpack_kind::unsigned_integer) return std::nullopt;
  rest_.remove_prefix(header.bytes);
  return header.integer;
}

std::optional<double> msgpack_reader::read_double() noexcept {
  const auto header = read_msgpack_header(rest_);
  double number = 0;
  switch (header.kind) {
    case msgpack_kind::floating: number = header.floating; break;
    case msgpack_kind::unsigned_integer: number = static_cast<double>(header.integer); break;
    case msgpack_kind::signed_integer:
      number = static_cast<double>(static_cast<std::int64_t>(header.integer));
      break;
    default: return std::nullopt;
  }
  rest_.remove_prefix(header.bytes);
  return number;
}

std::optional<std::string_view> msgpack_reader::read_string() noexcept {
  return read_payload(msgpack_kind::string);
}

std::optional<std::string_view> msgpack_reader::read_binary() noexcept {
  return read_payload(msgpack_kind::binary);
}

std::optional<std::string_view> msgpack_reader::read_payload(msgpack_kind kind) noexcept {
  const auto header = read_msgpack_header(rest_);
  if (header.kind != kind || rest_.size() - header.bytes < header.length) return std::nullopt;
  const auto payload = rest_.substr(header.bytes, header.length);
  rest_.remove_prefix(header.bytes + std::size_t{header.length});
  return payload;
}

std::optional<std::uint32_t> msgpack_reader::read_array() noexcept {
  const auto header = read_msgpack_header(rest_);
  if (header.kind != msgpack_kind::array) return std::nullopt;
  rest_.remove_prefix(header.bytes);
  return header.length;
}

std::optional<std::uint32_t> msgpack_reader::read_map() noexcept {
  const auto header = read_msgpack_header(rest_);
  if (header.kind != msgpack_kind::map) return std::nullopt;
  rest_.remove_prefix(header.bytes);
  return header.length;
}

std::optional<std::string_view> msgpack_reader::skip() noexcept {
  // A container only adds to the number of elements to skip, so there is no stack.
  const std::string_view start = rest_;
  std::string_view rest = rest_;
  for (std::uint64_t pending = 1; pending > 0; --pending) {
    const auto header = read_msgpack_header(rest);
    std::size_t bytes = header.bytes;
    switch (header.kind) {
      case msgpack_kind::truncated:
      case msgpack_kind::invalid: return std::nullopt;
      case msgpack_kind::array: pending += header.length; break;
      case msgpack_kind::map: pending += 2 * std::uint64_t{header.length}; break;
      case msgpack_kind::string:
      case msgpack_kind::binary:
      case msgpack_kind::extension: bytes += header.length; break;
      default: break;
    }
    if (rest.size() < bytes) return std::nullopt;
    rest.remove_prefix(bytes);
  }
  rest_ = rest;
  return start.substr(0, start.size() - rest.size());
}

}  // namespace troupe
