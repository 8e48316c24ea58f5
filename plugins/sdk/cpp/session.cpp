#include <troupe/plugins/sdk/cpp/session.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include <troupe/messages/text/utf8.hpp>

namespace troupe::sdk {

namespace {

/// Every request that a node may make of a plugin.
using served_requests = message_types<ping, invoke_command, start_plugin, stop_plugin>;

bool is_served(std::string_view method) {
  return visit_method(served_requests{}, method, [](auto) {});
}

/// Less than this is not worth moving what is behind it.
constexpr std::size_t compact_at = 64 * 1024;

error stopping() { return {error_code::unavailable, "the plugin is stopping", {}}; }

std::size_t weight(const incoming_request& request) noexcept {
  return request.method.size() + request.params.size();
}

}  // namespace

session::session(const session_limits& limits) : limits_(limits), arrived_{limits.frames} {}

// -- what the plugin says -------------------------------------------------------------------------

template <class Append>
result<void> session::emit(Append append) {
  const auto before = outgoing_.size();
  append(outgoing_);
  auto checked = check_msgpack(std::string_view{outgoing_}.substr(before), limits_.frames);
  if (checked) return {};
  outgoing_.resize(before);
  const bool too_much = checked.error().code == error_code::limit_exceeded;
  return fail(too_much ? error_code::limit_exceeded : error_code::invalid_argument,
              "the message cannot be sent: " + checked.error().message);
}

result<std::uint32_t> session::request(std::string_view method, std::string_view params) {
  const auto id = last_id_ + 1;
  if (auto sent = emit([&](std::string& out) { rpc::append_request(out, id, method, params); });
      !sent)
    return fail(std::move(sent.error()));
  last_id_ = id;
  asked_[id] = std::nullopt;
  return id;
}

result<void> session::notify(std::string_view method, std::string_view params) {
  return emit([&](std::string& out) { rpc::append_notification(out, method, params); });
}

result<void> session::respond(std::uint32_t id, std::string_view payload) {
  return emit([&](std::string& out) { rpc::append_response(out, id, payload); });
}

void session::respond_failure(std::uint32_t id, const error& failure) {
  const auto code = failure.code == error_code::none ? error_code::internal : failure.code;
  const auto send = [&](const error& sent) {
    return emit([&](std::string& out) { rpc::append_failure(out, id, sent); });
  };
  if (auto sent = send({code, failure.message, failure.detail}); !sent)
    send({code, sent.error().message, {}});
}

std::optional<result<std::string>> session::take_answer(std::uint32_t id) {
  const auto asked = asked_.find(id);
  if (asked == asked_.end() || !asked->second) return std::nullopt;
  auto answer = std::move(asked->second);
  asked_.erase(asked);
  return answer;
}

void session::abandon(std::uint32_t id) {
  const auto asked = asked_.extract(id);
  if (asked && !asked.mapped())
    (void)notify(cancel_call::method, encode(cancel_call{id}));  // the deadline serves too
}

incoming_request* session::next_request() {
  running_.reset();
  if (queue_.empty()) return nullptr;
  running_ = std::move(queue_.front());
  queue_.pop_front();
  queued_bytes_ -= weight(*running_);
  return &*running_;
}

void session::sent(std::size_t bytes) {
  sent_ += bytes;
  // At least as much is dropped as is moved, so that each byte is moved once on average.
  if (sent_ < outgoing_.size() && sent_ < std::max(compact_at, outgoing_.size() / 2)) return;
  outgoing_.erase(0, sent_);
  sent_ = 0;
}

// -- what the node says ---------------------------------------------------------------------------

result<void> session::receive(std::string_view bytes, time_point now) {
  arrived_.append(bytes);
  while (true) {
    auto frame = arrived_.next();
    if (!frame) return fail(std::move(frame.error()));
    if (frame->empty()) return {};
    if (auto done = on_frame(*frame, now); !done) return done;
  }
}

result<void> session::on_frame(std::string_view bytes, time_point now) {
  auto frame = rpc::parse(bytes);
  if (!frame) return fail(std::move(frame.error()));
  if (const auto* request = std::get_if<rpc::request>(&*frame))
    on_request(*request, now);
  else if (const auto* response = std::get_if<rpc::response>(&*frame))
    on_response(*response);
  else
    on_notification(std::get<rpc::notification>(*frame));
  return {};
}

void session::on_request(const rpc::request& got, time_point now) {
  auto done = open_request(got, now).and_then([&](incoming_request request) {
    result<void> taken;
    visit_method(served_requests{}, got.method,
                 [&](auto type) { taken = take(type, std::move(request)); });
    return taken;
  });
  if (!done) respond_failure(got.id, done.error());
}

result<void> session::take(std::type_identity<ping>, incoming_request request) {
  return respond(request.id, rpc::nil);
}

result<void> session::take(std::type_identity<start_plugin>, incoming_request request) {
  return enqueue(std::move(request));
}

result<void> session::take(std::type_identity<invoke_command>, incoming_request request) {
  if (stopping_) return fail(stopping());
  return enqueue(std::move(request));
}

result<void> session::take(std::type_identity<stop_plugin>, incoming_request request) {
  begin_stop();
  return enqueue(std::move(request));
}

result<incoming_request> session::open_request(const rpc::request& got, time_point now) const {
  if (!is_served(got.method))
    return fail(error_code::not_found,
                "a plugin has no method \"" + std::string{utf8_prefix(got.method, 80)} + '"');
  auto beside = decode_checked<rpc::envelope>(got.params);
  if (!beside) return fail(std::move(beside.error()));
  if (beside->deadline.count() < 0)
    return fail(error_code::invalid_argument, "deadline_ms must not be negative");
  std::optional<time_point> deadline;
  if (beside->deadline.count() > 0) deadline = now + std::min(beside->deadline, longest_deadline);
  return incoming_request{got.id,   std::string{got.method}, std::string{got.params},
                          deadline, beside->trace,           false};
}

result<void> session::enqueue(incoming_request request) {
  const auto bytes = weight(request);
  if (queue_.size() >= limits_.queued_requests || queued_bytes_ + bytes > limits_.queued_bytes)
    return fail(error_code::overloaded,
                std::to_string(queue_.size()) + " requests are waiting for the plugin already");
  queue_.push_back(std::move(request));
  queued_bytes_ += bytes;
  return {};
}

void session::begin_stop() {
  stopping_ = true;
  for (auto at = queue_.begin(); at != queue_.end();)
    at = at->method == invoke_command::method ? refuse(at, stopping()) : std::next(at);
}

session::queue::iterator session::refuse(queue::iterator waiting, const error& failure) {
  respond_failure(waiting->id, failure);
  queued_bytes_ -= weight(*waiting);
  return queue_.erase(waiting);
}

void session::on_response(const rpc::response& got) {
  const auto asked = asked_.find(got.id);
  if (asked == asked_.end() || asked->second)
    return;  // foreign, late or second: no call waits for it
  if (got.failure.code == error_code::none)
    asked->second = std::string{got.payload};
  else
    asked->second = fail(got.failure);
}

void session::on_notification(const rpc::notification& got) {
  if (got.method != cancel_call::method) return;
  if (const auto notification = decode_checked<cancel_call>(got.params))
    cancel(notification->msgid);
}

void session::cancel(std::uint32_t id) {
  if (running_ && running_->id == id) {
    running_->cancelled = true;
    return;
  }
  const auto waiting = std::ranges::find_if(queue_, [&](const incoming_request& each) {
    return each.id == id && each.method == invoke_command::method;
  });
  if (waiting != queue_.end())
    refuse(waiting, {error_code::cancelled, "the caller cancelled the command", {}});
}

}  // namespace troupe::sdk
