"""Breaks the rules of the context one by one and sees the tests fail.

A test that cannot fail proves nothing. Each mutation changes a line of one source file; the file is
compiled alone and linked into the tests in the place of the sound one. The simulation must find
what concerns several replicas, the unit tests the rest. `make nightly` runs it; it takes about half
a minute for each mutation.
"""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import typing
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import SOURCE  # noqa: E402

BUILD = pathlib.Path(os.environ["TROUPE_BINARY"]).parents[1]
COMPILE_SECONDS = 300
RUN_SECONDS = 600
SEEDS = "300"
UNIT = ["unit-tests", "--source-file=*unit/context*"]
SIMULATION = ["simulation-tests", "--test-case=replicas hold*"]


class Mutation(typing.NamedTuple):
    """A rule, and the change of a file that breaks it."""
    rule: str
    file: str
    sound: str
    broken: str
    found_by: typing.List[str] = SIMULATION


STATE = "actors/context/state/"
CONTEXT = "actors/context/"
MUTATIONS = [
    # -- what lives --------------------------------------------------------------------------------
    Mutation("a write overwrites what its writer saw", STATE + "engine_state.cpp",
             "return names(record.observed, existing);", "return false;"),
    Mutation("a claim counts for the change with the same content only", STATE + "engine_state.cpp",
             "std::ranges::binary_search(changes, observed_change{write.dot, write.content})",
             "std::ranges::find(changes, write.dot, &observed_change::dot) != changes.end()",
             UNIT),
    Mutation("a write overwrites the earlier ones of its incarnation", STATE + "engine_state.cpp",
             "return record.operation != operation::increment ||",
             "return record.operation == operation::increment &&"),
    Mutation("an erasure of a subtree takes what its writer saw, and no more",
             STATE + "engine_state.cpp",
             "if (!names(changes, each)) kept.keep(each);", ""),
    # -- what waits --------------------------------------------------------------------------------
    Mutation("a change waits for those that it overwrote", STATE + "engine_waiting.cpp",
             "if (!has_arrived(seen)) return seen.dot;", ""),
    Mutation("a change waits for what it has counted", STATE + "engine_waiting.cpp",
             "if (source != incarnation_of(record.dot) && !has_arrived(last)) return last;",
             "if (source != incarnation_of(record.dot)) return last;", UNIT),
    Mutation("a change waits for earlier incarnations of its node", STATE + "engine_waiting.cpp",
             "last{at->origin, at->incarnation, at->seq}; !has_arrived(last)) return last;",
             "last{at->origin, at->incarnation, at->seq}; false) return last;"),
    Mutation("what waits without room is asked for all the same", STATE + "engine_waiting.cpp",
             "outcome.status == apply_status::buffered || has_room) awaited_.add",
             "outcome.status == apply_status::buffered) awaited_.add"),
    Mutation("a transaction that is open waits for nothing", STATE + "engine.cpp",
             "if (record.transaction.index > 0)\n    if (const auto awaited", "if (false)\n"
             "    if (const auto awaited", UNIT),
    Mutation("the changes of an incarnation are applied in order", STATE + "engine.cpp",
             "if (record.dot.seq > last_of(source) + 1) return buffer(std::move(record));", ""),
    Mutation("what waited is applied when it can be", STATE + "engine.cpp",
             "  awaited_.remove(source);\n  ready_.push_back(source);",
             "  awaited_.remove(source);",
             UNIT),
    Mutation("a known change is applied once", STATE + "engine.cpp",
             "if (processed_.covers(record.dot)) return apply_again(std::move(record));", ""),
    # -- ended incarnations ------------------------------------------------------------------------
    Mutation("an incarnation ends with the last change that the next one names",
             STATE + "processed_changes.cpp",
             "std::ranges::binary_search(ending, each); });",
             "each.origin == first.dot.origin; });", UNIT),
    Mutation("what goes on after its end is in the vector again", STATE + "processed_changes.cpp",
             "ends.erase(source.incarnation);\n    --remembered_;", "--remembered_;", UNIT),
    Mutation("the incarnation that runs does not end here", STATE + "processed_changes.cpp",
             "incarnation_of(each) != running_ &&", "", UNIT),
    Mutation("what a peer pulls is not guessed to be there", "actors/context/sync/sync_session.cpp",
             "is_pulled ? seq_at(theirs_, source) : peer_has(source)",
             "peer_has(source)"),
    Mutation("what no vector tells is pulled", STATE + "engine_waiting.cpp",
             "all.push_back({id.origin, id.incarnation, next, last});", ""),
    # -- transactions ------------------------------------------------------------------------------
    Mutation("a transaction is seen as a whole", STATE + "engine.cpp",
             "if (place.count == 1) {", "if (true) {"),
    Mutation("a checkpoint holds no part of a transaction", STATE + "engine_state.cpp",
             "applied.lower(transactions_.firsts());", ""),
    Mutation("an overwritten part of a transaction has not arrived", STATE + "engine_waiting.cpp",
             "return !part || part->content != seen.content;", "return true;", UNIT),
    Mutation("open transactions are bounded", STATE + "open_transactions.cpp",
             "if (announced_ + weight <= max_weight_ || open_.empty()) return true;",
             "return true;", UNIT),
    Mutation("what was written together is stored together", "actors/context/commit_queue.cpp",
             "if (next->changes > 0 && (!fits || group.adopted",
             "if (next->changes >= limits_.max_batch && (!fits || group.adopted", UNIT),
    # -- counters ----------------------------------------------------------------------------------
    Mutation("what a put has seen of a counter is gone", STATE + "counter.cpp",
             "wide{part.amount} - seen->amount", "wide{part.amount}"),
    Mutation("a folded sum holds those of earlier incarnations", STATE + "counter.cpp",
             "        merged.pop_back();", "        break;"),
    Mutation("a counter folds only what all members have", STATE + "counter.cpp",
             "(stable && is_over(part, *stable))", "is_over(part, processed)", UNIT),
    Mutation("an incarnation goes on from its own sum", STATE + "engine_writes.cpp",
             "{own_, record.dot.seq, own_amount(seen) + *record.new_value.as_integer()}",
             "{own_, record.dot.seq, *record.new_value.as_integer()}"),
    Mutation("a write over a counter carries on what was seen of it", STATE + "engine_writes.cpp",
             "if (has_counts(seen)) record.counts.bytes = pack_counts(counts_in(seen));", ""),
    # -- resolution and time -----------------------------------------------------------------------
    Mutation("of concurrent writes the later one counts", STATE + "strategies.cpp",
             "< std::tie(remote.timestamp, remote.dot) ? remote",
             "< std::tie(remote.timestamp, remote.dot) ? local"),
    Mutation("timestamps of one node never go back", STATE + "clock.cpp",
             "return std::max(timestamp{last_.ticks + 1}, timestamp::from_parts(now_ms, 0));",
             "return timestamp::from_parts(now_ms, 0);", UNIT),
    Mutation("a wrong clock does not drag others along", STATE + "clock.cpp",
             "if (seen.milliseconds() <= wall_ms + max_skew_ms)", "if (wall_ms > 0)", UNIT),
    # -- peers that lie ----------------------------------------------------------------------------
    Mutation("nobody else makes changes of this incarnation", STATE + "engine.cpp",
             "if (source == own_) return apply_own(record);", ""),
    Mutation("two changes under one dot are found", STATE + "engine.cpp",
             "if (!known || *known == content) return duplicate;", "return duplicate;", UNIT),
    Mutation("the quarantine is bounded", STATE + "engine_bounds.cpp",
             "return quarantine_.size() < limits_.max_quarantine &&", "return true ||", UNIT),
    Mutation("one node does not take all room at a path", STATE + "engine_bounds.cpp",
             "static_cast<std::size_t>(of_node) > limits_.max_siblings_of_node;", "false;", UNIT),
    Mutation("what a small batch stands for is bounded", "actors/context/sync/batch_body.cpp",
             "const bool fits = weight <= room_;", "const bool fits = true;", UNIT),
    Mutation("one origin does not fill the buffer for all", STATE + "reorder_buffer.cpp",
             "return has.records < max_records_ / origins &&", "return false &&", UNIT),
    Mutation("only the system writes below /_sys", STATE + "record_rules.cpp",
             "if (record.principal != system_principal &&", "if (record.principal.empty() &&",
             UNIT),
    # -- the disk ----------------------------------------------------------------------------------
    Mutation("a durable write is answered when it is stored", "actors/context/sync_manager.cpp",
             "if (written && wanted.durability != durability::memory) {", "if (false) {"),
    Mutation("members that have a write are waited for", "actors/context/sync_manager.cpp",
             "if (ready.level > durability::durable)", "if (false)"),
    Mutation("a majority is more than half", "actors/context/member_waits.cpp",
             "known.count() / 2 :", "(known.count() - 1) / 2 :", UNIT),
    Mutation("nobody makes another node a member", "actors/context/sync/members.cpp",
             "each.operation == operation::put && each.dot.origin == node;",
             "each.operation == operation::put;", UNIT),
    Mutation("what a push brought is stored before it is acknowledged",
             "actors/context/sync_manager_peers.cpp",
             "waiting_.add(queue_.added(), waiting_push{peer, effect.push});",
             "serve(*new waiting_push{peer, effect.push});", UNIT),
    Mutation("a batch is stored as it came only where it goes on from the log",
             "actors/context/sync_manager_peers.cpp", "stored + 1 == batch->first()", "true"),
    Mutation("what is let go is stored in the order in which it was taken",
             "actors/context/sync_manager_peers.cpp",
             "store(outcome.status == apply_status::applied ? id.seq : before);",
             "store(std::min(id.seq, taken()));", UNIT),
    Mutation("a node says of others what it has stored", "actors/context/sync/sync_session.cpp",
             "  return {view_.committed().vector(),\n          view_.root(),\n"
             "          processed_,", "  return {theirs_,\n          view_.root(),\n"
             "          processed_,"),
    Mutation("what lies in the log is checked", "actors/context/store/change_log_read.cpp",
             "const bool is_sound = batch &&", "const bool is_sound = batch ||", UNIT),
    Mutation("the log is read in the order in which it was written",
             "actors/context/store/change_log.cpp",
             '"WHERE number BETWEEN ? AND ? ORDER BY number"',
             '"WHERE number BETWEEN ? AND ? ORDER BY incarnation"', UNIT),
    Mutation("a change in the log is not replaced", "actors/context/store/change_log.cpp",
             "if (is_checked && record !=", "if (false && record !=", UNIT),
    # -- whole states ------------------------------------------------------------------------------
    Mutation("what lives here and has been overwritten there goes", STATE + "engine_join.cpp",
             "else if (!theirs_.covers(each.dot))", "else if (true)"),
    Mutation("what nobody there knows stays", STATE + "engine_join.cpp",
             "else if (!theirs_.covers(each.dot))", "else if (false)"),
    Mutation("what is known and lives here no more is not taken", STATE + "engine_join.cpp",
             "if (!find(mine, each.dot) && !ours_.covers(each.dot)) {",
             "if (!find(mine, each.dot)) {"),
    Mutation("of an open transaction nothing is known yet", STATE + "engine_join.cpp",
             "const auto ours = applied();", "const auto ours = processed_;"),
    Mutation("what waits for what has come with a state goes on", STATE + "engine_join.cpp",
             "  all_arrived();\n  return outcome;", "  return outcome;", UNIT),
    Mutation("a state that was joined is stored before what follows it",
             "actors/context/commit_queue.cpp", "next->adopted = std::move(group.adopted);", ""),
    Mutation("what came with a state is claimed once it is stored",
             "actors/context/sync_manager.cpp",
             "--adopting_;\n    add_committed(*done->adopted);", "--adopting_;"),
    Mutation("a state is offered once it is stored", "actors/context/sync_manager_state.cpp",
             "waiting_.add(queue_.added(),\n                 waiting_offer",
             "waiting_.add(queue_.durable(),\n                 waiting_offer"),
    Mutation("a state is what was announced", "actors/context/sync/state_pull.cpp",
             "if (sum_of(tree_, from, to) != range_sum{range.count, range.hash})", "if (false)",
             UNIT),
    Mutation("what the log lacks is asked for as a whole", "actors/context/sync/sync_session.cpp",
             "const bool lacks = !view_.committed().covers(their_base_);",
             "const bool lacks = false;"),
    # -- collection --------------------------------------------------------------------------------
    Mutation("the log keeps what a member lacks", "actors/context/log_collection.cpp",
             "!known.all_have(awaited_->vector(), mine)", "false", UNIT),
    Mutation("the log keeps what no checkpoint has", "actors/context/store/store.cpp",
             "std::min(checkpoints.replay_from(), first_recent)", "first_recent", UNIT),
    Mutation("the log keeps what is not to be collected",
             "actors/context/store/change_log_collect.cpp",
             "if (!upto.covers(dot{source->origin, source->incarnation, last})) break;", "", UNIT),
    Mutation("a tombstone stays while a member lacks it", "actors/context/stable_cut.cpp",
             "committed.covers(mark_->vector()) && known.all_have(mark_->vector(), *mark_);",
             "committed.covers(mark_->vector());"),
    Mutation("a tombstone stays while a write that did not know of it may come",
             "actors/context/stable_cut.cpp",
             "if (!needed_ || !engine.applied().covers(*needed_)) return;",
             "if (!needed_) return;", UNIT),
    Mutation("a tombstone stays while a member does not know that all have it",
             "actors/context/stable_cut.cpp",
             "if (!known.all_know_stable(swept_->vector(), *swept_)) return 0;", "", UNIT),
    Mutation("a write replaces a tombstone that its writer may have collected",
             STATE + "engine_state.cpp", "const bool was_collected = may_be_collected(before) &&",
             "const bool was_collected = false &&", UNIT),
    Mutation("a tombstone that others compete with stays", STATE + "tree/sibling.cpp",
             "return siblings.size() == 1 && siblings[0].is_tombstone()",
             "return siblings[0].is_tombstone()", UNIT),
    Mutation("a tombstone that counts stays", STATE + "tree/sibling.cpp",
             "siblings[0].is_tombstone() && siblings[0].counts.empty();",
             "siblings[0].is_tombstone();", UNIT),
    Mutation("an acknowledgement does not stand for all that a member has",
             "actors/context/sync/members.cpp", "holds(known->second.whole);",
             "holds({node, 0, known->second.committed, known->second.whole.stable});", UNIT),
    Mutation("no tombstone goes before the members are known", "actors/context/stable_cut.cpp",
             "now_ms < next_mark_ms_ || !is_current ||", "now_ms < next_mark_ms_ ||", UNIT),
    Mutation("what goes on after its end is pushed though its beginning has left the log",
             "actors/context/sync/sync_session.cpp",
             "if (goes_on_beside_later(source)) has =", "if (false) has =", UNIT),
    Mutation("the base of the log is what it lacks, and no more",
             "actors/context/store/change_log_collect.cpp",
             "base.join(part_of(upto, oldest.removed));", "base.join(upto);", UNIT),
    # -- the tree ----------------------------------------------------------------------------------
    # -- damage ------------------------------------------------------------------------------------
    Mutation("a restoration needs what the log may lack", "actors/context/restoration.cpp",
             "return !saved_->knows_base || state.covers(saved_->base.vector());",
             "return true;"),
    Mutation("a restoration adds what the own log has", "actors/context/restoration.cpp",
             "if (processed.covers(last) || blocked_", "if (true || blocked_"),
    Mutation("a guessed base takes the state of a member only", "actors/context/restoration.cpp",
             "if (saved_->knows_base || saved_", "if (true || saved_", UNIT),
    Mutation("no checkpoint is written of a state that is being restored",
             "actors/context/sync_manager.cpp",
             "if (restoring_ || leaving_ != leaving::no ||", "if (leaving_ != leaving::no ||",
             UNIT),
    Mutation("nothing is read that may be missing", "actors/context/sync_manager_restore.cpp",
             "if (!restoring_ || salvaged) return std::nullopt;", "return std::nullopt;", UNIT),
    Mutation("nothing is written to what is being restored",
             "actors/context/sync_manager_restore.cpp",
             "if (!restoring_) return std::nullopt;\n  return error{error_code::unavailable,",
             "return std::nullopt;\n  return error{error_code::unavailable,", UNIT),
    Mutation("half a transaction is not salvaged", "actors/context/store/salvage.cpp",
             "if (fits && !is_complete) return {};", "", UNIT),
    Mutation("what only the checkpoint has becomes the base of a salvaged log",
             "actors/context/store/salvage.cpp",
             "if (*last < each.seq) base.raise({each.origin, each.incarnation, each.seq});", "",
             UNIT),
    Mutation("a bad frame is damage when commits follow it", "actors/context/store/wal_check.cpp",
             "if (ends_commit(frame)) ++commits_behind_;", "", UNIT),
    Mutation("a lost database is not begun anew", "actors/context/store/store.cpp",
             "if (has_lost_database(files, id)) return fail(database_is_missing(files, id));", "",
             UNIT),
    Mutation("a scrub mends rows that differ", "actors/context/store/checkpoint_table.cpp",
             "if (!is_right) wrong.push_back(key);", "", UNIT),
    Mutation("a corrected clock forgets earlier times", STATE + "engine.cpp",
             "return id.incarnation < clock_since_ || clock_.resume(given, now_ms);",
             "return clock_.resume(given, now_ms);", UNIT),
    Mutation("hashes cover every write", STATE + "tree/sibling.cpp",
             ".number(each.timestamp.ticks)\n        .number(static_cast", ".number(static_cast",
             UNIT),
    # -- members that are forgotten ----------------------------------------------------------------
    Mutation("a mark is made anew when a member is forgotten", CONTEXT + "stable_cut.cpp",
             "if (known.departures() != departures_) {", "if (false) {", UNIT),
    Mutation("a forgotten node pushes nothing before it has begun anew",
             CONTEXT + "sync/sync_session_push.cpp", "if (!may_push()) return;", "", UNIT),
    Mutation("a forgotten node gives no state", CONTEXT + "sync_manager_state.cpp",
             "if (restoring_ || !peers_.find(peer)->may_push()) return;", "", UNIT),
    Mutation("a node that becomes forgotten loses its link", CONTEXT + "sync_manager_leases.cpp",
             "if (!is_kept_out(peer)) return;", "return;", UNIT),
    Mutation("a forgotten node takes no writes", CONTEXT + "sync_manager_restore.cpp",
             "if (is_forgotten() || (restoring_ && restoring_->is_forgotten()))", "if (false)",
             UNIT),
    Mutation("a node begins anew when all is stored", CONTEXT + "sync_manager_leases.cpp",
             "queue_.is_idle() && queue_.health();", "queue_.health();"),
    Mutation("what only the old state had is kept", CONTEXT + "restoration.cpp",
             "if (!processed.covers(each.dot)) lacking.push_back(each);", ""),
    Mutation("it is kept before the new state is stored", CONTEXT + "sync_manager_state.cpp",
             "if (waits_to_adopt()) return go_on();", ""),
    Mutation("only more than half of the members forgets", CONTEXT + "sync/leases.cpp",
             "if (2 * here.size() <= count ||", "if (", UNIT),
    Mutation("one member decides that a lease has ended", CONTEXT + "sync/leases.cpp",
             "|| here.front() != self) return false;", ") return false;", UNIT),
    Mutation("who has joined since a member went away does not decide on it",
             CONTEXT + "sync/leases.cpp",
             "if (known.since_ms(node) > went_away) continue;", "", UNIT),
    Mutation("a sight that is passed around does not become later",
             CONTEXT + "sync/leases.cpp", "at > at_ms + slack", "at > at_ms", UNIT),
    Mutation("the state of a peer is not taken that is forgotten meanwhile",
             CONTEXT + "sync_manager_state.cpp", "if (!pull || is_kept_out(peer)) return;",
             "if (!pull) return;", UNIT),
    Mutation("a member that joins again is not counted with what it said before",
             CONTEXT + "sync/members.cpp",
             "return before.contains(each.first) && !nodes_.contains(each.first);",
             "return false;", UNIT),
    # -- heads -------------------------------------------------------------------------------------
    Mutation("heads differ from such as the peer has", CONTEXT + "sync/heads_exchange.cpp",
             "const auto before = find(sent_, has_);",
             "const auto before = find(sent_, latest_sent_ - 1);", UNIT),
    Mutation("what has gone from a vector is said", CONTEXT + "sync/heads_exchange.cpp",
             "if (seq_at(now, incarnation_of(each)) == 0) gone.push_back(incarnation_of(each));",
             "", UNIT),
    Mutation("heads that were overtaken are not used", CONTEXT + "sync/heads_exchange.cpp",
             "if (said.number <= latest_heard_ && said.number > 0) return nullptr;", "", UNIT),
    Mutation("a node that has just started forgets nobody", CONTEXT + "sync/leases.cpp",
             "if (listens_yet || known", "if (known", UNIT),
]


