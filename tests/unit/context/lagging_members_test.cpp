#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include <troupe/actors/context/sync/lagging_members.hpp>
#include <troupe/tests/support/fixtures/cluster_fixture.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr auto patience = lagging_members::patience_ms;

/// Node 1 among members 2 and 3, which are linked and have what it has.
struct lag_fixture {
  lag_fixture() {
    for (const unsigned each : {2, 3})
      REQUIRE(status_of(engine, joining_of(each, each)) == apply_status::applied);
    known.update(engine.tree());
    for (const unsigned each : {2, 3}) says(each, engine.vector());
  }

  void says(unsigned who, version_vector has) {
    known.report({node(who), 1, std::move(has), {}, 0});
  }
  /// What node 1 writes next.
  void write() { must_write(engine, path{"/a"}, value{++written}); }
  /// So much later. @returns who lags that did not before.
  std::vector<member_lag> after(std::uint64_t milliseconds) {
    now += milliseconds;
    return lagging.update(known, linked, engine.processed(), now);
  }
  std::vector<member_lag> all() const { return lagging.all(known, engine.processed()); }

  context_engine engine{node(1), 1};
  members known{node(1)};
  lagging_members lagging;
  std::vector<node_id> linked{node(2), node(3)};
  std::uint64_t now = 1000;
  std::int64_t written = 0;
};

}  // namespace

TEST_CASE("a linked member that does not get what this node has is named, once") {
  lag_fixture f;
  f.write();
  f.after(0);
  f.says(3, f.engine.vector());
  CHECK(f.after(patience - 1).empty());
  CHECK(f.all().empty());
  CHECK(f.after(1) == std::vector{member_lag{node(2), true, false}});
  CHECK(f.all() == std::vector{member_lag{node(2), true, false}});
  CHECK(f.after(patience).empty());
  CHECK(f.all().size() == 1);
  f.says(2, f.engine.vector());
  CHECK(f.all().empty());
  CHECK(f.after(patience).empty());
  f.write();
  f.says(3, f.engine.vector());
  f.after(patience);
  CHECK(f.after(patience) == std::vector{member_lag{node(2), true, false}});
}

TEST_CASE("a member that is a little behind all the time does not lag") {
  lag_fixture f;
  for (int i = 0; i < 5; ++i) {
    const auto before = f.engine.vector();
    f.write();
    f.says(2, before);
    f.says(3, before);
    CHECK(f.after(patience).empty());
    CHECK(f.all().empty());
  }
}

TEST_CASE("a member that says to have what does not come is named") {
  lag_fixture f;
  auto more = f.engine.vector();
  more.raise(node(2), 1, 50);
  f.says(2, more);
  f.after(0);
  CHECK(f.after(patience) == std::vector{member_lag{node(2), false, true}});
  f.says(2, f.engine.vector());
  f.after(patience);
  CHECK(f.all().size() == 1);  // it said so
  f.after(patience);
  CHECK(f.all().empty());
}

TEST_CASE("a member that has had no link meanwhile, or is none any more, does not lag") {
  lag_fixture f;
  f.write();
  f.after(0);
  SUBCASE("no link") {
    f.linked = {node(3)};
    f.after(1);
    f.after(lagging_members::away_for_ms);
    f.linked = {node(2), node(3)};
  }
  SUBCASE("forgotten") {
    context_engine without{node(1), 1};
    REQUIRE(status_of(without, joining_of(3, 3)) == apply_status::applied);
    f.known.update(without.tree());
  }
  f.says(3, f.engine.vector());
  CHECK(f.after(patience).empty());
  CHECK(f.all().empty());
}

TEST_CASE("a member whose link comes and goes lags all the same, while it is linked") {
  lag_fixture f;
  f.write();
  f.after(0);
  f.says(3, f.engine.vector());
  for (int times = 0; times < 20; ++times) {
    f.linked = {node(3)};
    f.after(1);
    f.after(lagging_members::away_for_ms - 2);
    f.linked = {node(2), node(3)};
    f.after(1);
  }
  CHECK(f.all() == std::vector{member_lag{node(2), true, false}});
  f.linked = {node(3)};
  f.after(1);
  CHECK(f.all().empty());
}
