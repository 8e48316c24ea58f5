"""Rules of the context at its bounds, of upkeep, and of what it tells people."""

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
    # -- settling, and what is kept of a transfer --------------------------------------------------
    Mutation("a settle is answered at its deadline", CONTEXT + "sync_manager_settle.cpp",
             "if (open.deadline_ms <= now_.steady_ms) late",
             "if (open.deadline_ms <= now_.steady_ms && false) late", UNIT),
    Mutation("what is in the log needs no checkpoint to settle",
             CONTEXT + "sync_manager_settle.cpp",
             "if (upto <= queue_.durable()) return {};", "if (upto == 0) return {};", UNIT),
    Mutation("what an earlier life has kept is let go when it is not needed for long",
             CONTEXT + "state_transfers.cpp", "*kept_ms_ + takes_at_most_ms < now_ms) {",
             "*kept_ms_ + takes_at_most_ms < now_ms && false) {", UNIT),
    Mutation("of a transfer that the disk has refused nothing more is kept",
             CONTEXT + "transfer_journal.cpp", "is_off_ = true;", "is_off_ = false;", UNIT),
    # -- the quarantine ----------------------------------------------------------------------------
    Mutation("only what writes have overwritten leaves the quarantine", STATE + "quarantine.cpp",
             "if (!std::ranges::all_of(each.contents, is_overwritten)) return false;",
             "if (!std::ranges::all_of(each.contents, is_overwritten) && false) return false;",
             UNIT),
    Mutation("that the quarantine is cleared is answered when it is stored",
             CONTEXT + "sync_manager.cpp",
             "waiting_.add(queue_.added(), waiting_write{request, std::move(written)});",
             "waiting_.add(queue_.durable(), waiting_write{request, std::move(written)});", UNIT),
    # -- what is told ------------------------------------------------------------------------------
    Mutation("a node that is overruled says why", CONTEXT + "sync_manager_leases.cpp",
             "return is_gone ? ", "return is_gone || true ? ", UNIT),
    Mutation("what is being given up is named", CONTEXT + "sync_manager_rests.cpp",
             "|| !gives_up(node)) continue;", "|| gives_up(node)) continue;", UNIT),
]
