#include <troupe/actors/links/link_state.hpp>

#include <chrono>
#include <utility>

#include <troupe/actors/kernel/messaging.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto fast_interval = 20ms;   // while calls are open: how late a deadline may be noticed
constexpr auto slow_interval = 1000ms;
constexpr auto notice_deadline = 60s;        // for a service to take a notice
constexpr std::size_t notice_overhead = 256;  // bytes of a message beside its text
constexpr std::uint64_t max_refusals_told = 10;  // a second; the others are counted

}  // namespace

link_state::link_state(pointer self, caf::io::connection_handle connection, link_setup setup)
    : link_state(self, connection, unique_fd{}, std::move(setup)) {}

link_state::link_state(pointer self, unique_fd socket, link_setup setup)
    : link_state(self, caf::io::connection_handle{}, std::move(socket), std::move(setup)) {}

link_state::link_state(pointer self, caf::io::connection_handle connection, unique_fd socket, link_setup setup)
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
  if (setup_.open) greet();
  else if (!setup_.gate) phase_ = phase::open;
  return {
      [this](const call_remote& wanted) { return call(wanted); },
      [this](const notify_remote& notice) -> caf::result<void> {
        stream_.refresh(session_);
        auto outcome = session_.notify(notice.method, notice.params.bytes);
        stream_.flush(session_);
        return reply(std::move(outcome));
      },
      [this](const close_link& close) { end({error_code::unavailable, close.reason, {}}); },
      [this](const caf::io::new_data_msg& data) {
        stream_.refresh(session_);
        settle(session_.receive({reinterpret_cast<const char*>(data.buf.data()), data.buf.size()}, now(), *this));
      },
      [this](const caf::io::connection_closed_msg&) {
        end({error_code::unavailable, "the other side closed the link", {}});
      },
      [this](tick pace) { pass_time(pace); },
  };
}

// -- session ----------------------------------------------------------------------------------------------------------

void link_state::greet() {
  auto started = session_.call("session.open", encode(*setup_.open), now() + setup_.limits.silence,
                               [this](result<std::string_view> answer) {
                                 auto accepted = answer ? decode_checked<session_accepted>(*answer)
                                                        : result<session_accepted>{fail(answer.error())};
                                 if (accepted) begin_dialed(*accepted);
                                 else end(accepted.error());
                               });
  if (!started) end(started.error());
  stream_.flush(session_);
}

void link_state::begin_dialed(const session_accepted& answer) {
  phase_ = phase::open;
  caller_ = std::make_shared<principal>(principal{.name = to_string(answer.node), .kind = principal_kind::peer});
  announce({.kind = session_kind::peer,
            .node = answer.node,
            .name = answer.node_name,
            .incarnation = answer.incarnation,
            .address = setup_.label,
            .dialed = true});
}

void link_state::answer_greeting(std::uint32_t id, std::string_view method, std::string_view params) {
  auto grant = [&]() -> result<session_grant> {
    if (method != "session.open")
      return fail(error_code::protocol_violation,
                  "the first request must be session.open, not " + printable(method, 64));
    auto opening = decode_checked<session_open>(params);
    if (!opening) return fail(std::move(opening.error()));
    if (auto agreed = agree_on_protocol(opening->protocol); !agreed) return fail(std::move(agreed.error()));
    auto granted = setup_.gate(*opening);
    if (granted) {
      phase_ = phase::open;
      announce({.kind = opening->kind,
                .node = opening->node,
                .name = opening->name,
                .incarnation = opening->incarnation,
                .address = opening->address});
    }
    return granted;
  }();
  if (!grant) {
    session_.refuse(id, grant.error());
    return end(grant.error());
  }
  caller_ = std::make_shared<principal>(std::move(grant->caller));
  session_.respond(id, encode(grant->answer));
}

void link_state::announce(link_opened opened) {
  log_->info("link.opened link=\"{}\" kind={} name=\"{}\"", setup_.label, name_of(opened.kind), printable(opened.name, 64));
  if (!setup_.owner) return;
  opened.link = caf::actor_cast<link_actor>(self_);
  tell(self_, *setup_.owner, std::move(opened));
}

// -- traffic ----------------------------------------------------------------------------------------------------------

caf::result<payload> link_state::call(const call_remote& wanted) {
  if (phase_ != phase::open) return to_caf({error_code::unavailable, "the link is not open yet", {}});
  if (wanted.deadline.count() <= 0) return to_caf({error_code::deadline_exceeded, "no time was left for the call", {}});
  stream_.refresh(session_);
  auto promise = self_->make_response_promise<payload>();
  const rpc::envelope beside{wanted.deadline, wanted.trace};
  auto started = session_.call(wanted.method, rpc::with_envelope(wanted.params.bytes, beside), now() + wanted.deadline,
                               [promise](result<std::string_view> answer) mutable {
                                 if (answer) promise.deliver(payload{{std::string{*answer}}});
                                 else promise.deliver(to_caf(std::move(answer.error())));
                               });
  if (!started) promise.deliver(to_caf(std::move(started.error())));
  stream_.flush(session_);
  schedule_tick();
  return promise;
}