def commands():
    """The compile command of each source file."""
    known = json.loads((BUILD / "compile_commands.json").read_text())
    return {os.path.realpath(each["file"]): each for each in known}


def link_command(program):
    out = subprocess.run(["ninja", "-C", str(BUILD), "-t", "commands", program], check=True,
                         capture_output=True, text=True, timeout=60).stdout
    return out.strip().splitlines()[-1]


class MutationTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.commands = commands()
        place = tempfile.TemporaryDirectory()
        cls.addClassCleanup(place.cleanup)
        cls.place = pathlib.Path(place.name)

    def run_command(self, command, seconds):
        return subprocess.run(command, shell=True, cwd=BUILD, capture_output=True, text=True,
                              timeout=seconds)

    def compile(self, file, text):
        """Compiles a text in the place of a source file. Returns the object file."""
        known = self.commands[os.path.realpath(SOURCE / file)]
        source, made = self.place / "mutated.cpp", self.place / "mutated.o"
        source.write_text(text)
        words = shlex.split(known["command"])
        words[words.index("-o") + 1] = str(made)
        words[words.index("-c") + 1] = str(source)
        done = self.run_command(shlex.join(words), COMPILE_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return made

    def outcome(self, found_by, made):
        """Runs tests with an object file in the place of the sound one. Returns the exit code."""
        program = self.place / found_by[0]
        command = link_command(found_by[0])
        sound = f"-o bin/{found_by[0]} "
        self.assertIn(sound, command)
        command = command.replace(sound, f"-o {program} {made} ")
        done = self.run_command(command, COMPILE_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        environment = dict(os.environ, TROUPE_SEEDS=SEEDS)
        try:
            return subprocess.run([str(program)] + found_by[1:], cwd=self.place, env=environment,
                                  timeout=RUN_SECONDS, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL).returncode
        except subprocess.TimeoutExpired:
            return "it never ends"

    def test_the_sound_source_passes(self):
        for found_by in (SIMULATION, UNIT):
            text = (SOURCE / STATE / "engine.cpp").read_text()
            self.assertEqual(self.outcome(found_by, self.compile(STATE + "engine.cpp", text)), 0)

    def test_each_broken_rule_is_found(self):
        for each in MUTATIONS:
            with self.subTest(each.rule):
                text = (SOURCE / each.file).read_text()
                self.assertEqual(text.count(each.sound), 1, "the mutation does not fit the source")
                made = self.compile(each.file, text.replace(each.sound, each.broken))
                self.assertNotEqual(self.outcome(each.found_by, made), 0)
                print(f"found: {each.rule}", flush=True)


if __name__ == "__main__":
    unittest.main()
