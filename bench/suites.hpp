#pragma once

#include <troupe/bench/harness.hpp>

namespace troupe::bench {

/// Calls over a link beside a bare CAF broker that sends frames of fixed length.
result<void> measure_network(harness& with);

/// Commands through the dispatcher beside requests to a bare CAF actor.
result<void> measure_commands(harness& with);

}  // namespace troupe::bench
