#include <troupe/actors/context/replica.hpp>

#include <troupe/actors/context/replica_state.hpp>
#include <troupe/actors/context/value_queries.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto interval = 100ms;
constexpr auto disk_deadline = 60s;
constexpr std::size_t max_unanswered = 10'000;  // changes that a watcher may be behind when it is told of more
constexpr std::size_t max_watchers = 1'000;

}  // namespace

replica_state::replica_state(interface::pointer self, replica_setup setup)
    : self_(self),
      setup_(std::move(setup)),
      engine_(std::move(setup_.engine)),
      log_(setup_.log.logger("context")) {
  view_.committed = engine_.vector();
  refresh_view();
  ends_.attach(self_);
  self_->link_to(setup_.store);
}

replica_state::interface::behavior_type replica_state::make_behavior() {
  tick_after(self_, interval, tick::slow);
  return {
      [this](const write_values& wanted) { return write(wanted); },
      [this](const get_value& wanted) {
        auto found = engine_.view(wanted.path);
        return value_found{found.has_value(), found ? std::move(*found) : value{}};
      },
      [this](const list_values& wanted) { return list_page(engine_, wanted); },
      [this](const explain_value& wanted) { return engine_.explain(wanted.path); },
      [this](const verify_values& wanted) { return verify_subtree(engine_, wanted.prefix); },
      [this](take_snapshot) { return snapshot_taken{engine_.snapshot(), engine_.vector()}; },
      [this](const watch_context& wanted) { watch(wanted); },
      [this](const peer_up& up) { meet(up); },
      [this](const service_call& call) { return serve(call); },
      [this](const service_notice& notice) {
        if (const auto sender = self_->current_sender()) hear(sender->id(), notice);
      },
      [this](settle_context) { return settle(); },
      [this](tick) {
        const auto now = setup_.clock();
        refresh_view();
        for_each_session([now](sync_session& session) { return session.tick(now); });
        commit();
        tick_after(self_, interval, tick::slow);
      },
  };
}

// -- writing and reading --------------------------------------------------------------------------------------------------

/// Of many values all are written or none.
std::optional<error> replica_state::first_refused(const write_values& wanted) const {
  const auto count = wanted.entries.size();
  if (count == 1 && !wanted.only_check) return std::nullopt;  // the write itself tells
  for (std::size_t at = 0; at < count; ++at) {
    const auto& [where, given] = wanted.entries[at];
    if (auto fine = engine_.check_write(where, given, wanted.principal); !fine)
      return error{fine.error().code, "entry " + std::to_string(at + 1) + " of " + std::to_string(count) + ", " + where.text() + ": " +
                                          fine.error().message + "; nothing was written", {}};
  }
  return std::nullopt;
}

caf::result<values_written> replica_state::write(const write_values& wanted) {
  if (!queue_.health())
    return to_caf({error_code::storage_failure, "writes are refused while the disk does: " + queue_.health().error().message, {}});
  if (queue_.is_full()) return to_caf({error_code::overloaded, "too many changes wait for the disk; try again", {}});
  if (auto refused = first_refused(wanted)) return to_caf(std::move(*refused));
  const auto now = setup_.clock();
  auto written = std::make_shared<values_written>();
  if (wanted.only_check) return std::move(*written);
  for (const auto& entry : wanted.entries) {
    if (wanted.skip_unchanged && engine_.view(entry.path) == entry.value) {
      ++written->unchanged;
      continue;
    }
    auto record = engine_.write(wanted.what, entry.path, entry.value, wanted.principal, wanted.trace, now);
    if (!record) {
      commit();
      return to_caf(std::move(record.error()));
    }
    written->ids.push_back(record->id());
    queue_.add(encode_record(*record));
    if (!watchers_.empty()) news_.push_back(std::make_shared<const change_record>(std::move(*record)));
  }
  if (wanted.durability == durability::memory) {
    commit();
    return std::move(*written);
  }
  auto promise = self_->make_response_promise<values_written>();
  queue_.notify([promise, written](const result<void>& outcome) mutable {
    if (outcome) return promise.deliver(std::move(*written));
    promise.deliver(to_caf({error_code::storage_failure, "the change is not durable yet, and is tried again: " +
                                                             outcome.error().message, {}}));
  });
  commit();
  return promise;
}

void replica_state::announce(const applied_change& change) {
  if (change.conflict)
    log_->info("context.conflict path=\"{}\" dot={}", printable(change.record.path.text(), 1024), to_string(change.record.dot));
  if (change.visible && !watchers_.empty()) news_.push_back(std::make_shared<const change_record>(change.record));
}

void replica_state::watch(const watch_context& wanted) {
  const auto id = wanted.watcher.id();
  if (watchers_.size() >= max_watchers) {
    log_->warn("context.watch_refused watchers={}", watchers_.size());
    return self_->send_exit(wanted.watcher, to_caf({error_code::overloaded, "too many watchers", {}}));
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
      log_->warn("context.watch_ended prefix=\"{}\" reason=\"{} changes behind\"", each.prefix.text(), each.unanswered);
      self_->send_exit(each.to, to_caf({error_code::overloaded, "the watcher is too far behind", {}}));
      behind.push_back(id);
      continue;
    }
    const auto count = told.changes.size();
    each.unanswered += count;
    const auto answered = [this, id = id, count] {
      if (const auto found = watchers_.find(id); found != watchers_.end()) found->second.unanswered -= count;
    };
    ask(self_, each.to, 24h, std::move(told)).then(answered, [answered](const error&) { answered(); });
  }
  for (const auto id : behind) watchers_.erase(id);
}

