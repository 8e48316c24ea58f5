#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <troupe/actors/context/commit_queue.hpp>
#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/sync/sync_session.hpp>
#include <troupe/actors/context/sync_ids.hpp>
#include <troupe/actors/context/transfer_journal.hpp>
#include <troupe/actors/context/writes.hpp>
#include <troupe/messages/logging.hpp>

// What a `sync_manager` asks its owner to do.

namespace troupe {

/// Changes in the order in which they became part of the state.
using change_list = std::vector<std::shared_ptr<const change_record>>;

// -- disk -----------------------------------------------------------------------------------------

/// Append these changes to the log, all or none. Then report `stored` or `disk_refused`.
struct append_batch {
  std::shared_ptr<const commit> what;
};
/// Read the log for a peer. Then report `log_read`.
struct read_peer_log {
  peer_id peer;
  read_log wanted;
};
/// Read this node's own log. Then report `own_log_read`.
struct read_own_log {
  read_log wanted;
};
/// Write this state as the checkpoint that the next start begins with. Then report
/// `checkpoint_written` or `checkpoint_failed`.
struct save_checkpoint {
  checkpoint_id id;
  std::shared_ptr<const engine_state> state;
};

/// Remove from the log what all members have: changes in here, as far as the latest checkpoint has
/// them and the history that is kept does not begin with them. Then report `log_collected`.
struct collect_log {
  std::shared_ptr<const processed_changes> upto;
};

/// Others have overruled this node: they have forgotten it, or given up a transaction that counts
/// here. Let it begin anew. Keep this state as the old one, see
/// `context_store::set_aside`, and begin an incarnation. Then call `retire`, and go on with a new
/// manager, as after a start. Or report `set_aside_failed`.
struct begin_anew {
  std::shared_ptr<const engine_state> state;
  version_vector overruled_by;  ///< The changes that say so.
};
/// Keep these values and erasures of the old state, which are part of the new one no more, in a
/// file for people. Then report `kept_aside`.
struct keep_aside {
  context_tree entries;
};

/// Do this to the file of what has come of the state of a peer. Then report `transfer_kept`.
struct keep_transfer {
  transfer_part part;
};
/// Look for what an earlier life of this node has kept of the state of a peer. Then report
/// `transfer_found`.
struct find_transfer {
  context_tree own;  ///< See `kept_transfer`.
};

/// Check the next part of the store, and mend what is damaged; or only whether its files are there.
/// Then report `scrubbed`.
struct scrub_store {
  bool only_files = false;
};

/// What a `scrub_store` has done.
struct scrubbed_part {
  bool is_done = false;  ///< The whole store has been checked.
  std::uint64_t mended = 0;
  bool needs_checkpoint = false;                  ///< See `scrub_step`.
  std::shared_ptr<const processed_changes> base;  ///< What the log may lack now; or null.
};

/// What a `collect_log` has done.
struct collected_log {
  bool more = false;                              ///< There is more to do now.
  std::shared_ptr<const processed_changes> base;  ///< What the log may lack now.
};

// -- peers ----------------------------------------------------------------------------------------

/// Send this to the peer. Report `send_failed` when its link refuses.
struct send_to_peer {
  peer_id peer;
  sync_message message;
};
/// Close the link. The manager has forgotten the peer already.
struct close_peer {
  peer_id peer;
  std::string reason;
};

/// Give memory that was freed back to the system: much of it may be, and nothing waits.
struct give_back_memory {};

// -- requests and watchers ------------------------------------------------------------------------

/// Answer a `write`: with the ids of its changes, or with the reason why it is refused.
struct answer_write {
  context_request request;
  result<values_written> outcome;
};
/// Answer a `settle`: everything is durable and checkpointed, or why not.
struct answer_settle {
  context_request request;
  result<void> outcome;
};
/// Tell the watcher. Then report `watcher_answered` with the number of changes.
struct tell_watcher {
  watcher_id watcher;
  change_list changes;
};
/// End the watcher with this error. The manager has forgotten it already.
struct end_watcher {
  watcher_id watcher;
  error reason;
};

// -- log ------------------------------------------------------------------------------------------

/// Text in a log line that this node did not write itself: it is quoted and escaped.
struct foreign_text {
  std::string text;
  std::size_t max_bytes = 4096;
};

/// One `name=value` of a log line. A plain string is this node's own: an id, a hash, a number in
/// another base.
struct sync_log_field {
  std::string_view name;
  std::variant<std::uint64_t, std::string, foreign_text> content;
};

/// Write a line to the log.
struct sync_log_line {
  log_severity severity;
  std::string_view event;  ///< The stable id, a literal.
  std::vector<sync_log_field> fields;
};

/// What the owner of a manager has to do, in order.
using sync_effect =
    std::variant<append_batch, read_peer_log, read_own_log, save_checkpoint, collect_log,
                 scrub_store, begin_anew, keep_aside, keep_transfer, find_transfer,
                 give_back_memory, send_to_peer, close_peer, answer_write, answer_settle,
                 tell_watcher, end_watcher, sync_log_line>;

}  // namespace troupe
