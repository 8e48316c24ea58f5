// What a supervisor does when its plugin falls.

#include <doctest/doctest.h>

#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/plugin_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture : public plugin_surroundings {
public:
  void make(restart_spec restart = {restart_mode::permanent, 2, 60s}) {
    auto manifest = notes_manifest();
    manifest.restart = restart;
    supervisor = system.own(spawn_supervisor(
        system.caf(), {std::make_shared<const plugin_manifest>(std::move(manifest)),
                       "/packages/notes",
                       {},
                       environment()}));
  }
  raw_peer run() {
    auto started = system.ask<void>(supervisor, plugin_order::start);
    auto plugin = launcher.next_plugin();
    begin_session(plugin, {"notes.add"});
    REQUIRE(started.get());
    return plugin;
  }
  /// The plugin of a restart, once it runs.
  raw_peer run_again() {
    auto plugin = launcher.next_plugin();
    begin_session(plugin, {"notes.add"});
    REQUIRE(reaches(plugin_phase::running));
    return plugin;
  }
  plugin_info info() { return system.ask<plugin_info>(supervisor, describe_plugin{}).value(); }
  bool reaches(plugin_phase phase) {
    return eventually([&] { return info().phase == phase; });
  }

  supervisor_actor supervisor;
};

}  // namespace

TEST_CASE_FIXTURE(
    fixture, "a plugin that dies in a call: the caller is told, and the plugin is started again") {
  make();
  auto plugin = run();
  auto asked = execute("notes.add");
  plugin.expect_request("command.execute");
  plugin.close();
  CHECK(asked.code() == error_code::plugin_crashed);
  CHECK(audit.records("plugin.ended").size() == 1);
  auto again = run_again();
  CHECK(info().restarts == 1);
  CHECK(info().problem.empty());
  CHECK(audit.records("plugin.restarted").front().rule == "the plugin notes closed its connection");
  CHECK(launcher.ended().front().grace == 0ms);
  auto retried = execute("notes.add");
  again.respond(again.expect_request("command.execute").id, value{"added"}.msgpack());
  CHECK(retried.value() == value{"added"});
}

TEST_CASE_FIXTURE(fixture, "a process that ends says how, and the fall counts once") {
  make();
  auto plugin = run();
  launcher.report_exit({.status = 3, .signal = 0});
  CHECK(plugin.sees_the_end());
  plugin.close();
  auto again = run_again();
  CHECK(audit.records("plugin.ended").size() == 1);
  CHECK(audit.records("plugin.ended").front().rule == "the plugin notes ended with exit status 3");
  CHECK(info().restarts == 1);
}

TEST_CASE_FIXTURE(fixture, "between fall and restart its commands are unavailable, not unknown") {
  make();
  auto plugin = run();
  launcher.never_end();
  plugin.close();
  REQUIRE(reaches(plugin_phase::failed));
  CHECK(offered() == std::vector<std::string>{"notes.add"});
  const auto refused = execute("notes.add");
  CHECK(refused.code() == error_code::unavailable);
  CHECK(refused.problem() == "the plugin notes is failed");
}

TEST_CASE_FIXTURE(fixture,
                  "a plugin that breaks the protocol is ended, audited, and started again") {
  make();
  auto plugin = run();
  auto open = execute("notes.add");
  plugin.expect_request("command.execute");
  plugin.send("\xc1");
  CHECK(open.code() == error_code::plugin_crashed);
  CHECK(plugin.sees_the_end());
  CHECK(audit.records("plugin.violation").size() == 1);
  auto again = run_again();
  CHECK(info().restarts == 1);
}

TEST_CASE_FIXTURE(fixture, "answers to nothing are strikes, and too many of them end a plugin") {
  make();
  auto plugin = run();
  for (std::uint32_t i = 0; i < 100; ++i) plugin.respond(0x7fff0000 + i);
  CHECK(plugin.sees_the_end());
  CHECK(audit.records("plugin.violation").size() == 1);
}

