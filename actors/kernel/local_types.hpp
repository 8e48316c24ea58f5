#pragma once

// Messages that all subsystems use and that never leave the process.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/type_ids.hpp>

namespace troupe {

/// Lets time pass in an actor. Slow ticks repeat as long as the actor lives. Fast ones come while a
/// deadline is near.
enum class tick : std::uint8_t { slow, fast };

/// Cancels a request: its sender no longer wants the answer. The actor still answers: at once with
/// `cancelled` where it can end the work, otherwise when the work is done. Ignored when there is no
/// such request.
struct cancel_request {
  std::uint64_t ticket = 0;  ///< The ticket in the request.
};

/// An actor whose requests can be cancelled.
using cancel_sink = caf::typed_actor<caf::result<void>(cancel_request)>;

/// The outcome of a stop.
struct stop_report {
  /// What did not end in time, in the order of stopping: the name of the child, and its own words
  /// if it had any.
  std::vector<std::string> blocked;
};

/// Asks a supervisor to end its children in reverse order of their start, all of them within
/// `deadline`. Refused with `unavailable` while a stop is under way.
struct stop_children {
  std::chrono::milliseconds deadline{10'000};
};

}  // namespace troupe

#define TROUPE_KERNEL_TYPES(X)             \
  X(troupe_kernel, troupe::tick)           \
  X(troupe_kernel, troupe::cancel_request) \
  X(troupe_kernel, troupe::stop_children)  \
  X(troupe_kernel, troupe::stop_report)

TROUPE_LOCAL_TYPES(troupe_kernel, 1190, TROUPE_KERNEL_TYPES)
