#pragma once

#include <troupe/runtime/cli/app.hpp>

namespace troupe::cli {

/// Tells whether the node's clock, and the times of its changes, are right.
/// @param correct has the next start give its changes times by the clock again.
result<void> check_clock_of(app_state& app, client& node, bool correct);

}  // namespace troupe::cli
