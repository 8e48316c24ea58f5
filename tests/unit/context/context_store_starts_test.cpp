#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include <troupe/tests/support/fixtures/store_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Writes once in each of these incarnations of node 1, as a program does that starts, writes and
/// stops.
void write_in(context_store& store, std::uint64_t first, std::uint64_t last, bool checkpoints) {
  for (auto n = first; n <= last; ++n) {
    auto engine = restore(store, n);
    REQUIRE_MESSAGE(engine, (engine ? "" : engine.error().message));
    REQUIRE(engine->vector().entries().size() == (n == 1 ? 0 : 1));
    const auto made =
        engine->write(operation::put, path{"/a"}, static_cast<std::int64_t>(n), "tester", {}, noon);
    REQUIRE(made);
    REQUIRE(append(store, {*made}));
    if (checkpoints) REQUIRE(store.checkpoint(engine->state()));
  }
}

std::vector<shared_batch> must_read(context_store& store, const log_range& wanted,
                                    std::size_t max_bytes = 1 << 20) {
  auto read = store.read_log(std::vector{wanted}, max_bytes);
  REQUIRE_MESSAGE(read, (read ? "" : read.error().message));
  return *read;
}

}  // namespace

TEST_CASE("a start replays what no checkpoint has, however many incarnations there were") {
  temporary_directory where;
  {
    auto store = must_open(where);
    write_in(store, 1, 40, true);
    write_in(store, 41, 45, false);
  }
  auto store = must_open(where);
  REQUIRE(store.load_checkpoint());
  CHECK(store.records_since_checkpoint() == 5);
  const auto engine = restore(store, 46);
  REQUIRE(engine);
  CHECK(engine->view(path{"/a"}) == value{45});
  CHECK(store.last_logged({node(1), 7}) == 1u);
  CHECK(store.last_logged({node(1), 99}) == 0u);
  CHECK(store.begin_incarnation(0) == 46u);
}

TEST_CASE("a made-up incarnation of this node leaves numbers for the next ones") {
  temporary_directory where;
  auto store = must_open(where);
  const auto own = ours.node;
  REQUIRE(append(store, {put({own, end_of_incarnations / 2 - 1, 1}, "/a", 1)}));
  REQUIRE(append(store, {put({own, end_of_incarnations - 1, 1}, "/b", 1)}));
  const auto next = store.begin_incarnation(0);
  REQUIRE(next);
  CHECK(*next == end_of_incarnations / 2);
  CHECK(store.begin_incarnation(0) == *next + 1);
}

TEST_CASE("a range of incarnations is read in the order in which they came") {
  temporary_directory where;
  auto store = must_open(where);
  write_in(store, 1, 6, true);
  const auto all = must_read(store, {{node(1), 1, 1}, {node(1), 6, 1}});
  REQUIRE(all.size() == 6);
  CHECK(all.front()->source().incarnation == 1);
  CHECK(all.back()->source().incarnation == 6);
  const auto some = must_read(store, {{node(1), 3, 2}, {node(1), 5, 9}});
  REQUIRE(some.size() == 2);
  CHECK(some.front()->source().incarnation == 4);
  CHECK(some.back()->source().incarnation == 5);
  CHECK(must_read(store, {{node(1), 7, 1}, {node(1), 99, 1}}).empty());
  CHECK(must_read(store, {{node(2), 1, 1}, {node(2), 99, 1}}).empty());
  CHECK(must_read(store, {{node(1), 1, 1}, {node(1), 6, 1}}, 1).size() == 1);
}

TEST_CASE("a range begins with the row that came first, whatever its number") {
  temporary_directory where;
  auto store = must_open(where);
  for (const std::uint64_t incarnation : {9, 3, 200, 5}) {
    std::vector<change_record> records;
    for (std::uint64_t seq = 1; seq <= 3; ++seq)
      records.push_back(put({node(2), incarnation, seq}, "/a", 1));
    REQUIRE(append(store, records));
  }
  std::vector<std::uint64_t> order;
  for (const auto& each : must_read(store, {{node(2), 3, 2}, {node(2), 9, 2}}))
    order.push_back(each->source().incarnation);
  CHECK(order == std::vector<std::uint64_t>{9, 3, 5});
}

TEST_CASE("a transaction that is open at a checkpoint is replayed from the log") {
  temporary_directory where;
  auto begins = put({node(2), 8, 1}, "/a", 1);
  begins.after = {{node(2), 7, 1}};
  const auto parts = together({begins, put({node(2), 8, 2}, "/b", 2)});
  {
    auto store = must_open(where);
    context_engine engine{ours.node, 1};
    const auto before = put({node(2), 7, 1}, "/a", 0);
    REQUIRE(engine.apply(before, noon).status == apply_status::applied);
    REQUIRE(engine.apply(parts[0], noon).status == apply_status::applied);
    REQUIRE(append(store, {before, parts[0]}));
    REQUIRE(store.checkpoint(engine.state()));
    CHECK(store.records_since_checkpoint() == 1);
  }
  auto store = must_open(where);
  auto engine = restore(store, 2);
  REQUIRE(engine);
  CHECK(engine->open() == 1);
  CHECK(engine->apply(parts[1], noon).status == apply_status::applied);
  CHECK(engine->view(path{"/b"}) == value{2});
}
