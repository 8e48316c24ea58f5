#pragma once

#include <cstdint>
#include <string_view>

#include <troupe/bench/harness.hpp>

namespace troupe::bench {

/// Calls over a link beside a bare CAF broker that sends frames of fixed length.
result<void> measure_network(harness& with);

/// Commands through the dispatcher beside requests to a bare CAF actor.
result<void> measure_commands(harness& with);

/// Sets, gets and memory of the context's state beside a map behind a lock.
result<void> measure_context(harness& with);

/// Durable writes beside an append loop on SQLite. A part of `measure_context`.
result<void> measure_durable(harness& with);

/// Merging changes of other replicas beside libraries that merge documents. A part of
/// `measure_context`. Says so and measures nothing where the libraries are not installed.
result<void> measure_peers(harness& with);

/// The bytes that two replicas send to become equal, beside those of the entries in which they
/// differ. A part of `measure_context`.
result<void> measure_heal(harness& with);

/// Importing a large file with the programs, beside a small one: whether a value costs more where
/// there are many. A part of `measure_context`.
result<void> measure_import(harness& with);

/// Fills one side of the comparison of memory, `ours` or `beside`. For a process that does nothing
/// else. @returns entries for each mebibyte that it takes, or 0 when it cannot be filled.
double measure_context_memory(std::string_view what, std::uint32_t entries);

}  // namespace troupe::bench
