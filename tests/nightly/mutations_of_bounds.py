"""Rules of the context at its bounds, and of what it tells people."""

from mutation import ACTOR, CONTEXT, STATE, UNIT, Mutation

BOUNDS = [
    # -- bounds ------------------------------------------------------------------------------------
    Mutation("a transfer takes so long at most", CONTEXT + "state_transfers.cpp",
             " || taken_->begun_ms + takes_at_most_ms < now_ms) {", ") {", UNIT),
    Mutation("a peer offers so many states at most", CONTEXT + "sync/state_pull.cpp",
             "if (++offers_ > max_offers) return", "if (++offers_ > max_offers && false) return",
             UNIT),
    Mutation("what leaves the quarantine makes room in bytes", STATE + "quarantine.cpp",
             "    quarantine_weight_ -= each.weight();\n", "", UNIT),
    Mutation("nothing is had by all where members cannot be counted",
             CONTEXT + "sync/members.cpp", "  if (are_too_many()) return false;\n", "", UNIT),
    Mutation("a peer is told of so many declined incarnations at most",
             CONTEXT + "sync/sync_session.cpp", "if (declined_.size() < max_declined) declined_",
             "declined_", UNIT),
    Mutation("settling is answered before its time is over", CONTEXT + "replica.cpp",
             "std::max(wanted.time - interval, ", "std::max(wanted.time, ", ACTOR),
    # -- what is told ------------------------------------------------------------------------------
    Mutation("a node that is overruled says why", CONTEXT + "sync_manager_leases.cpp",
             "return is_gone ? ", "return is_gone || true ? ", UNIT),
    Mutation("what is being given up is named", CONTEXT + "sync_manager_rests.cpp",
             "|| !gives_up(node)) continue;", "|| gives_up(node)) continue;", UNIT),
]
