#include <doctest/doctest.h>

#include <troupe/actors/context/sync/members.hpp>
#include <troupe/tests/support/fixtures/cluster_fixture.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("an incarnation that has ended is had by who leaves it out of a vector") {
  context_engine engine{node(99), 1};
  for (unsigned n = 1; n <= 2; ++n)
    REQUIRE(status_of(engine, joining_of(n, n)) == apply_status::applied);
  members known{node(1)};
  known.update(engine.tree());
  processed_changes mine;
  mine.raise({node(1), 5, 6});
  known.report({node(2), 7, version_vector{{{node(1), 9, 1}}}});
  CHECK(known.committed_by(1, {node(1), 5}, mine) == 0);  // it may not have ended there, either
  auto next = put({node(1), 9, 1}, "/a", 1);
  next.after = {{node(1), 5, 6}};
  mine.add(next);
  CHECK(known.committed_by(1, {node(1), 5}, mine) == 6);
  CHECK(known.count_with({node(1), 5, 6}, {}, mine) == 1);
  CHECK(known.count_with({node(1), 5, 7}, {}, mine) == 0);
  // A later one that has ended nothing tells nothing of it.
  mine.add(put({node(1), 8, 1}, "/a", 1));
  known.report({node(2), 7, version_vector{{{node(1), 8, 1}}}});
  CHECK(known.committed_by(1, {node(1), 5}, mine) == 0);
  CHECK_FALSE(known.all_have(version_vector{{{node(1), 5, 6}}}, mine));
}
