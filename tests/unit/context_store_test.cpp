#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <troupe/actors/context/store.hpp>
#include <troupe/messages/codec.hpp>
#include <troupe/tests/support/context_fixture.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using test::node;
using test::noon;
using test::put;
using test::temporary_directory;

namespace {

const store_identity ours{cluster_id{node(100).id}, node(1)};

context_store must_open(const temporary_directory& where, store_options options = {}) {
  auto store = context_store::open(where.path().native(), ours, options);
  REQUIRE_MESSAGE(store.has_value(), (store ? "" : store.error().message));
  return std::move(*store);
}

/// Does what a damaged disk or a curious person might.
void tamper(const temporary_directory& where, const std::string& sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open((where.path().native() + "/context.db").c_str(), &database) == SQLITE_OK);
  REQUIRE(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

std::vector<encoded_record> run_of(unsigned origin, std::uint64_t first, std::uint64_t last,
                                   std::string_view where = "/a") {
  std::vector<encoded_record> records;
  for (auto seq = first; seq <= last; ++seq) records.push_back(encode_record(put({node(origin), 1, seq}, where, seq)));
  return records;
}

/// An engine as the next start makes it.
result<context_engine> restore(context_store& store, std::uint64_t incarnation) {
  auto state = store.load_checkpoint();
  if (!state) return fail(state.error());
  const auto vector = state->vector;
  context_engine engine{ours.node, incarnation, std::move(*state)};
  if (auto done = store.replay(vector, [&](change_record&& record) { return engine.replay(std::move(record), noon); }); !done)
    return fail(done.error());
  return engine;
}

unsigned mode_of(const std::string& file) {
  struct stat info {};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  return info.st_mode & 0777u;
}

void check_error(const auto& outcome, error_code code, std::string_view part) {
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == code);
  CHECK_MESSAGE(outcome.error().message.find(part) != std::string::npos, outcome.error().message);
}

}  // namespace

// -- opening ---------------------------------------------------------------------------------------------------------

TEST_CASE("a new store is private and takes the identity it is given; an old one keeps its own") {
  temporary_directory where;
  std::filesystem::permissions(where.path().native(), std::filesystem::perms::all);
  {
    auto store = must_open(where);
    CHECK(store.identity() == ours);
    CHECK(store.append(run_of(2, 1, 3)));
    // The directory was there, and may serve others too.
    CHECK(mode_of(where.path().native()) == 0777);
    CHECK(mode_of(where.path().native() + "/context.db") == 0600);
    CHECK(mode_of(where.path().native() + "/context.db-wal") == 0600);
    CHECK(mode_of(where.path().native() + "/context.lock") == 0600);
  }
  const auto again = context_store::open(where.path().native(), {cluster_id{node(7).id}, node(7)});
  REQUIRE(again);
  CHECK(again->identity() == ours);
}

TEST_CASE("a store makes the directories it needs") {
  temporary_directory where;
  CHECK(context_store::open(where.path().native() + "/deep/er", ours));
  CHECK(mode_of(where.path().native() + "/deep/er") == 0700);
}

TEST_CASE("a directory serves one store at a time and the error names the process") {
  temporary_directory where;
  {
    const auto store = must_open(where);
    check_error(context_store::open(where.path().native(), ours), error_code::already_exists,
                std::to_string(::getpid()));
  }
  CHECK(context_store::open(where.path().native(), ours));
}

TEST_CASE("a directory that cannot be used is named") {
  temporary_directory where;
  std::ofstream{where.path().native() + "/file"} << "x";
  check_error(context_store::open(where.path().native() + "/file/below", ours), error_code::storage_failure,
              "/file/below");
  std::filesystem::create_directory(where.path().native() + "/taken");
  std::filesystem::create_directory(where.path().native() + "/taken/context.lock");
  check_error(context_store::open(where.path().native() + "/taken", ours), error_code::storage_failure, "context.lock");
  std::filesystem::create_directory(where.path().native() + "/odd");
  std::filesystem::create_directory(where.path().native() + "/odd/context.db");
  check_error(context_store::open(where.path().native() + "/odd", ours), error_code::storage_failure, "context.db");
}

