#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

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

/// From now on a store cannot write the base of its log.
void refuse_base(const temporary_directory& where) {
  tamper(where,
         "CREATE TRIGGER refusal BEFORE INSERT ON meta WHEN NEW.key = 'log_base' "
         "BEGIN SELECT RAISE(ABORT, 'refused'); END");
}

}  // namespace

TEST_CASE("appending goes on where an adopted state ends") {
  temporary_directory where;
  auto store = must_open(where);
  REQUIRE(append(store, changes_of(2, 1, 3)));
  REQUIRE(store.adopt(state_of(changes_of(2, 1, 10)), upto(2, 10)));
  CHECK(store.log_base() == upto(2, 10));
  CHECK(last_logged(store, 2) == 10);
  CHECK(store.records_since_checkpoint() == 0);

  check_error(append(store, changes_of(2, 12, 12)), error_code::internal, "after change 10");
  REQUIRE(append(store, changes_of(2, 5, 8)));
  CHECK(logged(store, 2, 4).empty());
  REQUIRE(append(store, changes_of(2, 9, 11)));
  CHECK(logged(store, 2, 4) == changes_of(2, 9, 11));
  CHECK(last_logged(store, 2) == 11);
  CHECK(store.records_since_checkpoint() == 1);
  REQUIRE(append(store, changes_of(2, 12, 12)));
  REQUIRE(append(store, changes_of(2, 2, 13)));
  CHECK(last_logged(store, 2) == 13);
  CHECK(store.records_since_checkpoint() == 3);

  // Rows that are there are compared still.
  check_error(append(store, changes_of(2, 3, 14, "/other")), error_code::corrupt_data,
              "is in the log already");
  REQUIRE(append(store, changes_of(3, 1, 1)));
  CHECK(store.records_since_checkpoint() == 4);
}

TEST_CASE("a start after an adoption replays only what came later") {
  temporary_directory where;
  const auto adopted = state_of(changes_of(2, 1, 10));
  {
    auto store = must_open(where);
    REQUIRE(append(store, changes_of(2, 1, 3)));
    REQUIRE(append(store, changes_of(3, 1, 2, "/b")));
    REQUIRE(store.adopt(adopted, adopted.processed));
    CHECK(store.records_since_checkpoint() == 2);
    REQUIRE(append(store, changes_of(2, 9, 12)));
  }
  auto store = must_open(where);
  CHECK(store.log_base() == upto(2, 10));
  CHECK(store.records_since_checkpoint() == 4);
  const auto state = store.load_checkpoint();
  REQUIRE(state);
  CHECK(state->tree.hash() == adopted.tree.hash());
  std::vector<dot> replayed;
  REQUIRE(store.replay(state->processed, [&](change_record&& record) -> result<void> {
    replayed.push_back(record.dot);
    return {};
  }));
  CHECK(replayed ==
        std::vector<dot>{{node(3), 1, 1}, {node(3), 1, 2}, {node(2), 1, 11}, {node(2), 1, 12}});
  const auto engine = restore(store, 1);
  REQUIRE(engine);
  CHECK(engine->view(path{"/a"}) == value{12});
  CHECK(engine->view(path{"/b"}) == value{2});
  REQUIRE(store.checkpoint(engine->state()));
  CHECK(store.records_since_checkpoint() == 0);
  REQUIRE(append(store, changes_of(2, 13, 13)));
}

TEST_CASE("changes of an incarnation whose end is forgotten are taken from anywhere on") {
  temporary_directory where;
  auto store = must_open(where);
  engine_state adopted;
  for (std::uint64_t n = 1; n <= processed_changes::max_ended_of_node + 3; ++n) {
    auto first = put({node(2), n, 1}, "/a", 1);
    if (n > 1) first.after = {{node(2), n - 1, 1}};
    adopted.processed.add(first);
  }
  REQUIRE(adopted.processed.has_forgotten({node(2), 1}));
  REQUIRE(store.adopt(adopted, adopted.processed));
  REQUIRE(append(store, changes_of(2, 7, 8)));
  CHECK(last_logged(store, 2) == 8);
  REQUIRE(append(store, changes_of(2, 7, 8)));
  CHECK(store.records_since_checkpoint() == 2);
  REQUIRE(store.checkpoint(adopted));
}

TEST_CASE("an incarnation is above those that an adopted state has") {
  temporary_directory where;
  engine_state adopted;
  adopted.processed = processed_changes{version_vector{{{ours.node, 7, 3}, {node(2), 99, 1}}}};
  auto store = must_open(where);
  REQUIRE(store.adopt(adopted, adopted.processed));
  CHECK(store.begin_incarnation(0) == 8u);
}

TEST_CASE("an adoption that fails changes nothing") {
  temporary_directory where;
  std::vector<change_record> records;
  std::string reason;
  store_options options;
  SUBCASE("the file cannot grow") {
    options.max_bytes = 200'000;
    reason = "full";
    for (std::uint64_t seq = 1; seq <= 2000; ++seq)
      records.push_back(put({node(2), 1, seq}, "/k/" + std::to_string(seq), random_text(seq, 100)));
  }
  SUBCASE("the base cannot be written") {
    { const auto store = must_open(where); }
    refuse_base(where);
    reason = "refused";
    records = changes_of(2, 1, 10);
  }
  const auto state = state_of(records);
  {
    auto store = must_open(where, options);
    REQUIRE(append(store, changes_of(3, 1, 2)));
    check_error(store.adopt(state, state.processed), error_code::storage_failure, reason);
    CHECK(store.log_base() == processed_changes{});
    CHECK(last_logged(store, 2) == 0);
    CHECK(store.records_since_checkpoint() == 2);
    CHECK(store.load_checkpoint()->tree.empty());
  }
  // What the failed one would have written is written by the next one.
  auto store = must_open(where);
  check_error(append(store, {records.begin() + 1, records.end()}), error_code::internal,
              "after change 0");
  if (reason == "refused") {
    check_error(store.adopt(state, state.processed), error_code::storage_failure, reason);
    REQUIRE(append(store, records));
    REQUIRE(store.checkpoint(state));
  } else {
    REQUIRE(store.adopt(state, state.processed));
  }
  const auto loaded = store.load_checkpoint();
  REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error().message));
  CHECK(loaded->tree.hash() == state.tree.hash());
}

TEST_CASE("no checkpoint takes the place of one that has more than the log") {
  temporary_directory where;
  auto store = must_open(where);
  REQUIRE(store.adopt(state_of(changes_of(2, 1, 10)), upto(2, 10)));
  REQUIRE(append(store, changes_of(3, 1, 2)));
  check_error(store.checkpoint(state_of(changes_of(3, 1, 2))), error_code::internal, "lack");
  check_error(store.adopt(state_of(changes_of(2, 1, 9)), upto(2, 9)), error_code::internal,
              "lacks");
  auto both = changes_of(2, 1, 10);
  for (const auto& each : changes_of(3, 1, 3)) both.push_back(each);
  check_error(store.checkpoint(state_of(both)), error_code::internal, "not in the log");
  both.pop_back();
  REQUIRE(store.checkpoint(state_of(both)));
  CHECK(store.log_base() == upto(2, 10));
}
