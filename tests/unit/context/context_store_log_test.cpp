#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <troupe/tests/support/fixtures/store_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("what was appended is there at the next start, in order") {
  temporary_directory where;
  {
    auto store = must_open(where);
    auto mixed = changes_of(2, 1, 5, "/a");
    for (auto& each : changes_of(3, 1, 4, "/b")) mixed.insert(mixed.begin() + 2, each);
    std::ranges::stable_sort(mixed, {}, [](const auto& each) { return each.dot.seq; });
    REQUIRE(append(store, mixed));
    REQUIRE(append(store, changes_of(2, 6, 7)));
    CHECK(last_logged(store, 2) == 7);
  }
  auto store = must_open(where);
  CHECK(last_logged(store, 2) == 7);
  CHECK(last_logged(store, 3) == 4);
  CHECK(store.records_since_checkpoint() == 11);
  const auto engine = restore(store, 1);
  REQUIRE(engine);
  CHECK(engine->vector() == version_vector{{{node(2), 1, 7}, {node(3), 1, 4}}});
  CHECK(engine->view(path{"/a"}) == value{7});
  CHECK(engine->view(path{"/b"}) == value{4});
}

TEST_CASE("a group commit happens whole or not at all") {
  temporary_directory where;
  auto store = must_open(where);
  auto records = changes_of(2, 1, 3);
  for (auto& each : changes_of(3, 2, 3)) records.push_back(each);  // its first change is missing
  check_error(append(store, records), error_code::internal, to_string(dot{node(3), 1, 2}));
  CHECK(last_logged(store, 2) == 0);
  CHECK(last_logged(store, 3) == 0);
  CHECK(logged(store, 2, 1).empty());
  REQUIRE(append(store, changes_of(2, 1, 3)));
  check_error(append(store, changes_of(2, 5, 5)), error_code::internal, "after change 3");
  CHECK(logged(store, 2, 1).size() == 3);

  // Incarnations that were new in a commit that failed are new again.
  auto half = changes_of(3, 1, 1);
  half.push_back(changes_of(3, 3, 3).front());
  check_error(append(store, half), error_code::internal, "after change 1");
  REQUIRE(append(store, changes_of(4, 1, 1)));
  REQUIRE(append(store, changes_of(3, 1, 1)));
  CHECK(logged(store, 3, 1) == changes_of(3, 1, 1));
  CHECK(logged(store, 4, 1) == changes_of(4, 1, 1));
}

TEST_CASE("a change that is appended again after an unknown outcome is kept once") {
  temporary_directory where;
  auto store = must_open(where);
  REQUIRE(append(store, changes_of(2, 1, 3)));
  REQUIRE(append(store, changes_of(2, 1, 3)));
  CHECK(store.records_since_checkpoint() == 3);
  REQUIRE(append(store, changes_of(2, 2, 5)));
  CHECK(store.records_since_checkpoint() == 5);
  CHECK(logged(store, 2, 1) == changes_of(2, 1, 5));
  check_error(append(store, changes_of(2, 5, 6, "/other")), error_code::corrupt_data,
              "is in the log already");
  check_error(append(store, changes_of(2, 5, 5, "/other")), error_code::corrupt_data,
              "is in the log already");
  CHECK(last_logged(store, 2) == 5);
  const auto engine = restore(store, 1);
  REQUIRE(engine);
  CHECK(engine->processed().at({node(2), 1}) == last_logged(store, 2));
}

