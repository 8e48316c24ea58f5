#include <troupe/actors/links/link_session.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

#include <troupe/messages/link.hpp>
#include <troupe/messages/utf8.hpp>

namespace troupe {

namespace {

constexpr std::uint32_t slot_bits = 16;
/// Between two ticks of an owner that is not held up.
constexpr std::chrono::milliseconds longest_tick{2'000};
/// What a frame is at most longer than its method and parameters: two array headers, type, id and
/// the method's header.
constexpr std::size_t frame_overhead = 1 + 1 + 5 + 5 + 1;
/// What is kept of the message of an error that cannot be sent as it is.
constexpr std::size_t short_message_bytes = 512;

std::uint32_t wire_id(std::uint32_t slot, std::uint32_t use) noexcept {
  return use << slot_bits | slot;
}
std::uint32_t slot_of(std::uint32_t wire_id) noexcept { return wire_id & ((1u << slot_bits) - 1); }

/// How many bytes could be the header of an array or a map: those that are not ASCII. Eight at a
/// time.
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

void link_events::on_outcome(call_completion done, result<std::string_view> outcome) {
  if (outcome)
    done(std::string{*outcome});
  else
    done(fail(std::move(outcome.error())));
}

link_session::link_session(const link_limits& limits, time_point now)
    : limits_(limits),
      scanner_(limits.codec),
      message_began_(now),
      last_ping_(now),
      last_tick_(now),
      last_forgiven_(now) {
  limits_.in_flight = std::min<std::uint32_t>(limits_.in_flight, 1u << slot_bits);
}

result<void> link_session::receive(std::string_view bytes, time_point now, link_events& events) {
  silent_since_.reset();
  unheard_since_.reset();
  // Messages that arrived whole are read where they lie; only the beginning of the next one is
  // kept.
  const bool continuing = !input_.empty();
  if (continuing) input_.append(bytes);
  std::string_view rest = continuing ? std::string_view{input_} : bytes;
  while (!rest.empty()) {
    const auto scanned = scanner_.scan(rest);
    if (!scanned) return fail(scanned.error());
    if (*scanned == 0) break;
    if (auto done = receive_frame(rest.substr(0, *scanned), now, events); !done) return done;
    rest.remove_prefix(*scanned);
    message_began_ = now;
  }
  if (continuing)
    input_.erase(0, input_.size() - rest.size());
  else
    input_.assign(rest);
  if (!continuing) message_began_ = now;
  return {};
}

result<void> link_session::receive_frame(std::string_view frame, time_point now,
                                         link_events& events) {
  auto parsed = rpc::parse(frame);
  if (!parsed) return fail(std::move(parsed.error()));
  if (const auto* request = std::get_if<rpc::request>(&*parsed))
    return receive_request(*request, now, events);
  if (const auto* response = std::get_if<rpc::response>(&*parsed))
    return receive_response(*response, events);
  return receive_notification(std::get<rpc::notification>(*parsed), events);
}

result<void> link_session::receive_request(const rpc::request& request, time_point now,
                                           link_events& events) {
  if (request.method == ping::method && !awaiting_opening_) {
    rpc::append_response(output_, request.id, rpc::nil);
    return {};
  }
  if (answerable_.size() >= limits_.in_flight)
    return fail(error_code::limit_exceeded, "more than " + std::to_string(limits_.in_flight) +
                                                " requests at once; wait for answers");
  if (answerable_.contains(request.id))
    return fail(error_code::protocol_violation, "the request id " + std::to_string(request.id) +
                                                    " is in use; number requests uniquely");
  auto beside = decode_checked<rpc::envelope>(request.params);
  if (auto room = beside ? check_room(request) : result<void>{fail(std::move(beside.error()))};
      !room) {
    append_refusal(request.id, room.error());
    return {};
  }
  if (beside->deadline.count() <= 0) beside->deadline = limits_.default_deadline;
  beside->deadline = std::min(beside->deadline, limits_.max_deadline);
  while (serving_.contains(++last_serial_)) {
  }
  const auto serial = last_serial_;
  serving_.emplace(serial,
                   served_request{request.id, request.params.size(), now + beside->deadline});
  answerable_.emplace(request.id, serial);
  serving_bytes_ += request.params.size();
  events.on_request(serial, request.method, request.params, *beside);
  return {};
}

/// Whether one more request can be served beside those that are, be they cancelled or not.
result<void> link_session::check_room(const rpc::request& request) const {
  if (serving_.size() >= limits_.in_flight)
    return fail(error_code::overloaded, std::to_string(serving_.size()) +
                                            " requests are still worked on, " +
                                            std::to_string(serving_.size() - answerable_.size()) +
                                            " of them cancelled or expired; try again later");
  if (serving_bytes_ + request.params.size() > limits_.request_bytes)
    return fail(error_code::overloaded,
                "the requests that are still worked on have " + std::to_string(serving_bytes_) +
                    " bytes of parameters; at most " + std::to_string(limits_.request_bytes) +
                    " are borne at once; wait for answers");
  return {};
}

result<void> link_session::receive_response(const rpc::response& response, link_events& events) {
  const std::uint32_t slot = slot_of(response.id);
  const bool known =
      slot < slots_.size() && slots_[slot].open && wire_id(slot, slots_[slot].use) == response.id;
  if (!known) {
    if (late_replies_ == 0) return strike("a reply to no open call");
    --late_replies_;
    return {};
  }
  if (response.failure.code == error_code::none)
    close_call(slot, response.payload, events);
  else
    close_call(slot, fail(response.failure), events);
  return {};
}

result<void> link_session::receive_notification(const rpc::notification& notification,
                                                link_events& events) {
  if (notification.method == cancel_call::method && !awaiting_opening_) {
    const auto cancel = decode_checked<cancel_call>(notification.params);
    if (!cancel) return strike("a cancel without msgid");
    const auto cancelled = answer_early(
        cancel->msgid, {error_code::cancelled,
                        "the caller cancelled the request; what it asked for may still be done",
                        {}});
    if (cancelled) events.on_cancelled(*cancelled);
    return {};
  }
  events.on_notification(notification.method, notification.params);
  return {};
}

result<void> link_session::strike(std::string_view what) {
  if (awaiting_opening_)
    return fail(error_code::protocol_violation,
                "the first message must be session.open, not " + std::string{what});
  if (++strikes_ <= limits_.strikes) return {};
  return fail(error_code::protocol_violation,
              "too many violations, the last: " + std::string{what} + "; at most " +
                  std::to_string(limits_.strikes) + " are borne");
}

result<std::uint32_t> link_session::call(std::string_view method, std::string_view params,
                                         time_point deadline, completion done) {
  if (ended_) return fail(*ended_);
  if (open_calls_ >= limits_.in_flight)
    return fail(error_code::overloaded, std::to_string(open_calls_) +
                                            " calls are in flight on this link; wait for answers");
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const auto slot = free_slots_.back();
  auto& place = slots_[slot];
  const auto id = wire_id(slot, place.use);
  const auto sent = emit(method.size() + params.size(),
                         [&] { rpc::append_request(output_, id, method, params); });
  if (!sent) return fail(sent.error());
  free_slots_.pop_back();
  place.open = true;
  place.deadline = deadline;
  place.done = std::move(done);
  ++open_calls_;
  return id;
}

void link_session::cancel(std::uint32_t call) {
  const auto slot = slot_of(call);
  if (slot < slots_.size() && slots_[slot].open && wire_id(slot, slots_[slot].use) == call)
    rpc::append_notification(output_, cancel_call::method, encode(cancel_call{call}));
}

result<void> link_session::notify(std::string_view method, std::string_view params) {
  return emit(method.size() + params.size(),
              [&] { rpc::append_notification(output_, method, params); });
}

bool link_session::respond(request_serial request, std::string_view payload) {
  const auto id = close_request(request);
  if (!id) return false;
  const auto sent = emit(payload.size(), [&] { rpc::append_response(output_, *id, payload); });
  if (!sent) append_refusal(*id, sent.error());
  return true;
}

bool link_session::refuse(request_serial request, const error& failure) {
  const auto id = close_request(request);
  if (id) append_refusal(*id, failure);
  return id.has_value();
}

/// The owner has answered. @returns the id on the wire when the other side still waits for it.
std::optional<std::uint32_t> link_session::close_request(request_serial request) {
  const auto found = serving_.find(request);
  if (found == serving_.end()) return std::nullopt;
  const auto served = found->second;
  serving_.erase(found);
  serving_bytes_ -= served.bytes;
  if (served.is_answered) return std::nullopt;
  answerable_.erase(served.id);
  return served.id;
}

/// Answers a request in place of its owner, for whom it goes on to count.
std::optional<request_serial> link_session::answer_early(std::uint32_t id, const error& why) {
  const auto found = answerable_.extract(id);
  if (!found) return std::nullopt;
  serving_.at(found.mapped()).is_answered = true;
  append_refusal(id, why);
  return found.mapped();
}

/// Always appends something, so that every request is answered.
void link_session::append_refusal(std::uint32_t id, const error& failure) {
  const auto sent = emit(failure.message.size() + failure.detail.size(),
                         [&] { rpc::append_failure(output_, id, failure); });
  if (!sent)
    rpc::append_failure(
        output_, id,
        {failure.code, std::string{utf8_prefix(failure.message, short_message_bytes)}, {}});
}

/// Appends a frame of about so many bytes, or nothing when there is no room for it or it cannot be
/// sent.
template <class Append>
result<void> link_session::emit(std::size_t bytes, Append append) {
  if (auto room = check_output(bytes); !room) return room;
  const auto before = output_.size();
  append();
  auto checked = check_frame(std::string_view{output_}.substr(before));
  if (!checked) output_.resize(before);
  return checked;
}

/// Whether the other side would take this frame. Its text is UTF-8: values have been checked on
/// entry, and the codec repairs what the node itself says. A small frame cannot have too many
/// elements, and with few containers none is too deep.
result<void> link_session::check_frame(std::string_view frame) const {
  const auto& bounds = limits_.codec;
  if (frame.size() <=
          std::min<std::uint64_t>({bounds.frame_bytes, bounds.elements, bounds.string_bytes}) &&
      (frame.size() <= bounds.depth || possible_containers(frame) <= bounds.depth))
    return {};
  const auto checked = check_msgpack(frame, bounds);
  if (checked) return {};
  const bool is_too_much = checked.error().code == error_code::limit_exceeded;
  return fail(is_too_much ? error_code::limit_exceeded : error_code::internal,
              "the message cannot be sent: " + checked.error().message);
}

result<void> link_session::check_output(std::size_t more) const {
  more += frame_overhead;
  if (more > limits_.codec.frame_bytes)
    return fail(error_code::limit_exceeded,
                "a message of " + std::to_string(more) + " bytes is too long for a link; at most " +
                    std::to_string(limits_.codec.frame_bytes) + " are carried");
  if (unsent_ + output_.size() + more > limits_.output_bytes)
    return fail(error_code::overloaded, "the other side of the link does not read; " +
                                            std::to_string(unsent_ + output_.size()) +
                                            " bytes are waiting for it");
  return {};
}

result<void> link_session::tick(time_point now, link_events& events) {
  expire_calls(now, events);
  expire_requests(now);
  if (now - last_forgiven_ >= std::chrono::seconds{1}) {
    last_forgiven_ = now;
    if (strikes_ > 0) --strikes_;
  }
  if (now - std::exchange(last_tick_, now) > longest_tick) {
    // It is this side that was held up: what the other one has sent meanwhile may not have been
    // read yet.
    message_began_ = now;
    silent_since_.reset();
    unheard_since_.reset();
  }
  // While it is this side that does not read, the other one is not slow; nor silent, unless it is
  // why: because it does not read.
  if (reading_paused()) message_began_ = now;
  if (untaken_ > limits_.untaken_bytes) {
    silent_since_.reset();
    unheard_since_.reset();
    return {};
  }
  if (!input_.empty() && now - message_began_ > limits_.half_frame)
    return fail(error_code::protocol_violation,
                "a message that began " + std::to_string(limits_.half_frame.count()) +
                    " ms ago has not ended; " + std::to_string(input_.size()) +
                    " bytes of it arrived");
  return ping_when_idle(now);
}

void link_session::expire_calls(time_point now, link_events& events) {
  if (open_calls_ == 0) return;
  std::size_t expired = 0;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (!slots_[slot].open || slots_[slot].deadline > now) continue;
    const auto id = wire_id(slot, slots_[slot].use);
    ++expired;
    rpc::append_notification(output_, cancel_call::method, encode(cancel_call{id}));
    close_call(slot, fail(error_code::deadline_exceeded, "no answer before the deadline"), events);
  }
  late_replies_ += expired;
  if (expired == 0 || unheard_since_) return;
  // It may be busy with a call that it was given before, and speak when that one is done.
  unheard_since_ = now;
  for (const auto& each : slots_)
    if (each.open) unheard_since_ = std::max(*unheard_since_, each.deadline);
}

void link_session::expire_requests(time_point now) {
  if (answerable_.empty()) return;
  std::vector<std::uint32_t> expired;
  for (const auto& [id, serial] : answerable_)
    if (serving_.at(serial).deadline <= now) expired.push_back(id);
  for (const auto id : expired)
    answer_early(id, {error_code::deadline_exceeded,
                      "no answer before the deadline; what was asked for may still be done",
                      {}});
}

result<void> link_session::ping_when_idle(time_point now) {
  if (awaiting_opening_) return {};
  if (unheard_since_ && limits_.ping_interval.count() > 0 &&
      now - *unheard_since_ > limits_.silence)
    return fail(error_code::unavailable, "nothing was heard for " +
                                             std::to_string(limits_.silence.count()) +
                                             " ms after a call had passed its deadline");
  if (limits_.ping_interval.count() == 0 || now - last_ping_ < limits_.ping_interval) return {};
  if (open_calls_ > (ping_ ? 1u : 0u)) {
    // Their deadlines say when the other side has been silent for too long. Behind one of them it
    // may show that it lives.
    silent_since_.reset();
    if (!unheard_since_) return {};
  } else if (!silent_since_) {
    silent_since_ = now;
  } else if (now - *silent_since_ > limits_.silence) {
    return fail(error_code::unavailable,
                "nothing was heard for " + std::to_string(limits_.silence.count()) + " ms");
  }
  last_ping_ = now;
  if (ping_) return {};
  if (const auto started = call(ping::method, rpc::no_params, now + 2 * limits_.silence, {}))
    ping_ = *started;
  return {};
}

void link_session::close_call(std::uint32_t slot, result<std::string_view> outcome,
                              link_events& events) {
  auto& place = slots_[slot];
  auto done = std::exchange(place.done, nullptr);
  const bool is_ping = ping_ == wire_id(slot, place.use);
  place.open = false;
  ++place.use;
  --open_calls_;
  free_slots_.push_back(slot);
  if (is_ping)
    ping_.reset();
  else
    events.on_outcome(std::move(done), std::move(outcome));
}

std::vector<request_serial> link_session::end(const error& reason, link_events& events) {
  ended_ = reason;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot].open) close_call(slot, fail(reason), events);
  std::vector<request_serial> unanswered;
  for (const auto& [id, serial] : answerable_) unanswered.push_back(serial);
  serving_.clear();
  answerable_.clear();
  serving_bytes_ = 0;
  return unanswered;
}

}  // namespace troupe
