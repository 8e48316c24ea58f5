#include <troupe/actors/links/session/frame_output.hpp>

#include <algorithm>
#include <cstring>

#include <troupe/messages/link.hpp>
#include <troupe/messages/msgpack/msgpack_scanner.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

/// The most that a frame is longer than its method and parameters: two array headers, type, id and
/// the method's header.
constexpr std::size_t frame_overhead = 1 + 1 + 5 + 5 + 1;
/// Kept of the message of an error that cannot be sent as it is.
constexpr std::size_t short_message_bytes = 512;

/// Counts the bytes that could be the header of an array or a map: those that are not ASCII. Eight
/// at a time.
std::size_t possible_containers(std::string_view bytes) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101u;
  std::size_t count = 0;
  for (; bytes.size() >= sizeof ones; bytes.remove_prefix(sizeof ones)) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof word);
    count += (word >> 7 & ones) * ones >> 56;
  }
  for (const char each : bytes) count += static_cast<unsigned char>(each) >> 7;
  return count;
}

}  // namespace

result<void> frame_output::request(std::uint32_t id, std::string_view method,
                                   std::string_view params) {
  return append(method.size() + params.size(),
                [&] { rpc::append_request(bytes_, id, method, params); });
}

result<void> frame_output::notification(std::string_view method, std::string_view params) {
  return append(method.size() + params.size(),
                [&] { rpc::append_notification(bytes_, method, params); });
}

void frame_output::response(std::uint32_t id, std::string_view payload) {
  const auto sent = append(payload.size(), [&] { rpc::append_response(bytes_, id, payload); });
  if (!sent) failure(id, sent.error());
}

void frame_output::failure(std::uint32_t id, const error& why) {
  const auto sent =
      append(why.message.size() + why.detail.size(), [&] { rpc::append_failure(bytes_, id, why); });
  if (!sent)
    rpc::append_failure(bytes_, id,
                        {why.code, std::string{utf8_prefix(why.message, short_message_bytes)}, {}});
}

void frame_output::cancel(std::uint32_t call) {
  rpc::append_notification(bytes_, cancel_call::method, encode(cancel_call{call}));
}

bool frame_output::set_unsent(std::size_t bytes) noexcept {
  const bool has_taken = bytes < unsent_ && unsent_ > most_ / 2;
  unsent_ = bytes;
  return has_taken;
}

/// @param bytes About the size of the frame that `append_frame` appends.
template <class Append>
result<void> frame_output::append(std::size_t bytes, Append append_frame) {
  if (auto room = check_room(bytes); !room) return room;
  const auto before = bytes_.size();
  append_frame();
  auto checked = check_frame(std::string_view{bytes_}.substr(before));
  if (!checked) bytes_.resize(before);
  return checked;
}

result<void> frame_output::check_room(std::size_t more) const {
  more += frame_overhead;
  if (more > codec_.frame_bytes)
    return fail(error_code::limit_exceeded,
                "a message of " + std::to_string(more) + " bytes is too long for a link; at most " +
                    std::to_string(codec_.frame_bytes) + " are carried");
  if (pending() + more > most_)
    return fail(error_code::overloaded, "the other side of the link does not read; " +
                                            std::to_string(pending()) +
                                            " bytes are waiting for it");
  return {};
}

/// Whether the other side would take this frame. Its text is UTF-8: values were checked on entry,
/// and the codec repairs what the node itself says. A small frame cannot have too many elements,
/// and with few containers none is too deep.
result<void> frame_output::check_frame(std::string_view frame) const {
  if (frame.size() <=
          std::min<std::uint64_t>({codec_.frame_bytes, codec_.elements, codec_.string_bytes}) &&
      (frame.size() <= codec_.depth || possible_containers(frame) <= codec_.depth))
    return {};
  const auto checked = check_msgpack(frame, codec_);
  if (checked) return {};
  const bool is_too_much = checked.error().code == error_code::limit_exceeded;
  return fail(is_too_much ? error_code::limit_exceeded : error_code::internal,
              "the message cannot be sent: " + checked.error().message);
}

}  // namespace troupe
