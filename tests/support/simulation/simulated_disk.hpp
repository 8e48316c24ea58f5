#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/tests/support/simulation/simulation_oracle.hpp>
#include <troupe/tests/support/simulation/simulation_rules.hpp>

namespace troupe::test::simulation {

/// The store of one node behind its keeper: does one job after the other, each in its own time.
/// What is written survives a crash, what waits does not. It may refuse, and it may have written
/// what it reports as refused, as a keeper does whose answer misses its deadline.
class simulated_disk {
public:
  using job = std::variant<append_batch, read_peer_log, read_own_log, save_checkpoint, collect_log,
                           scrub_store, begin_anew, keep_aside, keep_transfer, find_transfer>;

  /// @param history changes that are kept in the log. @param truth knows all changes.
  simulated_disk(std::size_t history, const oracle& truth) : history_(history), truth_(truth) {}

  bool refuses = false;

  // -- what is written ----------------------------------------------------------------------------

  /// Greater than all of the node that the log knows of.
  std::uint64_t next_incarnation(const node_id& node) {
    for (const auto& each : stored_.of(node))
      incarnation_ = std::max(incarnation_, each.incarnation);
    return ++incarnation_;
  }
  std::uint64_t incarnation() const { return incarnation_; }
  /// In the order in which it was appended.
  const std::vector<change_record>& log() const { return log_; }
  /// What the log may lack.
  const processed_changes& log_base() const { return log_base_; }
  const engine_state& checkpoint() const { return checkpoint_; }
  /// All of `1..seq` of each incarnation.
  const version_vector& stored() const { return stored_; }
  /// What a start finds when the checkpoint is lost and the log cannot replace it; else null.
  std::shared_ptr<const saved_parts> saved() const {
    if (!saved_entries_) return nullptr;
    processed_changes logged;
    for (const auto& each : stored_.entries())
      logged.raise({each.origin, each.incarnation, each.seq});
    return std::make_shared<const saved_parts>(
        saved_parts{*saved_entries_, log_base_, true, std::move(logged), overruled_by_});
  }
  /// Whether the node has been told to begin anew, and has to be started for that.
  bool begins_anew() { return std::exchange(begins_anew_, false); }
  /// What a node that was forgotten and took the state of others had, and nobody got from it.
  std::vector<dot> take_set_aside() { return std::exchange(set_aside_, {}); }
  /// An operator wants the next start to correct the clock of its node.
  void want_clock_correction() { wants_clock_correction_ = true; }
  /// @param since the incarnation that starts.
  void correct_clock(std::uint64_t since) {
    if (!std::exchange(wants_clock_correction_, false)) return;
    checkpoint_.clock = {};
    checkpoint_.clock_since = since;
  }
  /// Copies the files, as a backup does.
  void back_up() { backup_ = {log_, log_base_, stored_, checkpoint_}; }
  bool has_backup() const { return backup_.has_value(); }
  /// Puts the backup in the place of the files. @returns what they had and it lacks.
  std::vector<dot> set_back() {
    std::vector<dot> lost;
    for (const auto& [id, record] : truth_.all())
      if (stored_.covers(id) && !backup_->stored.covers(id)) lost.push_back(id);
    log_ = backup_->log;
    log_base_ = backup_->log_base;
    stored_ = backup_->stored;
    checkpoint_ = backup_->checkpoint;
    return lost;
  }
  /// The disk had said of the latest commits that they last, and they do not; or a bit of them is
  /// wrong, and what follows is lost with it. What the checkpoint has stays. @param self the node.
  /// @returns what is lost.
  std::vector<dot> lose_end(const node_id& self, std::mt19937& random) {
    const auto has = [&](const change_record& each) {
      return checkpoint_.processed.covers(each.dot);
    };
    const auto kept = std::find_if(log_.rbegin(), log_.rend(), has).base();
    auto end = kept + static_cast<std::ptrdiff_t>(
                          random() % (static_cast<std::size_t>(log_.end() - kept) + 1));
    // What the node itself has made together is stored together.
    while (end != log_.end() && end->dot.origin == self && end->transaction.index > 0) --end;
    std::map<incarnation_id, std::uint64_t> left;
    for (const auto& each : stored_.entries()) left[incarnation_of(each)] = each.seq;
    std::vector<dot> lost;
    for (auto at = end; at != log_.end(); ++at) {
      lost.push_back(at->dot);
      auto& last = left[incarnation_of(at->dot)];
      last = std::min(last, at->dot.seq - 1);
    }
    log_.erase(end, log_.end());
    stored_ = {};
    for (const auto& [source, last] : left)
      if (last > 0) stored_.raise(source.origin, source.incarnation, last);
    return lost;
  }
  /// The checkpoint cannot be read any more.
  void lose_checkpoint() {
    if (!(log_base_ == processed_changes{}) && !saved_entries_) saved_entries_ = checkpoint_.tree;
    checkpoint_ = {};
  }

