#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/tests/support/fixtures/cluster_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// A manager that has the first of three changes which node 3 has made together.
struct lost_fixture : cluster_fixture {
  const path where = lost_transactions::place_of({node(3), 1, 4});

  explicit lost_fixture(unsigned last = 3) : cluster_fixture(last) {
    push_from_2(parts()[0]);
    store_all();
    has_committed(2);
    tick(short_leases.present_ms);  // it has just joined
    REQUIRE(manager.engine().open() == 1);
    REQUIRE(none<append_batch>());
  }
  static std::vector<change_record> parts() {
    return together({put({node(3), 1, 2}, "/a", 1), put({node(3), 1, 3}, "/b", 2),
                     put({node(3), 1, 4}, "/c", 3)});
  }
  /// Node 3 is forgotten, so this node looks for the rest, and has that on its disk.
  void seek() {
    hear_farewell(3);
    store_all();
    tick();
    store_all();
    REQUIRE(has_said("sought_ms"));
  }
  value said() const { return manager.engine().view(where).value_or(value{}); }
  bool has_said(std::string_view field) const { return said().find(field).has_value(); }
};

}  // namespace

TEST_CASE("a transaction of a forgotten node is sought, and lost when no member has the rest") {
  lost_fixture f;
  f.hear_farewell(3);
  f.store_all();
  f.tick();
  CHECK(f.has_said("sought_ms"));
  CHECK(f.manager.engine().open() == 1);
  f.store_all();
  f.tick();
  CHECK(f.has_said("sought_ms"));  // node 2 has yet to say that it knows
  f.has_committed(2);
  f.tick();
  CHECK(f.logged("context.transaction_lost") == 1);
  CHECK(f.has_said("lost_ms"));
  CHECK(f.manager.engine().open() == 0);
  f.store_all();
  f.tick();
  CHECK(f.none<append_batch>());
  // What another member has of it is taken, and counts for nothing.
  f.push_from_2(f.parts()[1]);
  f.store_all();
  CHECK(f.manager.committed().at({node(3), 1}) == 3);
  CHECK_FALSE(f.read("/b"));
}

TEST_CASE("a transaction of which another member has the rest is not lost") {
  lost_fixture f;
  f.seek();
  auto has = f.manager.committed().vector();
  has.raise(node(3), 1, 4);
  f.hear(2, sync_heads{has, {}, 0, {}, {}});
  f.tick();
  CHECK(f.has_said("sought_ms"));
  for (const auto& each : {f.parts()[1], f.parts()[2]}) f.push_from_2(each);
  CHECK(f.manager.engine().open() == 0);
  CHECK(f.read("/c") == value{3});
}

TEST_CASE("nothing is said of a transaction while the disk refuses writes") {
  lost_fixture f;
  f.hear_farewell(3);
  f.refused();
  f.tick();
  CHECK(f.said() == value{});
}

TEST_CASE("a transaction is not lost while others have what is not known here") {
  lost_fixture f;
  f.seek();
  auto has = f.manager.committed().vector();
  has.raise(node(7), 1, 1);
  f.hear(2, sync_heads{has, {}, 0, {}, {}});
  f.tick();
  CHECK(f.has_said("sought_ms"));  // it may be a member that has all
  f.push_from_2(put({node(7), 1, 1}, "/d", 1));
  f.store_all();
  f.tick();
  CHECK(f.has_said("lost_ms"));
}

TEST_CASE("each member says in its log that it gives up a transaction") {
  cluster_fixture f{4};
  f.hear_farewell(4);
  auto lost = put({node(2), 1, 3}, lost_transactions::place_of({node(4), 1, 9}).text(),
                  lost_transactions::lost(7, noon));
  lost.principal = system_principal;
  f.push_from_2(lost);
  CHECK(f.logged("context.transaction_lost") == 1);
}

TEST_CASE("a node that counts a lost transaction takes the state of another one") {
  lost_fixture f;
  for (const auto& each : {f.parts()[1], f.parts()[2]}) f.push_from_2(each);
  REQUIRE(f.read("/c") == value{3});
  f.hear_farewell(3);
  auto lost = put({node(2), 1, 3}, f.where.text(), lost_transactions::lost(2, noon));
  lost.principal = system_principal;
  f.push_from_2(lost);
  CHECK(f.logged("context.forgotten") == 1);
  f.write("/x", 1);
  CHECK(f.only<answer_write>().outcome.error().code == error_code::unavailable);
  f.hear(2, sync_range{.transfer = 1, .ask = 1});
  f.store_all();
  CHECK(f.sent<sync_state>(2).empty());
  f.tick();
  CHECK(f.only<begin_anew>().forgotten == version_vector{{{node(2), 1, 3}}});
}

