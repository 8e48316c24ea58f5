#pragma once

// Messages of the context subsystem that never leave the process, and their type ids.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <caf/typed_actor.hpp>

#include <troupe/actors/context/commit_queue.hpp>
#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/store.hpp>
#include <troupe/actors/context/sync/sync_session.hpp>
#include <troupe/actors/context/sync_effects.hpp>
#include <troupe/actors/context/writes.hpp>
#include <troupe/actors/kernel/type_ids.hpp>
#include <troupe/actors/links/local_types.hpp>
#include <troupe/messages/context_requests.hpp>

namespace troupe {

/// Asks the store to make changes durable, all or none.
struct append_commit {
  std::shared_ptr<const commit> what;
};
/// Asks the store for changes that a peer lacks.
struct read_batches {
  read_log wanted;
};
/// The answer to `read_batches`: in order, and empty when the log has none of them.
struct batches_read {
  std::vector<shared_batch> batches;
  /// What the log may lack now, when a damaged part was removed from it. Else null.
  std::shared_ptr<const processed_changes> base;
};
/// Asks the store to write the state that the next start begins with.
struct write_checkpoint {
  std::shared_ptr<const engine_state> state;
};

/// Asks the store to remove from the log what nobody needs of these changes.
struct trim_log {
  std::shared_ptr<const processed_changes> upto;
};
/// The answer to `trim_log`.
struct log_trimmed {
  bool more = false;                              ///< There is more to remove.
  std::shared_ptr<const processed_changes> base;  ///< What the log may lack now.
};

/// Has a replica take the next of what peers have said, after what has come from others meanwhile.
struct hear_next {};

/// Has the next start of the node correct its clock. See `context_store::correct_clock`.
struct want_clock_correction {};

/// Asks the store to begin anew, see `context_store::set_aside`.
struct set_state_aside {
  std::shared_ptr<const engine_state> state;
  version_vector overruled_by;
};
/// The answer: what a start finds then.
struct state_set_aside {
  std::uint64_t incarnation = 0;
  std::uint64_t clock_since = 0;
  std::shared_ptr<const saved_parts> saved;
};
/// Asks the store to keep entries in a file for people, see `write_unsent`.
struct keep_entries {
  context_tree entries;
};
/// The answer.
struct entries_kept {
  std::string file;
};

/// Asks the store to give back memory that it does not need.
struct give_back_store_memory {};

/// Asks the store to keep what has come of the state of a peer.
struct write_transfer {
  transfer_part part;
};
/// Asks the store for what it keeps of the state of a peer.
struct load_transfer {
  context_tree own;  ///< Of this node.
};
/// The answer.
struct transfer_loaded {
  std::optional<kept_transfer> kept;
};

/// Asks the store to check its next part, and to mend what is damaged; or only whether its files
/// are there. Answered by `scrubbed_part`.
struct check_store {
  bool only_files = false;
};

/// Tells a watcher of changes, in order. Changes of one event come together.
struct context_changed {
  std::vector<std::shared_ptr<const change_record>> changes;
};
/// A watcher of changes. It answers when it has handled them, so that the replica knows how far it
/// is behind.
using context_watcher = caf::typed_actor<caf::result<void>(context_changed)>;
/// Subscribes a watcher to every visible change at and below a path, from now on. Ends with the
/// watcher.
struct watch_context {
  path prefix;
  context_watcher watcher;
};

/// Asks for a snapshot of the state. It never changes and may be read on any thread.
struct take_snapshot {};
/// The answer to `take_snapshot`: the state at one time.
struct snapshot_taken {
  context_tree tree;
  version_vector vector;
  std::uint64_t values = 0;           ///< Paths that have a value for readers.
  std::uint64_t conflicts = 0;        ///< Paths with two or more siblings.
  std::uint64_t members = 1;          ///< Of the cluster.
  std::vector<std::string> problems;  ///< See `node_info::problems`.
};

/// Asks the replica to make everything durable and to write a checkpoint, as before a stop. See
/// `sync_manager::settle`.
struct settle_context {
  std::chrono::milliseconds time{60'000};  ///< The answer comes within this.
};

}  // namespace troupe

#define TROUPE_CONTEXT_TYPES(X)                     \
  X(troupe_context, troupe::write_values)           \
  X(troupe_context, troupe::values_written)         \
  X(troupe_context, troupe::append_commit)          \
  X(troupe_context, troupe::read_batches)           \
  X(troupe_context, troupe::batches_read)           \
  X(troupe_context, troupe::write_checkpoint)       \
  X(troupe_context, troupe::trim_log)               \
  X(troupe_context, troupe::log_trimmed)            \
  X(troupe_context, troupe::check_store)            \
  X(troupe_context, troupe::set_state_aside)        \
  X(troupe_context, troupe::state_set_aside)        \
  X(troupe_context, troupe::keep_entries)           \
  X(troupe_context, troupe::entries_kept)           \
  X(troupe_context, troupe::give_back_store_memory) \
  X(troupe_context, troupe::write_transfer)         \
  X(troupe_context, troupe::load_transfer)          \
  X(troupe_context, troupe::transfer_loaded)        \
  X(troupe_context, troupe::hear_next)              \
  X(troupe_context, troupe::want_clock_correction)  \
  X(troupe_context, troupe::scrubbed_part)          \
  X(troupe_context, troupe::context_changed)        \
  X(troupe_context, troupe::watch_context)          \
  X(troupe_context, troupe::take_snapshot)          \
  X(troupe_context, troupe::snapshot_taken)         \
  X(troupe_context, troupe::settle_context)

TROUPE_LOCAL_TYPES(troupe_context, 1260, TROUPE_CONTEXT_TYPES)
