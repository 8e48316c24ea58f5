#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <troupe/actors/context/rest_search.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/tests/support/fixtures/cluster_fixture.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

const dot end{node(2), 1, 3};

/// A transaction of three changes, which ends with `end`.
std::vector<change_record> three() {
  return together({put({node(2), 1, 1}, "/a", 1), put({node(2), 1, 2}, "/b", 2),
                   put({node(2), 1, 3}, "/a", 3)});
}
change_record first_of_three() { return three().front(); }

/// What a node is to write that has all on its disk, when nothing has come for a while.
std::optional<local_write> next_when_quiet(const context_engine& engine, const members& known) {
  rest_search search;
  const auto ask = [&](std::uint64_t ms) {
    return search.next(engine, engine.processed(), known, [](const node_id&) { return false; },
                       {noon, ms});
  };
  ask(0);
  return ask(rest_search::quiet_ms);
}

/// Three members, of which node 1 has a part of a transaction of node 2.
struct search_fixture {
  context_engine engine{node(1), 5};
  members known{node(1)};
  rest_search search;
  node_id linked;  ///< Another node that has a link.
  event_time now{noon, 0};

  search_fixture() {
    for (const unsigned each : {1, 2, 3}) {
      auto joins = put({node(each), each == 1 ? 4u : 9u, 1}, members::place_of(node(each)).text(),
                       members::joining(noon));
      joins.principal = system_principal;
      REQUIRE(status_of(engine, joins) == apply_status::applied);
    }
    REQUIRE(status_of(engine, first_of_three()) == apply_status::applied);
    known.update(engine.tree());
  }
  void join(unsigned who) {
    auto joins = put({node(who), who == 1 ? 4u : 9u, 1}, members::place_of(node(who)).text(),
                     members::joining(noon));
    joins.principal = system_principal;
    REQUIRE(status_of(engine, joins) == apply_status::applied);
    known.update(engine.tree());
  }
  void forget_node_2() { forget(2, 2); }
  /// Node 3 says that another one is forgotten, with its change of this number.
  void forget(unsigned who, std::uint64_t seq) {
    const auto where = members::place_of(node(who));
    auto farewell = put({node(3), 9, seq}, where.text(), members::farewell(noon, "gone"),
                        standing_at(engine, where));
    farewell.principal = system_principal;
    REQUIRE(status_of(engine, farewell) == apply_status::applied);
    known.update(engine.tree());
  }
  /// Node 1 says that it looks for the rest.
  void seek() {
    const auto wanted = next();
    REQUIRE(wanted);
    CHECK(wanted->new_value == lost_transactions::sought(noon));
    REQUIRE(engine.write(operation::put, wanted->path, wanted->new_value,
                         std::string{system_principal}, {}, noon));
  }
  /// What node 3 says to have: of the transaction, of its own, and of this node's.
  /// @param knows_4 the incarnation in which node 4 has joined, as far as node 3 knows.
  void report(std::uint64_t of_transaction, std::uint64_t of_own, std::uint64_t of_node_1 = 0,
              bool restoring = false, std::uint64_t knows_4 = 0) {
    version_vector has{{{node(1), 4, 1}, {node(2), 9, 1}, {node(3), 9, of_own}}};
    if (knows_4 > 0) has.raise(node(4), knows_4, 1);
    if (of_node_1 > 0) has.raise(node(1), 5, of_node_1);
    if (of_transaction > 0) has.raise(node(2), 1, of_transaction);
    known.report({.node = node(3), .incarnation = 9, .vector = has, .restoring = restoring});
  }
  /// What is to be written when nothing has come for a while.
  std::optional<local_write> next() { return next(engine.processed()); }
  std::optional<local_write> next(const processed_changes& committed) {
    ask(committed);
    now.steady_ms += rest_search::quiet_ms;
    return ask(committed);
  }
  std::optional<local_write> ask(const processed_changes& committed) {
    return search.next(
        engine, committed, known, [this](const node_id& each) { return each == linked; }, now);
  }
};

}  // namespace

TEST_CASE("a transaction of a forgotten node is lost when all members have a part of it only") {
  search_fixture f;
  f.report(1, 1);
  CHECK_FALSE(f.next());  // its origin may send the rest
  f.forget_node_2();
  f.seek();
  CHECK_FALSE(f.next());  // node 3 may have taken more before it knew
  f.report(1, 2, 0);
  CHECK_FALSE(f.next());
  f.report(1, 1, 1);
  CHECK_FALSE(f.next());
  f.report(0, 2, 1);
  CHECK_FALSE(f.next());  // it may have all, of an incarnation that has ended there
  f.report(3, 2, 1);
  CHECK_FALSE(f.next());
  f.report(1, 2, 1);
  CHECK_FALSE(f.next({}));  // this one is not sure yet
  const auto found = f.next();
  REQUIRE(found);
  CHECK(found->path == lost_transactions::place_of(end));
  CHECK(found->new_value == lost_transactions::lost(1, noon));
}

TEST_CASE("the member with the lowest id speaks of a forgotten node") {
  search_fixture f;
  f.forget_node_2();
  CHECK(f.next());
  context_engine other{node(3), 10, f.engine.state()};
  REQUIRE(status_of(other, first_of_three()) == apply_status::applied);
  members known{node(3)};
  known.update(other.tree());
  CHECK_FALSE(next_when_quiet(other, known));
}

