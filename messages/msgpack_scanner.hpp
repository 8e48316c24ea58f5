#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <troupe/messages/error.hpp>
#include <troupe/messages/limits.hpp>

namespace troupe {

/// Finds the end of a msgpack message in a growing buffer and checks it against the limits as it
/// arrives, resuming where it stopped: scanning a message costs O(its bytes) in total, however it
/// is cut up. Memory is fixed; no length that a peer announces is believed before the bytes are
/// there.
class msgpack_scanner {
public:
  /// @param limits hold for each message; what passes them is `limit_exceeded`.
  explicit msgpack_scanner(const codec_limits& limits = {});

  /// Scans `buffer`, which starts with the first byte of the message and holds all that has arrived
  /// so far.
  /// @returns the number of bytes of the message when it is complete, 0 when more must arrive, or
  /// what is wrong with it
  ///          (`limit_exceeded` or `protocol_violation`). After a complete message the scanner is
  ///          ready for the next.
  result<std::size_t> scan(std::string_view buffer);

  /// True when a message has begun and not ended.
  bool inside_message() const noexcept { return position_ != 0; }

private:
  static constexpr std::size_t max_depth = 64;

  result<void> open_container(std::uint64_t children);
  void reset() noexcept;

  codec_limits limits_;
  std::size_t position_ = 0;    ///< Bytes scanned of the current message.
  std::uint64_t elements_ = 0;  ///< Elements seen of the current message.
  std::size_t depth_ = 0;       ///< Open containers.
  std::array<std::uint64_t, max_depth>
      pending_{};  ///< Elements still to come in each open container.
};

/// Checks that `bytes` are exactly one msgpack message within the limits.
result<void> check_msgpack(std::string_view bytes, const codec_limits& limits);

}  // namespace troupe
