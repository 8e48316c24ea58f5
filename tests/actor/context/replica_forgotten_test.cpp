// A replica that the others have forgotten: it goes on with another manager. In virtual time.

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/sync/members.hpp>
#include <troupe/tests/support/fixtures/replica_pair_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Node 4 is a member, and has forgotten node 1.
std::vector<change_record> forgetting() {
  auto joined = put({test::node(4), 1, 1}, members::place_of(test::node(4)).text(), 1);
  auto forgotten = put({test::node(4), 1, 2}, members::place_of(test::node(1)).text(), 1);
  joined.new_value = members::joining(noon);
  forgotten.new_value = members::farewell(noon, "a test");
  joined.principal = forgotten.principal = std::string{system_principal};
  return {joined, forgotten};
}

}  // namespace

TEST_CASE_FIXTURE(pair_fixture, "a forgotten replica answers what is open, and begins anew") {
  a.write("/only here", 1);
  b.write("/there", 2);
  played_peer four{*this, 4};
  four.push({forgetting()[0]});
  auto waiting = system.ask<values_written>(a.actor, write_values{.entries = {{path{"/late"}, 3}},
                                                                  .durability = durability::all,
                                                                  .principal = "tester",
                                                                  .members_within_ms = 60'000});
  system.run();
  REQUIRE_FALSE(waiting.ready());
  four.push({forgetting()[1]});
  system.pass(1s);
  CHECK(waiting.code() == error_code::unavailable);
  CHECK(a.log.count("context.overruled") == 1);
  REQUIRE(four.link().closed());
  const auto read = system.demand<value_found>(a.actor, get_value{path{"/only here"}});
  REQUIRE_FALSE(read);
  CHECK(read.error().code == error_code::unavailable);
  CHECK(
      system.demand<value_found>(a.actor, get_value{.path = path{"/only here"}, .salvaged = true})
          ->value == value{1});
  CHECK(a.write("/x", 1).code() == error_code::unavailable);

  // Node 2 has what node 4 had written, and gives its state.
  kept_link link{system};
  b.meet(link.actor(), test::node(4));
  say_as(link.actor(), b.actor, "sync.hello", encode(hello_of(test::node(4))));
  say_as(link.actor(), b.actor, "sync.push", encode(push_of(1, forgetting())));
  system.run();
  fake_wire wire{a, b};
  settle();
  CHECK(a.log.count("context.restored") == 1);
  REQUIRE(a.store.kept().size() == 1);
  CHECK(a.store.kept()[0].find(path{"/only here"}));
  fake_wire again{a, b};
  settle();
  CHECK(a.read("/there") == value{2});
  CHECK_FALSE(a.read("/only here"));
  CHECK(equal());
}

TEST_CASE_FIXTURE(pair_fixture, "a forgotten replica whose disk refuses keeps its state") {
  a.write("/x", 1);
  a.store.refuse();
  played_peer four{*this, 4};
  for (const auto& each : forgetting()) four.push({each});
  system.pass(3s);
  CHECK(a.read("/x") == value{1});
  a.store.accept();
  system.pass(10s);
  CHECK_FALSE(system.demand<value_found>(a.actor, get_value{path{"/x"}}));
}
