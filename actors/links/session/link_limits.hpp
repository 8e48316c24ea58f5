#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <troupe/messages/msgpack/limits.hpp>

namespace troupe {

/// The bounds of one link. Each names what happens when it is passed.
struct link_limits {
  /// Of each frame. The link ends.
  codec_limits codec;
  /// Calls per side. One more of this side is refused as `overloaded`. One more of the other side
  /// ends the link. A request that was cancelled or has expired counts until its service has
  /// answered; where it is such requests that reach the bound, one more is refused as `overloaded`.
  std::uint32_t in_flight = 1024;
  /// The parameters of all requests that count. One more request is refused as `overloaded`.
  std::size_t request_bytes = std::size_t{16} << 20;
  /// Bytes that the other side has not taken yet. Calls are refused; answers become errors. CAF
  /// does not show the bytes that it is writing at the moment, at most as many again. So a link
  /// uses at most twice this memory.
  std::size_t output_bytes = std::size_t{16} << 20;
  /// Notifications that the services of this side have not taken yet. Reading pauses.
  std::size_t untaken_bytes = std::size_t{8} << 20;
  /// Replies to no call, and second replies to one. One is forgiven each second. The link ends.
  std::uint32_t strikes = 64;
  /// For a message to arrive in full, once it has begun. The link ends.
  std::chrono::milliseconds half_frame{10'000};
  /// Of a request that names no deadline.
  std::chrono::milliseconds default_deadline{30'000};
  /// A longer deadline is shortened to this.
  std::chrono::milliseconds max_deadline{86'400'000};
  /// Between two pings of an idle other side; 0 for none.
  std::chrono::milliseconds ping_interval{0};
  /// Without a sign of life after a ping while no call is open. The link ends.
  std::chrono::milliseconds silence{5'000};
};

}  // namespace troupe
