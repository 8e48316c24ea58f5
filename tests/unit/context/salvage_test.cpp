#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/actors/context/store/salvage.hpp>
#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// The state of a replica that has these changes.
engine_state state_of(const std::vector<change_record>& records) {
  context_engine engine{node(50), 1};
  for (const auto& each : records)
    REQUIRE(engine.apply(each, noon).status == apply_status::applied);
  return engine.state();
}

/// Changes of the first incarnation of a node, each of a path of its own.
std::vector<change_record> changes_at(unsigned origin, std::uint64_t first, std::uint64_t last) {
  std::vector<change_record> records;
  for (auto seq = first; seq <= last; ++seq)
    records.push_back(put({node(origin), 1, seq},
                          "/n" + std::to_string(origin) + "/" + std::to_string(seq), seq));
  return records;
}

void append_rows(context_store& store, const std::vector<change_record>& records) {
  for (const auto& each : records) REQUIRE(append(store, {each}));
}

std::vector<change_record> operator+(std::vector<change_record> a,
                                     const std::vector<change_record>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The first changes of the first incarnations of nodes 2 and 3.
processed_changes upto(std::uint64_t of_2, std::uint64_t of_3 = 0) {
  processed_changes all;
  if (of_2 > 0) all.raise({node(2), 1, of_2});
  if (of_3 > 0) all.raise({node(3), 1, of_3});
  return all;
}

/// A store with rows of its own: 1 to 4 of node 2 and 5 to 6 of node 3 are in the checkpoint, 7 to
/// 9 of node 2 and 10 to 11 of node 3 are behind it.
struct damaged_fixture {
  temporary_directory where;
  const std::vector<change_record> early = changes_at(2, 1, 4) + changes_at(3, 1, 2),
                                   late = changes_at(2, 5, 7) + changes_at(3, 3, 4);

  damaged_fixture() {
    auto store = must_open(where);
    REQUIRE(store.begin_incarnation(41));
    append_rows(store, early);
    REQUIRE(store.checkpoint(state_of(early)));
    append_rows(store, late);
  }
  /// Removes the first rows of the log, which all members have.
  void collect(std::uint64_t of_2) {
    auto store = must_open(where, {.history_changes = 0});
    REQUIRE(store.collect(upto(of_2), 100));
    REQUIRE(store.log_base() == upto(of_2));
  }
  salvage_outcome salvage() {
    const store_files files{where.path().native()};
    const auto saved = salvage_store(files);
    REQUIRE_MESSAGE(saved, (saved ? "" : saved.error().message));
    REQUIRE(files.take_salvaged());
    return *saved;
  }
};

/// What a start makes of a store, which a checkpoint and another start do not change.
engine_state must_restore(const temporary_directory& where) {
  engine_state state;
  {
    auto store = must_open(where);
    CHECK(store.identity() == ours);
    CHECK_FALSE(store.needs_state());
    auto engine = restore(store, 1);
    REQUIRE_MESSAGE(engine, (engine ? "" : engine.error().message));
    state = engine->state();
    const auto done = store.checkpoint(state);
    REQUIRE_MESSAGE(done, (done ? "" : done.error().message));
  }
  auto store = must_open(where);
  const auto again = restore(store, 1);
  REQUIRE_MESSAGE(again, (again ? "" : again.error().message));
  CHECK(again->root_hash() == state.tree.hash());
  CHECK(again->processed() == state.processed);
  return state;
}

void damage_row(const temporary_directory& where, int number) {
  tamper(where, "UPDATE log SET hash = hash + 1 WHERE number = " + std::to_string(number));
}

}  // namespace

// -- the checkpoint -------------------------------------------------------------------------------

