#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <troupe/actors/context/state/tree/leaf_names.hpp>
#include <troupe/actors/context/state/tree/shared_value.hpp>
#include <troupe/actors/context/state/tree/sibling.hpp>

// The bytes of a sibling in a leaf; see `packed_leaf`.

namespace troupe {

/// What the sequence numbers and times of a leaf are differences to.
struct leaf_bases {
  std::uint64_t seq = 0;
  std::uint64_t time_ms = 0;
};

/// A sibling as it was read from a leaf.
struct decoded_sibling {
  sibling what;  ///< Views into the leaf, its names and `outside`.
  bool is_last = true;
  shared_value* outside = nullptr;  ///< The content, when it lies outside. Not counted.
};

/// The most bytes that a number takes.
inline constexpr std::size_t max_varint_bytes = 10;
/// The most bytes that a sibling takes, without a content that lies inside.
inline constexpr std::size_t max_sibling_bytes =
    1 + 6 * max_varint_bytes + sizeof(std::uint64_t) + sizeof(shared_value*);

/// Seven bits a byte, the lowest first.
inline char* put_varint(char* out, std::uint64_t number) noexcept {
  for (; number >= 0x80; number >>= 7) *out++ = static_cast<char>(number | 0x80);
  *out++ = static_cast<char>(number);
  return out;
}
inline const char* get_varint(const char* in, std::uint64_t& number) noexcept {
  auto byte = static_cast<unsigned char>(*in++);
  if (byte < 0x80) [[likely]] {
    number = byte;
    return in;
  }
  number = byte & 0x7f;
  for (int shift = 7; byte >= 0x80; shift += 7) {
    byte = static_cast<unsigned char>(*in++);
    number |= std::uint64_t{byte & 0x7fu} << shift;
  }
  return in;
}

template <class T>
char* put_raw(char* out, const T& from) noexcept {
  std::memcpy(out, &from, sizeof from);
  return out + sizeof from;
}
template <class T>
const char* get_raw(const char* in, T& into) noexcept {
  std::memcpy(&into, in, sizeof into);
  return in + sizeof into;
}

/// What a sibling keeps besides its fields: its value, and before it its counts if there are any.
class sibling_content {
public:
  explicit sibling_content(const sibling& from);
  sibling_content(const sibling_content&) = delete;
  sibling_content& operator=(const sibling_content&) = delete;

  std::string_view bytes() const noexcept { return bytes_; }
  /// The most bytes that it has. O(1).
  static std::size_t most_bytes(const sibling& of) noexcept {
    return of.value_bytes.size() + of.counts.size() + max_varint_bytes;
  }

private:
  std::string joined_;
  std::string_view bytes_;
};

/// Memory for one encoded entry; of a usual size on the stack.
class entry_memory {
public:
  explicit entry_memory(std::size_t bytes) {
    if (bytes > here_.size()) large_ = std::make_unique_for_overwrite<char[]>(bytes);
  }
  char* begin() noexcept { return large_ ? large_.get() : here_.data(); }

private:
  std::array<char, 1536> here_;
  std::unique_ptr<char[]> large_;
};

/// Writes a sibling. @param out has room for `max_sibling_bytes` and the content. @param content
/// that of the sibling. @param names know its source and its principal. @param outside the content,
/// when it is to lie outside; a reference passes into the bytes. @returns the end.
char* encode_sibling(char* out, const sibling& from, std::string_view content,
                     const leaf_names& names, const leaf_bases& bases, shared_value* outside,
                     bool is_last) noexcept;

/// Reads a sibling. @returns the end.
const char* decode_sibling(const char* in, const leaf_names& names, const leaf_bases& bases,
                           decoded_sibling& into) noexcept;

}  // namespace troupe
