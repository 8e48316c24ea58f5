#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>

#include <troupe/actors/commands/ledger/admission.hpp>
#include <troupe/actors/commands/ledger/request_effect.hpp>
#include <troupe/actors/commands/ledger/work_schedule.hpp>

namespace troupe {

/// Identifies a request, so that its sender can cancel it. A ticket of 0 identifies none.
struct request_origin {
  std::uint64_t sender = 0;
  std::uint64_t ticket = 0;

  friend bool operator==(const request_origin&, const request_origin&) = default;
};

/// Where an open request is.
enum class request_place : std::uint8_t {
  queue,         ///< Waits for a place of its command.
  worker_queue,  ///< Has a place and waits for a worker.
  worker,        ///< Its function runs.
  handler,       ///< Its handler was asked.
};

/// A valid request that asks to be admitted.
struct new_request {
  command_index command;
  std::shared_ptr<const command_spec> spec;
  std::optional<handler_id> handler;  ///< Without one, a function on a worker runs the command.
  request_origin origin;
  std::chrono::steady_clock::time_point deadline;
};

/// When a request has to be answered: after the caller's own time, where it named one, and after
/// the command's timeout at the latest.
inline std::chrono::steady_clock::time_point deadline_of(
    const command_spec& spec, std::chrono::milliseconds callers_time,
    std::chrono::steady_clock::time_point now) {
  return now + (callers_time.count() > 0 ? std::min(callers_time, spec.timeout) : spec.timeout);
}

/// What an execution that ended like this counts as.
command_outcome outcome_of(const result<value>& outcome) noexcept;

/// The ledger of a dispatcher: it knows every request from admission until the execution has ended,
/// and decides what happens to it. Knows no actors and no clock.
///
///     queue ──► worker queue ──► worker ──► ended
///       └─────────► handler ──────────────► ended
///
/// Each request is answered exactly once: with the outcome of its execution, or before that when
/// its deadline passes, its caller cancels it, its command is removed or the node stops. A request
/// that waits ends with that answer. One that runs is asked to stop and keeps its place among the
/// command's concurrent executions until its function returns, or its handler answers or ends. A
/// handler that has done neither `handler_grace` after the deadline is given up.
///
/// Every operation is O(log requests) for each request concerned; `end_handler` and `stop` look at
/// all requests. Memory: one record for each open request, bounded by admission and schedule, and
/// for handlers of removed commands by their grace.
class open_requests {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using nanoseconds = std::chrono::nanoseconds;

  struct limits {
    std::size_t max_waiting = admission::default_max_waiting;  ///< In all queues together.
    std::size_t max_workers = 64;                              ///< At least 1.
    /// How long a handler may overstay the deadline before its place is free again.
    std::chrono::milliseconds handler_grace = std::chrono::hours{1};
  };

  /// A request that was admitted, and what to do for it first.
  struct opened {
    request_id request = 0;
    request_effects effects;
  };

  explicit open_requests(const limits& bounds)
      : admission_(bounds.max_waiting),
        schedule_(bounds.max_workers, bounds.max_waiting),
        handler_grace_(bounds.handler_grace) {}

  // -- commands -----------------------------------------------------------------------------------

  /// See `admission::add`.
  void add_command(command_index command, std::uint32_t concurrency, std::uint32_t queue) {
    admission_.add(command, concurrency, queue);
  }
  /// Forgets a command. Its queued requests are answered `unavailable`; the others go on.
  request_effects remove_command(command_index command, time_point now);

  // -- executions inside the dispatcher -----------------------------------------------------------

  /// Takes a place for an execution that ends before anything else happens here. Return it with
  /// `end_inline`. O(1), no allocation.
  std::optional<rejected> begin_inline(command_index command, time_point deadline, time_point now);
  /// Returns the place of an execution that took `ran`.
  void end_inline(command_index command, nanoseconds ran, time_point now);

  // -- requests -----------------------------------------------------------------------------------

  /// Admits a request or rejects it. Not during a stop.
  std::variant<rejected, opened> open(const new_request& wanted, time_point now);
  /// A function returned, or a handler answered. No effect when the request was given up before.
  request_effects finish(request_id request, result<value> outcome, time_point now);
  /// The caller no longer wants the answer. No effect when the request was answered before.
  request_effects cancel(const request_origin& origin, time_point now);
  /// A handler ended without having answered: `unavailable` for its requests.
  request_effects end_handler(handler_id handler, time_point now);
  /// Answers the requests whose deadlines have passed. Call it often while `awaits_deadline`: a
  /// request is answered by the first call after its deadline.
  request_effects expire(time_point now);
  bool awaits_deadline() const noexcept { return unanswered_ > 0 || stop_by_.has_value(); }

  // -- stop ---------------------------------------------------------------------------------------

  /// Answers all waiting requests `unavailable`, asks functions to stop and waits for them until
  /// `stop_by`; then comes `report_stop`. Fails with `already_exists` during a stop.
  result<request_effects> stop(time_point stop_by, time_point now);
  bool is_stopping() const noexcept { return stopping_; }

  // -- questions ----------------------------------------------------------------------------------

  /// Nothing for a request that has ended.
  std::optional<request_place> place_of(request_id request) const;
  /// Requests that have not ended.
  std::size_t size() const noexcept { return open_.size(); }
  /// Of these, the ones that have not been answered.
  std::size_t unanswered() const noexcept { return unanswered_; }
  /// How many executions of a command hold a place; see `admission::running`.
  std::size_t running(command_index command) const noexcept { return admission_.running(command); }
  /// How many requests wait for a place of a command.
  std::size_t waiting(command_index command) const noexcept { return admission_.waiting(command); }

private:
  struct entry {
    new_request asked;
    request_place place = request_place::queue;
    std::uint64_t key = 0;  ///< The number of its queue ticket, or its work id.
    time_point started{};
    bool answered = false;
  };
  enum class early_end : std::uint8_t { deadline, cancelled, removal, stop };
  struct origin_hash {
    std::size_t operator()(const request_origin& origin) const noexcept {
      return std::hash<std::uint64_t>{}(origin.ticket * 0x9e3779b97f4a7c15u ^ origin.sender);
    }
  };

  entry& entry_of(request_id request);
  request_id id_of(const queue_ticket& ticket) const;
  request_id id_of(work_schedule::work_id work) const;
  void start(request_id request, time_point now);
  void start_functions(time_point now);
  void expire_functions(time_point now);
  void end_run(request_id request, result<value> outcome, time_point now);
  void end_early(request_id request, early_end why, time_point now);
  static error reason_for(const entry& ended, early_end why);
  void answer(request_id request, result<value> outcome, command_outcome counted,
              std::optional<nanoseconds> ran);
  void close(request_id request);
  void return_place(command_index command, std::optional<nanoseconds> ran, time_point now);
  void check_stopped(time_point now);
  request_effects take_effects();

  admission admission_;
  work_schedule schedule_;
  std::chrono::milliseconds handler_grace_;
  std::unordered_map<request_id, entry> open_;
  std::map<std::uint64_t, request_id> by_ticket_;            ///< Of the queues.
  std::map<work_schedule::work_id, request_id> by_work_;     ///< Of functions.
  std::set<std::pair<time_point, request_id>> at_handlers_;  ///< Unanswered, by their deadlines.
  std::unordered_map<request_origin, request_id, origin_hash> by_origin_;  ///< Unanswered.
  std::size_t unanswered_ = 0;
  request_id last_ = 0;
  bool stopping_ = false;
  std::optional<time_point> stop_by_;  ///< Until the stop was reported.
  request_effects effects_;            ///< Of the current call.
};

}  // namespace troupe