TEST_CASE("a log that lacks nothing replaces a damaged checkpoint") {
  damaged_fixture f;
  std::uint64_t lost = 6;
  SUBCASE("a block") { tamper(f.where, "UPDATE blocks SET hash = 1"); }
  SUBCASE("a block that is gone") { tamper(f.where, "DELETE FROM blocks"); }
  SUBCASE("its head") {
    tamper(f.where, "UPDATE meta SET hash = 1 WHERE key = 'checkpoint'");
    lost = 0;
  }
  const auto saved = f.salvage();
  CHECK(saved.is_whole());
  CHECK(saved.lost_entries == lost);
  CHECK(saved.lost_rows == 0);
  CHECK(saved.changes == 11);
  {
    auto store = must_open(f.where);
    CHECK(store.log_base() == processed_changes{});
    CHECK(store.records_since_checkpoint() == 11);
    CHECK(store.begin_incarnation(0) == 42);
  }
  const auto state = must_restore(f.where);
  CHECK(state.tree.hash() == state_of(f.early + f.late).tree.hash());
  CHECK(state.processed == upto(7, 4));
}

TEST_CASE("without checkpoint and whole log, the entries and rows that can be read are kept") {
  damaged_fixture f;
  f.collect(3);
  std::uint64_t entries = 0;
  SUBCASE("the entries") { tamper(f.where, "UPDATE blocks SET hash = 1"); }
  SUBCASE("the head") {
    tamper(f.where, "UPDATE meta SET hash = 1 WHERE key = 'checkpoint'");
    entries = 6;
  }
  const auto saved = f.salvage();
  CHECK(saved.needs_state);
  CHECK_FALSE(saved.is_whole());
  CHECK(saved.entries == entries);
  CHECK(saved.lost_entries == 6 - entries);
  CHECK(saved.lost_rows == 0);
  const auto whole = state_of(f.early + f.late);
  {
    auto store = must_open(f.where);
    CHECK(store.identity() == ours);
    CHECK(store.needs_state());
    CHECK(store.begin_incarnation(0) == 42);
    CHECK(store.load_salvaged()->entries.size() == entries);
    CHECK(store.log_base() == upto(3));
    CHECK(store.logged() == upto(7, 4));
    CHECK(logged(store, 2, 1) == changes_at(2, 4, 7));
    CHECK(logged(store, 3, 1) == changes_at(3, 1, 4));
    // A state that has what the log lacks makes it a store as any other.
    REQUIRE(store.adopt(whole, upto(3)));
  }
  CHECK(must_restore(f.where).tree.hash() == whole.tree.hash());
}

// -- the log --------------------------------------------------------------------------------------

TEST_CASE("rows that the checkpoint makes unnecessary are dropped when one of them is damaged") {
  damaged_fixture f;
  const auto others = changes_at(4, 1, 1), last = changes_at(2, 8, 8);
  auto checkpointed = upto(7, 4);
  checkpointed.raise({node(4), 1, 1});
  {
    auto store = must_open(f.where);
    append_rows(store, others);  // node 4 has no later ones
    REQUIRE(store.checkpoint(state_of(f.early + f.late + others)));
    append_rows(store, last);
  }
  damage_row(f.where, 2);
  CHECK(f.salvage().is_whole());
  {
    auto store = must_open(f.where);
    CHECK(store.log_base() == checkpointed);
    CHECK(logged(store, 2, 1) == last);
    CHECK(store.records_since_checkpoint() == 1);
  }
  const auto all = f.early + f.late + others + last;
  CHECK(must_restore(f.where).tree.hash() == state_of(all).tree.hash());
}

TEST_CASE("what only the checkpoint has becomes the base, though rows are gone unseen") {
  damaged_fixture f;
  tamper(f.where, "DELETE FROM log WHERE number IN (5, 6, 10, 11)");  // all of node 3
  damage_row(f.where, 9);
  CHECK(f.salvage().lost_rows > 0);
  CHECK(must_restore(f.where).processed == upto(6, 2));
  CHECK(must_open(f.where).log_base().covers(upto(0, 2).vector()));
}