TEST_CASE("nobody looks for what is still coming") {
  search_fixture f;
  f.forget_node_2();
  SUBCASE("a part has just come") {
    CHECK_FALSE(f.ask(f.engine.processed()));
    f.now.steady_ms += rest_search::quiet_ms - 1;
    CHECK_FALSE(f.ask(f.engine.processed()));
    REQUIRE(status_of(f.engine, three()[1]) == apply_status::applied);
    f.now.steady_ms += 1;
    CHECK_FALSE(f.ask(f.engine.processed()));
    f.now.steady_ms += rest_search::quiet_ms;
    CHECK(f.ask(f.engine.processed()));
  }
}

TEST_CASE("of a forgotten node nothing more is taken, so that it has a link does not matter") {
  search_fixture f;
  f.forget_node_2();
  f.linked = node(2);
  CHECK(f.next());
}

TEST_CASE("of a node that is no member a search that has begun goes on") {
  search_fixture f;
  const auto parts = together({put({node(7), 1, 1}, "/a", 1), put({node(7), 1, 2}, "/b", 2)});
  REQUIRE(status_of(f.engine, parts[0]) == apply_status::applied);
  f.known.report({.node = node(2), .incarnation = 9, .vector = f.engine.vector()});
  f.known.report({.node = node(3), .incarnation = 9, .vector = f.engine.vector()});
  CHECK_FALSE(f.next());
  const auto where = lost_transactions::place_of({node(7), 1, 2});
  REQUIRE(f.engine.write(operation::put, where, lost_transactions::sought(noon),
                         std::string{system_principal}, {}, noon));
  CHECK_FALSE(f.next());
  // For what others have begun there may be no room here.
  auto all = f.engine.vector();
  all.raise(node(8), 1, 1);
  for (const unsigned each : {2, 3})
    f.known.report({.node = node(each), .incarnation = 9, .vector = all});
  f.linked = node(7);
  CHECK_FALSE(f.next());  // more of it may come
  f.linked = node(3);
  const auto lost = f.next();
  REQUIRE(lost);
  CHECK(lost->path == where);
  CHECK(lost->new_value == lost_transactions::lost(1, noon));
}

TEST_CASE("a rest is not lost while a member does not know of all that are or were forgotten") {
  search_fixture f;
  f.join(4);
  f.forget_node_2();
  f.seek();
  f.report(1, 2, 1, false, 9);
  f.known.report({.node = node(4), .incarnation = 9, .vector = f.engine.vector()});
  REQUIRE(f.next());
  f.forget(4, 3);
  CHECK_FALSE(f.next());  // node 3 may still take from node 4
  SUBCASE("it has heard that") {
    f.report(1, 3, 1, false, 9);
    CHECK(f.next());
  }
  SUBCASE("that one has begun anew") {
    const auto where = members::place_of(node(4));
    auto again =
        put({node(4), 11, 1}, where.text(), members::joining(noon), standing_at(f.engine, where));
    again.principal = system_principal;
    REQUIRE(status_of(f.engine, again) == apply_status::applied);
    f.known.update(f.engine.tree());
    REQUIRE(f.known.joined_in(node(4)) == 11);
    f.known.report({.node = node(4), .incarnation = 11, .vector = f.engine.vector()});
    CHECK_FALSE(f.next());  // node 3 may have taken from its old incarnation
    f.report(1, 3, 1, false, 11);
    CHECK(f.next());
  }
}

TEST_CASE("a rest is not lost while a member is being restored") {
  search_fixture f;
  f.forget_node_2();
  f.seek();
  f.report(1, 2, 1, true);
  CHECK_FALSE(f.next());
  f.report(1, 2, 1);
  CHECK(f.next());
}

TEST_CASE("a node says itself what its disk has lost") {
  search_fixture f;
  context_engine engine{node(2), 10, f.engine.state()};
  REQUIRE(status_of(engine, first_of_three()) == apply_status::applied);
  members known{node(2)};
  known.update(engine.tree());
  const auto next = [&] { return next_when_quiet(engine, known); };
  const auto sought = next();
  REQUIRE(sought);
  CHECK(sought->path == lost_transactions::place_of(end));
  CHECK(sought->new_value == lost_transactions::sought(noon));
  const auto write = [&](const local_write& wanted) {
    REQUIRE(engine.write(operation::put, wanted.path, wanted.new_value,
                         std::string{system_principal}, {}, noon));
  };
  write(*sought);
  CHECK_FALSE(next());
  const version_vector part{{{node(1), 4, 1}, {node(2), 1, 1}, {node(2), 9, 1}, {node(3), 9, 1}}};
  auto later = part;
  later.raise(node(2), 10, 1);
  known.report({node(1), 5, later, {}});
  known.report({node(3), 9, part, {}});
  CHECK_FALSE(next());
  known.report({node(3), 9, later, {}});
  const auto lost = next();
  REQUIRE(lost);
  CHECK(lost->new_value == lost_transactions::lost(1, noon));
  write(*lost);
  CHECK(engine.open() == 0);
  CHECK_FALSE(next());
}
