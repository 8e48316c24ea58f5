// This file is long because it has all ways in which rows leave the log, and what is left then.

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

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

/// The first changes of the first incarnation of a node.
processed_changes upto(unsigned origin, std::uint64_t last) {
  return processed_changes{version_vector{{{node(origin), 1, last}}}};
}

/// Appends changes of a node, each as a row of its own.
void append_rows(context_store& store, unsigned origin, std::uint64_t first, std::uint64_t last) {
  for (auto seq = first; seq <= last; ++seq) REQUIRE(append(store, changes_of(origin, seq, seq)));
}

/// Makes the first changes of node 2 the checkpoint.
void checkpoint_upto(context_store& store, std::uint64_t last) {
  REQUIRE(store.checkpoint(state_of(changes_of(2, 1, last))));
}

bool must_collect(context_store& store, const processed_changes& upto, std::size_t max_rows = 100) {
  const auto more = store.collect(upto, max_rows);
  REQUIRE_MESSAGE(more, (more ? "" : more.error().message));
  return *more;
}

std::string file_of(const temporary_directory& where) {
  return where.path().native() + "/context.db";
}

/// What a query of the file says.
std::int64_t asked(const temporary_directory& where, const std::string& sql) {
  SQLite::Database database{file_of(where), SQLite::OPEN_READWRITE};
  return database.execAndGet(sql).getInt64();
}

/// From now on a store cannot write the base of its log.
void refuse_base(const temporary_directory& where) {
  tamper(where,
         "CREATE TRIGGER refusal BEFORE INSERT ON meta WHEN NEW.key = 'log_base' "
         "BEGIN SELECT RAISE(ABORT, 'refused'); END");
}

/// A change of a large value that cannot be compressed well.
change_record large_change(std::mt19937& random, std::uint64_t seq) {
  std::string text(10'000, ' ');
  for (auto& each : text) each = static_cast<char>('0' + random() % 75);
  return put({node(2), 1, seq}, "/a", text);
}

/// All that a node does at each of many starts: it writes once.
struct repeated_start {
  bool collects_late = false;  ///< Peers tell only later what they have.
  processed_changes known_everywhere;

  void run(const temporary_directory& where) {
    auto store = must_open(where, {.history_changes = 0});
    const auto incarnation = store.begin_incarnation(0);
    REQUIRE(incarnation);
    auto engine = restore(store, *incarnation);
    REQUIRE_MESSAGE(engine, (engine ? "" : engine.error().message));
    const auto written = engine->write(operation::put, path{"/a"}, 1, "tester", {}, noon);
    REQUIRE(written);
    REQUIRE(append(store, {*written}));
    const auto state = engine->state();
    REQUIRE(store.checkpoint(state));
    if (!collects_late) known_everywhere = state.processed;
    while (must_collect(store, known_everywhere)) continue;
    known_everywhere = state.processed;
  }
};

}  // namespace

// -- collecting -----------------------------------------------------------------------------------

TEST_CASE("only rows go that are in the checkpoint, known everywhere and old") {
  temporary_directory where;
  auto store = must_open(where, {.history_changes = 2});
  append_rows(store, 2, 1, 6);
  check_error(store.collect(upto(2, 1), 100), error_code::internal, "write one first");
  CHECK_FALSE(must_collect(store, {}));
  append_rows(store, 2, 7, 10);
  checkpoint_upto(store, 7);
  append_rows(store, 2, 11, 12);
  check_error(store.collect(upto(2, 8), 100), error_code::internal, "write one first");
  CHECK(logged(store, 2, 1) == changes_of(2, 1, 12));
  CHECK(store.log_base() == processed_changes{});

  CHECK_FALSE(must_collect(store, upto(2, 3)));
  CHECK(logged(store, 2, 1) == changes_of(2, 4, 12));
  CHECK(store.log_base() == upto(2, 3));
  CHECK(must_collect(store, upto(2, 7), 2));
  CHECK(logged(store, 2, 1) == changes_of(2, 6, 12));
  CHECK_FALSE(must_collect(store, upto(2, 7), 2));
  CHECK(logged(store, 2, 1) == changes_of(2, 8, 12));
  CHECK_FALSE(must_collect(store, upto(2, 7)));

  checkpoint_upto(store, 12);
  CHECK_FALSE(must_collect(store, upto(2, 12)));
  CHECK(logged(store, 2, 1) == changes_of(2, 11, 12));
  CHECK(store.log_base() == upto(2, 10));  // what is kept is not lacking
  CHECK(last_logged(store, 2) == 12);
  CHECK(store.records_since_checkpoint() == 0);
}

