#include <troupe/actors/context/replica.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include <troupe/actors/context/replica_state.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto interval = 100ms;
constexpr auto hear_for = 1ms;
constexpr int heard_at_once = 8;
constexpr auto reader_deadline = 60s;
constexpr auto clock_deadline = 10s;

write_values write_of(const service_call& asked, enum durability when) {
  // The answer, that members have not confirmed it, must arrive before the call is given up.
  const auto within = static_cast<std::uint64_t>(asked.deadline.count()) * 9 / 10;
  return {.entries = {},
          .durability = when,
          .principal = asked.caller->name,
          .trace = asked.trace,
          .disk_within_ms = within,
          .members_within_ms = within};
}

}  // namespace

replica_state::replica_state(interface::pointer self, replica_setup setup)
    : self_(self),
      store_(std::move(setup.store)),
      clock_(std::move(setup.clock)),
      log_(setup.log.logger("context")),
      settings_{.cluster = setup.identity.cluster,
                .checkpoint_every = setup.checkpoint_every,
                .replayed = setup.replayed,
                .log_base = std::move(setup.log_base),
                .saved = std::move(setup.saved),
                .joins = setup.joins,
                .leases = setup.leases},
      manager_(std::make_unique<sync_manager>(std::move(setup.engine), settings_)) {
  settings_.saved.reset();  // the manager has it, and lets go of it
  settings_.log_base = {};
  log_->info("context.opened replayed={}", setup.replayed);
  for (const auto& note : setup.notes) {
    log_->error("{} reason={}", note.event, printable_quoted(note.text, 4096));
    problems_.push_back(note.text);
  }
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
      [this](const get_value& wanted) { return reply(find(wanted)); },
      [this](const list_values& wanted) {
        return reply_later<value_page>(
            self_, [&](reply_to<value_page> to) { list(wanted, std::move(to)); });
      },
      [this](const explain_value& wanted) { return reply(explain(wanted.path)); },
      [this](const verify_values& wanted) {
        return reply_later<values_verified>(
            self_, [&](reply_to<values_verified> to) { verify(wanted, std::move(to)); });
      },
      [this](check_clock) { return manager_->clock(); },
      [this](correct_clock) {
        return reply_later<clock_checked>(
            self_, [&](reply_to<clock_checked> to) { correct(std::move(to)); });
      },
      [this](take_snapshot) { return snapshot(); },
      [this](const watch_context& wanted) { watch(wanted); },
      [this](const peer_up& up) { meet(up); },
      [this](service_call& call) { return serve(call); },
      [this](service_notification& said) { return hear(said); },
      [this](hear_next) { hear_next_of_peers(); },
      [this](const settle_context& wanted) {
        return reply_later<void>(self_, [&](reply_to<void> to) { settle(wanted, std::move(to)); });
      },
      [this](tick pace) {
        if (pace == tick::fast) return give_back();
        manager_->tick(now());
        carry_out_effects();
        tick_after(self_, interval, tick::slow);
      },
  };
}

// -- requests -------------------------------------------------------------------------------------

void replica_state::write(const write_values& wanted, reply_to<values_written> to) {
  const context_request request{++requests_};
  writes_.add(request, std::move(to));
  manager_->write(request, wanted, now());
  carry_out_effects();
}

void replica_state::settle(const settle_context& wanted, reply_to<void> to) {
  const context_request request{++requests_};
  settles_.add(request, std::move(to));
  // A tick too early rather than too late.
  const auto time = std::max(wanted.time - interval, std::chrono::milliseconds{0});
  manager_->settle(request, now().steady_ms + static_cast<std::uint64_t>(time.count()));
  carry_out_effects();
}

result<value_found> replica_state::find(const get_value& wanted) const {
  if (auto refused = manager_->refusal_to_read(wanted.salvaged)) return fail(std::move(*refused));
  return manager_->find(wanted);
}

result<value_explained> replica_state::explain(const path& where) const {
  if (auto refused = manager_->refusal_to_read(false)) return fail(std::move(*refused));
  return manager_->explain(where);
}

snapshot_taken replica_state::snapshot() const {
  const auto& engine = manager_->engine();
  auto problems = problems_;
  std::ranges::move(manager_->problems(), std::back_inserter(problems));
  return {engine.snapshot(),
          engine.vector(),
          engine.values(),
          engine.conflicts(),
          manager_->known_members().count(),
          std::move(problems)};
}

void replica_state::correct(reply_to<clock_checked> to) {
  if (auto refused = manager_->refusal_to_correct_clock()) return to(fail(std::move(*refused)));
  ask(self_, store_, clock_deadline, want_clock_correction{})
      .then([this, to]() mutable { to(manager_->clock()); }, pass_error(to));
}

void replica_state::list(const list_values& wanted, reply_to<value_page> to) {
  if (auto refused = manager_->refusal_to_read(wanted.salvaged))
    return to(fail(std::move(*refused)));
  if (auto page = manager_->list(wanted)) return to(std::move(*page));
  read_aside(wanted, std::move(to));
}

void replica_state::verify(const verify_values& wanted, reply_to<values_verified> to) {
  if (auto refused = manager_->refusal_to_read(false)) return to(fail(std::move(*refused)));
  read_aside(wanted, std::move(to));
}

