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
    tick(rest_search::quiet_ms);
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
  CHECK(f.logged("context.overruled") == 1);
  f.write("/x", 1);
  const auto refused = f.only<answer_write>().outcome;
  CHECK(refused.error().code == error_code::unavailable);
  CHECK(refused.error().message.find("given up a transaction that this node has") !=
        std::string::npos);
  f.hear(2, sync_range{.transfer = 1, .ask = 1});
  f.store_all();
  CHECK(f.sent<sync_state>(2).empty());
  f.tick();
  CHECK(f.only<begin_anew>().overruled_by == version_vector{{{node(2), 1, 3}}});
}

TEST_CASE("what a node that is no member has sent in part is given up when an operator says so") {
  cluster_fixture f{2};
  const dot last{node(7), 1, 2};
  const auto all = together({put({node(7), 1, 1}, "/a", 1), put({node(7), 1, 2}, "/b", 2)});
  f.push_from_2(all[0]);
  f.store_all();
  f.has_committed(2);
  f.tick(short_leases.present_ms);
  f.tick(rest_search::quiet_ms);
  CHECK_FALSE(f.manager.engine().view(lost_transactions::place_of(last)));  // it may come back
  const auto told = "node " + to_string(node(7)) + " is no member, has no link";
  CHECK(f.problems_with(told) == 1);
  SUBCASE("it is connected with another member") {
    f.hear(2, sync_heads{f.manager.committed().vector(), {}, 0, {node(7)}, {}});
    CHECK(f.problems_with(told) == 0);
    const auto refused = f.manager.forgetting(node(7), "a test");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == error_code::failed_precondition);
    const auto linked = "node " + to_string(node(7)) + " is no member, has a link";
    CHECK(f.problems_with(linked) == 0);
    f.tick(600'000);
    CHECK(f.problems_with(linked) == 1);
  }
  SUBCASE("it is not") {
    const auto wanted = f.manager.forgetting(node(7), "a test");
    REQUIRE(wanted);
    f.after([&] { f.manager.write(context_request{500}, *wanted, f.now); });
    CHECK(f.manager.forgetting(node(7), "a test").error().code == error_code::already_exists);
    CHECK(f.problems_with(told) == 0);
    const auto giving_up = "what node " + to_string(node(7)) + " has begun is being given up";
    CHECK(f.problems_with(giving_up + ", which waits until all members have said") == 1);
    f.hear(2, sync_heads{f.manager.committed().vector(), {}, 0, {node(7)}, {}});
    CHECK(f.problems_with(giving_up + ", which waits while that node has a link") == 1);
    f.hear(2, sync_heads{f.manager.committed().vector(), {}, 0, {}, {}});
    f.store_all();
    f.tick();
    CHECK(f.manager.engine().open() == 1);
    f.has_committed(2);
    f.tick();
    CHECK(f.logged("context.transaction_lost") == 1);
    CHECK(f.problems_with(giving_up) == 0);
    CHECK(f.manager.engine().open() == 0);
    f.push_from_2(all[1]);
    CHECK_FALSE(f.read("/b"));
  }
}

TEST_CASE("an operator is told for which members that are away the giving up waits") {
  cluster_fixture f{2};
  f.push_from_2(together({put({node(7), 1, 1}, "/a", 1), put({node(7), 1, 2}, "/b", 2)})[0]);
  f.store_all();
  f.has_committed(2);
  f.tick(short_leases.present_ms);
  f.tick(rest_search::quiet_ms);
  const auto wanted = f.manager.forgetting(node(7), "a test");
  REQUIRE(wanted);
  f.after([&] { f.manager.write(context_request{500}, *wanted, f.now); });
  f.peer_down(2);
  CHECK(f.problems_with("is being given up, which waits for members that are away: " +
                        to_string(node(2))) == 1);
}

TEST_CASE("what others have more of, or is still coming, is not given up") {
  cluster_fixture f{2};
  f.tick(short_leases.present_ms);
  f.push_from_2(together({put({node(7), 1, 1}, "/a", 1), put({node(7), 1, 2}, "/b", 2)})[0]);
  f.store_all();
  f.tick();
  CHECK(f.manager.forgetting(node(7), "a test").error().code == error_code::not_found);
  f.tick(rest_search::quiet_ms);
  CHECK(f.manager.forgetting(node(7), "a test"));
  auto has = f.manager.committed().vector();
  has.raise(node(7), 1, 2);
  f.hear(2, sync_heads{has, {}, 0, {}, {}});
  CHECK(f.manager.forgetting(node(7), "a test").error().code == error_code::not_found);
}

