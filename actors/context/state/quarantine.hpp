#pragma once

#include <vector>

#include <troupe/actors/context/state/engine.hpp>

namespace troupe {

/// The writes that end some of what is in quarantine: at each of its paths readers see afterwards
/// what they see now. On each replica they overwrite all changes that this one knows under the dots
/// in question, so the replicas agree again. None for what cannot be ended yet, because it is not
/// part of the state; and none below `/_sys`, where it matters whose write a value is.
/// @returns some dozens of small values, or one large one; call again when they are made and what
///          they have overwritten has left the quarantine. O(quarantine).
std::vector<local_write> writes_that_settle(const context_engine& engine);

}  // namespace troupe