  // -- jobs ---------------------------------------------------------------------------------------

  void ask(job wanted) {
    const auto is_append = [](const job& each) {
      return std::holds_alternative<append_batch>(each);
    };
    must(!is_append(wanted) || std::ranges::none_of(jobs_, is_append),
         "two batches are under way at once");
    jobs_.push_back(std::move(wanted));
  }
  bool idle() const { return jobs_.empty(); }
  /// Does the oldest job and reports to the manager.
  void work(sync_manager& manager, std::mt19937& random) {
    auto next = std::move(jobs_.front());
    jobs_.pop_front();
    std::visit([&](auto& each) { run(each, manager, random); }, next);
  }
  /// Loses what waits. The job under way may have been done all the same.
  void crash(std::mt19937& random) {
    if (!jobs_.empty() && !refuses && random() % 2) {
      if (const auto* append = std::get_if<append_batch>(&jobs_.front())) write(*append->what);
      if (auto* save = std::get_if<save_checkpoint>(&jobs_.front())) write(*save);
    }
    jobs_.clear();
  }

private:
  static error refusal() { return {error_code::storage_failure, "the disk is full", {}}; }

  void run(append_batch& wanted, sync_manager& manager, std::mt19937& random) {
    const bool answers = !refuses && random() % 20 != 0;
    if (answers || random() % 4 == 0) write(*wanted.what);
    if (answers)
      manager.stored();
    else
      manager.disk_refused(refusal());
  }
  void run(save_checkpoint& wanted, sync_manager& manager, std::mt19937& random) {
    const bool answers = !refuses && random() % 10 != 0;
    if (answers || random() % 4 == 0) write(wanted);
    if (answers)
      manager.checkpoint_written(wanted.id);
    else
      manager.checkpoint_failed(wanted.id, refusal());
  }
  /// Finds a damaged row now and then, and gives up the log up to there.
  void run(scrub_store& wanted, sync_manager& manager, std::mt19937& random) {
    if (wanted.only_files) return manager.scrubbed(scrubbed_part{});
    if (random() % 10 == 0) return manager.scrubbed(fail(refusal()));
    scrubbed_part part{.is_done = random() % 4 == 0, .base = nullptr};
    part.needs_checkpoint = random() % 10 == 0;
    if (random() % 4 == 0) {
      const auto is_needed = [&](const change_record& each) {
        return !checkpoint_.processed.covers(each.dot);
      };
      auto end = std::ranges::find_if(log_, is_needed);
      if (end == log_.end() && end != log_.begin()) --end;
      log_.erase(log_.begin(), end);
      log_base_.join(checkpoint_.processed);
      part.base = std::make_shared<const processed_changes>(log_base_);
      part.mended = 1;
    }
    manager.scrubbed(part);
  }
  void run(collect_log& wanted, sync_manager& manager, std::mt19937& random) {
    if (refuses || random() % 10 == 0) return manager.log_collected(fail(refusal()));
    must(checkpoint_.processed.covers(wanted.upto->vector()),
         "changes are collected that no checkpoint has");
    const auto may_go = [&](const change_record& each) { return wanted.upto->covers(each.dot); };
    const auto most = log_.size() - std::min(log_.size(), history_ + 1);
    const auto end =
        std::find_if_not(log_.begin(), log_.begin() + static_cast<std::ptrdiff_t>(most), may_go);
    for (auto at = log_.begin(); at != end; ++at) log_base_.raise(at->dot);
    collected_ += static_cast<std::size_t>(end - log_.begin());
    log_.erase(log_.begin(), end);
    const auto open = log_base_.vector();
    for (const auto& each : open.entries())
      if (wanted.upto->has_ended(incarnation_of(each)) && !has_logged(incarnation_of(each)))
        log_base_.end(incarnation_of(each));
    manager.log_collected(
        collected_log{random() % 2 == 0, std::make_shared<const processed_changes>(log_base_)});
  }
  void run(begin_anew& wanted, sync_manager& manager, std::mt19937& random) {
    must(saved_entries_ || manager.committed().vector() == manager.engine().vector(),
         "a node begins anew before all is stored");
    const bool answers = !refuses && random() % 4 != 0;
    if (answers || random() % 2) {
      saved_entries_ = old_entries_ = wanted.state->tree;
      overruled_by_ = wanted.overruled_by;
      if (checkpoint_.processed.vector() != version_vector{} || !log_.empty()) old_ = stored_;
      checkpoint_ = {};
      stored_ = {};
      log_base_ = {};
      log_.clear();
      transfer_.clear();
      begins_anew_ = answers;
    }
    if (!answers) manager.set_aside_failed(refusal());
  }
  void run(keep_aside& wanted, sync_manager& manager, std::mt19937& random) {
    if (refuses || random() % 4 == 0) return manager.kept_aside(fail(refusal()));
    kept_ = wanted.entries;
    manager.kept_aside(std::string{"unsent"});
  }
  void run(keep_transfer& wanted, sync_manager& manager, std::mt19937& random) {
    const bool fails = refuses || random() % 8 == 0;
    if (wanted.part.begins_anew && !fails) transfer_.clear();
    if (!fails) std::ranges::copy(wanted.part.frames, std::back_inserter(transfer_));
    manager.transfer_kept(fails ? result<void>{fail(refusal())} : result<void>{});
  }
  /// What comes last may be lost in a crash.
  void run(find_transfer& wanted, sync_manager& manager, std::mt19937& random) {
    if (random() % 8 == 0) return manager.transfer_found(fail(refusal()));
    kept_transfer kept{wanted.own, 0, 0};
    if (!transfer_.empty() && random() % 8 == 0) transfer_.pop_back();
    for (const auto& [frame] : transfer_) must(kept.add(frame), "what was kept is malformed");
    kept.bytes = transfer_.size();
    manager.transfer_found(kept.entries > 0 ? std::optional{std::move(kept)} : std::nullopt);
  }
  void run(read_peer_log& wanted, sync_manager& manager, std::mt19937& random) {
    if (random() % 20 == 0) return manager.log_read(wanted.peer, fail(refusal()));
    manager.log_read(wanted.peer, make_batches(read(wanted.wanted, random)));
  }
  void run(read_own_log& wanted, sync_manager& manager, std::mt19937& random) {
    if (random() % 5 == 0) return manager.own_log_read(fail(refusal()));
    manager.own_log_read(make_batches(read(wanted.wanted, random)));
  }
  std::vector<change_record> read(const read_log& wanted, std::mt19937& random) const {
    std::vector<change_record> found;
    for (const auto& each : log_) {
      const bool is_wanted = std::ranges::any_of(wanted.wanted, [&](const log_range& range) {
        return range.first <= each.dot && each.dot <= range.last;
      });
      if (!is_wanted) continue;
      found.push_back(each);
      if (found.size() * 100 > wanted.max_bytes || random() % 8 == 0) break;
    }
    return found;
  }

