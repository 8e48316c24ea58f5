// What a replica stores and when: commits and checkpoints. In virtual time, on a store that the
// test controls.

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include <caf/event_based_actor.hpp>

#include <troupe/tests/support/fixtures/replica_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

// -- durability -----------------------------------------------------------------------------------

TEST_CASE_FIXTURE(
    one_replica,
    "a durable write is acknowledged only when the store has it, and can be read before") {
  replica.store.hold();
  auto written = replica.write("/a", 1);
  CHECK_FALSE(written.ready());
  CHECK(replica.read("/a") == value{1});
  replica.store.proceed();
  REQUIRE(written.ready());
  CHECK(written.value().ids.size() == 1);
  CHECK(stored() == strings{"/a"});
}

TEST_CASE_FIXTURE(one_replica,
                  "a write to memory is acknowledged at once, and stored all the same") {
  replica.store.hold();
  auto written = replica.write("/a", 1, durability::memory);
  CHECK(written.ready());
  CHECK(stored().empty());
  replica.store.proceed();
  CHECK(stored() == strings{"/a"});
}

TEST_CASE_FIXTURE(one_replica, "writes that come while the disk is busy are one commit") {
  replica.store.hold();
  std::vector<answer<values_written>> all;
  for (int i = 0; i < 50; ++i) all.push_back(replica.write("/n/" + std::to_string(i), i));
  replica.store.proceed();
  for (const auto& each : all) CHECK(each.ready());
  CHECK(replica.store.commits() == 2);
  CHECK(stored().size() == 50);
}

TEST_CASE_FIXTURE(one_replica,
                  "a write that the disk refuses is not acknowledged, and tried again") {
  replica.store.refuse();
  auto written = replica.write("/a", 1);
  REQUIRE(written.ready());
  CHECK(written.code() == error_code::storage_failure);
  CHECK(written.problem().find("the disk is full") != std::string::npos);
  CHECK(replica.log.count("context.disk_refused") == 1);
}

TEST_CASE_FIXTURE(one_replica, "while the disk refuses, writes are refused and reads go on") {
  REQUIRE(replica.write("/before", 1).get());
  replica.store.refuse();
  REQUIRE_FALSE(replica.write("/a", 1).get());
  auto second = replica.write("/b", 2);
  REQUIRE(second.ready());
  CHECK(second.code() == error_code::storage_failure);
  CHECK(replica.write("/c", 3, durability::memory).code() == error_code::storage_failure);
  CHECK_FALSE(replica.read("/b"));
  CHECK(replica.read("/before") == value{1});
  CHECK(replica.read("/a") == value{1});
}

TEST_CASE_FIXTURE(one_replica,
                  "when the disk takes writes again nothing is lost, and writes are taken again") {
  replica.store.refuse();
  REQUIRE_FALSE(replica.write("/a", 1).get());
  system.pass(1s);
  CHECK(stored().empty());
  replica.store.accept();
  system.pass(150ms);
  CHECK(stored() == strings{"/a"});
  CHECK(replica.log.count("context.disk_refused") == 1);
  CHECK(replica.log.count("context.disk_recovered") == 1);
  CHECK(replica.write("/b", 2).get());
  CHECK(stored() == strings{"/a", "/b"});
}

TEST_CASE_FIXTURE(one_replica, "a replica ends with its store") {
  caf::anon_send_exit(replica.store.keeper(), caf::exit_reason::kill);
  system.run();
  CHECK(system.demand<value_found>(replica.actor, get_value{path{"/a"}}).error().code ==
        error_code::unavailable);
}

// -- checkpoints ----------------------------------------------------------------------------------

TEST_CASE_FIXTURE(one_replica, "a settled replica has stored and checkpointed everything") {
  replica.write("/a", 1);
  replica.write("/b", 2);
  REQUIRE(system.demand<void>(replica.actor, settle_context{}));
  REQUIRE(replica.store.checkpoints().size() == 1);
  CHECK(replica.store.checkpoints().front()->tree.hash() == replica.verify().hash);
  CHECK(replica.store.checkpoints().front()->processed.vector() == replica.verify().vector);
}

TEST_CASE_FIXTURE(one_replica, "a replica that is settled already needs no checkpoint") {
  REQUIRE(system.demand<void>(replica.actor, settle_context{}));
  CHECK(replica.store.checkpoints().empty());
  replica.write("/a", 1);
  REQUIRE(system.demand<void>(replica.actor, settle_context{}));
  REQUIRE(system.demand<void>(replica.actor, settle_context{}));
  CHECK(replica.store.checkpoints().size() == 1);
}

TEST_CASE_FIXTURE(one_replica,
                  "settling waits for what is being written, and checkpoints that too") {
  replica.store.hold();
  auto written = replica.write("/a", 1);
  auto settled = system.ask<void>(replica.actor, settle_context{});
  system.run();
  CHECK_FALSE(settled.ready());
  replica.store.proceed();
  REQUIRE(settled.ready());
  CHECK(settled.get());
  REQUIRE(replica.store.checkpoints().size() == 1);
  CHECK(replica.store.checkpoints().front()->tree.size() == 1);
}

