#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/tests/support/fixtures/sync_manager_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// A manager that is a member beside node 2, with which it is linked, and node 3, with which it is
/// not.
class member_fixture : public manager_fixture {
public:
  explicit member_fixture(sync_settings settings = {}) : manager_fixture(settings, true) {
    greeted_peer(1, 2);
    stored();
    std::vector<change_record> others;
    for (unsigned n = 2; n <= 3; ++n) {
      others.push_back(put({node(n), 1, 1}, members::place_of(node(n)).text(), n));
      others.back().principal = system_principal;
    }
    hear(1, sync_push{1, {{change_batch::of(std::vector{others[0]})->bytes()}}});
    hear(1, sync_push{2, {{change_batch::of(std::vector{others[1]})->bytes()}}});
    while (!all<append_batch>().empty() || manager.committed().vector().entries().size() < 3)
      stored();
    CHECK(manager.known_members().count() == 3);
  }

  context_request write_at(durability level, std::uint64_t within_ms = 1000) {
    return manager_fixture::write(
        {.entries = {{path{"/a"}, 1}}, .durability = level, .members_within_ms = within_ms});
  }
  /// Node 2 has committed what this node has.
  void acknowledged() { hear(1, sync_heads{manager.committed().vector(), {}, 0, {}, {}}); }
  /// Node 2 says that node 3 has it, too.
  void passed_on() {
    sync_heads heads{manager.committed().vector(), {}, 0, {}, {}};
    heads.reports.push_back({node(3), 1, manager.committed().vector()});
    hear(1, heads);
  }
};

}  // namespace

TEST_CASE("a node becomes a member when it meets another one, and stays hidden from readers") {
  manager_fixture f{{}, true};
  CHECK_FALSE(f.manager.known_members().has_joined());
  f.watch(1, "/");
  f.watch(2, "/_sys");
  f.greeted_peer(1, 2);
  CHECK(f.manager.known_members().has_joined());
  CHECK(f.logged("context.joined") == 1);
  CHECK(f.only<append_batch>().what->changes == 1);
  CHECK(f.only<tell_watcher>().watcher == watcher_id{2});
  CHECK(f.manager.engine().values() == 0);
  CHECK(f.manager.list({.prefix = {}})->entries.empty());
  CHECK(f.manager.list({.prefix = path{"/_sys"}})->entries.size() == 1);
  f.stored();
  f.greeted_peer(2, 3);
  CHECK(f.none<append_batch>());
}

TEST_CASE("that no room is left for nodes that are no members is told") {
  engine_state many;
  std::vector<version_entry> entries;
  for (std::uint64_t i = 1; i <= engine_limits{}.max_incarnations; ++i)
    entries.push_back({node(7), i, 1});
  const auto told_with = [&] {
    many.processed = processed_changes{version_vector{entries}};
    const sync_manager manager{context_engine{node(1), 1, many}, {}};
    for (const auto& each : manager.problems())
      if (each.find("takes nothing of further nodes that are no members") != std::string::npos)
        return true;
    return false;
  };
  CHECK(told_with());
  entries.pop_back();
  CHECK_FALSE(told_with());
}

TEST_CASE("a node that cannot write now becomes a member later") {
  manager_fixture f{{.commits = {.max_waiting = 1}}, true};
  f.write("/a", 1);
  f.write("/b", 1);
  f.greeted_peer(1, 2);
  CHECK_FALSE(f.manager.known_members().has_joined());
  f.stored();
  f.stored();
  f.tick(100);
  CHECK(f.manager.known_members().has_joined());
}

TEST_CASE("a write is answered when more than half of the members have it") {
  member_fixture f;
  const auto request = f.write_at(durability::majority);
  f.stored();
  CHECK(f.none<answer_write>());
  f.acknowledged();
  CHECK(f.only<answer_write>().request == request);
  CHECK(f.only<answer_write>().outcome);
}

TEST_CASE("a write is answered when all members have it, also those that others speak for") {
  member_fixture f;
  const auto request = f.write_at(durability::all);
  f.stored();
  f.acknowledged();
  CHECK(f.none<answer_write>());
  f.passed_on();
  CHECK(f.only<answer_write>().request == request);
}

TEST_CASE("an acknowledgement of a push counts") {
  member_fixture f;
  f.write_at(durability::majority);
  f.stored();
  const auto push = f.sent<sync_push>(1).at(0).batch;
  const auto own = f.manager.engine().own_incarnation();
  const auto last = f.manager.committed().at(own);
  f.hear(1, sync_ack{push, version_vector{{{own.origin, own.incarnation, last}}}});
  CHECK(f.all<answer_write>().size() == 1);
}

TEST_CASE("members that have a write before this node's disk has it do not answer it") {
  member_fixture f;
  f.write_at(durability::all);
  f.passed_on();
  CHECK(f.none<answer_write>());
  f.stored();
  CHECK(f.none<answer_write>());  // they have spoken before it was written
}