/// Has a reader of its own answer from a snapshot.
template <class T, class Message>
void replica_state::read_aside(const Message& wanted, reply_to<T> to) {
  auto state = manager_->begin_long_read();
  if (!state) return to(fail(std::move(state.error())));
  const auto reader = spawn_context_reader(self_->system(), std::move(*state),
                                           manager_->engine().shared_strategy());
  ends_.watch(self_, reader, [this, of = managers_](const caf::error&) {
    if (of == managers_) manager_->end_long_read();
  });
  ask(self_, reader, reader_deadline, wanted).then(pass_answer(to), pass_error(to));
}

caf::result<payload> replica_state::serve(service_call& call) {
  using served = message_types<get_value, list_values, explain_value, verify_values, check_clock,
                               correct_clock, list_quarantine, clear_quarantine, list_members,
                               forget_member, set_value, erase_value, import_values>;
  return serve_method(
      served{}, call,
      overloaded{
          [this](const get_value& wanted, auto&) { return find(wanted); },
          [this](const explain_value& wanted, auto&) { return explain(wanted.path); },
          [this](list_values& wanted, auto&) {
            return reply_bytes_later<value_page>(
                self_, [&](reply_to<value_page> to) { list(wanted, std::move(to)); });
          },
          [this](verify_values& wanted, auto&) {
            return reply_bytes_later<values_verified>(
                self_, [&](reply_to<values_verified> to) { verify(wanted, std::move(to)); });
          },
          [this](check_clock, auto&) { return manager_->clock(); },
          [this](correct_clock, auto&) {
            return reply_bytes_later<clock_checked>(
                self_, [&](reply_to<clock_checked> to) { correct(std::move(to)); });
          },
          [this](list_quarantine, auto&) { return manager_->list_quarantine(); },
          [this](clear_quarantine, auto&) { return serve_clearing(); },
          [this](list_members, auto&) { return manager_->list_members(); },
          [this](const forget_member& wanted, const service_call& asked) {
            return serve_forgetting(wanted, asked);
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

caf::result<payload> replica_state::serve_clearing() {
  return reply_bytes_later<quarantine_list>(self_, [&](reply_to<quarantine_list> to) {
    const context_request request{++requests_};
    writes_.add(
        request, reply_to<values_written>{[this, to](result<values_written> done) mutable {
          to(done.map([this](const values_written&) { return manager_->list_quarantine(); }));
        }});
    manager_->clear_quarantine(request, now());
    carry_out_effects();
  });
}

caf::result<payload> replica_state::serve_forgetting(const forget_member& wanted,
                                                     const service_call& asked) {
  return reply_bytes_later<member_list>(self_, [&](reply_to<member_list> to) {
    auto write = manager_->forgetting(wanted.node, "said by " + asked.caller->name);
    if (!write) return to(fail(std::move(write.error())));
    this->write(*write, reply_to<values_written>{[this, to](result<values_written> done) mutable {
      to(done.map([this](const values_written&) { return manager_->list_members(); }));
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
    manager_->unwatch(id);
  });
  manager_->watch(id, wanted.prefix);
  carry_out_effects();
}

void replica_state::meet(const peer_up& up) {
  const peer_id id{up.link.id()};
  links_[id] = up.link;
  ends_.watch(self_, up.link, [this, id](const caf::error&) {
    links_.erase(id);
    add_heard(id, std::nullopt, 0);  // after what it has said before
  });
  manager_->peer_up(id, up.node, now());
  carry_out_effects();
}

caf::result<void> replica_state::hear(service_notification& said) {
  const auto sender = sender_id(self_);  // before the promise takes it
  if (sender == caf::invalid_actor_id) return {};
  const auto bytes = said.params.bytes.size() + sizeof(heard);
  return reply_later<void>(self_, [&](reply_to<void> taken) {
    add_heard(peer_id{sender},
              heard{std::move(said.method), std::move(said.params), std::move(taken)}, bytes);
  });
}

void replica_state::add_heard(peer_id peer, std::optional<heard> what, std::size_t bytes) {
  if (!std::exchange(will_hear_, true)) tell(self_, interface{self_}, hear_next{});
  if (heard_.put(peer, std::move(what), bytes)) return;
  if (const auto link = links_.find(peer); link != links_.end())
    tell(self_, link->second, close_link{"it sends faster than this node can take it"});
}

/// Takes as much as a local request may wait for. Those in the mailbox come before the rest.
void replica_state::hear_next_of_peers() {
  const auto until = self_->clock().now() + hear_for;
  for (int i = 0; i < heard_at_once && !heard_.empty(); ++i) {
    hear_one();
    if (self_->clock().now() >= until) break;
  }
  will_hear_ = !heard_.empty();
  if (will_hear_) tell(self_, interface{self_}, hear_next{});
}

void replica_state::hear_one() {
  auto next = heard_.take();
  auto& [peer, what] = *next;
  if (what) {
    manager_->hear(peer, what->method, what->params.bytes, now());
    what->taken({});
  } else {
    manager_->peer_down(peer);
  }
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