caf::result<payload> replica_state::serve(const service_call& call) {
  if (call.method == "context.get")
    return serve_with<get_value>(call, [this](const auto& wanted) {
      auto found = engine_.view(wanted.path);
      return result<value_found>{value_found{found.has_value(), found ? std::move(*found) : value{}}};
    });
  if (call.method == "context.list")
    return serve_with<list_values>(call, [this](const auto& wanted) { return result<value_page>{list_page(engine_, wanted)}; });
  if (call.method == "context.explain")
    return serve_with<explain_value>(call, [this](const auto& wanted) {
      return result<value_explained>{engine_.explain(wanted.path)};
    });
  if (call.method == "context.verify")
    return serve_with<verify_values>(call, [this](const auto& wanted) {
      return result<values_verified>{verify_subtree(engine_, wanted.prefix)};
    });
  write_values write{.entries = {}, .principal = call.caller->name, .trace = call.trace};
  if (call.method == "context.set") {
    auto wanted = decode_checked<set_value>(call.params.bytes);
    if (!wanted) return to_caf(std::move(wanted.error()));
    write.entries.push_back({std::move(wanted->path), std::move(wanted->value)});
    write.durability = wanted->durability;
    return serve_write(call, std::move(write), true);
  }
  if (call.method == "context.delete") {
    auto wanted = decode_checked<erase_value>(call.params.bytes);
    if (!wanted) return to_caf(std::move(wanted.error()));
    write.entries.push_back({std::move(wanted->path), {}});
    write.what = operation::erase;
    write.durability = wanted->durability;
    return serve_write(call, std::move(write), true);
  }
  if (call.method == "context.import") {
    auto wanted = decode_checked<import_values>(call.params.bytes);
    if (!wanted) return to_caf(std::move(wanted.error()));
    write.entries = std::move(wanted->entries);
    write.durability = wanted->durability;
    write.only_check = wanted->only_check;
    write.skip_unchanged = true;
    return serve_write(call, std::move(write), false);
  }
  return to_caf({error_code::not_found, "the context does not serve " + call.method, {}});
}

caf::result<payload> replica_state::serve_write(const service_call& call, write_values wanted, bool single) {
  auto promise = self_->make_response_promise<payload>();
  ask(self_, interface{self_}, call.deadline, std::move(wanted))
      .then(
          [promise, single](const values_written& written) mutable {
            if (single) promise.deliver(to_payload(change_accepted{written.ids.front()}));
            else promise.deliver(to_payload(values_imported{written.ids.size(), written.unchanged}));
          },
          deliver_error(promise));
  return promise;
}

// -- durability -----------------------------------------------------------------------------------------------------------

void replica_state::commit() {
  tell_watchers();
  const auto batch = queue_.take();
  if (!batch) return checkpoint_when_due();
  ask(self_, setup_.store, disk_deadline, append_records{batch})
      .then(
          [this, batch] {
            if (std::exchange(disk_refused_, false)) log_->info("context.disk_recovered");
            committed(*batch);  // before anybody is told: what they do next counts these as committed
            queue_.settle({});
            commit();
          },
          [this](const error& why) {
            // Tried again at the next tick.
            if (!std::exchange(disk_refused_, true)) log_->error("context.disk_refused reason=\"{}\"", why.message);
            queue_.settle(fail(why));
          });
}

void replica_state::committed(const std::vector<encoded_record>& batch) {
  since_checkpoint_ += batch.size();
  for (const auto& record : batch)
    view_.committed.raise(record.dot.origin, record.dot.incarnation, record.dot.seq);
  refresh_view();
  if (peers_.empty()) return;
  for (const auto& push : make_batches(batch))
    for_each_session([&](sync_session& session) { return session.committed(push); });
}

void replica_state::checkpoint_when_due() {
  if (checkpointing_ || since_checkpoint_ < setup_.checkpoint_every || !queue_.is_idle()) return;
  checkpointing_ = true;
  ask(self_, setup_.store, disk_deadline, write_checkpoint{std::make_shared<const engine_state>(engine_.state())})
      .then([this, upto = since_checkpoint_] { checkpointing_ = false; since_checkpoint_ -= upto; },
            [this](const error& why) {
              checkpointing_ = false;
              since_checkpoint_ = 0;  // the log holds everything; the next try comes with the next changes
              log_->error("context.checkpoint_failed reason=\"{}\"", why.message);
            });
}

caf::result<void> replica_state::settle() {
  auto promise = self_->make_response_promise<void>();
  queue_.notify([this, promise](const result<void>& outcome) mutable {
    if (!outcome) return promise.deliver(to_caf(outcome.error()));
    if (since_checkpoint_ == 0 || !queue_.is_idle()) return promise.deliver();
    since_checkpoint_ = 0;
    ask(self_, setup_.store, disk_deadline, write_checkpoint{std::make_shared<const engine_state>(engine_.state())})
        .then([promise]() mutable { promise.deliver(); }, deliver_error(promise));
  });
  commit();
  return promise;
}

replica_actor spawn_replica(caf::actor_system& system, replica_setup setup) {
  return spawn_shell<replica_state>(system, std::move(setup));
}

}  // namespace troupe
