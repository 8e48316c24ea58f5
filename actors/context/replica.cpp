#include <troupe/actors/context/replica.hpp>

#include <troupe/actors/context/replica_state.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto interval = 100ms;
constexpr auto reader_deadline = 60s;

write_values write_of(const service_call& asked, enum durability when) {
  // The answer, that members have not confirmed it, must arrive before the call is given up.
  const auto within = static_cast<std::uint64_t>(asked.deadline.count()) * 9 / 10;
  return {.entries = {},
          .durability = when,
          .principal = asked.caller->name,
          .trace = asked.trace,
          .members_within_ms = within};
}

}  // namespace

replica_state::replica_state(interface::pointer self, replica_setup setup)
    : self_(self),
      store_(std::move(setup.store)),
      clock_(std::move(setup.clock)),
      log_(setup.log.logger("context")),
      manager_(std::move(setup.engine), {.cluster = setup.identity.cluster,
                                         .checkpoint_every = setup.checkpoint_every,
                                         .replayed = setup.replayed,
                                         .log_base = std::move(setup.log_base),
                                         .joins = setup.joins}) {
  log_->info("context.opened replayed={} check_ms={}", setup.replayed, setup.check_took.count());
  ends_.attach(self_);
  bind_life(self_, store_);
}

replica_state::interface::behavior_type replica_state::make_behavior() {
  tick_after(self_, interval, tick::slow);
  return {
      [this](const write_values& wanted) {
        return reply_later<values_written>(
            self_, [&](reply_to<values_written> to) { write(wanted, std::move(to)); });
      },
      [this](const get_value& wanted) { return manager_.find(wanted); },
      [this](const list_values& wanted) {
        return reply_later<value_page>(
            self_, [&](reply_to<value_page> to) { list(wanted, std::move(to)); });
      },
      [this](const explain_value& wanted) { return manager_.explain(wanted.path); },
      [this](const verify_values& wanted) {
        return reply_later<values_verified>(
            self_, [&](reply_to<values_verified> to) { verify(wanted, std::move(to)); });
      },
      [this](take_snapshot) {
        const auto& engine = manager_.engine();
        return snapshot_taken{engine.snapshot(), engine.vector(), engine.values(),
                              engine.conflicts(), manager_.known_members().count()};
      },
      [this](const watch_context& wanted) { watch(wanted); },
      [this](const peer_up& up) { meet(up); },
      [this](service_call& call) { return serve(call); },
      [this](const service_notification& said) { hear(said); },
      [this](settle_context) {
        return reply_later<void>(self_, [&](reply_to<void> to) { settle(std::move(to)); });
      },
      [this](tick) {
        manager_.tick(now());
        carry_out_effects();
        tick_after(self_, interval, tick::slow);
      },
  };
}

// -- requests -------------------------------------------------------------------------------------

void replica_state::write(const write_values& wanted, reply_to<values_written> to) {
  const context_request request{++requests_};
  writes_.add(request, std::move(to));
  manager_.write(request, wanted, now());
  carry_out_effects();
}

void replica_state::settle(reply_to<void> to) {
  const context_request request{++requests_};
  settles_.add(request, std::move(to));
  manager_.settle(request);
  carry_out_effects();
}

void replica_state::list(const list_values& wanted, reply_to<value_page> to) {
  if (auto page = manager_.list(wanted)) return to(std::move(*page));
  read_aside(wanted, std::move(to));
}

void replica_state::verify(const verify_values& wanted, reply_to<values_verified> to) {
  read_aside(wanted, std::move(to));
}

/// Has a reader of its own answer from a snapshot.
template <class T, class Message>
void replica_state::read_aside(const Message& wanted, reply_to<T> to) {
  auto state = manager_.begin_long_read();
  if (!state) return to(fail(std::move(state.error())));
  const auto reader =
      spawn_context_reader(self_->system(), std::move(*state), manager_.engine().shared_strategy());
  ends_.watch(self_, reader, [this](const caf::error&) { manager_.end_long_read(); });
  ask(self_, reader, reader_deadline, wanted).then(pass_answer(to), pass_error(to));
}

