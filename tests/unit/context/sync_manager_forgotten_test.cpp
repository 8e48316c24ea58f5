#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/tests/support/fixtures/cluster_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::string_view gone_on = "gone on without this node";

/// A member that hears that it is forgotten.
struct forgotten_fixture : cluster_fixture {
  change_record farewell;

  void hear_own_farewell() { farewell = hear_farewell(1); }
  version_vector says_so() const {
    return version_vector{{{farewell.dot.origin, farewell.dot.incarnation, farewell.dot.seq}}};
  }
  /// Until the store is asked to begin anew.
  begin_anew must_leave() {
    hear_own_farewell();
    store_all();
    tick();
    return only<begin_anew>();
  }
  void fail_to_set_aside() {
    after([&] { manager.set_aside_failed({error_code::storage_failure, "the disk is full", {}}); });
  }
  void retire() {
    after([&] { manager.retire(); });
  }
  context_request write_at(durability level) {
    return manager_fixture::write(
        {.entries = {{path{"/a"}, 1}}, .durability = level, .members_within_ms = 60'000});
  }
};

}  // namespace

// -- hearing of it --------------------------------------------------------------------------------

TEST_CASE("a node that hears that it is forgotten says so, and takes no writes") {
  forgotten_fixture f;
  f.hear_own_farewell();
  CHECK(f.logged("context.overruled") == 1);
  CHECK(f.all<append_batch>().size() == 1);  // the change that says so is kept as any other
  CHECK(f.problems_with(gone_on) == 1);
  for (const auto level : {durability::durable, durability::memory}) {
    f.write("/a", 1, level);
    const auto refused = f.only<answer_write>().outcome;
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == error_code::unavailable);
    CHECK(refused.error().message.find(gone_on) != std::string::npos);
  }
  CHECK_FALSE(f.read("/a"));
  CHECK_FALSE(f.manager.refusal_to_read(false));  // it still has what it had
  f.store_all();
  f.tick();
  CHECK(f.logged("context.overruled") == 0);
}

TEST_CASE("a node that hears that another one is forgotten goes on") {
  forgotten_fixture f;
  f.hear_farewell(3);
  CHECK(f.logged("context.overruled") == 0);
  f.store_all();
  f.tick();
  CHECK(f.none<begin_anew>());
  CHECK(f.none<close_peer>());
  f.write("/a", 1, durability::memory);
  CHECK(f.only<answer_write>().outcome);
}

TEST_CASE("a forgotten node does not join by itself, and forgets nobody") {
  forgotten_fixture f;
  f.hear_own_farewell();
  f.store_all();
  for (int i = 0; i < 3; ++i) {
    f.tick(short_leases.length_ms);
    CHECK(f.logged("context.joined") == 0);
    CHECK(f.logged("context.lease_ended") == 0);
    CHECK(f.none<append_batch>());
  }
}

TEST_CASE("the links of a forgotten node are closed, and new ones refused") {
  forgotten_fixture f;
  f.link(3);
  f.hear_own_farewell();
  CHECK(f.none<close_peer>());
  f.tick();
  const auto closed = f.all<close_peer>();
  REQUIRE(closed.size() == 2);
  CHECK(closed[0].peer == peer_id{2});
  CHECK(closed[1].peer == peer_id{3});
  f.peer_up(4, 2);
  CHECK(f.only<close_peer>().peer == peer_id{4});
  CHECK(f.none<send_to_peer>());
}

TEST_CASE("a node that is forgotten gives nothing to a peer that has said so") {
  forgotten_fixture f;
  auto hello = f.hello(3);
  bool has_said_so = false;
  SUBCASE("the peer has") {
    has_said_so = true;
    hello.forgotten = version_vector{{{node(2), 1, 2}}};
  }
  SUBCASE("the peer does not know yet") {}
  f.peer_up(3, 3);
  f.hear(3, hello);
  f.write("/a", 1);
  f.hear_own_farewell();
  REQUIRE(f.says_so() == version_vector{{{node(2), 1, 2}}});
  std::size_t given = 0;
  while (f.manager.committed().vector() != f.manager.engine().vector()) {
    f.stored();
    given += f.sent<sync_push>(3).size() + f.all<read_peer_log>().size();
  }
  f.hear(3, sync_range{.transfer = 1, .ask = 1, .wanted = {}, .done = false});
  given += f.sent<sync_state>(3).size();
  CHECK((given == 0) == has_said_so);
}

// -- beginning anew -------------------------------------------------------------------------------