TEST_CASE("a file that is no database, of another program, or of a newer build is refused") {
  temporary_directory where;
  SUBCASE("no database") {
    std::ofstream{where.path().native() + "/context.db"} << std::string(8192, 'x');
    check_error(context_store::open(where.path().native(), ours), error_code::corrupt_data, "context.db");
  }
  SUBCASE("another program's") {
    tamper(where, "CREATE TABLE something (x)");
    check_error(context_store::open(where.path().native(), ours), error_code::corrupt_data, "another program");
  }
  SUBCASE("a newer build's") {
    { const auto store = must_open(where); }
    tamper(where, "PRAGMA user_version = 2");
    check_error(context_store::open(where.path().native(), ours), error_code::version_mismatch, "format 2");
  }
}

TEST_CASE("torn pages are found when a store opens") {
  temporary_directory where;
  {
    auto store = must_open(where);
    for (std::uint64_t i = 0; i < 20; ++i) REQUIRE(store.append(run_of(2, i * 100 + 1, i * 100 + 100)));
  }
  tamper(where, "PRAGMA wal_checkpoint(TRUNCATE)");
  const auto size = std::filesystem::file_size(where.path().native() + "/context.db");
  std::fstream file{where.path().native() + "/context.db", std::ios::in | std::ios::out | std::ios::binary};
  file.seekp(static_cast<std::streamoff>(size / 2 / 4096 * 4096));
  file << std::string(4096, '\x55');
  file.close();
  check_error(context_store::open(where.path().native(), ours), error_code::corrupt_data, "damaged");
}

TEST_CASE("every run gets an incarnation that none had before") {
  temporary_directory where;
  {
    auto store = must_open(where);
    CHECK(store.begin_incarnation(0) == 1u);
    CHECK(store.begin_incarnation(0) == 2u);
  }
  {
    auto store = must_open(where);
    CHECK(store.begin_incarnation(0) == 3u);
    CHECK(store.begin_incarnation(1000) == 1000u);
    CHECK(store.begin_incarnation(500) == 1001u);
    std::vector<encoded_record> own{encode_record(put({ours.node, 5000, 1}, "/a", 1))};
    REQUIRE(store.append(own));
  }
  CHECK(must_open(where).begin_incarnation(0) == 5001u);
}

// -- log -------------------------------------------------------------------------------------------------------------

TEST_CASE("what was appended is there at the next start, in order") {
  temporary_directory where;
  {
    auto store = must_open(where);
    auto mixed = run_of(2, 1, 5, "/a");
    for (auto& each : run_of(3, 1, 4, "/b")) mixed.insert(mixed.begin() + 2, each);
    std::ranges::stable_sort(mixed, {}, [](const auto& each) { return each.dot.seq; });
    REQUIRE(store.append(mixed));
    REQUIRE(store.append(run_of(2, 6, 7)));
    CHECK(store.log_vector().at(node(2), 1) == 7);
  }
  auto store = must_open(where);
  CHECK(store.log_vector() == version_vector{{{node(2), 1, 7}, {node(3), 1, 4}}});
  CHECK(store.records_since_checkpoint() == 11);
  const auto engine = restore(store, 1);
  REQUIRE(engine);
  CHECK(engine->vector() == store.log_vector());
  CHECK(engine->view(path{"/a"}) == value{7});
  CHECK(engine->view(path{"/b"}) == value{4});
}

TEST_CASE("a group commit happens whole or not at all") {
  temporary_directory where;
  auto store = must_open(where);
  auto records = run_of(2, 1, 3);
  for (auto& each : run_of(3, 2, 3)) records.push_back(each);  // the first of its run is missing
  check_error(store.append(records), error_code::internal, to_string(dot{node(3), 1, 2}));
  CHECK(store.log_vector().entries().empty());
  CHECK(store.read_log({node(2), 1}, 1, 1000)->empty());
  REQUIRE(store.append(run_of(2, 1, 3)));
  check_error(store.append(run_of(2, 5, 5)), error_code::internal, "after change 3");
  CHECK(store.read_log({node(2), 1}, 1, 1'000'000)->size() == 3);

  // Runs that were new in a commit that failed are new again.
  auto half = run_of(3, 1, 1);
  half.push_back(run_of(3, 3, 3).front());
  check_error(store.append(half), error_code::internal, "after change 1");
  REQUIRE(store.append(run_of(4, 1, 1)));
  REQUIRE(store.append(run_of(3, 1, 1)));
  CHECK(*store.read_log({node(3), 1}, 1, 1000) == run_of(3, 1, 1));
  CHECK(*store.read_log({node(4), 1}, 1, 1000) == run_of(4, 1, 1));
}

