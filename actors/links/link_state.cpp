#include <troupe/actors/links/link_state.hpp>

#include <chrono>
#include <utility>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/messages/utf8.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto fast_interval =
    20ms;  // while answers are awaited: how late a deadline may be noticed
constexpr auto slow_interval = 1000ms;
constexpr auto notification_deadline = 60s;         // for a service to take a notification
constexpr std::size_t notification_overhead = 256;  // bytes of a message beside its text
constexpr std::uint64_t max_refusals_told = 10;     // a second; the others are counted
constexpr std::size_t max_reason_bytes = 512;

result<void> check_session_name(std::string_view name) {
  if (name.size() <= max_session_name_bytes) return {};
  return fail(error_code::invalid_argument,
              "the name of the other side has " + std::to_string(name.size()) + " bytes; at most " +
                  std::to_string(max_session_name_bytes) + " are accepted");
}

}  // namespace

link_state::link_state(pointer self, caf::io::connection_handle connection, link_setup setup)
    : link_state(self, connection, unique_fd{}, std::move(setup)) {}

link_state::link_state(pointer self, unique_fd socket, link_setup setup)
    : link_state(self, caf::io::connection_handle{}, std::move(socket), std::move(setup)) {}

link_state::link_state(pointer self, caf::io::connection_handle connection, unique_fd socket,
                       link_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      socket_(std::move(socket)),
      stream_(self, connection),
      began_(self->clock().now()),
      session_(setup_.limits, began_),
      log_(setup_.log.logger("links")),
      caller_(std::make_shared<principal>(setup_.other_side)) {}

link_state::interface::behavior_type link_state::make_behavior() {
  if (socket_) stream_ = stream{self_, self_->add_scribe(socket_.release())};
  stream_.start();
  tick_after(self_, slow_interval, tick::slow);
  if (setup_.open)
    greet();
  else if (setup_.gate)
    session_.await_opening();
  else
    phase_ = phase::open;
  return {
      [this](const call_remote& wanted) { return call(wanted); },
      [this](const notify_remote& notification) -> caf::result<void> {
        stream_.refresh(session_);
        auto outcome = session_.notify(notification.method, notification.params.bytes);
        stream_.flush(session_);
        return reply(std::move(outcome));
      },
      [this](const close_link& wanted) { close(wanted.reason); },
      [this](const caf::io::new_data_msg& data) {
        stream_.refresh(session_);
        settle(session_.receive({reinterpret_cast<const char*>(data.buf.data()), data.buf.size()},
                                now(), *this));
      },
      [this](const caf::io::connection_closed_msg&) {
        end({error_code::unavailable, "the other side closed the link", {}});
      },
      [this](tick pace) { pass_time(pace); },
  };
}

// -- session --------------------------------------------------------------------------------------

void link_state::greet() {
  auto started =
      session_.call(session_open::method, encode(*setup_.open), now() + setup_.limits.silence,
                    [this](result<std::string_view> answer) {
                      auto accepted = answer ? decode_checked<session_accepted>(*answer)
                                             : result<session_accepted>{fail(answer.error())};
                      auto checked = accepted ? check_acceptance(*accepted)
                                              : result<void>{fail(accepted.error())};
                      if (checked)
                        begin_dialed(*accepted);
                      else
                        end(checked.error());
                    });
  if (!started) end(started.error());
  stream_.flush(session_);
}

/// The other side could be anybody: its answer must be one that a node of the same cluster gives.
result<void> link_state::check_acceptance(const session_accepted& answer) const {
  const auto& said = *setup_.open;
  if (answer.protocol < said.protocol.at(0) || answer.protocol > said.protocol.at(1))
    return fail(error_code::version_mismatch, "the other side answered with protocol version " +
                                                  std::to_string(answer.protocol) +
                                                  ", which was not offered");
  if (answer.node.is_nil())
    return fail(error_code::protocol_violation, "the other side did not tell its node id");
  if (!answer.cluster.is_nil() && answer.cluster != said.cluster)
    return fail(error_code::permission_denied,
                "the other side is of the cluster " + to_string(answer.cluster) + ", not of " +
                    to_string(said.cluster) +
                    "; nodes of one cluster are started with the same --cluster");
  return check_session_name(answer.node_name);
}

void link_state::begin_dialed(const session_accepted& answer) {
  phase_ = phase::open;
  caller_ = std::make_shared<principal>(
      principal{.name = to_string(answer.node), .kind = principal_kind::peer});
  announce({.kind = session_kind::peer,
            .node = answer.node,
            .name = answer.node_name,
            .incarnation = answer.incarnation,
            .address = setup_.label,
            .dialed = true});
}

void link_state::answer_greeting(request_serial request, std::string_view method,
                                 std::string_view params) {
  auto grant = admit(method, params);
  if (!grant) {
    session_.refuse(request, grant.error());
    return end(grant.error());
  }
  caller_ = std::make_shared<principal>(std::move(grant->caller));
  session_.respond(request, encode(grant->answer));
}

result<session_grant> link_state::admit(std::string_view method, std::string_view params) {
  if (!setup_.gate)
    return fail(error_code::protocol_violation,
                "this side dialed; it asks first, and was asked " + printable(method, 64));
  if (method != session_open::method)
    return fail(error_code::protocol_violation,
                "the first request must be session.open, not " + printable(method, 64));
  auto opening = decode_checked<session_open>(params);
  if (!opening) return fail(std::move(opening.error()));
  const auto agreed = agree_on_protocol(opening->protocol);
  if (!agreed) return fail(agreed.error());
  if (auto checked = check_session_name(opening->name); !checked)
    return fail(std::move(checked.error()));
  auto granted = setup_.gate(*opening);
  if (!granted) return granted;
  granted->answer.protocol = *agreed;
  phase_ = phase::open;
  session_.opened();
  announce({.kind = opening->kind,
            .node = opening->node,
            .name = opening->name,
            .incarnation = opening->incarnation,
            .address = opening->address});
  return granted;
}

void link_state::announce(link_opened opened) {
  log_->info("link.opened link=\"{}\" kind={} name={}", setup_.label, name_of(opened.kind),
             printable_quoted(opened.name, 64));
  if (!setup_.owner) return;
  opened.link = caf::actor_cast<link_actor>(self_);
  tell(self_, *setup_.owner, std::move(opened));
}

// -- traffic --------------------------------------------------------------------------------------

caf::result<payload> link_state::call(const call_remote& wanted) {
  if (phase_ != phase::open)
    return to_caf({error_code::unavailable, "the link is not open yet", {}});
  if (wanted.deadline.count() <= 0)
    return to_caf({error_code::deadline_exceeded, "no time was left for the call", {}});
  stream_.refresh(session_);
  auto promise = self_->make_response_promise<payload>();
  const rpc::envelope beside{wanted.deadline, wanted.trace};
  auto started =
      session_.call(wanted.method, rpc::with_envelope(wanted.params.bytes, beside),
                    now() + wanted.deadline, [promise](result<std::string_view> answer) mutable {
                      if (answer)
                        promise.deliver(payload{{std::string{*answer}}});
                      else
                        promise.deliver(to_caf(std::move(answer.error())));
                    });
  if (!started) promise.deliver(to_caf(std::move(started.error())));
  stream_.flush(session_);
  schedule_tick();
  return promise;
}

void link_state::on_request(request_serial request, std::string_view method,
                            std::string_view params, const rpc::envelope& beside) {
  if (phase_ == phase::opening) return answer_greeting(request, method, params);
  if (phase_ == phase::closed) return;
  const auto found = find_route(setup_.services, caller_->kind, method);
  if (found)
    serve({*found, request, std::string{params}, beside, now()});
  else
    session_.refuse(request, found.error());
}

void link_state::serve(routed_request asked) {
  const auto at = asked.came;
  if (!asked.to.rule->access.reads) return hand_on(std::move(asked), at);
  if (auto ready = reads_.enter(std::move(asked))) hand_on(std::move(*ready), at);
}

void link_state::hand_on(routed_request asked, link_session::time_point at) {
  const auto request = asked.request;
  auto wanted = asked.call(caller_, request, at);
  const auto limit = wanted.deadline + answer_grace;
  const auto finish = [this, reads = asked.to.rule->access.reads](auto&& tell_other_side) {
    stream_.refresh(session_);
    tell_other_side();
    stream_.flush(session_);
    if (!reads) return;
    if (auto next = reads_.leave()) hand_on(std::move(*next), now());
  };
  ask(self_, asked.to.service, limit, std::move(wanted))
      .then(
          [this, request, finish](const payload& answer) {
            finish([&] { session_.respond(request, answer.msgpack.bytes); });
          },
          [this, request, finish](const error& failure) {
            finish([&] { session_.refuse(request, failure); });
          });
}

void link_state::on_notification(std::string_view method, std::string_view params) {
  if (phase_ == phase::opening)
    return end(
        {error_code::protocol_violation,
         "the first message must be session.open, not the notification " + printable(method, 64),
         {}});
  if (phase_ == phase::closed) return;
  if (method == session_closed::method && caller_->kind == principal_kind::peer)
    return hear_closing(params);
  const auto found = find_route(setup_.services, caller_->kind, method, method_kind::notification);
  if (found)
    pass_on(*found, method, params);
  else if (++notifications_refused_ <= max_refusals_told)
    log_->warn("link.notification_refused link=\"{}\" method={} reason={}", setup_.label,
               printable_quoted(method, 64), printable_quoted(found.error().message));
}

void link_state::on_cancelled(request_serial request) {
  cancel_served(self_, setup_.services, request);
}

/// What a service has not taken yet is counted, so that reading pauses when it does not keep up.
void link_state::pass_on(const route& to, std::string_view method, std::string_view params) {
  const auto bytes = method.size() + params.size() + notification_overhead;
  session_.add_untaken(bytes);
  const auto taken = [this, bytes] {
    session_.remove_untaken(bytes);
    stream_.flush(session_);
    schedule_tick();
  };
  ask(self_, to.service, notification_deadline,
      service_notification{caller_, std::string{method}, {std::string{params}}})
      .then(taken, [taken](const error&) { taken(); });
}

void link_state::settle(result<void> outcome) {
  if (!outcome) return end(outcome.error());
  stream_.flush(session_);
  schedule_tick();
}

/// Whoever closes a link to a peer tells why, so that it can be seen there too: the peer is going
/// to dial again.
void link_state::close(const std::string& reason) {
  if (phase_ == phase::open && caller_->kind == principal_kind::peer)
    (void)session_.notify(session_closed::method, encode(session_closed{reason}));  // a courtesy
  end({error_code::unavailable, reason, {}});
}

void link_state::hear_closing(std::string_view params) {
  const auto closing = decode_checked<session_closed>(params);
  if (!closing) return end(closing.error());
  end({error_code::unavailable,
       "the other side closed the link: " +
           std::string{utf8_prefix(closing->reason, max_reason_bytes)},
       {}});
}

void link_state::end(const error& reason) {
  if (phase_ == phase::closed) return;
  phase_ = phase::closed;
  if (reason.code == error_code::unavailable)
    log_->info("link.closed link=\"{}\" reason={}", setup_.label, printable_quoted(reason.message));
  else
    log_->warn("link.ended link=\"{}\" code={} reason={}", setup_.label, to_string(reason.code),
               printable_quoted(reason.message));
  for (const auto request : session_.end(reason)) on_cancelled(request);
  stream_.flush(session_);
  stream_.close();
  self_->quit(to_caf(reason));
}

void link_state::pass_time(tick pace) {
  if (pace == tick::fast) {
    fast_tick_ = false;
  } else {
    tick_after(self_, slow_interval, tick::slow);
    if (const auto refused = std::exchange(notifications_refused_, 0); refused > max_refusals_told)
      log_->warn("link.notifications_refused link=\"{}\" more={}", setup_.label,
                 refused - max_refusals_told);
  }
  stream_.refresh(session_);
  if (phase_ == phase::opening && now() - began_ > setup_.limits.silence)
    return end({error_code::deadline_exceeded, "no session was opened in time", {}});
  settle(session_.tick(now()));
}

/// A slow tick is always on its way. While answers are awaited a fast one is added, so that
/// deadlines are kept.
void link_state::schedule_tick() {
  if (fast_tick_ || phase_ == phase::closed) return;
  if (!session_.has_deadlines() && !stream_.paused()) return;
  fast_tick_ = true;
  tick_after(self_, fast_interval, tick::fast);
}

result<route> find_route(const service_table& services, principal_kind caller,
                         std::string_view method, method_kind kind) {
  auto rule = find_method(method);
  if (!rule) return fail(std::move(rule.error()));
  if ((*rule)->name == session_open::method)
    return fail(error_code::protocol_violation, "the session is open already");
  if (!may_call(**rule, caller))
    return fail(error_code::permission_denied,
                "a " + std::string{name_of(caller)} + " may not call " + std::string{method});
  if ((*rule)->kind != kind)
    return fail(error_code::protocol_violation,
                std::string{method} + (kind == method_kind::request
                                           ? " is a notification, which has no answer"
                                           : " is a request, and needs an id"));
  const auto found = services.find((*rule)->access.service);
  if (found == services.end())
    return fail(error_code::unavailable, "this node does not serve " + std::string{method});
  return route{*rule, found->second};
}

link_actor spawn_link(caf::actor_system& system, int socket, link_setup setup) {
  return spawn_io<link_state>(system, unique_fd{socket}, std::move(setup));
}

}  // namespace troupe
