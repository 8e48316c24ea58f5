// What a supervisor does when its plugin crashes.

#include <doctest/doctest.h>

#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/supervisor_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture : public supervisor_fixture {
public:
  void make(restart_spec restart = {restart_mode::permanent, 2, 60s}) {
    auto manifest = notes_manifest();
    manifest.restart = restart;
    supervisor_fixture::make(std::move(manifest));
  }
  /// The plugin of a restart, once it runs.
  raw_peer run_again() {
    auto plugin = launcher.next_plugin();
    begin_session(plugin, {"notes.add"});
    REQUIRE(reaches(plugin_phase::running));
    return plugin;
  }
  bool reaches(plugin_phase phase) {
    return eventually([&] { return info().phase == phase; });
  }
};

}  // namespace

TEST_CASE_FIXTURE(
    fixture,
    "a plugin crashes in a call: the caller gets the error, and the plugin is started again") {
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

TEST_CASE_FIXTURE(fixture, "between crash and restart its commands are unavailable, not unknown") {
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
                  "a plugin that cannot be ended is stopped, and its end is not tried again") {
  make();
  auto plugin = run();
  launcher.refuse_ends({error_code::deadline_exceeded, "the kernel has not ended it", {}});
  plugin.close();
  REQUIRE(eventually([&] { return audit.records("plugin.not_ended").size() == 1; }));
  CHECK(system.ask<void>(supervisor, plugin_order::stop).problem() ==
        "the kernel has not ended it");
  CHECK(launcher.ended().back().grace == 5s);
  CHECK(audit.records("plugin.stopped").front().rule == "the kernel has not ended it");
}

TEST_CASE_FIXTURE(fixture,
                  "a process that closes its connection is given time to end, and its status says "
                  "why it crashed") {
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
