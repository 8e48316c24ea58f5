#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/context/clock_watch.hpp>
#include <troupe/actors/context/store/salvage.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>
#include <troupe/tests/support/fixtures/sync_manager_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::uint64_t hour = 3'600'000;

timestamp at(std::uint64_t milliseconds) { return timestamp::from_parts(milliseconds, 0); }

bool mentions(const std::vector<std::string>& texts, std::string_view part) {
  return std::ranges::any_of(
      texts, [&](const std::string& each) { return each.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("a time is ahead when it is more than the tolerance after the clock") {
  CHECK_FALSE(clock_watch::ahead(at(noon), noon));
  CHECK_FALSE(clock_watch::ahead(at(noon + clock_watch::tolerated_ms), noon));
  CHECK(clock_watch::ahead(at(noon + clock_watch::tolerated_ms + 1), noon) ==
        clock_watch::tolerated_ms + 1);
  CHECK_FALSE(clock_watch::ahead(at(noon - hour), noon));
}

TEST_CASE("this node's own times are news when they come to be ahead, and again after a while") {
  clock_watch watch;
  CHECK_FALSE(watch.own(at(noon), noon));
  CHECK(watch.own(at(noon + hour), noon) == hour);
  CHECK_FALSE(watch.own(at(noon + hour), noon + 1));
  CHECK(watch.own_ahead_ms() == hour - 1);
  CHECK_FALSE(watch.own(at(noon + hour), noon + hour));
  CHECK(watch.own_ahead_ms() == 0);
  CHECK(watch.own(at(noon + 3 * hour), noon + hour) == 2 * hour);
}

TEST_CASE("of other nodes the latest change counts, and their number is bounded") {
  clock_watch watch;
  const auto seen = [&](unsigned who, std::uint64_t time, const std::vector<node_id>& linked = {}) {
    return watch.seen(node(who), at(time), noon, linked);
  };
  CHECK(seen(2, noon + hour) == hour);
  CHECK_FALSE(seen(2, noon + 2 * hour));
  CHECK(watch.others() == std::vector<node_ahead>{{node(2), 2 * hour}});
  CHECK_FALSE(seen(2, noon));
  CHECK(watch.others().empty());
  // That it is ahead once more is no news.
  CHECK_FALSE(seen(2, noon + hour));
  CHECK(watch.others().size() == 1);
  unsigned news = 0;
  for (unsigned n = 1; n <= 2 * clock_watch::max_nodes; ++n)
    news += seen(n, noon + hour + n) ? 1 : 0;
  CHECK(news == clock_watch::max_nodes - 1);
  CHECK(watch.others().size() == clock_watch::max_nodes);
}

TEST_CASE("nodes that nobody has met keep no peer from being noticed") {
  clock_watch watch;
  constexpr unsigned all = clock_watch::max_nodes;
  for (unsigned n = 1; n <= all; ++n) REQUIRE(watch.seen(node(n), at(noon + hour), noon, {}));
  const std::vector<node_id> linked{node(1), node(all + 1)};
  CHECK_FALSE(watch.seen(node(all + 2), at(noon + hour), noon, linked));
  CHECK(watch.seen(node(all + 1), at(noon + hour), noon, linked) == hour);
  const auto others = watch.others();
  CHECK(others.size() == all);
  CHECK(others.front().node == node(1));
  CHECK(others.back().node == node(all + 1));
}

TEST_CASE(
    "a replica says when its own times, or those of a peer, are ahead, and which wins by it") {
  manager_fixture f;
  f.now.wall_ms = noon + 72 * hour;
  f.write("/mine", 1);
  f.stored();
  f.tick();
  CHECK(f.logged("context.clock_ahead") == 0);
  f.now.wall_ms = noon;
  f.tick();
  CHECK(f.logged("context.clock_ahead") == 1);
  f.tick();
  CHECK(f.logged("context.clock_ahead") == 0);
  CHECK(f.manager.clock().ahead_ms / hour == 71);
  CHECK(mentions(f.manager.problems(), "are 2 days ahead of its clock"));
  CHECK(f.manager.explain(path{"/mine"})
            .rule.ends_with("; its time is 2 days ahead of this node's "
                            "clock"));
  f.greeted_peer(1, 2);
  f.push(1, 1, {put({node(2), 1, 1}, "/theirs", 1, {}, std::uint64_t{5 * hour} << 16)});
  CHECK(f.logged("context.peer_clock_ahead") == 1);
  CHECK(mentions(f.manager.problems(), "of node " + to_string(node(2)) + " are 4 hours ahead"));
  CHECK(f.manager.clock().others.size() == 1);
}

TEST_CASE("a corrected clock does not go back to the times of earlier incarnations") {
  temporary_directory where;
  const auto start = [&](context_store& store, std::uint64_t incarnation) {
    REQUIRE(store.correct_clock(incarnation));
    auto engine = restore(store, incarnation);
    REQUIRE(engine);
    return std::move(*engine);
  };
  const auto write = [](context_engine& engine, std::uint64_t now) {
    auto made = engine.write(operation::put, path{"/a"}, 1, "tester", {}, now);
    REQUIRE(made);
    return std::move(*made);
  };
  {
    auto store = must_open(where);
    auto wrong = start(store, 1);
    REQUIRE(append(store, {write(wrong, noon + 72 * hour)}));
    REQUIRE(store.checkpoint(wrong.state()));
    REQUIRE(append(store, {write(wrong, noon + 72 * hour)}));
    auto still = start(store, 2);
    CHECK(clock_watch::ahead(still.next_time(noon), noon));
    REQUIRE(store.want_clock_correction());
  }
  auto store = must_open(where);
  auto right = start(store, 3);
  CHECK_FALSE(clock_watch::ahead(right.next_time(noon), noon));
  const auto corrected = write(right, noon);
  CHECK(corrected.timestamp.milliseconds() == noon);
  CHECK(right.view(path{"/a"}) == value{1});
  REQUIRE(append(store, {corrected}));
  // It holds for the next start too, and when what was written before comes from elsewhere.
  auto next = start(store, 4);
  CHECK_FALSE(clock_watch::ahead(next.next_time(noon), noon));
  auto earlier = put({ours.node, 2, 1}, "/b", 1, {}, std::uint64_t{72 * hour} << 16);
  CHECK(next.apply(earlier, noon).status == apply_status::applied);
  CHECK_FALSE(clock_watch::ahead(next.next_time(noon), noon));
}

TEST_CASE("a correction outlives a salvage, whether it was done or is wanted") {
  temporary_directory where;
  const store_files files{where.path().native()};
  bool is_done = false;
  SUBCASE("it is wanted") {}
  SUBCASE("it was done") { is_done = true; }
  {
    auto store = must_open(where);
    context_engine wrong{ours.node, 1};
    const auto made = wrong.write(operation::put, path{"/a"}, 1, "tester", {}, noon + 72 * hour);
    REQUIRE(made);
    REQUIRE(append(store, {*made}));
    REQUIRE(store.checkpoint(wrong.state()));
    REQUIRE(store.want_clock_correction());
    if (is_done) CHECK(store.correct_clock(2) == true);
  }
  tamper(where, "UPDATE blocks SET hash = 1");
  REQUIRE(salvage_store(files));
  REQUIRE(files.take_salvaged());
  auto store = must_open(where);
  CHECK(store.correct_clock(2) == !is_done);
  const auto right = restore(store, 2);
  REQUIRE(right);
  CHECK_FALSE(clock_watch::ahead(right->next_time(noon), noon));
}

TEST_CASE("a clock can be corrected before there is a checkpoint") {
  temporary_directory where;
  auto store = must_open(where);
  context_engine wrong{ours.node, 1};
  const auto made = wrong.write(operation::put, path{"/a"}, 1, "tester", {}, noon + 72 * hour);
  REQUIRE(made);
  REQUIRE(append(store, {*made}));
  REQUIRE(store.want_clock_correction());
  CHECK(store.correct_clock(2) == true);
  CHECK(store.correct_clock(2) == false);
  const auto right = restore(store, 2);
  REQUIRE(right);
  CHECK_FALSE(clock_watch::ahead(right->next_time(noon), noon));
  CHECK(right->view(path{"/a"}) == value{1});
}
