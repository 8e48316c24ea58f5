#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <troupe/actors/context/restoration.hpp>
#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/store.hpp>
#include <troupe/runtime/config.hpp>
#include <troupe/runtime/node_lock.hpp>

namespace troupe {

/// The context of a node as its data directory has it.
struct recovered_context {
  node_lock alone;
  context_store store;
  context_engine engine;
  store_identity identity;
  std::uint64_t incarnation = 0;             ///< Of this start of the node.
  std::uint64_t replayed = 0;                ///< Changes that no checkpoint holds.
  processed_changes log_base;                ///< See `context_store::log_base`.
  std::vector<store_note> notes;             ///< What was damaged.
  std::shared_ptr<const saved_parts> saved;  ///< When the checkpoint is lost; else null.
};

/// Opens the store in the data directory, begins an incarnation and replays the log. Locks the
/// directory. Corrects the clock if an operator has asked for that.
///
/// When the store is damaged, it tries in this order, until one succeeds:
/// 1. What a salvage makes of it, if nothing is known to be missing there.
/// 2. The steps of the host, `config::recovery`. After each that succeeds, the store is opened
/// again.
///    When commits are lost in the write-ahead file, they come first.
/// 3. What the salvage makes of it all the same. What is missing comes from other members. Without
///    a state to go on from, the node is read-only until one of them gives it.
///
/// Fails when the directory belongs to another cluster, another node uses it, it is a copy of that
/// of a node that runs, it has lost its database, or not even the node that a damaged one belongs
/// to can be read.
result<recovered_context> recover_context(const config& settings);

/// The id that the name of a cluster stands for.
cluster_id cluster_of(const std::string& name);

}  // namespace troupe
