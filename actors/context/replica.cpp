#include <troupe/actors/context/replica.hpp>

#include <troupe/actors/context/replica_state.hpp>
#include <troupe/actors/context/value_queries.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto interval = 100ms;
constexpr auto disk_deadline = 60s;
constexpr auto reader_deadline = 60s;
constexpr std::size_t max_readers = 2;       // each keeps a thread of the scheduler busy
constexpr std::size_t max_visited = 50'000;  // entries, for one page; what takes more is read aside
constexpr std::size_t max_unanswered =
    10'000;  // changes that a watcher may be behind when it is told of more
constexpr std::size_t max_watchers = 1'000;

}  // namespace

replica_state::replica_state(interface::pointer self, replica_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      engine_(std::move(setup_.engine)),
      log_(setup_.log.logger("context")),
      unlogged_(setup_.replayed) {
  log_->info("context.opened replayed={} check_ms={}", setup_.replayed, setup_.check_took.count());
  view_.committed = engine_.vector();
  refresh_view();
  ends_.attach(self_);
  self_->link_to(setup_.store);
}

replica_state::interface::behavior_type replica_state::make_behavior() {
  tick_after(self_, interval, tick::slow);
  return {
      [this](const write_values& wanted) {
        return reply_later<values_written>(
            self_, [&](reply_to<values_written> to) { write(wanted, std::move(to)); });
      },
      [this](const get_value& wanted) { return find(wanted.path); },
      [this](const list_values& wanted) {
        return reply_later<value_page>(
            self_, [&](reply_to<value_page> to) { list(wanted, std::move(to)); });
      },
      [this](const explain_value& wanted) { return engine_.explain(wanted.path); },
      [this](const verify_values& wanted) {
        return reply_later<values_verified>(
            self_, [&](reply_to<values_verified> to) { verify(wanted, std::move(to)); });
      },
      [this](take_snapshot) {
        return snapshot_taken{engine_.snapshot(), engine_.vector(), engine_.values(),
                              engine_.conflicts()};
      },
      [this](const watch_context& wanted) { watch(wanted); },
      [this](const peer_up& up) { meet(up); },
      [this](service_call& call) { return serve(call); },
      [this](const service_notification& notification) {
        if (const auto sender = self_->current_sender()) hear(sender->id(), notification);
      },
      [this](settle_context) { return settle(); },
      [this](tick) {
        refresh_view();
        for_each_session([now = steady_ms()](sync_session& session) { return session.tick(now); });
        tell_what_was_not_logged();
        commit();
        tick_after(self_, interval, tick::slow);
      },
  };
}

// -- writing and reading --------------------------------------------------------------------------

/// Of many values all are written or none.
std::optional<error> replica_state::first_refused(const write_values& wanted) const {
  const auto count = wanted.entries.size();
  if (count == 1 && !wanted.only_check) return std::nullopt;  // the write itself tells
  for (std::size_t at = 0; at < count; ++at) {
    const auto& [where, given] = wanted.entries[at];
    if (auto fine = engine_.check_write(where, given, wanted.principal); !fine)
      return error{fine.error().code,
                   "entry " + std::to_string(at + 1) + " of " + std::to_string(count) + ", " +
                       where.text() + ": " + fine.error().message + "; nothing was written",
                   {}};
  }
  return std::nullopt;
}

void replica_state::write(const write_values& wanted, reply_to<values_written> to) {
  if (!queue_.health())
    return to(
        fail(error{error_code::storage_failure,
                   "writes are refused while the disk does: " + queue_.health().error().message,
                   {}}));
  if (queue_.is_full())
    return to(
        fail(error{error_code::overloaded, "too many changes wait for the disk; try again", {}}));
  if (auto refused = first_refused(wanted)) return to(fail(std::move(*refused)));
  const auto now = setup_.clock();
  auto written = std::make_shared<values_written>();
  if (wanted.only_check) return to(std::move(*written));
  std::vector<encoded_record> records;
  for (const auto& entry : wanted.entries) {
    if (wanted.skip_unchanged && engine_.view(entry.path) == entry.value) {
      ++written->unchanged;
      continue;
    }
    auto record =
        engine_.write(wanted.what, entry.path, entry.value, wanted.principal, wanted.trace, now);
    if (!record) {
      queue_.add(std::move(records));
      commit();
      return to(fail(std::move(record.error())));
    }
    written->ids.push_back(record->id());
    records.push_back(encode_record(*record));
    if (!watchers_.empty())
      news_.push_back(std::make_shared<const change_record>(std::move(*record)));
  }
  queue_.add(std::move(records));
  if (wanted.durability == durability::memory) {
    commit();
    return to(std::move(*written));
  }
  queue_.notify([to, written](const result<void>& outcome) mutable {
    if (outcome) return to(std::move(*written));
    to(fail(error_code::storage_failure,
            "the change is not durable yet, and is tried again: " + outcome.error().message));
  });
  commit();
}

void replica_state::announce(applied_change change) {
  if (change.conflict && conflicts_.take())
    log_->info("context.conflict path={} dot={}", printable_quoted(change.record.path.text(), 1024),
               to_string(change.record.dot));
  if (!change.visible || watchers_.empty()) return;
  news_.push_back(std::make_shared<const change_record>(
      std::move(change.instead ? *change.instead : change.record)));
}

void replica_state::watch(const watch_context& wanted) {
  const auto id = wanted.watcher.id();
  if (watchers_.size() >= max_watchers) {
    log_->warn("context.watch_refused watchers={}", watchers_.size());
    return self_->send_exit(wanted.watcher,
                            to_caf({error_code::overloaded, "too many watchers", {}}));
  }
  watchers_[id] = {wanted.prefix, wanted.watcher, 0};
  ends_.watch(self_, wanted.watcher, [this, id](const caf::error&) { watchers_.erase(id); });
}

void replica_state::tell_watchers() {
  const auto news = std::exchange(news_, {});
  std::vector<caf::actor_id> behind;
  for (auto& [id, each] : watchers_) {
    context_changed told;
    for (const auto& change : news)
      if (each.prefix.contains(change->path)) told.changes.push_back(change);
    if (told.changes.empty()) continue;
    if (each.unanswered >= max_unanswered) {
      // It has missed changes from here on, so it must not go on as if it had not.
      log_->warn("context.watch_ended prefix={} reason=\"{} changes behind\"",
                 printable_quoted(each.prefix.text(), 1024), each.unanswered);
      self_->send_exit(each.to,
                       to_caf({error_code::overloaded, "the watcher is too far behind", {}}));
      behind.push_back(id);
      continue;
    }
    const auto count = told.changes.size();
    each.unanswered += count;
    const auto answered = [this, id = id, count] {
      if (const auto found = watchers_.find(id); found != watchers_.end())
        found->second.unanswered -= count;
    };
    ask(self_, each.to, 24h, std::move(told)).then(answered, [answered](const error&) {
      answered();
    });
  }
  for (const auto id : behind) watchers_.erase(id);
}

result<context_reader_actor> replica_state::start_reader() {
  if (readers_ >= max_readers)
    return fail(error_code::overloaded,
                "as many readers of the whole context as may are at work; try again");
  auto made = spawn_context_reader(self_->system(),
                                   {engine_.snapshot(), engine_.vector(), engine_.conflicts()},
                                   engine_.shared_rule());
  ++readers_;
  ends_.watch(self_, made, [this](const caf::error&) { --readers_; });
  return made;
}

value_found replica_state::find(const path& where) const {
  auto found = engine_.view(where);
  return {found.has_value(), found ? std::move(*found) : value{}};
}

void replica_state::list(const list_values& wanted, reply_to<value_page> to) {
  if (auto page = list_page(engine_.tree(), engine_.rule(), wanted, max_visited))
    return to(std::move(*page));
  const auto reader = start_reader();
  if (!reader) return to(fail(reader.error()));
  ask(self_, *reader, reader_deadline, wanted).then(pass_answer(to), pass_error(to));
}

void replica_state::verify(const verify_values& wanted, reply_to<values_verified> to) {
  const auto reader = start_reader();
  if (!reader) return to(fail(reader.error()));
  ask(self_, *reader, reader_deadline, wanted).then(pass_answer(to), pass_error(to));
}

caf::result<payload> replica_state::serve(service_call& call) {
  using served = message_types<get_value, list_values, explain_value, verify_values, set_value,
                               erase_value, import_values>;
  return serve_method(
      served{}, call,
      overloaded{
          [this](const get_value& wanted, auto&) { return find(wanted.path); },
          [this](const explain_value& wanted, auto&) { return engine_.explain(wanted.path); },
          [this](list_values& wanted, auto&) {
            return reply_bytes_later<value_page>(
                self_, [&](reply_to<value_page> to) { list(std::move(wanted), std::move(to)); });
          },
          [this](verify_values& wanted, auto&) {
            return reply_bytes_later<values_verified>(self_, [&](reply_to<values_verified> to) {
              verify(std::move(wanted), std::move(to));
            });
          },
          [this](set_value& wanted, const service_call& asked) {
            write_values write = write_of(asked, wanted.durability);
            write.entries.push_back({std::move(wanted.path), std::move(wanted.value)});
            return serve_single(std::move(write));
          },
          [this](erase_value& wanted, const service_call& asked) {
            write_values write = write_of(asked, wanted.durability);
            write.what = operation::erase;
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

write_values replica_state::write_of(const service_call& asked, enum durability when) {
  return {.entries = {}, .durability = when, .principal = asked.caller->name, .trace = asked.trace};
}

/// A write of one value, answered with the change that it became.
caf::result<payload> replica_state::serve_single(write_values wanted) {
  return reply_bytes_later<change_accepted>(self_, [&](reply_to<change_accepted> to) {
    write(
        wanted, reply_to<values_written>{[to](result<values_written> done) mutable {
          to(done.map([](const values_written& all) { return change_accepted{all.ids.front()}; }));
        }});
  });
}

// -- durability -----------------------------------------------------------------------------------

void replica_state::commit() {
  tell_watchers();
  checkpoint_when_due();
  const auto batch = queue_.take();
  if (!batch) return;
  ask(self_, setup_.store, disk_deadline, append_records{batch})
      .then(
          [this, batch] {
            if (std::exchange(disk_refused_, false)) log_->info("context.disk_recovered");
            committed(
                *batch);  // before anybody is told: what they do next counts these as committed
            queue_.settle({});
            refresh_view();
            for (const auto link : links()) acknowledge(link);
            commit();
          },
          [this](const error& why) {
            // Tried again at the next tick.
            if (!std::exchange(disk_refused_, true))
              log_->error("context.disk_refused reason={}", printable_quoted(why.message));
            queue_.settle(fail(why));
          });
}

void replica_state::committed(const std::vector<encoded_record>& batch) {
  for (const auto& record : batch)
    view_.committed.raise(record.dot.origin, record.dot.incarnation, record.dot.seq);
  refresh_view();
  if (peers_.empty()) return;
  for (const auto& push : make_batches(batch))
    for_each_session([&](sync_session& session) { return session.committed(push); });
}

/// Takes the state as it is, whoever writes, and has it written as soon as the log holds all of it.
void replica_state::checkpoint_when_due() {
  if (checkpointing_ || stored() < checkpoint_tried_ + setup_.checkpoint_every) return;
  checkpointing_ = true;
  checkpoint_tried_ = queue_.added() + unlogged_;
  queue_.notify_durable([this, state = std::make_shared<const engine_state>(engine_.state()),
                         upto = checkpoint_tried_](const result<void>&) {
    checkpoint(state, upto, [this](const result<void>& outcome) {
      checkpointing_ = false;
      // The log holds everything; the next try comes with the next changes.
      if (!outcome)
        log_->error("context.checkpoint_failed reason={}",
                    printable_quoted(outcome.error().message));
    });
  });
}

void replica_state::checkpoint(std::shared_ptr<const engine_state> state, std::uint64_t upto,
                               std::function<void(const result<void>&)> done) {
  ask(self_, setup_.store, disk_deadline, write_checkpoint{std::move(state)})
      .then(
          [this, upto, done] {
            checkpointed_ = std::max(checkpointed_, upto);
            done({});
          },
          [done](const error& why) { done(fail(why)); });
}

caf::result<void> replica_state::settle() {
  auto promise = self_->make_response_promise<void>();
  auto deliver = [promise](const result<void>& outcome) mutable {
    if (outcome)
      promise.deliver();
    else
      promise.deliver(to_caf(outcome.error()));
  };
  queue_.notify([this, deliver, state = std::make_shared<const engine_state>(engine_.state()),
                 upto = queue_.added() + unlogged_](const result<void>& outcome) mutable {
    if (!outcome || upto == checkpointed_) return deliver(outcome);
    checkpoint(state, upto, deliver);
  });
  commit();
  return promise;
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