void link_state::on_request(std::uint32_t id, std::string_view method, std::string_view params,
                            const rpc::envelope& beside) {
  if (phase_ == phase::opening) return answer_greeting(id, method, params);
  if (phase_ == phase::closed) return;
  const auto found = find_route(setup_.services, caller_->kind, method);
  if (found) serve(*found, id, params, beside);
  else session_.refuse(id, found.error());
}

void link_state::serve(const route& to, std::uint32_t id, std::string_view params, const rpc::envelope& beside) {
  ask(self_, to.service, beside.deadline,
      service_call{caller_, std::string{to.rule->name}, {std::string{params}}, beside.deadline, beside.trace})
      .then(
          [this, id](const payload& answer) {
            stream_.refresh(session_);
            session_.respond(id, answer.msgpack.bytes);
            stream_.flush(session_);
          },
          [this, id](const error& failure) {
            session_.refuse(id, failure);
            stream_.flush(session_);
          });
}

void link_state::on_notification(std::string_view method, std::string_view params) {
  if (phase_ != phase::open) return;
  const auto found = find_route(setup_.services, caller_->kind, method, method_kind::notice);
  if (found) pass_on(*found, method, params);
  else if (++notices_refused_ <= max_refusals_told)
    log_->warn("link.notice_refused link=\"{}\" method=\"{}\" reason=\"{}\"", setup_.label, printable(method, 64),
               printable(found.error().message));
}

/// What a service has not taken yet is counted, so that reading pauses when it does not keep up.
void link_state::pass_on(const route& to, std::string_view method, std::string_view params) {
  const auto bytes = method.size() + params.size() + notice_overhead;
  session_.add_untaken(bytes);
  const auto taken = [this, bytes] {
    session_.remove_untaken(bytes);
    stream_.flush(session_);
    schedule_tick();
  };
  ask(self_, to.service, notice_deadline, service_notice{caller_, std::string{method}, {std::string{params}}})
      .then(taken, [taken](const error&) { taken(); });
}

void link_state::settle(result<void> outcome) {
  if (!outcome) return end(outcome.error());
  stream_.flush(session_);
  schedule_tick();
}

void link_state::end(const error& reason) {
  if (phase_ == phase::closed) return;
  phase_ = phase::closed;
  if (reason.code == error_code::unavailable) log_->info("link.closed link=\"{}\" reason=\"{}\"", setup_.label, reason.message);
  else log_->warn("link.ended link=\"{}\" code={} reason=\"{}\"", setup_.label, to_string(reason.code), printable(reason.message));
  session_.end(reason);
  stream_.flush(session_);
  stream_.close();
  self_->quit(to_caf(reason));
}

void link_state::pass_time(tick pace) {
  if (pace == tick::fast) {
    fast_tick_ = false;
  } else {
    tick_after(self_, slow_interval, tick::slow);
    if (const auto refused = std::exchange(notices_refused_, 0); refused > max_refusals_told)
      log_->warn("link.notices_refused link=\"{}\" more={}", setup_.label, refused - max_refusals_told);
  }
  stream_.refresh(session_);
  if (phase_ == phase::opening && now() - began_ > setup_.limits.silence)
    return end({error_code::deadline_exceeded, "no session was opened in time", {}});
  settle(session_.tick(now()));
}

/// A slow tick is always on its way. While calls are open a fast one is added, so that deadlines are kept.
void link_state::schedule_tick() {
  if (fast_tick_ || phase_ == phase::closed) return;
  if (session_.calls_in_flight() == 0 && !stream_.paused()) return;
  fast_tick_ = true;
  tick_after(self_, fast_interval, tick::fast);
}

result<route> find_route(const service_table& services, principal_kind caller, std::string_view method, method_kind kind) {
  auto rule = find_method(method);
  if (!rule) return fail(std::move(rule.error()));
  if ((*rule)->name == "session.open") return fail(error_code::protocol_violation, "the session is open already");
  if (!may_call(**rule, caller))
    return fail(error_code::permission_denied,
                "a " + std::string{name_of(caller)} + " may not call " + std::string{method});
  if ((*rule)->kind != kind)
    return fail(error_code::protocol_violation, std::string{method} + (kind == method_kind::request ? " is a notice, which has no answer"
                                                                                                     : " is a request, and needs an id"));
  const auto found = services.find((*rule)->service);
  if (found == services.end())
    return fail(error_code::unavailable, "this node does not serve " + std::string{method});
  return route{*rule, found->second};
}

link_actor spawn_link(caf::actor_system& system, int socket, link_setup setup) {
  return spawn_io<link_state>(system, unique_fd{socket}, std::move(setup));
}

}  // namespace troupe
