#pragma once

#include <filesystem>

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/clock.hpp>
#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/messages/audit.hpp>

namespace troupe {

/// Keeps the audit trail: which principals were allowed or denied what, and which capabilities they
/// got and lost. Appends JSON lines to `audit.jsonl` and keeps the newest records in memory for
/// searches. Cuts texts at 1 KiB. Runs on a thread of its own because it writes to disk.
using audit_actor = caf::typed_actor<
    // Adds a record, with the time of now when it has none. Answered with an error when it cannot
    // be written.
    caf::result<void>(audit_record),
    // The newest records that match, newest first.
    caf::result<audit_list>(search_audit),
    // `audit.search` over links.
    caf::result<payload>(service_call), caf::result<void>(service_notification)>;

/// The place and the size of the trail. The directory exists before the actor starts.
struct audit_setup {
  std::filesystem::path directory;
  std::size_t max_file_bytes = std::size_t{8} << 20;  ///< A larger file replaces `audit.1.jsonl`.
  std::size_t max_in_memory = 1000;                   ///< The newest records.
  log_target log;
  wall_clock clock = system_wall_clock();
};

/// Starts the trail on a thread of its own and loads the records on disk. The holder of the handle
/// ends it. Never fails: when the directory cannot be written, each record is answered with that
/// error.
audit_actor spawn_audit(caf::actor_system& system, audit_setup setup);

/// The audit trail of a node.
child_spec audit_child(caf::actor_system& system, audit_setup setup,
                       on_started<audit_actor> started);

}  // namespace troupe
