#include <doctest/doctest.h>

#include <string>
#include <utility>

#include <troupe/actors/kernel/clock.hpp>
#include <troupe/runtime/node_lock.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// No other test, and no test beside this one, has it.
node_id own_node() { return {random_uuid()}; }

}  // namespace

TEST_CASE("a node has one lock, however often a second one is asked for") {
  const auto id = own_node();
  auto first = node_lock::take(id, "/data/original");
  REQUIRE(first);
  for (int i = 0; i < 20; ++i) {
    const auto second = node_lock::take(id, "/data/copy");
    REQUIRE_FALSE(second);
    CHECK(second.error().code == error_code::already_exists);
    CHECK(second.error().message.find("'/data/original', and '/data/copy' is a copy") !=
          std::string::npos);
  }
  CHECK(node_lock::take(own_node(), "/data/other"));
  auto moved = std::move(*first);
  CHECK_FALSE(node_lock::take(id, "/data/copy"));
  moved = {};
  CHECK(node_lock::take(id, "/data/copy"));
}
