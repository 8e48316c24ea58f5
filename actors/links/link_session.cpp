#include <troupe/actors/links/link_session.hpp>

#include <algorithm>

namespace troupe {

namespace {

constexpr std::uint32_t slot_bits = 16;
/// What a frame is at most longer than its method and parameters: two array headers, type, id and the method's header.
constexpr std::size_t frame_overhead = 1 + 1 + 5 + 5 + 1;

std::uint32_t wire_id(std::uint32_t slot, std::uint32_t use) noexcept { return use << slot_bits | slot; }

struct cancel_notice {
  std::uint32_t msgid = 0;
  static constexpr auto fields() { return std::tuple{required("msgid", &cancel_notice::msgid)}; }
};

}  // namespace

link_session::link_session(const link_limits& limits, time_point now)
    : limits_(limits),
      scanner_(limits.codec),
      message_began_(now),
      last_ping_(now),
      last_forgiven_(now) {
  limits_.in_flight = std::min<std::uint32_t>(limits_.in_flight, 1u << slot_bits);
}

result<void> link_session::receive(std::string_view bytes, time_point now, link_events& events) {
  silent_since_.reset();
  // Messages that arrived whole are read where they lie; only the beginning of the next one is kept.
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
  if (continuing) input_.erase(0, input_.size() - rest.size());
  else input_.assign(rest);
  if (!continuing) message_began_ = now;
  return {};
}

result<void> link_session::receive_frame(std::string_view frame, time_point, link_events& events) {
  auto parsed = rpc::parse(frame);
  if (!parsed) return fail(std::move(parsed.error()));
  if (const auto* request = std::get_if<rpc::request>(&*parsed)) return receive_request(*request, events);
  if (const auto* response = std::get_if<rpc::response>(&*parsed)) return receive_response(*response);
  return receive_notification(std::get<rpc::notification>(*parsed), events);
}

result<void> link_session::receive_request(const rpc::request& request, link_events& events) {
  if (request.method == "ping") {
    rpc::append_response(output_, request.id, rpc::nil);
    return {};
  }
  if (serving_.size() >= limits_.in_flight)
    return fail(error_code::limit_exceeded,
                "more than " + std::to_string(limits_.in_flight) + " requests at once; wait for answers");
  if (!serving_.insert(request.id).second)
    return fail(error_code::protocol_violation,
                "the request id " + std::to_string(request.id) + " is in use; number requests uniquely");
  auto beside = decode_checked<rpc::envelope>(request.params);
  if (!beside) {
    refuse(request.id, beside.error());
    return {};
  }
  if (beside->deadline.count() <= 0) beside->deadline = limits_.default_deadline;
  beside->deadline = std::min(beside->deadline, limits_.max_deadline);
  events.on_request(request.id, request.method, request.params, *beside);
  return {};
}

result<void> link_session::receive_response(const rpc::response& response) {
  const std::uint32_t slot = response.id & ((1u << slot_bits) - 1);
  const bool known = slot < slots_.size() && slots_[slot].open && wire_id(slot, slots_[slot].use) == response.id;
  if (!known) return strike("a reply to no open call");
  auto done = close_call(slot);
  if (response.failure.code == error_code::none) done(response.payload);
  else done(fail(response.failure));
  return {};
}

result<void> link_session::receive_notification(const rpc::notification& notice, link_events& events) {
  if (notice.method == "cancel") {
    const auto cancel = decode_checked<cancel_notice>(notice.params);
    if (!cancel) return strike("a cancel without msgid");
    refuse(cancel->msgid, {error_code::cancelled, "the caller withdrew the request", {}});
    return {};
  }
  events.on_notification(notice.method, notice.params);
  return {};
}

result<void> link_session::strike(std::string_view what) {
  if (++strikes_ <= limits_.strikes) return {};
  return fail(error_code::protocol_violation,
              "too many violations, the last: " + std::string{what} + "; at most " + std::to_string(limits_.strikes) +
                  " are borne");
}

result<std::uint32_t> link_session::call(std::string_view method, std::string_view params, time_point deadline,
                                         completion done) {
  if (ended_) return fail(*ended_);
  if (open_calls_ >= limits_.in_flight)
    return fail(error_code::overloaded,
                std::to_string(open_calls_) + " calls are in flight on this link; wait for answers");
  if (auto room = check_output(method.size() + params.size()); !room) return fail(std::move(room.error()));
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const auto slot = free_slots_.back();
  free_slots_.pop_back();
  auto& place = slots_[slot];
  place.open = true;
  place.deadline = deadline;
  place.done = std::move(done);
  ++open_calls_;
  const auto id = wire_id(slot, place.use);
  rpc::append_request(output_, id, method, params);
  return id;
}

result<void> link_session::notify(std::string_view method, std::string_view params) {
  if (auto room = check_output(method.size() + params.size()); !room) return room;
  rpc::append_notification(output_, method, params);
  return {};
}

bool link_session::respond(std::uint32_t id, std::string_view payload) {
  if (serving_.erase(id) == 0) return false;
  if (auto room = check_output(payload.size()); room) rpc::append_response(output_, id, payload);
  else rpc::append_failure(output_, id, room.error());
  return true;
}

bool link_session::refuse(std::uint32_t id, const error& failure) {
  if (serving_.erase(id) == 0) return false;
  rpc::append_failure(output_, id, failure);
  return true;
}

result<void> link_session::check_output(std::size_t more) const {
  more += frame_overhead;
  if (more > limits_.codec.frame_bytes)
    return fail(error_code::limit_exceeded, "a message of " + std::to_string(more) + " bytes is too long for a link; at most " +
                                                std::to_string(limits_.codec.frame_bytes) + " are carried");
  if (unsent_ + output_.size() + more > limits_.output_bytes)
    return fail(error_code::overloaded, "the other side of the link does not read; " +
                                            std::to_string(unsent_ + output_.size()) + " bytes are waiting for it");
  return {};
}

result<void> link_session::tick(time_point now) {
  expire_calls(now);
  if (now - last_forgiven_ >= std::chrono::seconds{1}) {
    last_forgiven_ = now;
    if (strikes_ > 0) --strikes_;
  }
  if (untaken_ > limits_.untaken_bytes) {
    // It is this side that does not read, so the other one is neither slow nor silent.
    message_began_ = now;
    silent_since_.reset();
    return {};
  }
  if (!input_.empty() && now - message_began_ > limits_.half_frame)
    return fail(error_code::protocol_violation, "a message that began " + std::to_string(limits_.half_frame.count()) +
                                                    " ms ago has not ended; " + std::to_string(input_.size()) +
                                                    " bytes of it arrived");
  return ping_when_idle(now);
}

void link_session::expire_calls(time_point now) {
  if (open_calls_ == 0) return;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (!slots_[slot].open || slots_[slot].deadline > now) continue;
    const auto id = wire_id(slot, slots_[slot].use);
    auto done = close_call(slot);
    rpc::append_notification(output_, "cancel", encode(cancel_notice{id}));
    done(fail(error_code::deadline_exceeded, "no answer before the deadline"));
  }
}

result<void> link_session::ping_when_idle(time_point now) {
  if (limits_.ping_interval.count() == 0 || now - last_ping_ < limits_.ping_interval) return {};
  // While calls are open their deadlines say when the other side has been silent for too long.
  if (open_calls_ > (pinging_ ? 1u : 0u)) {
    silent_since_.reset();
    return {};
  }
  if (!silent_since_) silent_since_ = now;
  if (now - *silent_since_ > limits_.silence)
    return fail(error_code::unavailable, "nothing was heard for " + std::to_string(limits_.silence.count()) + " ms");
  last_ping_ = now;
  if (pinging_) return {};
  const auto started = call("ping", rpc::no_params, now + 2 * limits_.silence,
                            [this](const result<std::string_view>&) { pinging_ = false; });
  pinging_ = started.has_value();
  return {};
}

link_session::completion link_session::close_call(std::uint32_t slot) {
  auto& place = slots_[slot];
  place.open = false;
  ++place.use;
  --open_calls_;
  free_slots_.push_back(slot);
  return std::exchange(place.done, nullptr);
}

void link_session::end(const error& reason) {
  ended_ = reason;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot].open) close_call(slot)(fail(reason));
  serving_.clear();
}

}  // namespace troupe
