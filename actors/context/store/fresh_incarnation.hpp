#pragma once

#include <cstdint>

#include <troupe/actors/context/store/store.hpp>

namespace troupe {

/// Begins an incarnation whose number no other start of the node has: it grows with time, so that a
/// data directory that was restored from an old copy repeats none; its last bits, and its distance
/// to the last one, are random, so that two copies of a node differ that start at the same moment
/// or where a clock is ahead.
result<std::uint64_t> begin_fresh_incarnation(context_store& store);

}  // namespace troupe
