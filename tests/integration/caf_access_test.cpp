#include <doctest/doctest.h>

#include <caf/scoped_actor.hpp>

#include <troupe/runtime/caf.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using namespace std::chrono_literals;

TEST_CASE("CAF users reach the actors of a host by their handles") {
  test::temporary_directory place;
  host host{config{.data_dir = place.path() / "data"}};
  REQUIRE(host.context().set("/a", "x"));
  caf::scoped_actor self{caf_access::system(host)};
  bool found = false;
  self->request(caf_access::actors(host).replica, 5s, get_value{path{"/a"}})
      .receive([&](const value_found& answer) { found = answer.value == value{"x"}; },
               [](const caf::error&) {});
  CHECK(found);
}

TEST_CASE("a node runs in an actor system that the program owns") {
  test::temporary_directory place;
  register_messages();
  system_config settings;
  caf::actor_system system{settings};
  {
    auto node = caf_access::start_node(system, config{.data_dir = place.path() / "data"});
    REQUIRE_MESSAGE(node, node.error().message);
    CHECK((*node)->address().empty());
    CHECK_FALSE((*node)->id().is_nil());
    caf::scoped_actor self{system};
    bool listed = false;
    self->request((*node)->actors().dispatcher, 5s, list_commands{})
        .receive([&](const command_list& answer) { listed = answer.commands.empty(); },
                 [](const caf::error&) {});
    CHECK(listed);
    const auto second = caf_access::start_node(system, config{.data_dir = place.path() / "data"});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == error_code::already_exists);
    CHECK((*node)->stop().blocked.empty());
    CHECK((*node)->stop().blocked.empty());
  }
  auto again = caf_access::start_node(system, config{.data_dir = place.path() / "data"});
  REQUIRE_MESSAGE(again, again.error().message);
}
