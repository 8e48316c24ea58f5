#include <doctest/doctest.h>

#include <vector>

#include <troupe/actors/context/state/awaited_changes.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

const dot first{node(1), 1, 1}, second{node(1), 1, 2}, other{node(2), 4, 1};

}  // namespace

TEST_CASE("an incarnation waits for one change at a time") {
  awaited_changes changes;
  changes.add(other, first);
  CHECK(changes.awaited_by(other) == first);
  changes.add(other, second);
  CHECK(changes.awaited_by(other) == second);
  CHECK(changes.size() == 1);
  CHECK(changes.all().size() == 1);
  CHECK(changes.awaited_by({node(2), 4, 2}) == dot{});
  CHECK(changes.take(first).empty());
}

TEST_CASE("who waited for a change that has arrived is known until it waits again or goes on") {
  awaited_changes changes;
  const dot third{node(3), 1, 1};
  changes.add(other, first);
  changes.add(third, first);
  CHECK(changes.take(first) == std::vector<incarnation_id>{{node(2), 4}, {node(3), 1}});
  CHECK(changes.take(first).empty());
  CHECK(changes.awaited_by(other) == first);
  changes.add(other, second);
  changes.remove({node(3), 1});
  CHECK(changes.size() == 1);
  CHECK(changes.all().size() == 1);
}

TEST_CASE("all that has arrived of one node is taken") {
  awaited_changes changes;
  changes.add(other, first);
  changes.add({node(3), 1, 1}, second);
  changes.add({node(4), 1, 1}, {node(5), 1, 1});
  const auto is_first = [](const dot& id) { return id == first; };
  CHECK(changes.take_of(node(1), is_first) == std::vector<incarnation_id>{{node(2), 4}});
  CHECK(changes.all().size() == 2);
}

TEST_CASE("what is dropped waits no more") {
  awaited_changes changes;
  changes.add(other, first);
  changes.add({node(2), 5, 1}, second);
  changes.add({node(3), 1, 1}, second);
  changes.remove_of(node(2), [](const dot& id) { return id.incarnation == 4; });
  CHECK(changes.size() == 2);
  CHECK(changes.all().size() == 2);
  changes.remove({node(9), 9});
  CHECK(changes.size() == 2);
}
