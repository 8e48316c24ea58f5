#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <variant>
#include <vector>

#include <troupe/actors/commands/command_index.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/field.hpp>

namespace troupe {

/// A place in a command's queue. Never used twice.
struct queue_ticket {
  std::uint64_t number = 0;  ///< From 1; a smaller one came earlier.
  std::uint32_t slot = 0;    ///< The command's.

  friend auto operator<=>(const queue_ticket&, const queue_ticket&) = default;
};

/// Why a request was not let in.
enum class rejection_reason : std::uint8_t {
  deadline_passed,    ///< It came too late.
  deadline_too_near,  ///< It would wait longer than it has time.
  queue_full,         ///< As many wait for this command as may.
  node_full,          ///< As many wait for all commands together as may.
  command_gone,       ///< The command was removed.
};

template <>
struct enum_names<rejection_reason> {
  static constexpr std::array<enumerator<rejection_reason>, 5> names{
      {{rejection_reason::deadline_passed, "deadline_passed"},
       {rejection_reason::deadline_too_near, "deadline_too_near"},
       {rejection_reason::queue_full, "queue_full"},
       {rejection_reason::node_full, "node_full"},
       {rejection_reason::command_gone, "command_gone"}}};
};

/// A request was let in: `finished` or `abandoned` has to be called for it exactly once.
struct admitted {};
/// A request waits. Its ticket comes back exactly once: from `finished` or `abandoned` as the one
/// to run or as expired, from `expire`, or from `remove`; or goes back with `cancel`.
struct queued {
  queue_ticket ticket;
};
/// A request was turned away.
struct rejected {
  rejection_reason reason;
  std::chrono::milliseconds retry_after{0};  ///< When another try may succeed; 0 when none will.
};

/// What becomes of a request that asks for a place.
using admission_verdict = std::variant<admitted, queued, rejected>;

/// What the end of one execution means for those who wait.
struct admission_release {
  std::optional<queue_ticket>
      run;  ///< Runs now, in the place that became free; counts as admitted.
  std::vector<queue_ticket>
      expired;  ///< Came to the head of the queue after their deadlines, and are out of it.
};

/// The fourth step of a command: is there a place for it now, soon enough, or not? Limits how many
/// executions of each command run at once and how many wait, and turns away at once what cannot
/// start before its deadline.
///
/// The waiting time is expected from the command's own recent durations: an exponentially weighted
/// mean with gain 1/8 (as in Jacobson, "Congestion Avoidance and Control", 1988). Before the first
/// execution has finished nothing is known, and requests wait.
///
/// First come, first served. Letting a request in and ending an execution take O(1) and no
/// allocation while nobody waits, queue operations O(log waiting). Memory: one small record for
/// each command, one for each waiting request.
class admission {
public:
  using clock = std::chrono::steady_clock;
  using time_point = clock::time_point;

  /// Requests in all queues of a node together, unless it is told otherwise.
  static constexpr std::size_t default_max_waiting = 100'000;
  /// Advised as `retry_after` when nothing is known of how long a command takes.
  static constexpr std::chrono::milliseconds blind_retry{100};

  /// @param max_waiting how many requests may wait, over all commands together.
  explicit admission(std::size_t max_waiting = default_max_waiting) : max_waiting_(max_waiting) {}

  /// Makes a command known, before its first `offer`. @param concurrency at least 1. @param queue
  /// may be 0.
  /// @throws std::invalid_argument when `concurrency` is 0, or when the slot holds a command that
  /// was not removed.
  void add(command_index index, std::uint32_t concurrency, std::uint32_t queue);

  /// Forgets a command. Returns the tickets that waited, in order: nobody will run them. Executions
  /// that still run may call `finished`; it has no effect any more.
  std::vector<queue_ticket> remove(command_index index);

  /// Asks for a place.
  admission_verdict offer(command_index index, time_point deadline, time_point now);

  /// One execution ended, however it ended, after running for `duration`.
  admission_release finished(command_index index, std::chrono::nanoseconds duration,
                             time_point now);

  /// One execution that was let in never began: it gives back its place and says nothing of how
  /// long the command takes.
  admission_release abandoned(command_index index, time_point now);

  /// Takes one request out, whose ticket has not come back.
  void cancel(queue_ticket ticket);

  /// Takes all requests out, of all commands: none of their tickets comes back.
  void cancel_waiting() noexcept;

  /// Takes all requests out whose deadline is at or before `now` and returns them, earliest
  /// deadline first.
  std::vector<queue_ticket> expire(time_point now);

  /// How many executions of a command run now; 0 for one that is not known.
  std::size_t running(command_index index) const noexcept;
  /// How many requests wait for a command now; 0 for one that is not known.
  std::size_t waiting(command_index index) const noexcept;
  /// Over all commands.
  std::size_t waiting() const noexcept { return by_deadline_.size(); }

private:
  struct command_state {
    std::uint64_t serial = 0;
    std::uint32_t concurrency = 0;
    std::uint32_t queue_bound = 0;
    std::uint32_t running = 0;
    std::optional<std::chrono::nanoseconds> usual_duration{};
    std::map<std::uint64_t, time_point>
        queue{};  ///< Ticket numbers, which come in order, and deadlines.
  };

  command_state* find(command_index index) noexcept;
  const command_state* find(command_index index) const noexcept;
  std::optional<rejected> why_not_wait(const command_state& command, time_point deadline,
                                       time_point now) const;
  admission_release release(command_state& command, std::uint32_t slot, time_point now);
  void leave(command_state& command, queue_ticket ticket);

  std::size_t max_waiting_;
  std::uint64_t last_number_ = 0;
  std::vector<command_state> commands_;
  std::set<std::pair<time_point, queue_ticket>> by_deadline_;
};

/// The error that tells a caller of a rejection: `overloaded`, `deadline_exceeded` or
/// `unavailable`. The detail is the map `{reason, retry_after_ms?}`.
error to_error(const rejected& verdict, std::string_view command);

}  // namespace troupe