TEST_CASE("what is appended again, because nobody knew whether it was written, is kept once") {
  temporary_directory where;
  auto store = must_open(where);
  REQUIRE(store.append(run_of(2, 1, 3)));
  REQUIRE(store.append(run_of(2, 2, 5)));
  CHECK(*store.read_log({node(2), 1}, 1, 1'000'000) == run_of(2, 1, 5));
  check_error(store.append(run_of(2, 5, 6, "/other")), error_code::corrupt_data, "is in the log already");
  CHECK(store.log_vector() == version_vector{{{node(2), 1, 5}}});
}

TEST_CASE("a full disk refuses writes, keeps nothing by half, and goes on reading") {
  temporary_directory where;
  auto store = must_open(where, {.max_bytes = 200'000});
  std::uint64_t next = 1;
  result<void> appended;
  while (appended) {
    const auto batch = run_of(2, next, next + 99);
    appended = store.append(batch);
    if (appended) next += 100;
    REQUIRE(next < 100'000);
  }
  check_error(appended, error_code::storage_failure, "full");
  CHECK(next > 100);
  CHECK(store.log_vector().at(node(2), 1) == next - 1);
  CHECK(store.read_log({node(2), 1}, next - 1, 1)->size() == 1);
  CHECK(store.read_log({node(2), 1}, next, 1)->empty());
  engine_state large;
  for (int i = 0; i < 2000; ++i) {
    const auto record = put({node(2), 1, 1}, "/k/" + std::to_string(i), std::string(100, 'x'));
    large.tree.put(record.path, sibling_list{sibling{record, content_hash(record)}});
  }
  check_error(store.checkpoint(large), error_code::storage_failure, "full");
  CHECK(store.load_checkpoint()->tree.empty());
}

TEST_CASE("the log is read from any change on, as much as is asked for, but at least one") {
  temporary_directory where;
  auto store = must_open(where);
  const auto records = run_of(2, 1, 50);
  REQUIRE(store.append(records));
  CHECK(*store.read_log({node(2), 1}, 1, 1 << 20) == records);
  const auto tail = store.read_log({node(2), 1}, 49, 1 << 20);
  CHECK(*tail == std::vector(records.begin() + 48, records.end()));
  CHECK(store.read_log({node(2), 1}, 1, 1)->size() == 1);
  CHECK(store.read_log({node(2), 1}, 1, records[0].bytes.size() * 3)->size() == 3);
  CHECK(store.read_log({node(2), 1}, 51, 1000)->empty());
  CHECK(store.read_log({node(2), 9}, 1, 1000)->empty());
}

TEST_CASE("what was committed survives kill -9") {
  temporary_directory where;
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  const auto child = ::fork();
  if (child == 0) {
    auto store = context_store::open(where.path().native(), ours);
    bool good = store.has_value();
    for (std::uint64_t seq = 1; good && seq <= 1000; ++seq) {
      good = store->append(run_of(2, seq, seq)).has_value();
      if (good) good = ::write(pipe[1], &seq, sizeof seq) == sizeof seq;
    }
    ::_exit(good ? 0 : 1);
  }
  ::close(pipe[1]);
  std::uint64_t acknowledged = 0, seq = 0;
  while (acknowledged < 100 && ::read(pipe[0], &seq, sizeof seq) == sizeof seq) acknowledged = seq;
  ::kill(child, SIGKILL);
  while (::read(pipe[0], &seq, sizeof seq) == sizeof seq) acknowledged = seq;
  ::waitpid(child, nullptr, 0);
  ::close(pipe[0]);
  REQUIRE(acknowledged >= 100);
  auto store = must_open(where);
  CHECK(store.log_vector().at(node(2), 1) >= acknowledged);
  const auto engine = restore(store, 1);
  REQUIRE(engine);
  CHECK(engine->vector() == store.log_vector());
}

// -- damage ----------------------------------------------------------------------------------------------------------

TEST_CASE("a damaged log row is named when it is read") {
  temporary_directory where;
  {
    auto store = must_open(where);
    REQUIRE(store.append(run_of(2, 1, 5)));
  }
  const auto third = to_string(dot{node(2), 1, 3});
  SUBCASE("changed bytes") {
    tamper(where, "UPDATE log SET record = CAST(substr(record, 1, length(record) - 1) || 'x' AS BLOB) WHERE seq = 3");
    auto store = must_open(where);
    check_error(restore(store, 1), error_code::corrupt_data, third);
    check_error(store.read_log({node(2), 1}, 2, 1 << 20), error_code::corrupt_data, third);
    CHECK(store.read_log({node(2), 1}, 4, 1 << 20)->size() == 2);
  }
  SUBCASE("a row moved to another place") {
    tamper(where,
           "UPDATE log SET record = (SELECT record FROM log WHERE seq = 2), hash = (SELECT hash FROM log WHERE seq = 2)"
           " WHERE seq = 3");
    auto store = must_open(where);
    check_error(restore(store, 1), error_code::corrupt_data, third);
  }
  SUBCASE("a row that is gone") {
    tamper(where, "DELETE FROM log WHERE seq = 3");
    auto store = must_open(where);
    check_error(restore(store, 1), error_code::corrupt_data, to_string(dot{node(2), 1, 4}));
  }
}

TEST_CASE("rows that are whole but say something else are damage too") {
  temporary_directory where;
  {
    auto store = must_open(where);
    const auto other = encode_record(put({node(2), 1, 7}, "/a", 1));
    SUBCASE("another change") {
      REQUIRE(store.append(std::vector{encoded_record{{node(2), 1, 1}, other.bytes}}));
      check_error(restore(store, 1), error_code::corrupt_data, "another change");
    }
    SUBCASE("no change") {
      REQUIRE(store.append(std::vector{encoded_record{{node(2), 1, 1}, "\x01"}}));
      check_error(restore(store, 1), error_code::corrupt_data, "log row");
    }
  }
}

TEST_CASE("damaged metadata is named") {
  temporary_directory where;
  {
    auto store = must_open(where);
    REQUIRE(store.begin_incarnation(0));
    REQUIRE(store.append(run_of(2, 1, 1)));
    REQUIRE(
        store.checkpoint(*[&] { return restore(store, 1); }().map([](const auto& engine) { return engine.state(); })));
  }
  const auto open = [&] { return context_store::open(where.path().native(), ours); };
  SUBCASE("identity") {
    tamper(where, "UPDATE meta SET bytes = x'00' WHERE key = 'identity'");
    check_error(open(), error_code::corrupt_data, "'identity'");
  }
  SUBCASE("incarnation") {
    tamper(where, "UPDATE meta SET bytes = x'00' WHERE key = 'incarnation'");
    auto store = open();
    REQUIRE(store);
    check_error(store->begin_incarnation(0), error_code::corrupt_data, "'incarnation'");
  }
  SUBCASE("checkpoint") {
    tamper(where, "UPDATE meta SET bytes = x'00' WHERE key = 'checkpoint'");
    auto store = open();
    REQUIRE(store);
    check_error(store->load_checkpoint(), error_code::corrupt_data, "'checkpoint'");
  }
  SUBCASE("run") {
    tamper(where, "UPDATE runs SET incarnation = 2");
    check_error(open(), error_code::corrupt_data, "run 1");
  }
  SUBCASE("origin") {
    tamper(where, "UPDATE runs SET origin = x'00'");
    check_error(open(), error_code::corrupt_data, "run 1");
  }
  SUBCASE("table") {
    tamper(where, "DROP TABLE entries");
    check_error(open(), error_code::storage_failure, "entries");
  }
  SUBCASE("entry") {
    tamper(where, "UPDATE entries SET siblings = x'90'");
    auto store = open();
    REQUIRE(store);
    check_error(store->load_checkpoint(), error_code::corrupt_data, "entry '/a'");
  }
  SUBCASE("entry that is gone") {
    tamper(where, "DELETE FROM entries");
    auto store = open();
    REQUIRE(store);
    check_error(store->load_checkpoint(), error_code::corrupt_data, "add up");
  }
}

// -- checkpoints -----------------------------------------------------------------------------------------------------

TEST_CASE("a store without a checkpoint gives the empty state") {
  temporary_directory where;
  auto store = must_open(where);
  const auto state = store.load_checkpoint();
  REQUIRE(state);
  CHECK(state->tree.empty());
  CHECK(state->vector.entries().empty());
}

TEST_CASE("a checkpoint keeps all that an engine needs") {
  temporary_directory where;
  context_engine engine{ours.node, 1};
  std::vector<encoded_record> log;
  const auto apply = [&](const change_record& record) {
    for (const auto& each : engine.apply(record, noon).applied) log.push_back(encode_record(each.record));
  };
  apply(put({node(2), 1, 1}, "/a", "one"));
  apply(put({node(3), 1, 1}, "/a", "two", {}, 5));
  apply(test::erase({node(2), 1, 2}, "/b", {{node(9), 1, 1}}));
  apply(put({node(4), 1, 1}, "/c", "x"));
  auto second = put({node(4), 1, 1}, "/d", "y");
  REQUIRE(engine.apply(second, noon).alarm);
  log.push_back(encode_record(*engine.write(operation::put, path{"/e"}, value::map({{"k", 1}}), "ada", {}, noon)));
  {
    auto store = must_open(where);
    check_error(store.checkpoint(engine.state()), error_code::internal, "not in the log");
    REQUIRE(store.append(log));
    REQUIRE(store.checkpoint(engine.state()));
    CHECK(store.records_since_checkpoint() == 0);
  }
  auto store = must_open(where);
  const auto state = store.load_checkpoint();
  REQUIRE(state);
  CHECK(store.records_since_checkpoint() == 0);
  CHECK(state->tree.hash() == engine.root_hash());
  CHECK(state->tree.verify());
  CHECK(state->vector == engine.vector());
  CHECK(state->overwritten == engine.state().overwritten);
  CHECK(state->clock == engine.state().clock);
  CHECK(state->quarantine == engine.quarantine());
  context_tree::diff(state->tree, engine.tree(), [](const tree_entry*, const tree_entry*) {
    FAIL("an entry changed on its way through the store");
    return false;
  });
}

TEST_CASE("checkpoint plus log equals the whole log at every moment of a random history") {
  for (unsigned seed = 0; seed < 5; ++seed) {
    CAPTURE(seed);
    temporary_directory where;
    std::mt19937 random{seed};
    std::optional<context_engine> engine;
    std::optional<context_store> store;
    std::uint64_t incarnation = 0;
    const auto start = [&] {
      store.reset();
      store.emplace(must_open(where));
      incarnation = *store->begin_incarnation(0);
      auto restored = restore(*store, incarnation);
      REQUIRE_MESSAGE(restored.has_value(), (restored ? "" : restored.error().message));
      engine.emplace(std::move(*restored));
    };
    start();
    std::uint64_t remote = 0;
    for (int step = 0; step < 300; ++step) {
      const path target{"/p" + std::to_string(random() % 20)};
      std::vector<encoded_record> group;
      for (unsigned i = random() % 4; i > 0; --i) {
        const auto op = random() % 3 ? operation::put : operation::erase;
        if (auto written = engine->write(op, target, step, "ada", {}, noon)) group.push_back(encode_record(*written));
      }
      if (random() % 3 == 0) {
        for (const auto& each : engine->apply(put({node(2), 1, ++remote}, target.text(), step), noon).applied)
          group.push_back(encode_record(each.record));
      }
      REQUIRE(store->append(group));
      if (random() % 15 == 0) REQUIRE(store->checkpoint(engine->state()));
      if (random() % 25 == 0) {
        const auto hash = engine->root_hash();
        const auto vector = engine->vector();
        start();
        REQUIRE(engine->root_hash() == hash);
        REQUIRE(engine->vector() == vector);
      }
    }
  }
}

TEST_CASE("a store that is moved goes on") {
  temporary_directory where;
  auto first = must_open(where);
  auto second = std::move(first);
  CHECK(second.append(run_of(2, 1, 2)));
  temporary_directory elsewhere;
  second = must_open(elsewhere);
  CHECK(second.append(run_of(2, 1, 1)));
  CHECK(must_open(where).log_vector().at(node(2), 1) == 2);
}