TEST_CASE("rows behind a damaged one of their incarnation are left out, those of others are kept") {
  damaged_fixture f;
  damage_row(f.where, 8);
  const auto saved = f.salvage();
  CHECK_FALSE(saved.is_whole());
  CHECK_FALSE(saved.needs_state);
  CHECK(saved.lost_rows == 2);
  {
    auto store = must_open(f.where);
    CHECK(store.log_base() == processed_changes{});
    CHECK(store.logged() == upto(5, 4));
  }
  const auto state = must_restore(f.where);
  CHECK(state.processed == upto(5, 4));
  CHECK(state.tree.hash() ==
        state_of(f.early + changes_at(2, 5, 5) + changes_at(3, 3, 4)).tree.hash());
  // Peers give back what is missing.
  auto store = must_open(f.where);
  append_rows(store, changes_at(2, 6, 7));
  CHECK(restore(store, 1)->root_hash() == state_of(f.early + f.late).tree.hash());
}

TEST_CASE("rows that depend on one that is lost are left out, with what follows them") {
  damaged_fixture f;
  const auto lost = changes_at(2, 8, 8);
  {
    auto store = must_open(f.where);
    append_rows(store, lost);                                                      // row 12
    append_rows(store, {put({node(3), 1, 5}, "/n2/8", 1, {seen(lost.front())})});  // 13
    append_rows(store, changes_at(3, 6, 6) + changes_at(4, 1, 1));                 // 14, 15
  }
  damage_row(f.where, 12);
  const auto saved = f.salvage();
  CHECK_FALSE(saved.needs_state);
  CHECK(saved.lost_rows == 3);
  auto expected = upto(7, 4);
  expected.raise({node(4), 1, 1});
  CHECK(must_open(f.where).logged() == expected);
  CHECK(must_restore(f.where).processed == expected);
}

TEST_CASE("half a transaction is not kept") {
  damaged_fixture f;
  const auto alone = changes_at(4, 1, 1), parts = together(changes_at(4, 2, 4));
  {
    auto store = must_open(f.where);
    REQUIRE(append(store, alone + std::vector{parts[0]}));  // row 13
    REQUIRE(append(store, {parts[1]}));                     // 14
    REQUIRE(append(store, {parts[2]}));                     // 15
    append_rows(store, changes_at(4, 5, 5));                // 16
  }
  auto expected = upto(7, 4);
  SUBCASE("its last change is lost") {
    damage_row(f.where, 15);
    CHECK(f.salvage().lost_rows > 0);
    expected.raise({node(4), 1, 1});
  }
  SUBCASE("one in between is lost") {
    damage_row(f.where, 14);
    CHECK(f.salvage().lost_rows > 0);
    expected.raise({node(4), 1, 1});
  }
  SUBCASE("all of it is there") {
    damage_row(f.where, 16);
    CHECK(f.salvage().lost_rows == 1);
    expected.raise({node(4), 1, 4});
  }
  CHECK(must_open(f.where).logged() == expected);
  CHECK(must_restore(f.where).processed == expected);
}

TEST_CASE("what there is of a lost transaction is kept, and what follows it") {
  damaged_fixture f;
  const auto parts = together(changes_at(4, 1, 3));
  auto lost = put({node(5), 1, 1}, lost_transactions::place_of(parts[2].dot).text(),
                  lost_transactions::lost(1, noon));
  lost.principal = system_principal;
  auto next = put({node(4), 2, 1}, "/next", 1);
  next.after = {{node(4), 1, 2}};
  {
    auto store = must_open(f.where);
    append_rows(store, {parts[0], parts[1]});                        // rows 12 and 13
    append_rows(store, {lost, next});                                // 14 and 15
    append_rows(store, {parts[2], put({node(6), 1, 1}, "/n6", 1)});  // 16 and 17
  }
  damage_row(f.where, 17);
  const auto saved = f.salvage();
  CHECK(saved.lost_rows == 1);
  const auto state = must_restore(f.where);
  CHECK(state.processed.covers(next.dot));
  CHECK(state.processed.covers(parts[2].dot));
  CHECK(state.tree.find(path{"/next"}));
  CHECK_FALSE(state.tree.find(parts[0].path));
}

// -- a state from elsewhere -----------------------------------------------------------------------

