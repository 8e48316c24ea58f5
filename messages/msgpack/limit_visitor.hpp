#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include <msgpack.hpp>

#include <troupe/messages/msgpack/limits.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

/// Ends msgpack-c's parser at the first element that exceeds a limit, at an extension, and at a
/// string that is not UTF-8. Does not record why: `check_msgpack` finds out. Base of visitors that
/// read a whole message.
///
/// The parser reports a string when its bytes are there, and a container before its elements. It
/// allocates nothing by an announced length, and its stack has `depth` entries at most.
class limit_visitor : public msgpack::null_visitor {
public:
  explicit limit_visitor(const codec_limits& limits) : limits_(limits) {
    limits_.depth = std::min(limits_.depth, max_depth);
  }

  // The parser calls these and goes on while they return true.

  bool visit_nil() { return count(); }
  bool visit_boolean(bool) { return count(); }
  bool visit_positive_integer(std::uint64_t) { return count(); }
  bool visit_negative_integer(std::int64_t) { return count(); }
  bool visit_float32(float) { return count(); }
  bool visit_float64(double) { return count(); }
  bool visit_str(const char* text, std::uint32_t bytes) {
    return count() && bytes <= limits_.string_bytes && is_utf8({text, bytes});
  }
  bool visit_bin(const char*, std::uint32_t bytes) {
    return count() && bytes <= limits_.string_bytes;
  }
  bool visit_ext(const char*, std::uint32_t) { return false; }
  bool start_array(std::uint32_t elements) { return open(elements); }
  bool end_array() { return close(); }
  bool start_map(std::uint32_t pairs) { return open(2 * std::uint64_t{pairs}); }
  bool end_map() { return close(); }

private:
  bool count() { return ++elements_ <= limits_.elements; }
  bool open(std::uint64_t children) {
    return count() && ++depth_ <= limits_.depth && elements_ + children <= limits_.elements;
  }
  bool close() {
    --depth_;
    return true;
  }

  codec_limits limits_;
  std::uint64_t elements_ = 0;
  std::uint32_t depth_ = 0;
};

/// True when `bytes` are exactly one msgpack message of at most `frame_bytes` and the visitor
/// returned true throughout.
template <class Visitor>
bool parse_whole(std::string_view bytes, const codec_limits& limits, Visitor& visitor) {
  std::size_t parsed = 0;
  return bytes.size() <= limits.frame_bytes &&
         msgpack::parse(bytes.data(), bytes.size(), parsed, visitor) && parsed == bytes.size();
}

}  // namespace troupe
