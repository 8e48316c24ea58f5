#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace troupe {

/// The fifth step of a command whose function may block: when it runs, and on which worker.
///
/// First come, first served. Only an idle worker is given work, so no work waits behind a function
/// that hangs while another worker is free. Work that waits at its deadline never runs. Work that
/// runs at its deadline becomes overdue: its answer is no longer wanted, and its worker stays busy
/// until it ends. Cancelling work has the same effect.
///
/// Every operation is O(log work). The caller keeps the bounds: it asks `is_full` before `add`.
class work_schedule {
public:
  using time_point = std::chrono::steady_clock::time_point;
  /// A piece of work. Never used twice.
  using work_id = std::uint64_t;
  /// Workers are counted from 0, in the order in which they were started.
  using worker_index = std::size_t;

  /// Work to start now. The worker is new when its index is the `workers()` before the call.
  struct assignment {
    work_id work = 0;
    worker_index worker = 0;
  };
  /// Work whose answer is no longer wanted.
  struct unwanted_work {
    work_id work = 0;
    bool started = false;  ///< Started work is overdue. Other work is gone.
  };

  /// @param max_workers at least 1. @param max_waiting bounds the work that waits for a worker.
  work_schedule(std::size_t max_workers, std::size_t max_waiting)
      : max_workers_(max_workers), max_waiting_(max_waiting) {}

  /// True while all workers are busy and the queue for them is full.
  bool is_full() const noexcept {
    return waiting_.size() >= max_waiting_ && idle_.empty() && workers_ == max_workers_;
  }

  /// Adds work, which waits until `next` returns it.
  work_id add(time_point deadline);
  /// The oldest waiting work, for an idle worker, or for a new one below `max_workers`. Nothing
  /// when no work waits or all workers are busy.
  std::optional<assignment> next();
  /// Started work has ended, and its worker is idle. @returns whether the work was overdue, or
  /// nothing for unknown work.
  std::optional<bool> finished(work_id work);

  /// All work whose deadline is at or before `now`, earliest deadline first. Returns each once.
  std::vector<unwanted_work> expire(time_point now);
  /// The answer of this work is no longer wanted, as at its deadline. Nothing for work that is
  /// overdue or unknown.
  std::optional<unwanted_work> cancel(work_id work);
  /// Removes all waiting work and returns it in order. It will never run.
  std::vector<work_id> cancel_waiting();

  /// No work waits or runs.
  bool is_idle() const noexcept { return waiting_.empty() && running_.empty(); }
  /// Started work that has not ended, oldest first.
  std::vector<work_id> running() const;
  /// All work, waiting and running.
  std::size_t size() const noexcept { return waiting_.size() + running_.size(); }
  std::size_t waiting() const noexcept { return waiting_.size(); }
  /// How many workers have been started.
  std::size_t workers() const noexcept { return workers_; }

private:
  struct running_work {
    worker_index worker;
    time_point deadline;
    bool overdue = false;
  };

  unwanted_work give_up(work_id work);

  std::size_t max_workers_;
  std::size_t max_waiting_;
  std::size_t workers_ = 0;
  work_id last_ = 0;
  std::set<worker_index> idle_;
  std::map<work_id, time_point> waiting_;
  std::map<work_id, running_work> running_;
  std::set<std::pair<time_point, work_id>> by_deadline_;  ///< All that is not overdue.
};

}  // namespace troupe