TEST_CASE("a full disk refuses writes, keeps nothing by half, and goes on reading") {
  temporary_directory where;
  auto store = must_open(where, {.max_bytes = 200'000});
  std::uint64_t next = 1;
  result<void> appended;
  while (appended) {
    const auto batch = changes_of(2, next, next + 99);
    appended = append(store, batch);
    if (appended) next += 100;
    REQUIRE(next < 100'000);
  }
  check_error(appended, error_code::storage_failure, "full");
  CHECK(next > 100);
  CHECK(last_logged(store, 2) == next - 1);
  CHECK(logged(store, 2, next - 1, 1).size() == 1);
  CHECK(logged(store, 2, next, 1).empty());
  engine_state large;
  for (int i = 0; i < 2000; ++i) {
    const auto record = put({node(2), 1, 1}, "/k/" + std::to_string(i), std::string(100, 'x'));
    const auto only = sibling::of(record, content_hash(record));
    large.tree.put(record.path, {&only, 1});
  }
  check_error(store.checkpoint(large), error_code::storage_failure, "full");
  CHECK(store.load_checkpoint()->tree.empty());
}

TEST_CASE("the log is read from any change on, as much as is asked for, but at least one batch") {
  temporary_directory where;
  auto store = must_open(where);
  const auto all = changes_of(2, 1, 50);
  for (std::size_t i = 0; i < 50; i += 5)
    REQUIRE(append(store, {all.begin() + static_cast<std::ptrdiff_t>(i),
                           all.begin() + static_cast<std::ptrdiff_t>(i) + 5}));
  CHECK(logged(store, 2, 1) == all);
  CHECK(logged(store, 2, 49) == std::vector(all.begin() + 48, all.end()));
  CHECK(logged(store, 2, 8, 1) == std::vector(all.begin() + 7, all.begin() + 10));
  const auto of_five = make_batches(std::span{all}.first(5)).front()->bytes().size();
  CHECK(logged(store, 2, 1, 3 * of_five + of_five / 2).size() == 15);
  CHECK(logged(store, 2, 51).empty());
  CHECK(logged(store, 9, 1).empty());
  const auto upto = read_log(store, 2, 1, 1 << 20, 12);
  REQUIRE(upto);
  CHECK(upto->back()->last() == 15);
}

TEST_CASE("changes of several incarnations are read in the order in which they were appended") {
  temporary_directory where;
  auto store = must_open(where);
  REQUIRE(append(store, changes_of(3, 1, 2)));
  REQUIRE(append(store, changes_of(2, 1, 2)));
  REQUIRE(append(store, changes_of(4, 1, 2)));
  REQUIRE(append(store, changes_of(3, 3, 4)));
  REQUIRE(append(store, changes_of(2, 3, 4)));
  const std::vector<log_range> wanted{{{node(2), 1, 1}, {node(2), 1, 4}},
                                      {{node(3), 1, 3}, {node(3), 1, 4}},
                                      {{node(9), 1, 1}, {node(9), 1, 9}}};
  const auto batches = store.read_log(wanted, 1 << 20);
  REQUIRE(batches);
  std::vector<dot> firsts;
  for (const auto& each : *batches)
    firsts.push_back({each->source().origin, each->source().incarnation, each->first()});
  CHECK(firsts == std::vector<dot>{{node(2), 1, 1}, {node(3), 1, 3}, {node(2), 1, 3}});
  CHECK(store.read_log(std::vector<log_range>{}, 1000)->empty());
}

TEST_CASE("small rows are read as one batch") {
  temporary_directory where;
  auto store = must_open(where);
  for (std::uint64_t seq = 1; seq <= 300; ++seq) REQUIRE(append(store, changes_of(2, seq, seq)));
  auto large = put({node(2), 1, 301}, "/a", std::string(5000, 'x'));
  for (std::size_t i = 0; i < 5000; ++i) large.new_value = std::string(5000, 'x') + "y";
  REQUIRE(append(store, {large}));
  const auto batches = read_log(store, 2, 1);
  REQUIRE(batches);
  CHECK(batches->size() <= 2);
  CHECK(logged(store, 2, 1).size() == 301);
}

TEST_CASE("what is written to a file that is no longer there is no success") {
  temporary_directory where;
  auto store = must_open(where);
  REQUIRE(append(store, changes_of(2, 1, 1)));
  std::string name;
  SUBCASE("the database") { name = where.path().native() + "/context.db"; }
  SUBCASE("the log beside it") { name = where.path().native() + "/context.db-wal"; }
  std::filesystem::rename(name, name + ".away");
  check_error(append(store, changes_of(2, 2, 2)), error_code::storage_failure, "deleted or moved");
  check_error(append(store, changes_of(2, 2, 2)), error_code::storage_failure, name);
  check_error(store.checkpoint({}), error_code::storage_failure, name);
  std::ofstream{name} << "another";
  check_error(append(store, changes_of(2, 2, 2)), error_code::storage_failure, "replaced");
  std::filesystem::rename(name + ".away", name);
  REQUIRE(append(store, changes_of(2, 2, 2)));
  CHECK(logged(store, 2, 1).size() == 2);
}

TEST_CASE("the first write to a file that went after the start is no success") {
  temporary_directory where;
  { auto store = must_open(where); }
  auto store = must_open(where);
  const auto name = where.path().native() + "/context.db";
  std::filesystem::rename(name, name + ".away");
  check_error(append(store, changes_of(2, 1, 1)), error_code::storage_failure, "deleted or moved");
  std::filesystem::rename(name + ".away", name);
  CHECK(append(store, changes_of(2, 1, 1)));
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
      good = append(*store, changes_of(2, seq, seq)).has_value();
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
  CHECK(last_logged(store, 2) >= acknowledged);
  const auto engine = restore(store, 1);
  REQUIRE(engine);
  CHECK(engine->processed().at({node(2), 1}) == last_logged(store, 2));
}
