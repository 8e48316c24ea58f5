// What passes between a plugin and the node while the plugin runs.

#include <doctest/doctest.h>

#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/supervisor_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

// -- calls into the plugin ------------------------------------------------------------------------

TEST_CASE_FIXTURE(
    supervisor_fixture,
    "a command runs in the plugin, which learns the caller and how much time is left") {
  make();
  auto plugin = run();
  auto asked = execute("notes.add", {}, 3s);
  const auto heard = plugin.expect_request("command.execute");
  const auto wanted = heard.as<invoke_command>();
  CHECK(wanted.command == "notes.add");
  CHECK(wanted.principal == "host");
  CHECK(wanted.deadline > 2s);
  CHECK(wanted.deadline <= 3s);
  plugin.respond(heard.id, value{"added"}.msgpack());
  CHECK(asked.value() == value{"added"});
}

TEST_CASE_FIXTURE(supervisor_fixture, "the error of a plugin's command reaches the caller") {
  make();
  auto plugin = run();
  auto asked = execute("notes.add");
  const error why{error_code::handler_failed, "the note is too long", {}};
  plugin.refuse(plugin.expect_request("command.execute").id, why);
  CHECK(asked.get().error() == why);
}

TEST_CASE_FIXTURE(
    supervisor_fixture,
    "a call that a plugin does not answer fails at its deadline, and the plugin gets a cancel") {
  auto manifest = notes_manifest();
  manifest.deadlines.call = 60ms;
  make(manifest);
  auto plugin = run();
  auto asked = execute("notes.add", {}, 10s);
  const auto heard = plugin.expect_request("command.execute");
  CHECK(asked.code() == error_code::deadline_exceeded);
  CHECK(value::from_msgpack(plugin.expect_notification("cancel").bytes)->find("msgid") ==
        value{heard.id});
  CHECK(info().phase == plugin_phase::running);
}

TEST_CASE_FIXTURE(supervisor_fixture,
                  "a plugin gets one cancel of a call, and what it answers is the answer") {
  make();
  auto plugin = run();
  auto asked = system.ask<value>(supervisor, invocation{{"notes.add", {}, "host", 9s, {}}, 5});
  const auto heard = plugin.expect_request("command.execute");
  auto other = system.ask<value>(supervisor, invocation{{"notes.add", {}, "host", 9s, {}}, 6});
  const auto goes_on = plugin.expect_request("command.execute");
  for (const std::uint64_t ticket : {5, 5, 77})
    REQUIRE(system.ask<void>(supervisor, cancel_request{ticket}).get());
  CHECK(value::from_msgpack(plugin.expect_notification("cancel").bytes)->find("msgid") ==
        value{heard.id});
  plugin.refuse(heard.id, {error_code::cancelled, "stopped early", {}});
  CHECK(asked.problem() == "stopped early");
  plugin.respond(goes_on.id, value{2}.msgpack());
  CHECK(other.value() == value{2});
  CHECK(info().phase == plugin_phase::running);
}

TEST_CASE_FIXTURE(supervisor_fixture,
                  "a command that a plugin may no longer provide is cancelled, and what is asked "
                  "of it all the same is audited") {
  make();
  auto plugin = run({"notes.add", "notes.list"});
  REQUIRE(alter(alter_grant::kind::revoke, "command.provide:notes.add"));
  CHECK(offered() == strings{"notes.list"});
  CHECK(info().commands == strings{"notes.list"});
  CHECK(system.ask<value>(supervisor, invocation{{"notes.add", {}, "host", 1s, {}}}).code() ==
        error_code::permission_denied);
  const auto denied = audit.records("plugin.denied");
  REQUIRE(denied.size() == 1);
  CHECK(denied[0].subject == "command.provide:notes.add");
  CHECK(denied[0].rule == "denied by command.provide:notes.add");
  for (int i = 0; i < 100; ++i)
    CHECK(system.ask<value>(supervisor, invocation{{"notes.add", {}, "host", 1s, {}}}).code() ==
          error_code::permission_denied);
  CHECK(info().denials == 101);
  // A flood is recorded at a bounded rate.
  CHECK(audit.records("plugin.denied", 20).size() <= 60);
}

TEST_CASE_FIXTURE(supervisor_fixture, "a supervisor whose plugin does not run refuses commands") {
  make();
  const auto outcome = system.ask<value>(supervisor, invocation{{"notes.add", {}, "host", 1s, {}}});
  CHECK(outcome.code() == error_code::unavailable);
  CHECK(outcome.problem() == "the plugin notes is discovered");
}

TEST_CASE_FIXTURE(supervisor_fixture,
                  "a plugin cannot make an error of the node that is longer than a kibibyte") {
  make();
  const auto failed = fail_to_start([](raw_peer& plugin) {
    plugin.call_with("session.open", plugin_opening());
    plugin.refuse(plugin.expect_request("plugin.start").id,
                  {error_code::handler_failed,
                   std::string(1023, 'x') + "\u00e9" + std::string(1 << 20, 'x'),
                   {}});
  });
  CHECK(failed.message == std::string(1023, 'x'));
  CHECK(info().problem == failed.message);
  CHECK(audit.records("plugin.ended").front().rule == failed.message);
  auto plugin = run();
  auto asked = execute("notes.add");
  plugin.refuse(plugin.expect_request("command.execute").id,
                {error_code::handler_failed, std::string(1 << 20, 'x'), std::string(1 << 20, 'x')});
  CHECK(asked.get().error() == error{error_code::handler_failed, std::string(1024, 'x'), {}});
}

