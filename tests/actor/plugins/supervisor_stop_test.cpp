// How a plugin's supervisor stops its plugin, and what is left when it ends.

#include <doctest/doctest.h>

#include <future>
#include <vector>

#include <troupe/tests/support/fixtures/supervisor_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE_FIXTURE(
    supervisor_fixture,
    "a stop cancels the commands, asks the plugin, ends its process, and then the supervisor") {
  make();
  auto plugin = run();
  auto ended = end_of(supervisor);
  auto stopped = order(plugin_order::stop);
  const auto heard = plugin.expect_request("plugin.stop");
  CHECK(offered().empty());
  CHECK(info().phase == plugin_phase::stopping);
  CHECK_FALSE(stopped.ready());
  plugin.respond(heard.id);
  CHECK(stopped.get());
  CHECK(plugin.sees_the_end());
  REQUIRE(launcher.ended().size() == 1);
  CHECK(launcher.ended()[0].grace == 5s);
  CHECK(audit.records("plugin.stopped").front().rule == "operator");
  (void)ended.get();
}

TEST_CASE_FIXTURE(supervisor_fixture,
                  "a plugin that is being stopped is still answered what it had asked before") {
  make();
  std::promise<void> began, gate;
  REQUIRE(system
              .ask<void>(dispatcher,
                         add_command{command_spec{"notes.wait"},
                                     worker_handler{[&](const arguments&,
                                                        const command_context&) -> result<value> {
                                       began.set_value();
                                       gate.get_future().wait();
                                       return value{"done"};
                                     }},
                                     {}})
              .get());
  auto plugin = run();
  const auto asked = plugin.request_with("command.execute", execute_request{"notes.wait", {}});
  began.get_future().wait();
  auto stopped = order(plugin_order::stop);
  const auto heard = plugin.expect_request("plugin.stop");
  gate.set_value();
  CHECK(plugin.expect_response(asked).bytes == value{"done"}.msgpack());
  plugin.respond(heard.id);
  CHECK(stopped.get());
}

TEST_CASE_FIXTURE(supervisor_fixture,
                  "a plugin that closes its connection at its stop, or dies, has stopped") {
  make();
  auto plugin = run();
  auto stopped = order(plugin_order::stop);
  plugin.expect_request("plugin.stop");
  launcher.report_exit({});
  plugin.close();
  CHECK(stopped.get());
  CHECK(audit.records("plugin.stopped").size() == 1);
  CHECK(audit.records("plugin.ended", 0).empty());
}

TEST_CASE_FIXTURE(
    supervisor_fixture,
    "a plugin that breaks the protocol at its stop is cut off at once, and reported once") {
  make();
  auto plugin = run();
  auto stopped = order(plugin_order::stop);
  plugin.expect_request("plugin.stop");
  for (int i = 0; i < 1000; ++i) plugin.send("\xc1 is no frame");
  CHECK(plugin.sees_the_end());
  CHECK(stopped.get());
  CHECK(launcher.ended().size() == 1);
  CHECK(audit.records("plugin.violation").size() == 1);
  CHECK(audit.records("plugin.ended", 0).empty());
}

TEST_CASE_FIXTURE(supervisor_fixture,
                  "a supervisor that ends without a stop leaves neither process nor command") {
  make();
  auto plugin = run();
  end_with(supervisor, {error_code::internal, "for a test", {}});
  CHECK(plugin.sees_the_end());
  CHECK(eventually([&] { return launcher.ended().size() == 1 && offered().empty(); }));
  CHECK(launcher.ended().front().patience == 0ms);
}

TEST_CASE_FIXTURE(supervisor_fixture,
                  "a plugin that does not answer its stop is ended after its deadline") {
  auto manifest = notes_manifest();
  manifest.deadlines.stop = 50ms;
  make(manifest);
  auto plugin = run();
  auto stopped = order(plugin_order::stop);
  plugin.expect_request("plugin.stop");
  CHECK(stopped.get());
  CHECK(launcher.ended().size() == 1);
}

TEST_CASE_FIXTURE(supervisor_fixture,
                  "a plugin that takes no more calls is stopped once, all the same") {
  make();
  auto plugin = run();
  std::vector<answer<value>> open;
  for (int i = 0; i < 256; ++i)
    open.push_back(system.ask<value>(supervisor, invocation{{"notes.add", {}, "host", 9s, {}}}));
  for (int i = 0; i < 256; ++i) plugin.expect_request("command.execute");
  CHECK(system.ask<value>(supervisor, invocation{{"notes.add", {}, "host", 9s, {}}}).code() ==
        error_code::overloaded);
  CHECK(order(plugin_order::stop).get());
  for (const auto& each : open) CHECK(each.code() == error_code::unavailable);
  CHECK(audit.records("plugin.stopped").size() == 1);
  CHECK(launcher.ended().size() == 1);
}
