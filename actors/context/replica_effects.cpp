// What the replica does for its sync manager, one function for each effect.

#include <fmt/format.h>

#include <troupe/actors/context/replica_state.hpp>
#include <troupe/actors/kernel/free_memory.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/links/serving.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto disk_deadline = 60s;
constexpr auto log_deadline = 30s;
constexpr auto whole_deadline = 30min;  // the whole file may be written anew
constexpr auto link_deadline = 5s;
constexpr auto watcher_deadline = 24h;
constexpr auto give_back_interval = 150ms;  // the thread that ran last looks for more until then
constexpr int times_to_give_back = 100;

std::string text_of(const sync_log_line& line) {
  std::string text{line.event};
  const auto append = overloaded{
      [&](std::uint64_t number) { text += std::to_string(number); },
      [&](const std::string& own) { text += own; },
      [&](const foreign_text& foreign) {
        text += printable_quoted(foreign.text, foreign.max_bytes);
      },
  };
  for (const auto& [name, content] : line.fields) {
    text.append(" ").append(name).append("=");
    std::visit(append, content);
  }
  return text;
}

}  // namespace

void replica_state::carry_out_effects() {
  TROUPE_ASSERT(!is_carrying_out_, "the next event comes when all effects of this one are done");
  is_carrying_out_ = true;
  manager_->take_effects(effects_);
  for (auto& effect : effects_) std::visit([this](auto& each) { carry_out(each); }, effect);
  is_carrying_out_ = false;
}

void replica_state::carry_out(append_batch& effect) {
  ask(self_, store_, disk_deadline, append_commit{std::move(effect.what)})
      .then(
          [this] {
            manager_->stored();
            carry_out_effects();
          },
          [this](const error& why) {
            manager_->disk_refused(why);
            carry_out_effects();
          });
}

void replica_state::carry_out(read_peer_log& effect) {
  const auto report = [this, peer = effect.peer](result<std::vector<shared_batch>> batches) {
    manager_->log_read(peer, std::move(batches));
    carry_out_effects();
  };
  ask(self_, store_, log_deadline, read_batches{effect.wanted})
      .then(
          [this, report](batches_read& read) {
            if (read.base) manager_->log_mended(*read.base);
            report(std::move(read.batches));
          },
          [report](const error& why) { report(fail(why)); });
}

void replica_state::carry_out(read_own_log& effect) {
  const auto report = [this](result<std::vector<shared_batch>> batches) {
    manager_->own_log_read(std::move(batches));
    carry_out_effects();
  };
  ask(self_, store_, log_deadline, read_batches{std::move(effect.wanted)})
      .then([report](batches_read& read) { report(std::move(read.batches)); },
            [report](const error& why) { report(fail(why)); });
}

void replica_state::carry_out(save_checkpoint& effect) {
  ask(self_, store_, disk_deadline, write_checkpoint{std::move(effect.state)})
      .then(
          [this, id = effect.id] {
            manager_->checkpoint_written(id);
            carry_out_effects();
          },
          [this, id = effect.id](const error& why) {
            manager_->checkpoint_failed(id, why);
            carry_out_effects();
          });
}

void replica_state::carry_out(collect_log& effect) {
  const auto report = [this](const result<collected_log>& done) {
    manager_->log_collected(done);
    carry_out_effects();
  };
  ask(self_, store_, disk_deadline, trim_log{std::move(effect.upto)})
      .then(
          [report](const log_trimmed& done) {
            report(collected_log{done.more, done.base});
          },
          [report](const error& why) { report(fail(why)); });
}

void replica_state::carry_out(scrub_store& effect) {
  const auto report = [this](const result<scrubbed_part>& part) {
    manager_->scrubbed(part);
    carry_out_effects();
  };
  ask(self_, store_, whole_deadline, check_store{effect.only_files})
      .then([report](const scrubbed_part& part) { report(part); },
            [report](const error& why) { report(fail(why)); });
}

void replica_state::carry_out(begin_anew& effect) {
  ask(self_, store_, whole_deadline,
      set_state_aside{std::move(effect.state), std::move(effect.overruled_by)})
      .then([this](const state_set_aside& found) { begin_anew_with(found); },
            [this](const error& why) {
              manager_->set_aside_failed(why);
              carry_out_effects();
            });
}