// -- calls out of the plugin ----------------------------------------------------------------------

TEST_CASE_FIXTURE(supervisor_fixture,
                  "what a plugin may do reaches the service, in the plugin's name") {
  make();
  auto plugin = run();
  const auto got = plugin.call_with("context.get", get_value{path{"/plugins/notes/last"}});
  CHECK(got.failure.code == error_code::none);
  CHECK(got.bytes == value{"from the context"}.msgpack());
  REQUIRE(context.calls().size() == 1);
  CHECK(context.calls()[0].caller->name == "notes");
  CHECK(context.calls()[0].caller->kind == principal_kind::plugin);
  CHECK(context.calls()[0].method == "context.get");
}

TEST_CASE_FIXTURE(
    supervisor_fixture,
    "the error of a service reaches the plugin, and a service that is silent costs a deadline") {
  make();
  auto plugin = run();
  CHECK(plugin.call_with("context.delete", erase_value{path{"/plugins/notes/x"}}).failure.code ==
        error_code::not_found);
  const auto late = plugin.call(
      "context.list", rpc::with_envelope(encode(list_values{path{"/plugins/notes"}}), {50ms, {}}));
  CHECK(late.failure.code == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(supervisor_fixture,
                  "a read that is not allowed is refused, audited with its trace, and never "
                  "reaches the service") {
  make();
  auto plugin = run();
  const trace_id trace{random_uuid()};
  const auto got = plugin.call("context.get",
                               rpc::with_envelope(encode(get_value{path{"/secret"}}), {1s, trace}));
  CHECK(got.failure.code == error_code::permission_denied);
  CHECK(got.failure.message == "the plugin notes is not allowed context.read:/secret: not granted");
  const auto denied = audit.records("plugin.denied");
  REQUIRE(denied.size() == 1);
  CHECK(denied[0].principal == "notes");
  CHECK(denied[0].subject == "context.read:/secret");
  CHECK(denied[0].rule == "not granted");
  CHECK(denied[0].trace == trace);
  CHECK(info().denials == 1);
  CHECK(context.calls().empty());
  CHECK(log.contains("plugin.denied plugin=notes operation=\"context.read:/secret\""));
}

TEST_CASE_FIXTURE(
    supervisor_fixture,
    "a plugin executes the commands that it may, through the dispatcher's own check") {
  make();
  auto plugin = run();
  CHECK(plugin.call_with("command.execute", execute_request{"files.erase", {}}).failure.code ==
        error_code::permission_denied);
  CHECK(plugin.call_with("command.execute", execute_request{"notes.unknown", {}}).failure.code ==
        error_code::not_found);
  const auto own = plugin.request_with("command.execute", execute_request{"notes.add", {}});
  plugin.respond(plugin.expect_request("command.execute").id, value{"by itself"}.msgpack());
  CHECK(plugin.expect_response(own).bytes == value{"by itself"}.msgpack());
}

TEST_CASE_FIXTURE(
    supervisor_fixture,
    "methods that plugins may not call, unknown ones, and malformed parameters are refused") {
  make();
  auto plugin = run();
  CHECK(plugin.call("node.stop").failure.code == error_code::permission_denied);
  CHECK(plugin.call("plugin.grant").failure.code == error_code::permission_denied);
  CHECK(plugin.call("context.gte").failure.message.find("context.get") != std::string::npos);
  CHECK(plugin.call("context.get", value::map({{"path", 7}}).msgpack()).failure.code ==
        error_code::invalid_argument);
  CHECK(plugin.call_with("session.open", plugin_opening()).failure.code ==
        error_code::protocol_violation);
  CHECK(info().phase == plugin_phase::running);
}

TEST_CASE_FIXTURE(supervisor_fixture,
                  "a plugin's log lines are logged, made printable, and bounded by the second") {
  make();
  auto plugin = run();
  for (const char* level : {"debug", "info", "warning", "error", "critical", "loud"})
    plugin.notify("log", encode(log_line{level, std::string{"at "} + level + "\n"}));
  CHECK(eventually([&] { return log.count("plugin.log plugin=notes line=\"at ") == 6; }));
  CHECK(log.contains("line=\"at error\\x0a\""));
  CHECK(log.count("critical]") + log.count(" C plugins") == 0);
  plugin.notify("log", value::map({{"no", "line"}}).msgpack());
  CHECK(eventually(
      [&] { return log.contains("plugin.log_refused plugin=notes reason=\"message is missing"); }));
  for (int i = 0; i < 300; ++i) plugin.notify("log", encode(log_line{"info", "flood"}));
  CHECK(eventually([&] { return log.contains("plugin.log_dropped plugin=notes lines="); }));
  CHECK(log.count("line=\"flood\"") <= 200);
  plugin.notify("sync.push");
  CHECK(eventually([&] {
    return log.contains("plugin.notification_refused plugin=notes method=\"sync.push\"");
  }));
}
