#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// 128 bits that name one thing for ever, shown in the usual 8-4-4-4-12 hexadecimal form.
struct uuid {
  std::array<std::uint8_t, 16> bytes{};

  /// True for the all-zero id, which names nothing.
  bool is_nil() const noexcept { return bytes == std::array<std::uint8_t, 16>{}; }

  // As the bytes are ordered, but as two numbers: ids are compared more often than anything else.
  friend std::strong_ordering operator<=>(const uuid& a, const uuid& b) noexcept {
    const auto high = a.half(0) <=> b.half(0);
    return high != 0 ? high : a.half(8) <=> b.half(8);
  }
  friend bool operator==(const uuid& a, const uuid& b) noexcept {
    return ((a.half(0) ^ b.half(0)) | (a.half(8) ^ b.half(8))) == 0;
  }

private:
  /// Eight bytes as a number, the first one the most significant.
  std::uint64_t half(std::size_t at) const noexcept {
    std::uint64_t number;
    std::memcpy(&number, bytes.data() + at, sizeof number);
    if constexpr (std::endian::native == std::endian::little) number = __builtin_bswap64(number);
    return number;
  }
};

/// Lower case, with hyphens.
std::string to_string(const uuid& id);

/// Accepts 32 hexadecimal digits in the 8-4-4-4-12 form, either case.
std::optional<uuid> parse_uuid(std::string_view text) noexcept;

/// Turns 16 random bytes into a version 4 UUID. The randomness is the caller's, so tests can choose
/// it.
uuid make_random_uuid(std::array<std::uint8_t, 16> random) noexcept;

/// Two numbers as 16 bytes, least significant byte first on every machine, so that ids made from
/// them are the same everywhere.
std::array<std::uint8_t, 16> little_endian(std::uint64_t first, std::uint64_t second) noexcept;

/// A UUID with a type of its own for each kind of thing that it names.
template <class Tag>
struct strong_id {
  uuid id;

  /// True for the all-zero id, which names nothing.
  bool is_nil() const noexcept { return id.is_nil(); }
  friend auto operator<=>(const strong_id&, const strong_id&) = default;
};

/// The text of the uuid.
template <class Tag>
std::string to_string(const strong_id<Tag>& id) {
  return to_string(id.id);
}

using node_id =
    strong_id<struct node_id_tag>;  ///< A node, for as long as its data directory lives.
using cluster_id = strong_id<struct cluster_id_tag>;  ///< The set of nodes that share one context.
using trace_id = strong_id<struct trace_id_tag>;  ///< One request and all the work that it causes.
using change_id = strong_id<struct change_id_tag>;  ///< One change of the context.

}  // namespace troupe

template <>
struct std::hash<troupe::uuid> {
  std::size_t operator()(const troupe::uuid& id) const noexcept {
    std::uint64_t low = 0, high = 0;
    std::memcpy(&low, id.bytes.data(), 8);
    std::memcpy(&high, id.bytes.data() + 8, 8);
    return static_cast<std::size_t>(low ^ (high * 0x9e3779b97f4a7c15ULL));
  }
};

template <class Tag>
struct std::hash<troupe::strong_id<Tag>> {
  std::size_t operator()(const troupe::strong_id<Tag>& id) const noexcept {
    return std::hash<troupe::uuid>{}(id.id);
  }
};
