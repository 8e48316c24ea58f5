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

/// The fifth step of a command whose function may wait: when does it run, and on which worker?
///
/// First come, first served. Work is given to a worker when that one is idle and not before, so
/// that nothing waits behind a function that hangs while other workers are free. What is still
/// waiting at its deadline never runs. What runs then is overdue: nobody waits for it any more, but
/// its worker is busy until it ends. The same holds for work that is cancelled.
///
/// Every operation is O(log work). Bounded by the caller, who asks `is_full` before taking a
/// request in.
class work_schedule {
public:
  using time_point = std::chrono::steady_clock::time_point;
  /// A piece of work. Never used twice.
  using work_id = std::uint64_t;
  /// Workers are counted from 0, in the order in which they were started.
  using worker_index = std::size_t;

  /// Starts now. The caller starts the worker too when its index is `workers()` before the call.
  struct assignment {
    work_id work = 0;
    worker_index worker = 0;
  };
  /// Work that nobody waits for any more.
  struct unwanted_work {
    work_id work = 0;
    bool started = false;  ///< When it has not, it is gone; else it is overdue.
  };

  /// @param max_workers how many workers there may be; at least 1. @param max_waiting how much may
  /// wait for one.
  work_schedule(std::size_t max_workers, std::size_t max_waiting)
      : max_workers_(max_workers), max_waiting_(max_waiting) {}

  /// True while all workers are busy and as much waits as may.
  bool is_full() const noexcept {
    return waiting_.size() >= max_waiting_ && idle_.empty() && workers_ == max_workers_;
  }

  /// Takes work in. It waits until `next` returns it.
  work_id add(time_point deadline);
  /// The oldest waiting work, given to an idle worker, or to a new one while there may be more.
  /// Nothing when no work waits or all workers are busy.
  std::optional<assignment> next();
  /// Work that was started has ended; its worker is idle. @returns whether it was overdue. Nothing
  /// for unknown work.
  std::optional<bool> finished(work_id work);

  /// All work whose deadline is at or before `now`, earliest deadline first. Each is returned once.
  std::vector<unwanted_work> expire(time_point now);
  /// Nobody waits for this work any more, as if it had come to its deadline. Nothing for work that
  /// is overdue or unknown.
  std::optional<unwanted_work> cancel(work_id work);
  /// Takes all work out that waits, in order: it will never run.
  std::vector<work_id> cancel_waiting();

  /// Has nothing to do and nothing under way.
  bool is_idle() const noexcept { return waiting_.empty() && running_.empty(); }
  /// What has been started and has not ended, in the order of its coming.
  std::vector<work_id> running() const;
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
  std::set<std::pair<time_point, work_id>> by_deadline_;  ///< Of all that is not overdue.
};

}  // namespace troupe