caf::result<payload> replica_state::serve(service_call& call) {
  using served = message_types<get_value, list_values, explain_value, verify_values, set_value,
                               erase_value, import_values>;
  return serve_method(
      served{}, call,
      overloaded{
          [this](const get_value& wanted, auto&) { return manager_.find(wanted); },
          [this](const explain_value& wanted, auto&) { return manager_.explain(wanted.path); },
          [this](list_values& wanted, auto&) {
            return reply_bytes_later<value_page>(
                self_, [&](reply_to<value_page> to) { list(wanted, std::move(to)); });
          },
          [this](verify_values& wanted, auto&) {
            return reply_bytes_later<values_verified>(
                self_, [&](reply_to<values_verified> to) { verify(wanted, std::move(to)); });
          },
          [this](set_value& wanted, const service_call& asked) {
            write_values write = write_of(asked, wanted.durability);
            if (wanted.if_version) write.expected.push_back({wanted.path, *wanted.if_version});
            write.entries.push_back({std::move(wanted.path), std::move(wanted.value)});
            return serve_single(std::move(write));
          },
          [this](erase_value& wanted, const service_call& asked) {
            write_values write = write_of(asked, wanted.durability);
            write.what = operation::erase;
            if (wanted.if_version) write.expected.push_back({wanted.path, *wanted.if_version});
            write.entries.push_back({std::move(wanted.path), {}});
            return serve_single(std::move(write));
          },
          [this](import_values& wanted, const service_call& asked) {
            write_values write = write_of(asked, wanted.durability);
            write.entries = std::move(wanted.entries);
            write.only_check = wanted.only_check;
            write.skip_unchanged = true;
            return reply_bytes_later<values_imported>(self_, [&](reply_to<values_imported> to) {
              this->write(write,
                          reply_to<values_written>{[to](result<values_written> done) mutable {
                            to(done.map([](const values_written& all) {
                              return values_imported{all.ids.size(), all.unchanged};
                            }));
                          }});
            });
          }});
}

/// A write of one value, answered with the change that it became.
caf::result<payload> replica_state::serve_single(write_values wanted) {
  return reply_bytes_later<change_accepted>(self_, [&](reply_to<change_accepted> to) {
    write(wanted, reply_to<values_written>{[to](result<values_written> done) mutable {
            to(done.map([](const values_written& all) { return change_accepted{all.only()}; }));
          }});
  });
}

// -- events ---------------------------------------------------------------------------------------

event_time replica_state::now() const {
  const auto steady = self_->clock().now().time_since_epoch();
  return {clock_(), static_cast<std::uint64_t>(
                        std::chrono::duration_cast<std::chrono::milliseconds>(steady).count())};
}

void replica_state::watch(const watch_context& wanted) {
  const watcher_id id{wanted.watcher.id()};
  watchers_[id] = wanted.watcher;
  ends_.watch(self_, wanted.watcher, [this, id](const caf::error&) {
    watchers_.erase(id);
    manager_.unwatch(id);
  });
  manager_.watch(id, wanted.prefix);
  carry_out_effects();
}

void replica_state::meet(const peer_up& up) {
  const peer_id id{up.link.id()};
  links_[id] = up.link;
  ends_.watch(self_, up.link, [this, id](const caf::error&) {
    links_.erase(id);
    manager_.peer_down(id);
    carry_out_effects();
  });
  manager_.peer_up(id, up.node, now());
  carry_out_effects();
}

void replica_state::hear(const service_notification& said) {
  const auto sender = sender_id(self_);
  if (sender == caf::invalid_actor_id) return;
  manager_.hear(peer_id{sender}, said.method, said.params.bytes, now());
  carry_out_effects();
}

replica_actor spawn_replica(caf::actor_system& system, replica_setup setup) {
  return spawn_shell<replica_state>(system, std::move(setup));
}

child_spec replica_child(caf::actor_system& system, std::function<replica_setup()> setup,
                         on_started<replica_actor> started) {
  auto made = make_child(
      "replica", [&system, setup = std::move(setup)] { return spawn_replica(system, setup()); },
      std::move(started));
  made.farewell = farewell<settle_context>();
  return made;
}

}  // namespace troupe