TEST_CASE("a state that has come may cut off what of the log can become part of none any more") {
  damaged_fixture f;
  const auto lost = changes_at(4, 1, 1);
  {
    auto store = must_open(f.where);
    append_rows(store, lost);                                                 // row 12
    append_rows(store, {put({node(3), 1, 5}, "/n4/1", 1, {seen(lost[0])})});  // 13
  }
  f.collect(3);
  damage_row(f.where, 12);
  tamper(f.where, "UPDATE blocks SET hash = 1");
  REQUIRE(f.salvage().needs_state);
  // No member has the change that the last row has overwritten.
  const auto state = state_of(f.early + f.late);
  REQUIRE(must_open(f.where).adopt(state, upto(3), &state.processed));
  CHECK(must_restore(f.where).processed == upto(7, 4));
}

TEST_CASE("what the checkpoint has and the end of the log lacks becomes part of the base") {
  temporary_directory where;
  context_engine engine{ours.node, 1};
  {
    auto store = must_open(where);
    for (std::uint64_t seq = 1; seq <= 5; ++seq) {
      REQUIRE(append(store, changes_of(2, seq, seq)));
      engine.apply(changes_of(2, seq, seq)[0], noon);
    }
    REQUIRE(store.checkpoint(engine.state()));
  }
  tamper(where, "DELETE FROM log WHERE number > 3");
  const store_files files{where.path().native()};
  REQUIRE(salvage_store(files));
  REQUIRE(files.take_salvaged());
  auto store = must_open(where);
  const auto next = changes_of(2, 6, 6);
  REQUIRE(append(store, next));
  engine.apply(next[0], noon);
  CHECK(store.checkpoint(engine.state()));
}

TEST_CASE("after a cut no row number is given out again") {
  temporary_directory where;
  const auto kept = changes_of(2, 1, 1), cut = changes_of(3, 1, 50), later = changes_of(4, 1, 3);
  context_engine engine{ours.node, 1};
  REQUIRE(engine.apply(kept[0], noon).status == apply_status::applied);
  {
    auto store = must_open(where);
    REQUIRE(append(store, kept));
    REQUIRE(append(store, cut));
    const auto state = engine.state();
    REQUIRE(store.adopt(state, {}, &state.processed));
    CHECK(store.logged() == state.processed);
  }
  for (const auto& each : later) {
    auto store = must_open(where);
    REQUIRE(append(store, {each}));
  }
  auto store = must_open(where);
  const auto found = restore(store, 1);
  REQUIRE(found);
  CHECK(found->processed().at({node(4), 1}) == 3);
  CHECK(found->processed().at({node(3), 1}) == 0);
}

TEST_CASE("a cut keeps the first part of a row") {
  temporary_directory where;
  auto store = must_open(where);
  const auto all = changes_of(2, 1, 5);
  REQUIRE(append(store, all));
  context_engine engine{ours.node, 1};
  for (int i = 0; i < 3; ++i) engine.apply(all[static_cast<std::size_t>(i)], noon);
  const auto state = engine.state();
  REQUIRE(store.adopt(state, {}, &state.processed));
  CHECK(logged(store, 2, 1).size() == 3);
  REQUIRE(append(store, changes_of(2, 4, 5)));
  CHECK(logged(store, 2, 1) == all);
}

TEST_CASE("a wrong header is damage, and no other program or build") {
  damaged_fixture f;
  for (const auto* wrong :
       {"PRAGMA application_id = 7", "PRAGMA user_version = -5", "PRAGMA user_version = 4194309"}) {
    CAPTURE(wrong);
    tamper(f.where, wrong);
    check_error(context_store::open(f.where.path().native(), ours), error_code::corrupt_data,
                "its header is wrong");
    const auto saved = f.salvage();
    CHECK(saved.is_whole());
    CHECK(saved.changes == f.early.size() + f.late.size());
    CHECK(context_store::open(f.where.path().native(), ours));
  }
}

TEST_CASE("a damaged store of a newer build is left alone") {
  damaged_fixture f;
  tamper(f.where, "PRAGMA user_version = 99");
  check_error(salvage_store(store_files{f.where.path().native()}), error_code::version_mismatch,
              "format 99");
}