/// Goes on with a new manager, as after a start.
void replica_state::begin_anew_with(const state_set_aside& found) {
  manager_->retire();
  carry_out_effects();
  const auto node = manager_->engine().own_incarnation().origin;
  settings_.replayed = 0;
  settings_.log_base = {};
  settings_.saved = found.saved;
  engine_state empty;
  empty.clock_since = found.clock_since;
  manager_ = std::make_unique<sync_manager>(
      context_engine{node, found.incarnation, std::move(empty)}, settings_);
  settings_.saved.reset();
  ++managers_;
  carry_out_effects();
}

void replica_state::carry_out(keep_aside& effect) {
  const auto report = [this](const result<std::string>& where) {
    manager_->kept_aside(where);
    carry_out_effects();
  };
  ask(self_, store_, whole_deadline, keep_entries{std::move(effect.entries)})
      .then([report](const entries_kept& kept) { report(kept.file); },
            [report](const error& why) { report(fail(why)); });
}

void replica_state::carry_out(keep_transfer& effect) {
  const auto report = [this](const result<void>& done) {
    manager_->transfer_kept(done);
    carry_out_effects();
  };
  ask(self_, store_, disk_deadline, write_transfer{std::move(effect.part)})
      .then([report] { report({}); }, [report](const error& why) { report(fail(why)); });
}

void replica_state::carry_out(find_transfer& effect) {
  const auto report = [this](result<std::optional<kept_transfer>> found) {
    manager_->transfer_found(std::move(found));
    carry_out_effects();
  };
  ask(self_, store_, whole_deadline, load_transfer{std::move(effect.own)})
      .then([report](transfer_loaded& loaded) { report(std::move(loaded.kept)); },
            [report](const error& why) { report(fail(why)); });
}

/// An allocator may keep memory for the threads that have used it. So the replica gives it back on
/// one thread after the other: a timer often lets it run on another one. The disk and the network
/// have threads of their own.
void replica_state::carry_out(give_back_memory&) {
  ask(self_, store_, disk_deadline, give_back_store_memory{}).then([] {}, [](const error&) {});
  give_back_free_memory_of_io(self_->system());
  if (give_backs_left_ == 0) tick_after(self_, give_back_interval, tick::fast);
  give_backs_left_ = times_to_give_back;
}

void replica_state::give_back() {
  --give_backs_left_;
  if (!give_back_free_memory()) give_backs_left_ = 0;
  if (give_backs_left_ > 0) tick_after(self_, give_back_interval, tick::fast);
}

void replica_state::carry_out(send_to_peer& effect) {
  const auto link = links_.find(effect.peer);
  if (link == links_.end()) return;
  auto said = std::visit([](const auto& each) { return to_notification(each); }, effect.message);
  ask(self_, link->second, link_deadline, std::move(said))
      .then([] {},
            [this, peer = effect.peer](const error& why) {
              manager_->send_failed(peer, why);
              carry_out_effects();
            });
}

void replica_state::carry_out(close_peer& effect) {
  const auto link = links_.find(effect.peer);
  if (link != links_.end()) tell(self_, link->second, close_link{std::move(effect.reason)});
}

void replica_state::carry_out(answer_write& effect) {
  writes_.answer(effect.request, std::move(effect.outcome));
}

void replica_state::carry_out(answer_settle& effect) {
  settles_.answer(effect.request, std::move(effect.outcome));
}

void replica_state::carry_out(tell_watcher& effect) {
  const auto watcher = watchers_.find(effect.watcher);
  if (watcher == watchers_.end()) return;
  const auto count = effect.changes.size();
  const auto answered = [this, id = effect.watcher, count] {
    manager_->watcher_answered(id, count);
  };
  ask(self_, watcher->second, watcher_deadline, context_changed{std::move(effect.changes)})
      .then(answered, [answered](const error&) { answered(); });
}

void replica_state::carry_out(end_watcher& effect) {
  const auto watcher = watchers_.extract(effect.watcher);
  if (!watcher.empty()) end_with(watcher.mapped(), std::move(effect.reason));
}

void replica_state::carry_out(sync_log_line& effect) {
  const auto level = to_spdlog(effect.severity);
  if (log_->should_log(level)) log_->log(level, "{}", text_of(effect));
}

}  // namespace troupe