TEST_CASE("a node that is no member yet gives up nobody") {
  manager_fixture f;
  f.greeted_peer(2, 2);
  f.push(2, 1, {together({put({node(7), 1, 1}, "/a", 1), put({node(7), 1, 2}, "/b", 2)})[0]});
  REQUIRE(f.manager.engine().open() == 1);
  for (int times = 0; times < 2; ++times) f.tick(rest_search::quiet_ms);
  const auto refused = f.manager.forgetting(node(7), "a test");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::failed_precondition);
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
  SUBCASE("it is this very incarnation") {
    CHECK_FALSE(is_taken(says(2, 2, 1, true)));
    CHECK(f.logged("context.loss_denied") == 1);
    CHECK(f.problems_with("which this node has made since its start") == 1);
    CHECK_FALSE(is_taken(says(2, 2, 1, true)));
    CHECK(f.logged("context.loss_denied") == 0);  // that has been said
  }
  SUBCASE("its node is no member, and neither is who says so") {
    CHECK_FALSE(is_taken(says(7, 2, 4, true)));
    CHECK(f.problems_with("is lost, but is no member here") == 1);
    for (std::uint64_t incarnation = 3; incarnation < 100; ++incarnation)
      CHECK_FALSE(is_taken(says(7, incarnation, 4, true)));
    f.tick(1'000);
    CHECK(f.logged("context.losses_denied") == 1);  // those that were not said one by one
    CHECK(f.logged("context.transactions_lost") == 0);
  }
  SUBCASE("its node is no member, and neither is who says that it is sought") {
    CHECK_FALSE(is_taken(says(7, 2, 4, false)));
    CHECK(f.problems_with("is being given up, but is no member here") == 1);
  }
  SUBCASE("its node has begun a later incarnation, and who says so was never a member") {
    f.push_from_2(put({node(3), 2, 1}, "/x", 1));
    CHECK_FALSE(is_taken(says(7, 2, 3, true)));
  }
  SUBCASE("its node is no member, and who says so was one") {
    f.hear_farewell(3);
    CHECK(is_taken(says(3, 2, 4, true)));
  }
  SUBCASE("that it is sought does no harm") { CHECK(is_taken(says(7, 2, 3, false))); }
  SUBCASE("its node is no member, and a member says so") { CHECK(is_taken(says(2, 2, 4, true))); }
  SUBCASE("its node says so itself, later") {
    CHECK_FALSE(is_taken(says(3, 1, 3, true)));
    CHECK(is_taken(says(3, 2, 3, true)));
  }
  SUBCASE("its node has begun a later incarnation") {
    CHECK_FALSE(is_taken(says(2, 2, 3, true)));
    CHECK(f.problems_with("that is a member here. So nothing more") == 1);
    f.link(3);
    CHECK(f.problems_with("that is a member here, and runs") == 1);
    f.push_from_2(put({node(3), 2, 1}, "/x", 1));
    CHECK(is_taken(says(2, 2, 3, true)));
    CHECK(f.problems_with("that is a member here") == 0);
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
  CHECK(f.manager.engine().vector().at(node(2), 1) == 3);
  CHECK(f.manager.known_members().forgotten().contains(node(4)));
  CHECK(f.read(where.text()));
  CHECK(f.logged("context.loss_denied") == 0);
  f.tick();
  CHECK(f.only<close_peer>().peer == peer_id{4});
}

TEST_CASE("each node of which nothing more is taken is told of") {
  cluster_fixture f{6};
  std::uint64_t push = 10;
  for (const unsigned who : {3, 4, 5, 3}) {
    auto lost = put({node(who), 1, 2}, lost_transactions::place_of({node(6), 1, 9}).text(),
                    lost_transactions::lost(7, noon));
    lost.principal = system_principal;
    f.push(2, push++, {lost});
    CHECK(f.logged("context.loss_denied") == (push <= 13 ? 1 : 0));
  }
  CHECK(f.problems_with("that is a member here. So nothing more of node") == 3);
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
  // Once only: who makes up a later incarnation of a node does not close its links for ever.
  auto other = put({node(2), 1, 3}, "/_sys/other", 1);
  other.principal = system_principal;
  f.push_from_2(other);
  f.hear(3, push_of(2, {f.parts()[2]}));
  CHECK(f.manager.engine().vector().at(node(3), 1) == 4);
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
