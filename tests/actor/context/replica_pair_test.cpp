// Replicas that exchange their changes over links that the test controls. In virtual time.

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include <troupe/tests/support/fixtures/replica_pair_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE_FIXTURE(pair_fixture, "a change is at the other node at once") {
  fake_wire wire{a, b};
  a.write("/x", 1);
  CHECK(b.read("/x") == value{1});
  b.write("/x", 2);
  CHECK(a.read("/x") == value{2});
  CHECK(equal());
}

TEST_CASE_FIXTURE(pair_fixture, "a change crosses only after its own commit") {
  fake_wire wire{a, b};
  a.store.hold();
  a.write("/x", 1);
  system.pass(2s);
  CHECK_FALSE(b.read("/x"));
  a.store.proceed();
  CHECK(b.read("/x") == value{1});
}

TEST_CASE_FIXTURE(pair_fixture,
                  "what was written before the nodes met is exchanged when they meet") {
  for (int i = 0; i < 300; ++i) a.write("/a/" + std::to_string(i), std::string(500, 'x'));
  for (int i = 0; i < 10; ++i) b.write("/b/" + std::to_string(i), i);
  fake_wire wire{a, b};
  settle();
  CHECK(a.verify().entries == 310);
  CHECK(equal());
}

TEST_CASE_FIXTURE(pair_fixture, "what the log has no more comes as a whole state, and is stored") {
  a.store.let_log_shrink();
  for (int i = 0; i < 300; ++i) a.write("/a/" + std::to_string(i), std::string(500, 'x'));
  b.write("/b", 1);
  REQUIRE(system.demand<void>(a.actor, settle_context{}));
  system.pass(1s);
  CHECK(a.store.log().empty());
  fake_wire wire{a, b};
  settle();
  CHECK(b.log.count("context.state_joined") == 1);
  CHECK(a.verify().entries == 301);
  CHECK(equal());
  CHECK(b.store.log().size() == 1);
  CHECK(b.store.checkpoints().back()->tree.size() == 301);
  settle();
  a.write("/a/7", 7);
  CHECK(b.read("/a/7") == value{7});
}

TEST_CASE_FIXTURE(pair_fixture,
                  "concurrent edits become a conflict that both nodes see and decide alike") {
  fake_wire wire{a, b};
  wire.cut();
  a.write("/x", "from a");
  b.write("/x", "from b");
  fake_wire healed{a, b};
  settle();
  CHECK(equal());
  CHECK(a.read("/x") == b.read("/x"));
  CHECK(a.verify().conflicts == 1);
  CHECK(b.verify().conflicts == 1);
  CHECK(a.log.contains("context.conflict path=\"/x\""));
  const auto explained = system.demand<value_explained>(a.actor, explain_value{path{"/x"}}).value();
  CHECK(explained.conflict);
  CHECK(explained.writes.size() == 2);
  b.write("/x", "settled");
  CHECK(a.read("/x") == value{"settled"});
  CHECK(a.verify().conflicts == 0);
}

TEST_CASE_FIXTURE(pair_fixture,
                  "edits on both sides of a cut are all there when it heals, deletions too") {
  auto wire = std::make_unique<fake_wire>(a, b);
  a.write("/kept", 1);
  a.write("/gone", 1);
  wire->cut();
  a.erase("/gone");
  for (int i = 0; i < 40; ++i) {
    a.write("/a/" + std::to_string(i), i);
    b.write("/b/" + std::to_string(i), i);
    b.write("/both", i);
  }
  CHECK_FALSE(equal());
  wire = std::make_unique<fake_wire>(a, b);
  settle();
  CHECK(equal());
  CHECK_FALSE(b.read("/gone"));
  CHECK(b.verify().entries == 82);
  CHECK(a.read("/both") == value{39});
}

TEST_CASE_FIXTURE(pair_fixture, "both nodes have stored what both have written") {
  fake_wire wire{a, b};
  a.write("/x", 1);
  b.write("/y", 2);
  CHECK(a.store.log().size() == 2);
  CHECK(b.store.log().size() == 2);
}

TEST_CASE_FIXTURE(pair_fixture,
                  "a watcher sees the changes of the other node, where readers see something new") {
  fake_wire wire{a, b};
  std::vector<std::string> seen;
  const auto watcher = system.own(context_watcher{
      system.caf().spawn([&seen](context_watcher::pointer) -> context_watcher::behavior_type {
        return {[&seen](const context_changed& changed) {
          for (const auto& change : changed.changes) seen.push_back(change->path.text());
        }};
      })});
  tell(b.actor, watch_context{path{"/app"}, watcher});
  system.run();
  a.write("/app/x", 1);
  a.write("/other", 2);
  CHECK(seen == std::vector<std::string>{"/app/x"});
  // A concurrent change that is earlier changes nothing for readers.
  wire.cut();
  *a.wall_offset_ms = -1;
  b.write("/app/x", "later");
  a.write("/app/x", "earlier");
  *a.wall_offset_ms = 0;
  fake_wire healed{a, b};
  settle();
  CHECK(b.verify().conflicts == 1);
  CHECK(b.read("/app/x") == value{"later"});
  CHECK(seen == std::vector<std::string>{"/app/x", "/app/x"});
}

TEST_CASE("a change reaches a node that is connected through another one only") {
  virtual_system system;
  replica_fixture a{system, 1}, b{system, 2}, c{system, 3};
  fake_wire ab{a, b}, bc{b, c};
  a.write("/x", 1);
  system.pass(3s);
  CHECK(c.read("/x") == value{1});
  CHECK(a.verify().hash == c.verify().hash);
}

TEST_CASE("three connected nodes end alike, whichever of them writes") {
  virtual_system system;
  replica_fixture a{system, 1}, b{system, 2}, c{system, 3};
  fake_wire ab{a, b}, bc{b, c}, ca{c, a};
  for (int i = 0; i < 30; ++i) {
    a.write("/shared/" + std::to_string(i % 5), "a" + std::to_string(i), durability::memory);
    b.write("/shared/" + std::to_string(i % 7), "b" + std::to_string(i), durability::memory);
    c.write("/shared/" + std::to_string(i % 3), "c" + std::to_string(i), durability::memory);
  }
  system.pass(3s);
  CHECK(a.verify().hash == b.verify().hash);
  CHECK(b.verify().hash == c.verify().hash);
  CHECK(a.verify().vector == c.verify().vector);
  CHECK(a.store.log().size() == 90);
  CHECK(c.store.log().size() == 90);
}
