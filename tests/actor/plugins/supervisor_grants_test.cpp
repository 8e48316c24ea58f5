// What a plugin may do, and how it changes while the plugin runs.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/supervisor_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class grants_fixture : public supervisor_fixture {
public:
  answer<permission_decision> check(std::string operation) {
    return system.ask<permission_decision>(supervisor, check_operation{std::move(operation)});
  }
  static error_code read(raw_peer& plugin, std::string_view where) {
    return plugin.call_with("context.get", get_value{path{where}}).failure.code;
  }
};

}  // namespace

TEST_CASE_FIXTURE(grants_fixture,
                  "a grant and its revocation count from the very next message on") {
  make();
  auto plugin = run();
  REQUIRE(read(plugin, "/app/theme") == error_code::permission_denied);
  REQUIRE(alter(alter_grant::kind::grant, "context.read:/app/**"));
  CHECK(read(plugin, "/app/theme") == error_code::none);
  CHECK(check("context.read:/app/theme").value().allowed);
  REQUIRE(alter(alter_grant::kind::revoke, "context.read:/app/**"));
  CHECK(read(plugin, "/app/theme") == error_code::permission_denied);
  CHECK_FALSE(check("context.read:/app/theme").value().allowed);
  REQUIRE(eventually([&] {
    return audit.records("plugin.granted").size() == 1 &&
           audit.records("plugin.revoked").size() == 1;
  }));
  CHECK(audit.records("plugin.granted").front().subject == "context.read:/app/**");
  CHECK(audit.records("plugin.revoked").front().subject == "context.read:/app/**");
  // The plugin was notified of both.
  const auto given = plugin.expect_notification("grants.changed").as<grants_changed>().capabilities;
  CHECK(std::find(given.begin(), given.end(), "context.read:/app/**") != given.end());
  const auto taken = plugin.expect_notification("grants.changed").as<grants_changed>().capabilities;
  CHECK(std::find(taken.begin(), taken.end(), "context.read:/app/**") == taken.end());
  CHECK(taken == info().capabilities);
}

TEST_CASE_FIXTURE(grants_fixture, "what a plugin may do can be asked in each of its phases") {
  make();
  CHECK(check("log").value() == permission_decision{true, "log"});
  auto plugin = run();
  CHECK(check("context.read:/plugins/notes/x").value().allowed);
  launcher.never_end();
  plugin.close();
  REQUIRE(eventually([&] { return info().phase == plugin_phase::failed; }));
  CHECK(check("context.read:/app/x").value() == permission_decision{false, "not granted"});
  CHECK(check("state").value().rule ==
        "not enforced by this build: it keeps no state for plugins yet");
  CHECK(check("nonsense").code() == error_code::invalid_argument);
  launcher.let_go();
}

TEST_CASE_FIXTURE(grants_fixture, "a malformed capability is neither given nor taken") {
  make();
  CHECK(alter(alter_grant::kind::grant, "context.raed:/app/**")
            .error()
            .message.find("context.read") != std::string::npos);
  CHECK(alter(alter_grant::kind::revoke, "").error().code == error_code::invalid_argument);
}