TEST_CASE("rows from the first one on that no checkpoint has stay, whatever is behind it") {
  temporary_directory where;
  auto store = must_open(where, {.history_changes = 0});
  append_rows(store, 2, 1, 2);
  append_rows(store, 3, 1, 1);
  append_rows(store, 2, 3, 4);
  checkpoint_upto(store, 4);
  CHECK_FALSE(must_collect(store, upto(2, 4)));
  CHECK(logged(store, 2, 1) == changes_of(2, 3, 4));
  CHECK(logged(store, 3, 1) == changes_of(3, 1, 1));

  // Also when it is an incarnation that has ended elsewhere.
  temporary_directory elsewhere;
  store = must_open(elsewhere, {.history_changes = 0});
  const auto first = put({node(2), 1, 1}, "/a", 1), second = put({node(2), 2, 1}, "/a", 2);
  auto ends = second;
  ends.after = {{node(2), 1, 1}};
  REQUIRE(append(store, {first}));
  REQUIRE(append(store, {second}));
  REQUIRE(store.checkpoint(state_of({second})));
  processed_changes ended;
  ended.add(first);
  ended.add(ends);
  CHECK_FALSE(must_collect(store, ended));
  CHECK(logged(store, 2, 1) == std::vector{first});
}

TEST_CASE("the last row stays, so that numbers go on") {
  temporary_directory where;
  {
    auto store = must_open(where, {.history_changes = 0});
    append_rows(store, 2, 1, 5);
    checkpoint_upto(store, 5);
    CHECK_FALSE(must_collect(store, upto(2, 5)));
    CHECK(logged(store, 2, 1) == changes_of(2, 5, 5));
  }
  auto store = must_open(where, {.history_changes = 0});
  append_rows(store, 2, 6, 6);
  CHECK(asked(where, "SELECT min(number) FROM log") == 5);
  CHECK(asked(where, "SELECT max(number) FROM log") == 6);
}

TEST_CASE("the latest changes are kept by default") {
  temporary_directory where;
  auto store = must_open(where);
  append_rows(store, 2, 1, 5);
  checkpoint_upto(store, 5);
  CHECK_FALSE(must_collect(store, upto(2, 5)));
  CHECK(logged(store, 2, 1) == changes_of(2, 1, 5));
  CHECK(store.log_base() == processed_changes{});
}

TEST_CASE("a start, replay, checkpoints and appending go on after a collection") {
  temporary_directory where;
  {
    auto store = must_open(where, {.history_changes = 0});
    append_rows(store, 2, 1, 8);
    checkpoint_upto(store, 6);
    CHECK_FALSE(must_collect(store, upto(2, 6)));
  }
  auto store = must_open(where, {.history_changes = 0});
  CHECK(store.log_base() == upto(2, 6));
  CHECK(store.records_since_checkpoint() == 2);
  REQUIRE(store.replay({}, [](change_record&&) { return result<void>{}; }));
  CHECK(store.records_since_checkpoint() == 2);  // what was collected is in the checkpoint
  const auto engine = restore(store, 1);
  REQUIRE_MESSAGE(engine, (engine ? "" : engine.error().message));
  CHECK(engine->view(path{"/a"}) == value{8});
  CHECK(store.records_since_checkpoint() == 2);
  REQUIRE(append(store, changes_of(2, 4, 9)));
  CHECK(store.records_since_checkpoint() == 3);
  checkpoint_upto(store, 9);
  CHECK_FALSE(must_collect(store, upto(2, 9)));
  CHECK(logged(store, 2, 7) == changes_of(2, 7, 9));  // the last row begins earlier
  REQUIRE(append(store, changes_of(2, 1, 9)));
  check_error(append(store, changes_of(2, 11, 11)), error_code::internal, "after change 9");
  append_rows(store, 2, 10, 11);
  CHECK(restore(store, 1)->view(path{"/a"}) == value{11});
}