  bool has_logged(const incarnation_id& source) const {
    return std::ranges::any_of(
        log_, [&](const change_record& each) { return incarnation_of(each.dot) == source; });
  }
  void write(const commit& what) {
    if (what.adopted) adopt(*what.adopted);
    for (const auto& batch : what.batches) {
      const auto records = batch->records();
      must(records.has_value(), "what is stored cannot be read");
      for (const auto& each : *records) write(each);
    }
  }
  void write(const change_record& record) {
    const auto& [origin, incarnation, seq] = record.dot;
    const auto last = stored_.at(origin, incarnation);
    if (seq <= last) {
      const auto known = std::ranges::find(log_, record.dot, &change_record::dot);
      must(known == log_.end() || *known == record, "two changes are logged under one dot");
      must(known != log_.end() || log_base_.covers(record.dot), "the log lacks a change");
      return;
    }
    must(seq == last + 1, "a change is logged before an earlier one");
    log_.push_back(record);
    stored_.raise(origin, incarnation, seq);
  }
  void adopt(const adopted_state& adopted) {
    if (old_entries_) leave_out(*adopted.log_keeps, adopted.state.tree);
    for (const auto& [id, record] : truth_.all())
      if (adopted.foreign.covers(id)) stored_.raise(id.origin, id.incarnation, id.seq);
    must(stored_.covers(adopted.state.processed.vector()),
         "a state is adopted with changes that neither the log nor the other replica has");
    log_base_.join(adopted.foreign);
    if (adopted.log_keeps)
      must(adopted.log_keeps->covers(stored_), "a restoration leaves out what the log has");
    keep(adopted.state);
  }
  /// What a node that was forgotten has sent to nobody is part of its state no more.
  void leave_out(const processed_changes& kept, const context_tree& now) {
    const auto lost = lost_transactions::all(now);
    for (const auto& [id, record] : truth_.all()) {
      if (!old_.covers(id) || (kept.covers(id) && !lost_transactions::find(lost, id))) continue;
      set_aside_.push_back(id);
      const auto lives = [&, &at = id, &where = record.path](const context_tree& tree) {
        const auto there = tree.find(where);
        return there && std::ranges::any_of(there->siblings(),
                                            [&](const sibling& each) { return each.dot == at; });
      };
      must(is_within(reserved_path, record.path.text()) || !lives(*old_entries_) || lives(kept_),
           "what a node has sent to nobody is not kept");
    }
    // What peers had pushed to an earlier start, without a state to go on from.
    std::erase_if(log_, [&](const change_record& each) { return !kept.covers(each.dot); });
    stored_ = {};
    for (const auto& each : log_)
      stored_.raise(each.dot.origin, each.dot.incarnation, each.dot.seq);
    old_entries_.reset();
    old_ = {};
    kept_ = {};
  }
  void write(const save_checkpoint& wanted) {
    must(stored_.covers(wanted.state->processed.vector()),
         "a checkpoint holds changes that the log lacks");
    keep(*wanted.state);
  }
  void keep(const engine_state& state) {
    must(state.processed.covers(log_base_.latest()),
         "a checkpoint lacks changes that are in no other place");
    checkpoint_ = state;
    saved_entries_.reset();
    overruled_by_ = {};
  }

  std::uint64_t incarnation_ = 0;
  std::size_t history_;
  const oracle& truth_;
  std::vector<change_record> log_;
  processed_changes log_base_;
  std::size_t collected_ = 0;
  version_vector stored_;
  engine_state checkpoint_;
  std::optional<context_tree> saved_entries_;  ///< When the checkpoint is lost, or set aside.
  version_vector overruled_by_;                ///< See `saved_parts`.
  std::optional<context_tree> old_entries_;    ///< Of a node that begins anew.
  version_vector old_;                         ///< What it had stored.
  context_tree kept_;                          ///< By the latest `keep_aside`.
  std::vector<binary> transfer_;               ///< What has come of a state.
  std::vector<dot> set_aside_;
  bool begins_anew_ = false;
  struct files {
    std::vector<change_record> log;
    processed_changes log_base;
    version_vector stored;
    engine_state checkpoint;
  };
  std::optional<files> backup_;
  bool wants_clock_correction_ = false;
  std::deque<job> jobs_;
};

}  // namespace troupe::test::simulation
