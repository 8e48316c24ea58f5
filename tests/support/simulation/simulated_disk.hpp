#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/tests/support/simulation/simulation_oracle.hpp>
#include <troupe/tests/support/simulation/simulation_rules.hpp>

namespace troupe::test::simulation {

/// The store of one node behind its keeper: does one job after the other, each in its own time.
/// What is written survives a crash, what waits does not. It may refuse, and it may have written
/// what it reports as refused, as a keeper does whose answer misses its deadline.
class simulated_disk {
public:
  using job = std::variant<append_batch, read_peer_log, save_checkpoint, collect_log>;

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
  void run(collect_log& wanted, sync_manager& manager, std::mt19937& random) {
    if (refuses || random() % 10 == 0) return manager.log_collected(fail(refusal()));
    const auto may_go = [&](const change_record& each) {
      return wanted.upto->covers(each.dot) && checkpoint_.processed.covers(each.dot);
    };
    const auto most = log_.size() - std::min(log_.size(), history_ + 1);
    const auto end =
        std::find_if_not(log_.begin(), log_.begin() + static_cast<std::ptrdiff_t>(most), may_go);
    for (auto at = log_.begin(); at != end; ++at) log_base_.add(*at);
    collected_ += static_cast<std::size_t>(end - log_.begin());
    log_.erase(log_.begin(), end);
    manager.log_collected(
        collected_log{random() % 2 == 0, std::make_shared<const processed_changes>(log_base_)});
  }
  void run(read_peer_log& wanted, sync_manager& manager, std::mt19937& random) {
    if (random() % 20 == 0) return manager.log_read(wanted.peer, fail(refusal()));
    std::vector<change_record> read;
    for (const auto& each : log_) {
      const bool is_wanted = std::ranges::any_of(wanted.wanted.wanted, [&](const log_range& range) {
        return range.first <= each.dot && each.dot <= range.last;
      });
      if (!is_wanted) continue;
      read.push_back(each);
      if (read.size() * 100 > wanted.wanted.max_bytes || random() % 8 == 0) break;
    }
    manager.log_read(wanted.peer, make_batches(read));
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
    for (const auto& [id, record] : truth_.all())
      if (adopted.foreign.covers(id)) stored_.raise(id.origin, id.incarnation, id.seq);
    must(stored_.covers(adopted.state.processed.vector()),
         "a state is adopted with changes that neither the log nor the other replica has");
    log_base_.join(adopted.foreign);
    checkpoint_ = adopted.state;
  }
  void write(const save_checkpoint& wanted) {
    must(stored_.covers(wanted.state->processed.vector()),
         "a checkpoint holds changes that the log lacks");
    checkpoint_ = *wanted.state;
  }

  std::uint64_t incarnation_ = 0;
  std::size_t history_;
  const oracle& truth_;
  std::vector<change_record> log_;
  processed_changes log_base_;
  std::size_t collected_ = 0;
  version_vector stored_;
  engine_state checkpoint_;
  std::deque<job> jobs_;
};

}  // namespace troupe::test::simulation
