#pragma once

// Messages of the context subsystem that never leave the process, and their type ids.

#include <functional>
#include <memory>
#include <vector>

#include <caf/typed_actor.hpp>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/sync/push_batch.hpp>
#include <troupe/actors/context/writes.hpp>
#include <troupe/actors/kernel/type_ids.hpp>
#include <troupe/actors/links/local_types.hpp>
#include <troupe/messages/context_requests.hpp>

namespace troupe {

/// Asks the store to make changes durable, all or none.
struct append_records {
  std::shared_ptr<const std::vector<encoded_record>> records;
};
/// Asks the store for changes of one run, from `first` on, at least one and at most about
/// `max_bytes`.
struct read_records {
  incarnation_id run;
  std::uint64_t first = 0;
  std::size_t max_bytes = 0;
};
struct records_read {
  std::vector<encoded_record> records;
};
/// Asks the store to make a state what the next start begins with.
struct write_checkpoint {
  std::shared_ptr<const engine_state> state;
};

/// Changes that have become part of the state together, in order, told to watchers.
struct context_changed {
  std::vector<std::shared_ptr<const change_record>> changes;
};
/// Told of changes; its answers are how the replica knows that it keeps up.
using context_watcher = caf::typed_actor<caf::result<void>(context_changed)>;
/// Asks to be told of every change at and below a path, from now on. Ends with the watcher.
struct watch_context {
  path prefix;
  context_watcher watcher;
};

/// Asks for the state as it is now. The answer is a snapshot: it never changes and may be read on
/// any thread.
struct take_snapshot {};
struct snapshot_taken {
  context_tree tree;
  version_vector vector;
  std::uint64_t values = 0;     ///< Paths that have a value for readers.
  std::uint64_t conflicts = 0;  ///< Paths with two or more siblings.
};

/// Asks for all to be durable and checkpointed, as at the end.
struct settle_context {};

}  // namespace troupe

#define TROUPE_CONTEXT_TYPES(X)               \
  X(troupe_context, troupe::write_values)     \
  X(troupe_context, troupe::values_written)   \
  X(troupe_context, troupe::append_records)   \
  X(troupe_context, troupe::read_records)     \
  X(troupe_context, troupe::records_read)     \
  X(troupe_context, troupe::write_checkpoint) \
  X(troupe_context, troupe::context_changed)  \
  X(troupe_context, troupe::watch_context)    \
  X(troupe_context, troupe::take_snapshot)    \
  X(troupe_context, troupe::snapshot_taken)   \
  X(troupe_context, troupe::settle_context)

TROUPE_LOCAL_TYPES(troupe_context, 1260, TROUPE_CONTEXT_TYPES)
