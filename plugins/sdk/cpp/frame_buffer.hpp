#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <troupe/messages/error.hpp>
#include <troupe/messages/msgpack/limits.hpp>
#include <troupe/messages/msgpack/msgpack_scanner.hpp>

namespace troupe::sdk {

/// Cuts a byte stream into msgpack messages. Holds at most one message and one read of bytes beyond
/// it.
class frame_buffer {
public:
  explicit frame_buffer(const codec_limits& limits = {}) : scanner_{limits} {}

  /// Adds bytes that arrived.
  void append(std::string_view bytes) {
    buffer_.erase(0, taken_);
    taken_ = 0;
    buffer_ += bytes;
  }

  /// The next complete message, or an empty view when more must arrive. The view lives until the
  /// next `append`. Fails when the bytes are no msgpack or beyond the limits; the stream cannot be
  /// read any further then.
  result<std::string_view> next() {
    const auto rest = std::string_view{buffer_}.substr(taken_);
    if (rest.empty()) return rest;
    auto bytes = scanner_.scan(rest);
    if (!bytes) return fail(std::move(bytes.error()));
    taken_ += *bytes;
    return rest.substr(0, *bytes);
  }

private:
  msgpack_scanner scanner_;
  std::string buffer_;
  std::size_t taken_ = 0;  ///< Bytes at the front of the buffer that `next` has returned.
};

}  // namespace troupe::sdk