TEST_CASE("a range that begins with what was collected is read from the first row left on") {
  temporary_directory where;
  auto store = must_open(where, {.history_changes = 0});
  std::vector<change_record> records;
  for (std::uint64_t incarnation = 1; incarnation <= 5; ++incarnation) {
    records.push_back(put({node(2), incarnation, 1}, "/a", 1));
    REQUIRE(append(store, {records.back()}));
  }
  const auto state = state_of(records);
  REQUIRE(store.checkpoint(state));
  // None of them has ended, so they stay known without rows.
  CHECK_FALSE(
      must_collect(store, processed_changes{version_vector{{{node(2), 1, 1}, {node(2), 2, 1}}}}));
  CHECK(asked(where, "SELECT count(*) FROM runs") == 5);
  for (std::uint64_t from = 0; from <= 3; ++from) {
    CAPTURE(from);
    const auto read =
        store.read_log(std::vector<log_range>{{{node(2), from, 1}, {node(2), 4, 1}}}, 1 << 20);
    REQUIRE(read);
    REQUIRE(read->size() == 2);
    CHECK(read->front()->source().incarnation == 3);
    CHECK(read->back()->source().incarnation == 4);
  }
}

TEST_CASE("a collection that fails changes nothing") {
  temporary_directory where;
  {
    auto store = must_open(where);
    append_rows(store, 2, 1, 5);
    checkpoint_upto(store, 5);
  }
  refuse_base(where);
  auto store = must_open(where, {.history_changes = 0});
  check_error(store.collect(upto(2, 5), 100), error_code::storage_failure, "refused");
  CHECK(store.log_base() == processed_changes{});
  CHECK(logged(store, 2, 1) == changes_of(2, 1, 5));
}

TEST_CASE("a collection in a file that is no longer there is no success") {
  temporary_directory where;
  auto store = must_open(where);
  append_rows(store, 2, 1, 1);
  std::filesystem::rename(file_of(where), file_of(where) + ".away");
  check_error(store.collect({}, 100), error_code::storage_failure, "deleted or moved");
}

TEST_CASE("a collection stops at a row whose incarnation cannot be told") {
  temporary_directory where;
  {
    auto store = must_open(where);
    append_rows(store, 3, 1, 2);
    append_rows(store, 2, 1, 3);
    auto records = changes_of(3, 1, 2);
    for (const auto& each : changes_of(2, 1, 3)) records.push_back(each);
    REQUIRE(store.checkpoint(state_of(records)));
  }
  SUBCASE("it is gone") { tamper(where, "DELETE FROM runs WHERE run = 2"); }
  SUBCASE("it is damaged") { tamper(where, "UPDATE runs SET hash = hash + 1 WHERE run = 2"); }
  auto store = must_open(where, {.history_changes = 0});
  const processed_changes all{version_vector{{{node(2), 1, 3}, {node(3), 1, 2}}}};
  CHECK_FALSE(must_collect(store, all));
  CHECK_FALSE(must_collect(store, all));
  CHECK(asked(where, "SELECT min(number) FROM log") == 3);
  CHECK(asked(where, "SELECT count(*) FROM log") == 3);
}

TEST_CASE("a damaged base of the log is named") {
  temporary_directory where;
  {
    auto store = must_open(where);
    REQUIRE(store.adopt(state_of(changes_of(2, 1, 3)), upto(2, 3)));
  }
  tamper(where, "UPDATE meta SET bytes = x'00' WHERE key = 'log_base'");
  check_error(context_store::open(where.path().native(), ours), error_code::corrupt_data,
              "'log_base'");
}

// -- space ----------------------------------------------------------------------------------------

TEST_CASE("a program that starts often and writes once each time needs bounded space") {
  temporary_directory where;
  repeated_start start;
  std::uint64_t starts = 300;
  SUBCASE("what it wrote is known at once") {}
  SUBCASE("what it wrote is known at the next start") {
    start.collects_late = true;
    starts = 60;
  }
  for (std::uint64_t n = 1; n <= starts / 3; ++n) start.run(where);
  const auto size = std::filesystem::file_size(file_of(where));
  for (auto n = starts / 3 + 1; n <= starts; ++n) start.run(where);
  CHECK(std::filesystem::file_size(file_of(where)) <= size + 4 * 4096);
  CHECK(asked(where, "SELECT count(*) FROM runs") <= 3);
  CHECK(asked(where, "SELECT count(*) FROM log") <= 3);
  auto store = must_open(where);
  CHECK(store.begin_incarnation(0) == starts + 1);
  CHECK(restore(store, starts + 1)->view(path{"/a"}) == value{1});
}

