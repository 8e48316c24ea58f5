#pragma once

#include <filesystem>

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/clock.hpp>
#include <troupe/actors/kernel/log.hpp>
#include <troupe/actors/kernel/supervision.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/messages/audit.hpp>

namespace troupe {

/// Keeps the audit trail: who was allowed, denied, given or deprived of what. Appends JSON lines to
/// `audit.jsonl` and keeps the newest in memory for searches; longer texts than 1 KiB are cut. Runs
/// on a thread of its own because it writes to disk.
using audit_actor = caf::typed_actor<
    // Adds a record; stamped with the time when it has none. Answered with an error when it cannot
    // be written.
    caf::result<void>(audit_record),
    // The newest records that match, newest first.
    caf::result<audit_list>(search_audit),
    // `audit.search` over links.
    caf::result<payload>(service_call), caf::result<void>(service_notification)>;

/// Where the trail is kept and how much of it. The directory exists before the actor is started.
struct audit_setup {
  std::filesystem::path directory;
  std::size_t max_file_bytes =
      std::size_t{8} << 20;  ///< Then the file becomes `audit.1.jsonl`, whose predecessor goes.
  std::size_t max_in_memory = 1000;  ///< The oldest go first.
  log_target log;
  wall_clock clock = system_wall_clock();
};

/// Starts the trail on a thread of its own, with what an earlier run has left. Whoever holds the
/// handle ends it. Never fails: a directory that cannot be written is the answer to each record.
audit_actor spawn_audit(caf::actor_system& system, audit_setup setup);

/// The audit trail of a node.
child_spec audit_child(caf::actor_system& system, audit_setup setup,
                       on_started<audit_actor> started);

}  // namespace troupe
