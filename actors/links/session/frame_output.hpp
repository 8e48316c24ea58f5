#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <troupe/actors/links/session/link_limits.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/wire/rpc.hpp>

namespace troupe {

/// The frames that one side of a link sends, in one buffer. Nothing is appended for which the other
/// side, with the same limits, would end the link, nor more than it takes.
class frame_output {
public:
  explicit frame_output(const link_limits& limits) noexcept
      : codec_(limits.codec), most_(limits.output_bytes) {}

  // Each of these appends a frame, or fails and appends nothing: with `overloaded` when the other
  // side does not read, with `limit_exceeded` when the frame is too long or too deep, with
  // `internal` when it is malformed.

  result<void> request(std::uint32_t id, std::string_view method, std::string_view params);
  result<void> notification(std::string_view method, std::string_view params);

  // These always append something, so that every request gets a reply.

  /// An answer that cannot be sent becomes an error.
  void response(std::uint32_t id, std::string_view payload);
  /// An error that cannot be sent loses its detail and the end of its message.
  void failure(std::uint32_t id, const error& why);
  /// The answer to a ping.
  void pong(std::uint32_t id) { rpc::append_response(bytes_, id, rpc::nil); }
  /// Tells the other side that the answer to a call is no longer wanted.
  void cancel(std::uint32_t call);

  /// The owner takes and clears these.
  std::string& bytes() noexcept { return bytes_; }
  /// Bytes that the other side has not taken: those here and earlier ones.
  std::size_t pending() const noexcept { return unsent_ + bytes_.size(); }
  /// True while the other side does not take what it asked for.
  bool is_congested() const noexcept { return pending() > most_ / 2; }
  /// Sets how many bytes of earlier output the other side has not taken yet. @returns whether it
  /// has taken some of much, which is a sign of life.
  bool set_unsent(std::size_t bytes) noexcept;

private:
  template <class Append>
  result<void> append(std::size_t bytes, Append append_frame);
  result<void> check_room(std::size_t more) const;
  result<void> check_frame(std::string_view frame) const;

  codec_limits codec_;
  std::size_t most_;
  std::string bytes_;
  std::size_t unsent_ = 0;
};

}  // namespace troupe
