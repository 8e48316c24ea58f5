#pragma once

#include <chrono>
#include <cstdint>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/store.hpp>
#include <troupe/runtime/config.hpp>

namespace troupe {

/// The context of a node as its data directory has it.
struct recovered_context {
  context_store store;
  context_engine engine;
  store_identity identity;
  std::uint64_t incarnation = 0;            ///< Of this start of the node.
  std::uint64_t replayed = 0;               ///< Changes that no checkpoint holds.
  processed_changes log_base;               ///< See `context_store::log_base`.
  std::chrono::milliseconds check_took{0};  ///< See `context_store::check_took`.
};

/// Opens the store in the data directory, begins an incarnation and replays the log. Locks the
/// directory. Fails when it belongs to another cluster, another node uses it, or it is damaged.
result<recovered_context> recover_context(const config& settings);

/// The id that the name of a cluster stands for.
cluster_id cluster_of(const std::string& name);

}  // namespace troupe
