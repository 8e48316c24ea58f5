#include <doctest/doctest.h>

#include <limits>

#include <troupe/messages/link.hpp>
#include <troupe/messages/plugin.hpp>

using namespace troupe;

namespace {

constexpr auto beyond = highest_protocol + 1;

}  // namespace

TEST_CASE("the highest version that both sides speak is agreed on") {
  CHECK(agree_on_protocol({lowest_protocol, highest_protocol}) == highest_protocol);
  CHECK(agree_on_protocol({highest_protocol, highest_protocol}) == highest_protocol);
  CHECK(agree_on_protocol({0, std::numeric_limits<std::uint32_t>::max()}) == highest_protocol);
  CHECK(agree_on_protocol({0, lowest_protocol}) == lowest_protocol);
}

TEST_CASE("sides without a shared version learn both ranges") {
  const auto newer = agree_on_protocol({beyond, beyond + 1});
  REQUIRE_FALSE(newer.has_value());
  CHECK(newer.error().code == error_code::version_mismatch);
  CHECK(newer.error().message ==
        "no shared protocol version: this node speaks 1 to 1, the other side 2 to 3");
  CHECK(agree_on_protocol({0, lowest_protocol - 1}).error().code == error_code::version_mismatch);
}

TEST_CASE("what is not a range of versions is refused") {
  CHECK(agree_on_protocol({}).error().message ==
        "protocol must be [lowest, highest], such as [1, 1]");
  CHECK(agree_on_protocol({1}).error().code == error_code::invalid_argument);
  CHECK(agree_on_protocol({1, 1, 1}).error().code == error_code::invalid_argument);
  CHECK(agree_on_protocol({2, 1}).error().code == error_code::invalid_argument);
}

TEST_CASE("the budgets of a level grow with the trust in it") {
  const auto restricted = default_limits(permission_level::restricted);
  const auto user = default_limits(permission_level::user);
  const auto system = default_limits(permission_level::system);
  CHECK(restricted.max_memory_bytes < user.max_memory_bytes);
  CHECK(user.max_memory_bytes < system.max_memory_bytes);
  CHECK(restricted.max_network_bytes == 0);
  CHECK(user == resource_limits{});
  CHECK(system.max_cpu_percent == 100);
}
