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
#include <troupe/messages/wire/field.hpp>

namespace troupe {

/// A position in a command's queue. Never used twice.
struct queue_ticket {
  std::uint64_t number = 0;  ///< From 1; a smaller one came earlier.
  std::uint32_t slot = 0;    ///< The command's.

  friend auto operator<=>(const queue_ticket&, const queue_ticket&) = default;
};

/// Why a request was rejected.
enum class rejection_reason : std::uint8_t {
  deadline_passed,    ///< Its deadline had passed when it came.
  deadline_too_near,  ///< It would wait past its deadline.
  queue_full,         ///< The command's queue is full.
  node_full,          ///< The queues of all commands together are full.
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

/// The request has a place. Return it with `finished` or `abandoned`, exactly once.
struct admitted {};
/// The request waits. Its ticket comes back exactly once: from `finished` or `abandoned` as the
/// next to run or as expired, from `expire`, or from `remove`. Or it goes with `cancel`.
struct queued {
  queue_ticket ticket;
};
/// The request was rejected.
struct rejected {
  rejection_reason reason;
  std::chrono::milliseconds retry_after{0};  ///< When to try again; 0 for never.
};

/// The answer to `admission::offer`.
using admission_verdict = std::variant<admitted, queued, rejected>;

/// What a returned place means for the queue.
struct admission_release {
  /// Takes the place and counts as admitted.
  std::optional<queue_ticket> run;
  /// Reached the head of the queue after their deadlines. They are out of the queue.
  std::vector<queue_ticket> expired;
};

/// The fourth step of a command: run now, wait, or be rejected. Limits how many executions of each
/// command run at once and how many requests wait. Rejects at once what cannot start before its
/// deadline.
///
/// The expected wait comes from the command's own recent durations: their exponentially weighted
/// mean with gain 1/8 (Jacobson, "Congestion Avoidance and Control", 1988). Until the first
/// execution has finished, any wait is accepted.
///
/// First come, first served. Admitting a request and ending an execution take O(1) and no
/// allocation while the queue is empty. Queue operations take O(log waiting). Memory: one small
/// record for each command, one for each waiting request.
class admission {
public:
  using clock = std::chrono::steady_clock;
  using time_point = clock::time_point;

  /// Default bound of all queues of a node together.
  static constexpr std::size_t default_max_waiting = 100'000;
  /// The `retry_after` of a command whose duration is not known yet.
  static constexpr std::chrono::milliseconds blind_retry{100};

  /// @param max_waiting bounds the requests that wait, over all commands together.
  explicit admission(std::size_t max_waiting = default_max_waiting) : max_waiting_(max_waiting) {}

  /// Makes a command known, before its first `offer`. @param concurrency at least 1. @param queue
  /// may be 0.
  /// @throws std::invalid_argument when `concurrency` is 0, or when the slot holds a command that
  /// was not removed.
  void add(command_index index, std::uint32_t concurrency, std::uint32_t queue);

  /// Forgets a command. Returns the tickets of its queue, in order. Executions that still run may
  /// call `finished`, without effect.
  std::vector<queue_ticket> remove(command_index index);

  /// Asks for a place.
  admission_verdict offer(command_index index, time_point deadline, time_point now);

  /// Returns the place of an execution that ran for `duration`, whatever its outcome.
  admission_release finished(command_index index, std::chrono::nanoseconds duration,
                             time_point now);

  /// Returns a place without telling how long the command takes: the execution never began, or was
  /// given up.
  admission_release abandoned(command_index index, time_point now);

  /// Takes one request out of its queue, before its ticket has come back.
  void cancel(queue_ticket ticket);

  /// Takes all requests out of all queues. None of their tickets comes back.
  void cancel_waiting() noexcept;

  /// Takes all requests out whose deadline is at or before `now` and returns them, earliest
  /// deadline first.
  std::vector<queue_ticket> expire(time_point now);

  /// True from `add` to `remove`.
  bool knows(command_index index) const noexcept { return find(index) != nullptr; }
  /// How many executions of a command hold a place; 0 for an unknown command.
  std::size_t running(command_index index) const noexcept;
  /// How many requests wait for a place of a command; 0 for an unknown command.
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
    std::map<std::uint64_t, time_point> queue{};  ///< Deadlines by ticket numbers, which ascend.
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

/// The error for a rejected caller: `overloaded`, `deadline_exceeded` or `unavailable`. The detail
/// is the map `{reason, retry_after_ms?}`.
error to_error(const rejected& verdict, std::string_view command);

}  // namespace troupe
