#include <troupe/actors/links/link_state.hpp>

#include <utility>

#include <troupe/actors/kernel/messaging.hpp>

namespace troupe {

link_state::link_state(pointer self, caf::io::connection_handle handle, link_setup setup)
    : link_state(self, handle, unique_fd{}, std::move(setup)) {}

link_state::link_state(pointer self, unique_fd socket, link_setup setup)
    : link_state(self, caf::io::connection_handle{}, std::move(socket), std::move(setup)) {}

link_state::link_state(pointer self, caf::io::connection_handle handle, unique_fd socket,
                       link_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      socket_(std::move(socket)),
      handle_(handle),
      log_(setup_.log.logger("links")) {}

link_state::interface::behavior_type link_state::make_behavior() {
  connect();
  tick_after(self_, shell::slow_interval, tick::slow);
  return {
      [this](const call_remote& wanted) { return call(wanted); },
      [this](const notify_remote& notification) -> caf::result<void> {
        return reply(connection_->notify(notification.method, notification.params.bytes));
      },
      [this](const close_link& wanted) { connection_->close(wanted.reason); },
      [this](const caf::io::new_data_msg& data) { connection_->receive(data); },
      [this](const caf::io::connection_closed_msg&) {
        end({error_code::unavailable, "the other side closed the link", {}});
      },
      [this](tick pace) {
        if (pace == tick::slow) tick_after(self_, shell::slow_interval, tick::slow);
        connection_->pass_time(pace);
      },
  };
}

void link_state::connect() {
  const auto wire =
      socket_ ? adopt_connection(self_, std::move(socket_)) : connection{self_, handle_};
  connection_ = std::make_shared<shell>(self_, *this, wire,
                                        served_setup{.limits = setup_.limits,
                                                     .gate = setup_.gate,
                                                     .open = setup_.open,
                                                     .other_side = setup_.other_side,
                                                     .opening_deadline = setup_.limits.silence},
                                        setup_.services);
  connection_->start();
}

caf::result<payload> link_state::call(const call_remote& wanted) {
  if (wanted.deadline.count() <= 0)
    return to_caf({error_code::deadline_exceeded, "no time was left for the call", {}});
  return reply_later<payload>(self_, [&](reply_to<payload> to) {
    const rpc::envelope beside{wanted.deadline, wanted.trace};
    const auto started =
        connection_->call(wanted.method, rpc::with_envelope(wanted.params.bytes, beside),
                          wanted.deadline, [to](result<std::string> answer) mutable {
                            if (answer)
                              to(payload{{std::move(*answer)}});
                            else
                              to(fail(std::move(answer.error())));
                          });
    if (!started) to(fail(started.error()));
  });
}

// -- events of the connection ---------------------------------------------------------------------

void link_state::on_session(session_began& session) {
  log_->info("link.opened link=\"{}\" kind={} name={}", setup_.label, name_of(session.kind),
             printable_quoted(session.name, 64));
  if (!setup_.owner) return;
  tell(self_, *setup_.owner,
       link_opened{.link = link_actor{self_},
                   .kind = session.kind,
                   .node = session.node,
                   .name = std::move(session.name),
                   .incarnation = session.incarnation,
                   .address = session.dialed ? setup_.label : std::move(session.address),
                   .dialed = session.dialed});
}

/// Only plugins have notifications for the link itself, and their supervisor hears those.
void link_state::on_notification(const notification_came& notification) {
  on_refused({notification.method,
              {error_code::unavailable, "this node does not serve " + notification.method, {}}});
}

void link_state::on_refused(const notification_refused& refused) {
  log_->warn("link.notification_refused link=\"{}\" method={} reason={}", setup_.label,
             printable_quoted(refused.method, 64), printable_quoted(refused.reason.message));
}

void link_state::on_more_refused(std::uint64_t count) {
  log_->warn("link.notifications_refused link=\"{}\" more={}", setup_.label, count);
}

void link_state::on_failure(connection_failed& failed) { end(failed.reason); }

void link_state::end(const error& reason) {
  if (connection_->has_ended()) return;
  if (reason.code == error_code::unavailable)
    log_->info("link.closed link=\"{}\" reason={}", setup_.label, printable_quoted(reason.message));
  else
    log_->warn("link.ended link=\"{}\" code={} reason={}", setup_.label, to_string(reason.code),
               printable_quoted(reason.message));
  connection_->end(reason);
  end_with(self_, reason);
}

link_actor spawn_link(caf::actor_system& system, int socket, link_setup setup) {
  return spawn_io<link_state>(system, unique_fd{socket}, std::move(setup));
}

}  // namespace troupe
