// What a supervisor reports of its plugin's policy, and what it audits.

#include <doctest/doctest.h>

#include <algorithm>

#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/supervisor_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture : public supervisor_fixture {
public:
  explicit fixture(permission_level level = permission_level::user) {
    auto manifest = notes_manifest();
    manifest.permission_level = level;
    make(std::move(manifest));
  }
  /// A command of the host that needs a capability beside the one to run it.
  void offer_guarded(std::string name, std::string capability) {
    command_spec spec{std::move(name)};
    spec.capability = std::move(capability);
    REQUIRE(system
                .ask<void>(dispatcher,
                           add_command{std::move(spec),
                                       inline_handler{[](const arguments&,
                                                         const command_context&) -> result<value> {
                                         return value{"done"};
                                       }},
                                       {}})
                .get());
  }
  static error_code execute_from(raw_peer& plugin, std::string command) {
    return plugin.call_with("command.execute", execute_request{std::move(command), {}})
        .failure.code;
  }
};

class system_level_fixture : public fixture {
public:
  system_level_fixture() : fixture(permission_level::system) {}
};

const error full_disk{error_code::storage_failure, "no space is left", {}};

}  // namespace

// -- denials --------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture,
                  "what is denied within a grant is denied to commands that need it, too") {
  offer_guarded("host.open", "context.read:/app/x");
  offer_guarded("host.secret", "context.read:/secret/x");
  auto plugin = run();
  REQUIRE(alter(alter_grant::kind::grant, "command.execute:host.**"));
  REQUIRE(alter(alter_grant::kind::grant, "context.read:/**"));
  CHECK(execute_from(plugin, "host.secret") == error_code::none);
  REQUIRE(alter(alter_grant::kind::revoke, "context.read:/secret/**"));
  CHECK(execute_from(plugin, "host.secret") == error_code::permission_denied);
  CHECK(execute_from(plugin, "host.open") == error_code::none);
  REQUIRE(alter(alter_grant::kind::grant, "context.read:/secret/**"));
  CHECK(execute_from(plugin, "host.secret") == error_code::none);
}

TEST_CASE_FIXTURE(system_level_fixture,
                  "what is denied to a system plugin is denied to commands that need it, too") {
  offer_guarded("host.secret", "context.read:/secret/x");
  auto plugin = run();
  CHECK(execute_from(plugin, "host.secret") == error_code::none);
  REQUIRE(alter(alter_grant::kind::revoke, "context.read:/secret/**"));
  CHECK(execute_from(plugin, "host.secret") == error_code::permission_denied);
}

// -- the audit trail ------------------------------------------------------------------------------

TEST_CASE_FIXTURE(
    fixture,
    "a plugin lives on when its audit trail cannot be written, and shows it until it can") {
  auto plugin = run();
  REQUIRE(audit.records("plugin.started").size() == 1);
  audit.refuse(full_disk);
  for (int i = 0; i < 2; ++i)
    CHECK(plugin.call_with("context.get", get_value{path{"/secret"}}).failure.code ==
          error_code::permission_denied);
  CHECK(eventually(
      [&] { return info().problem == "the audit trail cannot be written: no space is left"; }));
  CHECK(info().phase == plugin_phase::running);
  CHECK(plugin.call_with("context.get", get_value{path{"/plugins/notes/x"}}).failure.code ==
        error_code::none);
  CHECK(log.count("plugin.not_audited plugin=notes reason=\"no space is left\"") == 1);
  audit.refuse(std::nullopt);
  CHECK(plugin.call_with("context.get", get_value{path{"/secret"}}).failure.code ==
        error_code::permission_denied);
  CHECK(eventually([&] { return info().problem.empty(); }));
  CHECK(log.contains("plugin.audited_again plugin=notes"));
}

TEST_CASE_FIXTURE(fixture, "a plugin's own problem is shown beside that of its audit trail") {
  audit.refuse(full_disk);
  auto started = system.ask<void>(supervisor, plugin_order::start);
  launcher.next_plugin().close();
  CHECK(started.code() == error_code::plugin_crashed);
  CHECK(eventually([&] {
    return info().problem ==
           "the plugin notes closed its connection; the audit trail cannot be written: no space is "
           "left";
  }));
}