TEST_CASE("a write for which members do not answer in time is durable, and the rest is unknown") {
  member_fixture f;
  f.write_at(durability::all, 500);
  f.stored();
  f.acknowledged();
  f.tick(499);
  CHECK(f.none<answer_write>());
  f.tick(1);
  const auto answer = f.only<answer_write>();
  REQUIRE_FALSE(answer.outcome);
  CHECK(answer.outcome.error().code == error_code::deadline_exceeded);
  CHECK(answer.outcome.error().message ==
        "the change is on the disk of this node; whether enough other members have it is unknown: "
        "1 of the 2 that are needed have confirmed it in time");
}

TEST_CASE("where this node is the only member, nobody is waited for") {
  manager_fixture f;
  f.write("/a", 1, durability::all);
  f.stored();
  CHECK(f.only<answer_write>().outcome);
  f.write("/a", 2, durability::majority);
  f.stored();
  CHECK(f.only<answer_write>().outcome);
}

TEST_CASE("a write that changes nothing waits for who made what is there") {
  member_fixture f;
  f.write_at(durability::durable);
  f.stored();
  const write_values again{.entries = {{path{"/a"}, 1}},
                           .durability = durability::all,
                           .members_within_ms = 500,
                           .skip_unchanged = true};
  f.write(again);
  CHECK(f.none<answer_write>());
  f.tick(500);
  CHECK(f.only<answer_write>().outcome.error().code == error_code::deadline_exceeded);
  f.write(again);
  f.acknowledged();
  CHECK(f.none<answer_write>());
  f.passed_on();
  CHECK(f.only<answer_write>().outcome);
  // They have it now.
  f.write(again);
  CHECK(f.only<answer_write>().outcome->unchanged == 1);
}

TEST_CASE("a write that has nothing to do waits for nobody") {
  member_fixture f;
  f.write({.entries = {{path{"/a"}, 1}}, .durability = durability::all, .only_check = true});
  CHECK(f.only<answer_write>().outcome);
}

TEST_CASE("a write that the disk does not take in time is unknown, and says so") {
  manager_fixture f;
  for (const auto level : {durability::durable, durability::majority, durability::all}) {
    f.write({.entries = {{path{"/a"}, 1}},
             .durability = level,
             .disk_within_ms = 500,
             .members_within_ms = 100});
    f.tick(499);
    CHECK(f.none<answer_write>());
    f.tick(1);
    const auto answer = f.only<answer_write>();
    REQUIRE_FALSE(answer.outcome);
    CHECK(answer.outcome.error().code == error_code::deadline_exceeded);
    CHECK(answer.outcome.error().message ==
          "the disk of this node has not answered in time; the change is taken, and whether it "
          "gets to the disk is unknown");
  }
  f.stored();
  CHECK(f.none<answer_write>());
}

TEST_CASE("a node that has just met others waits until it knows who the members are") {
  manager_fixture f;
  f.peer_up(1, 2);
  f.write("/a", 1, durability::all);
  f.stored();
  CHECK(f.none<answer_write>());
  auto joined = put({node(2), 1, 1}, members::place_of(node(2)).text(), 2);
  joined.principal = system_principal;
  f.hear(1, f.hello(2, version_vector{{{node(2), 1, 1}}}));
  CHECK(f.none<answer_write>());
  f.hear(1, sync_push{1, {{change_batch::of(std::vector{joined})->bytes()}}});
  f.stored();
  CHECK(f.manager.known_members().count() == 2);
  CHECK(f.none<answer_write>());
}

TEST_CASE("a node that does not learn in time who the members are says so") {
  manager_fixture f;
  f.peer_up(1, 2);
  f.write({.entries = {{path{"/a"}, 1}}, .durability = durability::all, .members_within_ms = 500});
  f.stored();
  f.tick(500);
  const auto answer = f.only<answer_write>();
  REQUIRE_FALSE(answer.outcome);
  CHECK(answer.outcome.error().message.find("has yet to learn from its peers who they are") !=
        std::string::npos);
}

TEST_CASE("a member that is erased is not waited for") {
  member_fixture f;
  const auto request = f.write_at(durability::all);
  f.stored();
  f.acknowledged();
  CHECK(f.none<answer_write>());
  auto erased = erase({node(2), 1, 2}, members::place_of(node(3)).text(), {seen([] {
                        auto record = put({node(3), 1, 1}, members::place_of(node(3)).text(), 3);
                        record.principal = system_principal;
                        return record;
                      }())});
  erased.principal = system_principal;
  f.hear(1, sync_push{3, {{change_batch::of(std::vector{erased})->bytes()}}});
  CHECK(f.manager.known_members().count() == 2);
  CHECK(f.only<answer_write>().request == request);
}

TEST_CASE("writes that wait for members are bounded") {
  member_fixture f{{.max_member_waits = 1}};
  f.write_at(durability::majority);
  f.stored();
  f.write_at(durability::all);
  CHECK(f.only<answer_write>().outcome.error().code == error_code::overloaded);
  f.write_at(durability::durable);
  CHECK(f.none<answer_write>());
}
