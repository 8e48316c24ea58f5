#pragma once

#include <caf/fwd.hpp>

namespace troupe {

/// Gives memory that was freed back to the system, when much of it was: the allocator keeps what
/// lies between blocks that are in use. Takes some milliseconds for each hundred megabytes, in
/// which other threads may wait for memory. Does nothing where the allocator has no way to do so.
/// A thread that calls it has no heap of its own of mimalloc (`mi_heap_new`).
/// @returns whether it has to be called on other threads, too.
bool give_back_free_memory() noexcept;

/// Has the thread of CAF's I/O loop do so.
void give_back_free_memory_of_io(caf::actor_system& system);

}  // namespace troupe
