#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include <unistd.h>

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

TEST_CASE("processes with other environments meet all the same") {
  const auto id = own_node();
  const temporary_directory runtime;
  const auto* given = std::getenv("XDG_RUNTIME_DIR");
  const auto before = given != nullptr ? std::optional<std::string>{given} : std::nullopt;
  const auto set = [](const std::optional<std::string>& directory) {
    if (directory)
      ::setenv("XDG_RUNTIME_DIR", directory->c_str(), 1);
    else
      ::unsetenv("XDG_RUNTIME_DIR");
  };
  std::filesystem::permissions(runtime.path().native(), std::filesystem::perms::owner_all);
  set(runtime.path().native());
  auto login = node_lock::take(id, "/data/original");
  REQUIRE(login);
  const auto file = runtime.path().native() + "/troupe-node-" + to_string(id) + ".lock";
  CHECK(std::filesystem::exists(file));
  set(std::nullopt);
  CHECK_FALSE(node_lock::take(id, "/data/copy"));
  *login = {};
  CHECK_FALSE(std::filesystem::exists(file));
  CHECK(node_lock::take(id, "/data/copy"));
  // Another name of a directory is no other directory.
  for (const auto* name : {"/", "//", "/."}) {
    set(runtime.path().native() + name);
    CHECK(node_lock::take(id, "/data/original"));
    set("/tmp/troupe-" + std::to_string(::geteuid()) + name);
    CHECK(node_lock::take(id, "/data/original"));
  }
  set(before);
}