TEST_CASE_FIXTURE(one_replica, "settling is answered before its time is over") {
  replica.store.hold();
  auto written = replica.write("/a", 1);
  auto settled = system.ask<void>(replica.actor, settle_context{.time = 1s});
  system.pass(800ms);
  CHECK_FALSE(settled.ready());
  system.pass(199ms);
  REQUIRE(settled.ready());
  CHECK(settled.get().error().code == error_code::storage_failure);
  replica.store.proceed();
}

TEST_CASE_FIXTURE(one_replica, "settling fails when the disk refuses") {
  replica.store.refuse();
  replica.write("/a", 1);
  CHECK(system.demand<void>(replica.actor, settle_context{}).error().code ==
        error_code::storage_failure);
}

TEST_CASE("a checkpoint is written after every N changes") {
  virtual_system system;
  replica_fixture replica{system, 1, 10};
  for (int i = 0; i < 9; ++i) replica.write("/n/" + std::to_string(i), i);
  system.pass(200ms);
  CHECK(replica.store.checkpoints().empty());
  replica.write("/n/9", 9);
  system.pass(200ms);
  REQUIRE(replica.store.checkpoints().size() == 1);
  CHECK(replica.store.checkpoints().front()->tree.size() == 10);
  for (int i = 0; i < 10; ++i) replica.write("/n/" + std::to_string(i), i + 1);
  system.pass(200ms);
  CHECK(replica.store.checkpoints().size() == 2);
}

TEST_CASE("a checkpoint that fails is logged, and tried again with the next changes") {
  virtual_system system;
  replica_fixture replica{system, 1, 2};
  replica.store.refuse_checkpoints();
  replica.write("/a", 1);
  replica.write("/b", 2);
  system.pass(1s);
  CHECK(replica.log.count("context.checkpoint_failed") == 1);
  replica.store.accept_checkpoints();
  replica.write("/c", 3);
  system.pass(1s);
  CHECK(replica.store.checkpoints().empty());
  replica.write("/d", 4);
  system.pass(1s);
  REQUIRE(replica.store.checkpoints().size() == 1);
  CHECK(replica.store.checkpoints().front()->tree.size() == 4);
}

TEST_CASE("checkpoints are written while writers never pause") {
  virtual_system system;
  replica_fixture replica{system, 1, 50};
  // Two writers, each of which writes again as soon as it is answered: whenever a commit is done,
  // the next waits.
  int left = 400;
  std::vector<caf::actor> writers;
  for (int writer = 0; writer < 2; ++writer)
    writers.push_back(system.own(system.caf().spawn(
        [&left, writer, to = replica.actor](caf::event_based_actor* self) -> caf::behavior {
          return {[self, &left, writer, to](tick) {
            if (left-- <= 0) return;
            const write_values wanted{.entries = {{path{"/w/" + std::to_string(left)}, writer}},
                                      .principal = "tester"};
            self->request(to, 60s, wanted)
                .then([self](const values_written&) { tell(self, self, tick::fast); },
                      [](const caf::error& why) { FAIL(from_caf(why).message); });
          }};
        })));
  replica.store.hold();
  for (const auto& writer : writers) tell(writer, tick::fast);
  system.run();
  replica.store.proceed();
  CHECK(replica.store.log().size() == 400);
  CHECK(replica.store.checkpoints().size() >= 6);
  for (const auto& each : replica.store.checkpoints())
    CHECK(each->processed.at({replica.id, 1}) == each->tree.size());
  CHECK(replica.store.checkpoints().front()->tree.size() < 100);
}

TEST_CASE("what was replayed at the start counts for the next checkpoint") {
  virtual_system system;
  SUBCASE("when enough has gathered over several incarnations") {
    replica_fixture replica{system, 1, 10, {}, 9};
    system.pass(200ms);
    CHECK(replica.store.checkpoints().empty());
    replica.write("/a", 1);
    system.pass(200ms);
    CHECK(replica.store.checkpoints().size() == 1);
  }
  SUBCASE("when it is more than enough already") {
    replica_fixture replica{system, 1, 10, {}, 10};
    system.pass(200ms);
    CHECK(replica.store.checkpoints().size() == 1);
    system.pass(1s);
    CHECK(replica.store.checkpoints().size() == 1);
  }
  SUBCASE("at the end, even if nothing was written") {
    replica_fixture replica{system, 1, 10, {}, 1};
    REQUIRE(system.demand<void>(replica.actor, settle_context{}));
    CHECK(replica.store.checkpoints().size() == 1);
  }
}

TEST_CASE_FIXTURE(one_replica, "what is durable needs no checkpoint to settle") {
  replica.store.refuse_checkpoints();
  replica.write("/a", 1);
  CHECK(system.demand<void>(replica.actor, settle_context{}));
  CHECK(replica.log.count("context.checkpoint_failed reason=\"no room for a checkpoint\"") == 1);
}