TEST_CASE_FIXTURE(
    fixture,
    "a plugin that falls too often is put into quarantine and its commands are cancelled") {
  make({restart_mode::permanent, 1, 60s});
  auto plugin = run();
  plugin.close();
  auto again = run_again();
  again.close();
  REQUIRE(reaches(plugin_phase::quarantined));
  CHECK(info().problem == "ended too often; the last time: the plugin notes closed its connection");
  CHECK(audit.records("plugin.quarantined").size() == 1);
  CHECK(log.contains("plugin.quarantined plugin=notes"));
  CHECK(eventually([&] { return offered().empty(); }));
  CHECK(launcher.waiting() == 0);
}

TEST_CASE_FIXTURE(fixture,
                  "an operator brings a plugin back from quarantine, with its past forgotten") {
  make({restart_mode::permanent, 1, 60s});
  auto plugin = run();
  plugin.close();
  auto again = run_again();
  again.close();
  REQUIRE(reaches(plugin_phase::quarantined));
  auto back = run();
  CHECK(info().phase == plugin_phase::running);
  back.close();
  auto once_more = run_again();
  CHECK(info().restarts == 2);
}

TEST_CASE_FIXTURE(fixture, "a restart that fails counts as a fall") {
  make({restart_mode::permanent, 2, 60s});
  auto plugin = run();
  plugin.close();
  for (int i = 0; i < 2; ++i) launcher.next_plugin().close();
  REQUIRE(reaches(plugin_phase::quarantined));
  CHECK(info().restarts == 2);
}

TEST_CASE_FIXTURE(fixture, "restarts wait longer and longer") {
  make({restart_mode::permanent, 3, 60s});
  auto plugin = run();
  const auto began = std::chrono::steady_clock::now();
  plugin.close();
  for (int i = 0; i < 3; ++i) launcher.next_plugin().close();
  REQUIRE(reaches(plugin_phase::quarantined));
  // 100, 200 and 400 ms, of which the jitter takes away at most half.
  CHECK(std::chrono::steady_clock::now() - began >= 350ms);
}

TEST_CASE_FIXTURE(
    fixture, "a transient plugin that ends properly stays down, and its commands are cancelled") {
  make({restart_mode::transient, 3, 60s});
  auto plugin = run();
  launcher.report_exit({});
  REQUIRE(reaches(plugin_phase::failed));
  CHECK(eventually([&] { return offered().empty(); }));
  CHECK(launcher.waiting() == 0);
  CHECK(info().restarts == 0);
  // It can be started again by hand.
  auto again = run();
  CHECK(info().phase == plugin_phase::running);
}

TEST_CASE_FIXTURE(fixture, "a temporary plugin is never started again") {
  make({restart_mode::temporary, 3, 60s});
  auto plugin = run();
  plugin.close();
  CHECK(eventually([&] { return offered().empty(); }));
  CHECK(info().phase == plugin_phase::failed);
  CHECK(launcher.launched().size() == 1);
}

TEST_CASE_FIXTURE(fixture, "a plugin that waits for its restart is stopped and not started") {
  make({restart_mode::permanent, 20, 60s});
  auto plugin = run();
  plugin.close();
  REQUIRE(reaches(plugin_phase::failed));
  CHECK(system.ask<void>(supervisor, plugin_order::stop).get());
  CHECK(launcher.launched().size() == 1);
}

TEST_CASE_FIXTURE(fixture, "what was asked in an earlier life is not answered to the next") {
  make();
  auto plugin = run();
  plugin.request_with("context.list", list_values{path{"/plugins/notes"}});
  REQUIRE(eventually([&] { return context.calls().size() == 1; }));
  plugin.close();
  auto again = run_again();
  const auto asked_after = again.request_with("context.get", get_value{path{"/plugins/notes/x"}});
  CHECK(again.expect_response(asked_after).failure.code == error_code::none);
}