TEST_CASE("of an incarnation that has ended the base has what was removed, and no more") {
  temporary_directory where;
  auto store = must_open(where, {.history_changes = 3});
  append_rows(store, 2, 1, 6);
  auto later = put({node(2), 2, 1}, "/b", 1);
  later.after = {{node(2), 1, 6}};
  REQUIRE(append(store, {later}));
  auto all = changes_of(2, 1, 6);
  all.push_back(later);
  const auto state = state_of(all);
  REQUIRE(store.checkpoint(state));
  must_collect(store, state.processed, 3);
  CHECK(store.log_base().latest() == version_vector{{{node(2), 1, 3}}});
  CHECK_FALSE(store.log_base().covers(dot{node(2), 1, 4}));
  must_collect(store, state.processed);
  CHECK(store.log_base().vector() == version_vector{{{node(2), 1, 4}}});
  for (std::uint64_t seq = 2; seq <= 5; ++seq) {
    all.push_back(put({node(2), 2, seq}, "/b", static_cast<int>(seq)));
    REQUIRE(append(store, {all.back()}));
  }
  const auto grown = state_of(all);
  REQUIRE(store.checkpoint(grown));
  must_collect(store, grown.processed);
  CHECK(store.log_base().has_ended({node(2), 1}));
  CHECK(store.log_base().latest() == version_vector{{{node(2), 2, 2}}});
}

TEST_CASE("the file shrinks when a large log was collected") {
  temporary_directory where;
  std::mt19937 random{1};
  {
    auto store = must_open(where);
    std::vector<change_record> records;
    for (std::uint64_t seq = 1; seq <= 1000; ++seq) {
      records.push_back(large_change(random, seq));
      if (seq % 10 == 0) REQUIRE(append(store, {records.end() - 10, records.end()}));
    }
    REQUIRE(store.checkpoint(state_of(records)));
  }
  REQUIRE(std::filesystem::file_size(file_of(where)) > 5'000'000);
  {
    auto store = must_open(where, {.history_changes = 0});
    int calls = 1;
    for (; must_collect(store, upto(2, 1000), 1000); ++calls) REQUIRE(calls < 100);
    CHECK(calls > 1);  // a call gives back a bounded number of pages
    // While the store is open, too.
    CHECK(std::filesystem::file_size(file_of(where)) < 1'500'000);
    CHECK(std::filesystem::file_size(file_of(where) + "-wal") == 0);
  }
  CHECK(asked(where, "SELECT count(*) FROM log") == 1);
  CHECK(std::filesystem::file_size(file_of(where)) < 1'500'000);
  auto store = must_open(where);
  CHECK(restore(store, 1)->processed() == upto(2, 1000));
}

TEST_CASE("pages that entries of a checkpoint had are given back") {
  temporary_directory where;
  {
    auto store = must_open(where);
    engine_state large;
    for (int i = 0; i < 20'000; ++i) {
      const auto record = put({node(2), 1, 1}, "/k/" + std::to_string(i), random_text(i, 300));
      const auto only = sibling::of(record, content_hash(record));
      large.tree.put(record.path, {&only, 1});
    }
    REQUIRE(store.checkpoint(large));
  }
  bool can_shrink = true;
  SUBCASE("as a store is made") {}
  SUBCASE("unless the file cannot shrink") {
    tamper(where, "PRAGMA auto_vacuum = NONE; VACUUM");
    can_shrink = false;
  }
  REQUIRE(std::filesystem::file_size(file_of(where)) > 5'000'000);
  {
    auto store = must_open(where);
    REQUIRE(store.load_checkpoint());
    REQUIRE(store.checkpoint({}));
    CHECK(must_collect(store, {}) == can_shrink);
    while (must_collect(store, {})) continue;
  }
  CHECK((std::filesystem::file_size(file_of(where)) < 1'500'000) == can_shrink);
}

TEST_CASE("a full store takes changes again when its log was collected") {
  temporary_directory where;
  auto store = must_open(where, {.max_bytes = 400'000, .history_changes = 10});
  std::mt19937 random{1};
  std::vector<change_record> records{large_change(random, 1)};
  while (append(store, {records.back()})) {
    records.push_back(large_change(random, records.size() + 1));
    REQUIRE(records.size() < 1000);
  }
  const auto refused = records.back();
  records.pop_back();
  check_error(append(store, {refused}), error_code::storage_failure, "full");
  auto state = state_of(records);
  state.tree = {};  // the checkpoint itself finds room
  REQUIRE(store.checkpoint(state));
  must_collect(store, state.processed);
  REQUIRE(append(store, {refused}));
}
