#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe {

/// What stands at a position of msgpack bytes.
enum class msgpack_kind : std::uint8_t {
  nil,
  boolean,
  unsigned_integer,
  signed_integer,
  floating,
  string,
  binary,
  array,
  map,
  extension,
  truncated,  ///< The header of the element is not there in full.
  invalid,    ///< The byte 0xc1, which msgpack never uses.
};

/// The decoded header of one element.
struct msgpack_header {
  msgpack_kind kind = msgpack_kind::truncated;
  std::uint8_t bytes = 0;  ///< Length of the header; scalars other than strings are all header.
  std::uint32_t length =
      0;  ///< Payload bytes of a string, binary or extension; elements of an array; pairs of a map.
  std::uint64_t integer =
      0;  ///< Bits of an integer (two's complement when signed) or 0/1 of a boolean.
  double floating = 0;
};

/// Decodes the header at the start of `bytes`. O(1), reads no payload.
msgpack_header read_msgpack_header(std::string_view bytes) noexcept;

/// Walks msgpack bytes from front to back without allocating. A read of the wrong kind, or past the
/// end, gives nothing and moves nothing.
///
/// msgpack-c's own unpackers allocate from the lengths that a header announces; this one only ever
/// points into bytes that are there, which is what makes decoding of hostile input bounded.
class msgpack_reader {
public:
  /// @param bytes must outlive the reader and all views that it returns.
  explicit msgpack_reader(std::string_view bytes) noexcept : rest_(bytes), all_(bytes.size()) {}

  /// The kind of the next element; `truncated` at the end.
  msgpack_kind peek() const noexcept { return read_msgpack_header(rest_).kind; }

  /// True, and past it, when the next value is nil.
  bool read_nil() noexcept;
  std::optional<bool> read_bool() noexcept;
  std::optional<std::int64_t>
  read_signed() noexcept;  ///< Nothing also when the number does not fit.
  std::optional<std::uint64_t>
  read_unsigned() noexcept;                      ///< Nothing also when the number does not fit.
  std::optional<double> read_double() noexcept;  ///< Reads integers too.
  std::optional<std::string_view>
  read_string() noexcept;  ///< Bytes of a string, not checked to be UTF-8.
  std::optional<std::string_view> read_binary() noexcept;
  std::optional<std::uint32_t> read_array() noexcept;  ///< Number of elements that follow.
  std::optional<std::uint32_t> read_map() noexcept;  ///< Number of key and value pairs that follow.

  /// Passes over one element with all that it contains and returns its bytes. Without recursion.
  /// O(bytes).
  std::optional<std::string_view> skip() noexcept;

  /// True when all bytes have been read.
  bool at_end() const noexcept { return rest_.empty(); }
  /// How many bytes have been read.
  std::size_t position() const noexcept { return all_ - rest_.size(); }
  /// The bytes that have not been read.
  std::string_view rest() const noexcept { return rest_; }

private:
  std::optional<std::string_view> read_payload(msgpack_kind kind) noexcept;

  std::string_view rest_;
  std::size_t all_;
};

}  // namespace troupe
