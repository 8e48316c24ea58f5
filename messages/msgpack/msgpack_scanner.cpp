#include <troupe/messages/msgpack/msgpack_scanner.hpp>

#include <algorithm>
#include <string>

#include <troupe/messages/msgpack/limit_visitor.hpp>
#include <troupe/messages/msgpack/msgpack_reader.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

tl::unexpected<error> too_much(std::string_view what, std::uint64_t bound) {
  return fail(error_code::limit_exceeded, "a message with " + std::string{what} +
                                              " was refused; at most " + std::to_string(bound) +
                                              " are accepted");
}

/// What is wrong with a message, and where.
result<void> scan_whole(std::string_view bytes, const codec_limits& limits) {
  msgpack_scanner scanner{limits};
  auto scanned = scanner.scan(bytes);
  if (!scanned) return fail(std::move(scanned.error()));
  if (*scanned == 0) return fail(error_code::protocol_violation, "the msgpack message is cut off");
  if (*scanned != bytes.size())
    return fail(error_code::protocol_violation,
                std::to_string(bytes.size() - *scanned) + " bytes follow the msgpack message");
  return {};
}

}  // namespace

msgpack_scanner::msgpack_scanner(const codec_limits& limits) : limits_(limits) {
  limits_.depth = std::min(limits_.depth, max_depth);
}

result<std::size_t> msgpack_scanner::scan(std::string_view buffer) {
  while (true) {
    const std::string_view rest = buffer.substr(std::min(position_, buffer.size()));
    const msgpack_header header = read_msgpack_header(rest);
    if (header.kind == msgpack_kind::truncated) {
      if (buffer.size() > limits_.frame_bytes)
        return too_much("too many bytes", limits_.frame_bytes);
      return 0;
    }
    if (header.kind == msgpack_kind::invalid)
      return fail(error_code::protocol_violation,
                  "the byte 0xc1 at offset " + std::to_string(position_) + " is not msgpack");
    if (header.kind == msgpack_kind::extension)
      return fail(error_code::protocol_violation, "a msgpack extension type at offset " +
                                                      std::to_string(position_) +
                                                      " was refused; use the plain types");
    if (elements_ + 1 > limits_.elements) return too_much("too many elements", limits_.elements);

    std::size_t bytes = header.bytes;
    const bool is_string = header.kind == msgpack_kind::string;
    if (is_string || header.kind == msgpack_kind::binary) {
      if (header.length > limits_.string_bytes)
        return too_much("too long a string (bytes)", limits_.string_bytes);
      bytes += header.length;
    }
    if (position_ + bytes > limits_.frame_bytes)
      return too_much("too many bytes", limits_.frame_bytes);
    if (rest.size() < bytes) return 0;
    if (is_string && !is_utf8(rest.substr(header.bytes, header.length)))
      return fail(error_code::protocol_violation, "the string at offset " +
                                                      std::to_string(position_) +
                                                      " is not UTF-8; send other bytes as binary");

    position_ += bytes;
    ++elements_;
    if (depth_ > 0) --pending_[depth_ - 1];
    if (header.kind == msgpack_kind::array || header.kind == msgpack_kind::map) {
      const auto children =
          header.kind == msgpack_kind::map ? 2 * std::uint64_t{header.length} : header.length;
      if (auto opened = open_container(children); !opened) return fail(std::move(opened.error()));
    }
    while (depth_ > 0 && pending_[depth_ - 1] == 0) --depth_;
    if (depth_ == 0) {
      const std::size_t complete = position_;
      reset();
      return complete;
    }
  }
}

result<void> msgpack_scanner::open_container(std::uint64_t children) {
  if (depth_ >= limits_.depth) return too_much("too deep nesting (levels)", limits_.depth);
  if (elements_ + children > limits_.elements)
    return too_much("too many elements", limits_.elements);
  pending_[depth_++] = children;
  return {};
}

void msgpack_scanner::reset() noexcept {
  position_ = 0;
  elements_ = 0;
  depth_ = 0;
}

result<void> check_msgpack(std::string_view bytes, const codec_limits& limits) {
  limit_visitor visitor{limits};
  if (parse_whole(bytes, limits, visitor)) return {};
  return scan_whole(bytes, limits);
}

}  // namespace troupe
