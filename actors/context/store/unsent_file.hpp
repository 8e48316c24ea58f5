#pragma once

#include <cstdint>
#include <string>

#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/messages/error.hpp>

namespace troupe {

/// Writes what a node had when the cluster had gone on without it, and others did not have: into
/// `context.unsent/NUMBER.ndjson` in its directory, for people. Each line is a JSON object: `path`;
/// `value`, or `erased` when the node had erased it; `time_ms` since 1970; `principal`. A counter
/// has the number that was read there. The file is private, and on the disk when this returns;
/// one with the same number is replaced.
/// @param directory the data directory. @param number of the incarnation that goes on.
/// @returns the name of the file; or storage_failure, then no such file is new.
result<std::string> write_unsent(const std::string& directory, std::uint64_t number,
                                 const context_tree& entries);

}  // namespace troupe
