#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>

#include <troupe/messages/ids.hpp>

namespace troupe {

/// Milliseconds since 1970. Passed to actors, so that tests can choose the time.
using wall_clock = std::function<std::uint64_t()>;

/// The system's clock.
wall_clock system_wall_clock();

/// A random id from the operating system's randomness.
uuid random_uuid();

}  // namespace troupe