TEST_CASE(
    "that a transaction is sought or lost is taken once its incarnation is known to be over") {
  lost_fixture f;
  const auto says = [&](unsigned writer, std::uint64_t incarnation, unsigned who, bool is_lost) {
    auto record =
        put({node(writer), incarnation, 1}, lost_transactions::place_of({node(who), 1, 9}).text(),
            is_lost ? lost_transactions::lost(7, noon) : lost_transactions::sought(noon));
    record.principal = system_principal;
    return record;
  };
  const auto is_taken = [&](const change_record& record) {
    f.push_from_2(record);
    return f.read(record.path.text()).has_value();
  };
  SUBCASE("it is this very incarnation") { CHECK_FALSE(is_taken(says(2, 2, 1, true))); }
  SUBCASE("nothing is known of it") {
    for (const bool is_lost : {false, true}) CHECK_FALSE(is_taken(says(2, 2, 4, is_lost)));
  }
  SUBCASE("its node says so itself, later") {
    CHECK_FALSE(is_taken(says(3, 1, 3, true)));
    CHECK(is_taken(says(3, 2, 3, true)));
  }
  SUBCASE("its node has joined again") {
    f.push_from_2(put({node(3), 2, 1}, "/x", 1));
    CHECK_FALSE(is_taken(says(2, 2, 3, true)));
    auto again = joining_of(3, 3, 2, standing_at(f.manager.engine(), members::place_of(node(3))));
    again.dot.incarnation = 2;
    f.push_from_2(again);
    CHECK(is_taken(says(2, 2, 3, true)));
  }
  SUBCASE("its node is forgotten, and has a link all the same") {
    f.link(3);
    f.hear_farewell(3);
    CHECK(is_taken(says(2, 2, 3, false)));
  }
}

TEST_CASE("what comes with it says that the node is forgotten, and is taken") {
  cluster_fixture f{4};
  f.link(4);
  const path where = lost_transactions::place_of({node(4), 1, 9});
  auto lost = put({node(2), 1, 3}, where.text(), lost_transactions::lost(7, noon));
  lost.principal = system_principal;
  const auto farewell =
      farewell_of(4, 2, 2, standing_at(f.manager.engine(), members::place_of(node(4))));
  f.push(2, 10, {farewell, lost});
  CHECK(f.manager.engine().vector().at(node(2), 1) == 2);
  CHECK(f.manager.known_members().forgotten().contains(node(4)));
  f.tick();
  CHECK(f.only<close_peer>().peer == peer_id{4});
  f.push(2, 11, {farewell, lost});
  CHECK(f.manager.engine().vector().at(node(2), 1) == 3);
}

// -- links that are over --------------------------------------------------------------------------

namespace {

/// One push of several batches.
sync_push push_of(std::uint64_t number, const std::vector<change_record>& records) {
  sync_push made{number, {}};
  for (const auto& each : make_batches(records)) made.changes.push_back({each->bytes()});
  return made;
}

}  // namespace

TEST_CASE("of a push nothing is taken behind the change that says that its sender is forgotten") {
  lost_fixture f{4};
  f.link(3);
  const auto farewell =
      farewell_of(3, 4, 2, standing_at(f.manager.engine(), members::place_of(node(3))));
  const auto parts = f.parts();
  f.hear(3, push_of(1, {parts[1], farewell, parts[2]}));
  CHECK(f.manager.known_members().forgotten().contains(node(3)));
  CHECK(f.manager.engine().vector().at(node(3), 1) == 3);
  f.store_all();
  CHECK(f.sent<sync_ack>(3).empty());
  f.tick();
  CHECK(f.only<close_peer>().peer == peer_id{3});
}

TEST_CASE("nothing is taken over a link of before its node has begun anew") {
  lost_fixture f;
  f.link(3);
  const auto farewell =
      farewell_of(3, 2, 2, standing_at(f.manager.engine(), members::place_of(node(3))));
  auto again = joining_of(3, 3, 1, {seen(farewell)});
  again.dot.incarnation = 2;
  // It waits for the farewell, so that both are taken at once.
  f.push_from_2(again);
  REQUIRE(f.manager.engine().buffered() == 1);
  f.push_from_2(farewell);
  f.push_from_2(again);
  REQUIRE(f.manager.known_members().joined_in(node(3)) == 2);
  f.hear(3, push_of(1, {f.parts()[1]}));
  CHECK(f.manager.engine().vector().at(node(3), 1) == 2);
  f.tick();
  CHECK(f.only<close_peer>().peer == peer_id{3});
  f.link(3);
  f.hear(3, push_of(1, {f.parts()[1]}));
  CHECK(f.manager.engine().vector().at(node(3), 1) == 3);
}

TEST_CASE("a transaction is not lost while a member says that it is being restored") {
  lost_fixture f;
  f.seek();
  auto said = sync_heads{f.manager.committed().vector(), {}, 0, {}, {}};
  said.restoring = true;
  f.hear(2, said);
  f.tick();
  CHECK(f.has_said("sought_ms"));
  said.restoring = false;
  f.hear(2, said);
  f.tick();
  CHECK(f.has_said("lost_ms"));
}