TEST_CASE("a forgotten node begins anew once everything is on its disk") {
  forgotten_fixture f;
  f.write("/a", 1);
  f.hear_own_farewell();
  f.tick();
  CHECK(f.none<begin_anew>());
  SUBCASE("the disk takes it") {}
  SUBCASE("the disk refuses at first") {
    f.refused();
    f.tick();
    CHECK(f.none<begin_anew>());
  }
  f.store_all();
  f.tick();
  const auto anew = f.only<begin_anew>();
  CHECK(anew.overruled_by == f.says_so());
  REQUIRE(anew.state);
  CHECK(anew.state->tree.hash() == f.manager.engine().tree().hash());
  CHECK(anew.state->tree.find(path{"/a"}));
  CHECK(anew.state->processed.covers(f.says_so()));
  for (int i = 0; i < 3; ++i) {
    f.tick(10'000);
    CHECK(f.none<begin_anew>());  // the store is asked once
  }
}

TEST_CASE("a node whose state says that it is forgotten begins anew when it starts") {
  context_engine before{node(1), 1};
  REQUIRE(before.write(operation::put, members::place_of(node(1)), members::joining(noon),
                       std::string{system_principal}, {}, noon));
  REQUIRE(before.apply(farewell_of(1, 2, 1, standing_at(before, members::place_of(node(1)))), noon)
              .status == apply_status::applied);
  sync_manager manager{context_engine{node(1), 2, before.state()}, {}};
  manager.tick({noon, 0});
  std::vector<sync_effect> effects;
  manager.take_effects(effects);
  std::size_t said = 0, asked = 0;
  for (const auto& each : effects) {
    const auto* line = std::get_if<sync_log_line>(&each);
    said += line && line->event == "context.overruled";
    asked += std::holds_alternative<begin_anew>(each);
  }
  CHECK(said == 1);
  CHECK(asked == 1);
}

TEST_CASE("what the store is asked to begin anew with is not changed meanwhile") {
  forgotten_fixture f;
  f.must_leave();
  f.tick(100'000);
  CHECK(f.none<save_checkpoint>());
  CHECK(f.none<collect_log>());
  CHECK(f.none<scrub_store>());
  CHECK(f.none<append_batch>());
  const auto request = f.settle();
  CHECK(f.only<answer_settle>().request == request);
  CHECK(f.only<answer_settle>().outcome);
}

TEST_CASE("a node that is forgotten no more before it has begun anew goes on, and joins again") {
  forgotten_fixture f;
  f.hear_own_farewell();
  const auto place = members::place_of(node(1));
  auto erased = erase({node(3), 1, 2}, place.text(), standing_at(f.manager.engine(), place));
  erased.principal = system_principal;
  f.push_from_2(erased);
  f.store_all();
  f.tick();
  CHECK(f.none<begin_anew>());
  f.link(3);
  CHECK(f.none<close_peer>());
  CHECK(f.manager.known_members().has_joined());
  f.write("/a", 1, durability::memory);
  CHECK(f.only<answer_write>().outcome);
}

TEST_CASE("a store that cannot begin anew is asked again later") {
  forgotten_fixture f;
  const auto first = f.must_leave();
  CHECK(f.problems_with("cannot yet") == 0);
  f.fail_to_set_aside();
  CHECK(f.logged("context.set_aside_failed") == 1);
  CHECK(f.problems_with("cannot yet: the disk is full") == 1);
  f.tick(4999);
  CHECK(f.none<begin_anew>());
  f.tick(1);
  CHECK(f.only<begin_anew>().overruled_by == first.overruled_by);
  f.fail_to_set_aside();
  CHECK(f.logged("context.set_aside_failed") == 0);  // it has been said
  f.tick(5000);
  CHECK(f.all<begin_anew>().size() == 1);
  f.write("/a", 1);
  CHECK_FALSE(f.only<answer_write>().outcome);
  f.peer_up(4, 2);
  CHECK(f.only<close_peer>().peer == peer_id{4});
}

// -- the end of a manager -------------------------------------------------------------------------

TEST_CASE("writes that wait for members are answered when their node begins anew") {
  forgotten_fixture f;
  const auto majority = f.write_at(durability::majority), all = f.write_at(durability::all);
  f.store_all();
  f.must_leave();
  f.retire();
  const auto answers = f.all<answer_write>();
  REQUIRE(answers.size() == 2);
  for (const auto& each : answers) {
    CHECK((each.request == majority || each.request == all));
    REQUIRE_FALSE(each.outcome);
    CHECK(each.outcome.error().code == error_code::unavailable);
    CHECK(each.outcome.error().message.find("unknown") != std::string::npos);
  }
  CHECK(answers[0].request != answers[1].request);
  f.retire();
  CHECK(f.none<answer_write>());
}

TEST_CASE("who waits for a checkpoint is answered when the node begins anew") {
  forgotten_fixture f;
  f.write("/a", 1);
  f.store_all();
  const auto request = f.settle();
  REQUIRE(f.all<save_checkpoint>().size() == 1);
  f.must_leave();
  CHECK(f.none<answer_settle>());
  f.retire();
  CHECK(f.only<answer_settle>().request == request);
  CHECK(f.only<answer_settle>().outcome);  // all of it is on the disk
}

TEST_CASE("watchers are ended when the node begins anew, since the values become others") {
  forgotten_fixture f;
  f.watch(5, "/");
  f.watch(6, "/_sys");
  f.must_leave();
  CHECK(f.none<end_watcher>());
  f.retire();
  const auto ended = f.all<end_watcher>();
  REQUIRE(ended.size() == 2);
  CHECK(ended[0].watcher == watcher_id{5});
  CHECK(ended[1].watcher == watcher_id{6});
  for (const auto& each : ended) {
    CHECK(each.reason.code == error_code::unavailable);
    CHECK(each.reason.message.find("watch again") != std::string::npos);
  }
}
