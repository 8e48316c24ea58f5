#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/tests/support/simulation/simulation_rules.hpp>

namespace troupe::test::simulation {

/// The store of one node behind its keeper: does one job after the other, each in its own time.
/// What is written survives a crash, what waits does not. It may refuse, and it may have written
/// what it reports as refused, as a keeper does whose answer misses its deadline.
class simulated_disk {
public:
  using job = std::variant<append_batch, read_peer_log, save_checkpoint>;
  using records = std::vector<encoded_record>;

  bool refuses = false;

  // -- what is written ----------------------------------------------------------------------------

  std::uint64_t next_incarnation() { return ++incarnation_; }
  std::uint64_t incarnation() const { return incarnation_; }
  const std::map<incarnation_id, records>& log() const { return log_; }
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
      if (const auto* append = std::get_if<append_batch>(&jobs_.front())) write(*append->records);
      if (auto* save = std::get_if<save_checkpoint>(&jobs_.front())) write(*save);
    }
    jobs_.clear();
  }

private:
  static error refusal() { return {error_code::storage_failure, "the disk is full", {}}; }

  void run(append_batch& wanted, sync_manager& manager, std::mt19937& random) {
    const bool answers = !refuses && random() % 20 != 0;
    if (answers || random() % 4 == 0) write(*wanted.records);
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
  void run(read_peer_log& wanted, sync_manager& manager, std::mt19937& random) {
    if (random() % 20 == 0) return manager.log_read(wanted.peer, fail(refusal()));
    const auto& log = log_[wanted.wanted.incarnation];
    records read;
    std::size_t bytes = 0;
    for (auto seq = wanted.wanted.first;
         seq <= log.size() && (read.empty() || bytes < wanted.wanted.max_bytes); ++seq) {
      bytes += log[seq - 1].bytes.size();
      read.push_back(log[seq - 1]);
      if (random() % 8 == 0) break;
    }
    manager.log_read(wanted.peer, std::move(read));
  }

  void write(const records& batch) {
    for (const auto& each : batch) {
      auto& log = log_[{each.dot.origin, each.dot.incarnation}];
      if (each.dot.seq <= log.size()) {
        must(log[each.dot.seq - 1] == each, "two changes are logged under one dot");
        continue;
      }
      must(each.dot.seq == log.size() + 1, "a change is logged before an earlier one");
      log.push_back(each);
      stored_.raise(each.dot.origin, each.dot.incarnation, each.dot.seq);
    }
  }
  void write(const save_checkpoint& wanted) {
    must(stored_.covers(wanted.state->vector), "a checkpoint holds changes that the log lacks");
    checkpoint_ = *wanted.state;
  }

  std::uint64_t incarnation_ = 0;
  std::map<incarnation_id, records> log_;
  version_vector stored_;
  engine_state checkpoint_;
  std::deque<job> jobs_;
};

}  // namespace troupe::test::simulation
