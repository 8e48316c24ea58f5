#pragma once

#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/actors/context/store/change_log.hpp>

namespace troupe {

/// An erasure of a subtree leaves nothing in a state. Puts a tombstone into each place of `state`
/// where one of the log was and nothing is left, so that it can be told what others did not have of
/// it. What cannot be read of the log is left out. O(changes of the log).
void keep_erasures(change_log& log, context_tree& state);

}  // namespace troupe