TEST_CASE_FIXTURE(fixture,
                  "a plugin that cannot be ended offers nothing and is told of, until it is ended "
                  "and started again") {
  make();
  auto plugin = run();
  launcher.refuse_ends({error_code::deadline_exceeded, "the kernel has not ended it", {}});
  plugin.close();
  CHECK(eventually([&] {
    return info().problem == "the plugin notes has not ended: the kernel has not ended it";
  }));
  CHECK(info().phase == plugin_phase::failed);
  CHECK(eventually([&] { return offered().empty(); }));
  CHECK(eventually([&] { return launcher.ended().size() >= 2; }));
  CHECK(launcher.launched().size() == 1);
  CHECK(audit.records("plugin.not_ended").size() == 1);
  CHECK(audit.records("plugin.not_ended").front().rule == "the kernel has not ended it");
  launcher.let_go();
  auto again = run_again();
  CHECK(info().problem.empty());
  CHECK(info().restarts == 1);
  CHECK(offered() == std::vector<std::string>{"notes.add"});
}

TEST_CASE_FIXTURE(fixture,
                  "a plugin that cannot be ended is stopped, and its end is not tried again") {
  make();
  auto plugin = run();
  launcher.refuse_ends({error_code::deadline_exceeded, "the kernel has not ended it", {}});
  plugin.close();
  REQUIRE(eventually([&] { return audit.records("plugin.not_ended").size() == 1; }));
  CHECK(system.ask<void>(supervisor, plugin_order::stop).problem() ==
        "the kernel has not ended it");
  CHECK(launcher.ended().back().for_good);
  CHECK(audit.records("plugin.stopped").front().rule == "the kernel has not ended it");
}

TEST_CASE_FIXTURE(
    fixture,
    "a process that closes its connection is given time to end, and its status says why it fell") {
  make({restart_mode::transient, 3, 60s});
  auto plugin = run();
  launcher.end_with({.status = 0, .signal = 11});
  plugin.close();
  auto again = run_again();
  CHECK(launcher.ended().front().patience == 2s);
  CHECK(audit.records("plugin.ended").front().rule == "the plugin notes ended with signal 11");
  CHECK(audit.records("plugin.restarted").front().rule == "the plugin notes ended with signal 11");
  launcher.end_with({});
  again.close();
  REQUIRE(
      eventually([&] { return info().problem == "the plugin notes ended with exit status 0"; }));
  CHECK(eventually([&] { return offered().empty(); }));
  CHECK(info().phase == plugin_phase::failed);
  CHECK(info().restarts == 1);
  CHECK(launcher.launched().size() == 2);
}

TEST_CASE_FIXTURE(fixture, "whoever starts a plugin is told how its process ended") {
  make();
  launcher.end_with({.status = 3, .signal = 0});
  auto started = system.ask<void>(supervisor, plugin_order::start);
  launcher.next_plugin().close();
  CHECK(started.problem() == "the plugin notes ended with exit status 3");
}

TEST_CASE_FIXTURE(fixture, "a plugin that is started while its last run ends is started then") {
  make({restart_mode::temporary, 3, 60s});
  auto plugin = run();
  launcher.never_end();
  plugin.close();
  REQUIRE(reaches(plugin_phase::failed));
  auto started = system.ask<void>(supervisor, plugin_order::start);
  CHECK(info().phase == plugin_phase::failed);
  CHECK(launcher.launched().size() == 1);
  launcher.let_go();
  auto again = launcher.next_plugin();
  begin_session(again, {"notes.add"});
  CHECK(started.get());
}

TEST_CASE_FIXTURE(fixture, "a plugin above its limits is ended, audited, and started again") {
  make();
  auto plugin = run();
  launcher.report_excess("the plugin notes uses 300 bytes of memory; it may use 200");
  CHECK(plugin.sees_the_end());
  auto again = run_again();
  CHECK(audit.records("plugin.exceeded").front().rule ==
        "the plugin notes uses 300 bytes of memory; it may use 200");
  CHECK(audit.records("plugin.ended").front().rule ==
        "the plugin notes uses 300 bytes of memory; it may use 200");
}
