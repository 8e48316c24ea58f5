// A plugin's supervisor: its start and stop, and everything that passes between the plugin and the
// node. The test plays the plugin, on the other end of a real connection.

#include <doctest/doctest.h>

#include <future>

#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/plugin_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture : public plugin_surroundings {
public:
  void make(plugin_manifest manifest = notes_manifest(), std::vector<std::string> grants = {}) {
    supervisor = system.own(spawn_supervisor(
        system.caf(), {std::make_shared<const plugin_manifest>(std::move(manifest)),
                       "/packages/notes", std::move(grants), environment()}));
  }
  answer<void> order(plugin_order what) { return system.ask<void>(supervisor, what); }
  plugin_info info() { return system.ask<plugin_info>(supervisor, describe_plugin{}).value(); }
  result<void> alter(alter_grant::kind what, std::string capability) {
    return system.ask<void>(supervisor, alter_grant{what, std::move(capability)}).get();
  }
  answer<permission_decision> check(std::string operation) {
    return system.ask<permission_decision>(supervisor, check_operation{std::move(operation)});
  }
  /// A running plugin.
  raw_peer run(const std::vector<std::string>& commands = {"notes.add"}) {
    auto started = order(plugin_order::start);
    auto plugin = launcher.next_plugin();
    begin_session(plugin, commands);
    REQUIRE(started.get());
    return plugin;
  }
  /// A start that fails in the way in which this plugin behaves.
  template <class Behaviour>
  error fail_to_start(Behaviour behave) {
    auto started = order(plugin_order::start);
    auto plugin = launcher.next_plugin();
    behave(plugin);
    REQUIRE_FALSE(started.get());
    return started.get().error();
  }
  static error_code read(raw_peer& plugin, std::string_view where) {
    return plugin.call_with("context.get", get_value{path{where}}).failure.code;
  }

  supervisor_actor supervisor;
};

using strings = std::vector<std::string>;

}  // namespace

// -- the start ------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "a plugin introduces itself, tells its commands, and runs") {
  make();
  auto started = order(plugin_order::start);
  auto plugin = launcher.next_plugin();
  CHECK(info().phase == plugin_phase::starting);
  const auto accepted = begin_session(plugin, {"notes.list", "notes.add"});
  CHECK(accepted.node_name == "here");
  CHECK(accepted.capabilities == info().capabilities);
  REQUIRE(started.get());
  const auto known = info();
  CHECK(known.phase == plugin_phase::running);
  CHECK(known.name == "notes");
  CHECK(known.version == "1.2.3");
  CHECK(known.package == "/packages/notes");
  CHECK(known.commands == strings{"notes.add", "notes.list"});
  CHECK(known.process == 4711);
  CHECK(known.restarts == 0);
  CHECK(known.problem.empty());
  CHECK(offered() == strings{"notes.add", "notes.list"});
  CHECK(audit.records("plugin.started").front().subject == "/packages/notes");
  CHECK(log.contains("plugin.launched plugin=notes process=4711 layers=\"process: none\""));
}

TEST_CASE_FIXTURE(fixture, "the sandbox is told what the plugin may see") {
  auto manifest = notes_manifest();
  for (const char* text : {"fs.read:/usr/share/dict/**", "fs.read:/etc/hostname",
                           "fs.read:/home/*/x", "context.read:/app/**"})
    manifest.capabilities.push_back({capability{text}, "for a test"});
  make(manifest, {"fs.read:/usr/share/**"});
  auto plugin = run();
  const auto spec = launcher.launched().front();
  CHECK(spec.plugin == "notes");
  CHECK(spec.entry == manifest.entry);
  CHECK(spec.start_deadline == 10s);
  CHECK(spec.readable == std::vector<std::filesystem::path>{"/sdk/python", "/usr/share/dict"});
  CHECK(spec.environment.at("PYTHONPATH") == "/sdk/python");
}

TEST_CASE_FIXTURE(fixture, "a start of what runs is answered at once; two starts are one") {
  make();
  auto first = order(plugin_order::start);
  auto second = order(plugin_order::start);
  auto plugin = launcher.next_plugin();
  begin_session(plugin, {"notes.add"});
  CHECK(first.get());
  CHECK(second.get());
  CHECK(order(plugin_order::start).get());
  CHECK(launcher.launched().size() == 1);
}

TEST_CASE_FIXTURE(fixture, "a plugin under another's name is refused and ended") {
  make();
  const auto why = fail_to_start([](raw_peer& plugin) {
    CHECK(plugin.call_with("session.open", plugin_opening("files")).failure.code ==
          error_code::permission_denied);
    CHECK(plugin.sees_the_end());
  });
  CHECK(why.code == error_code::permission_denied);
  CHECK(why.message == "this connection is for the plugin notes");
  CHECK(info().phase == plugin_phase::failed);
  CHECK(info().problem == why.message);
  CHECK(launcher.ended().size() == 1);
  CHECK(audit.records("plugin.ended").size() == 1);
}

TEST_CASE_FIXTURE(fixture, "anything but a proper opening of a plugin's session ends it") {
  auto client = plugin_opening();
  client.kind = session_kind::client;
  auto newer = plugin_opening();
  newer.protocol = {highest_protocol + 1, highest_protocol + 1};
  const std::vector<std::tuple<std::string, std::string, error_code>> openings{
      {"context.get", encode(get_value{path{"/a"}}), error_code::protocol_violation},
      {"session.open", std::string{rpc::no_params}, error_code::invalid_argument},
      {"session.open", encode(client), error_code::permission_denied},
      {"session.open", encode(newer), error_code::version_mismatch}};
  for (const auto& [method, params, expected] : openings) {
    CAPTURE(method);
    make();
    const auto why = fail_to_start(
        [&](raw_peer& plugin) { CHECK(plugin.call(method, params).failure.code == expected); });
    CHECK(why.code == expected);
  }
  CHECK(context.calls().empty());
}

TEST_CASE_FIXTURE(fixture, "what comes behind a refused opening is not acted upon") {
  make();
  std::string bytes;
  rpc::append_request(bytes, 1, "session.open", encode(plugin_opening("files")));
  rpc::append_request(bytes, 2, "context.get", encode(get_value{path{"/plugins/notes/a"}}));
  rpc::append_request(bytes, 3, "context.get", encode(get_value{path{"/half/a/request"}}));
  bytes.resize(bytes.size() - 3);
  fail_to_start([&](raw_peer& plugin) {
    plugin.send(bytes);
    CHECK(plugin.sees_the_end());
  });
  CHECK(context.calls().empty());
}

TEST_CASE_FIXTURE(fixture,
                  "a command outside of the plugin's name is refused and audited, and none of its "
                  "commands is offered") {
  make();
  const auto why = fail_to_start([](raw_peer& plugin) {
    begin_session(plugin, {"notes.add", "files.erase"});
  });
  CHECK(why.code == error_code::permission_denied);
  CHECK(why.message.find("files.erase") != std::string::npos);
  const auto denied = audit.records("plugin.denied");
  REQUIRE(denied.size() == 1);
  CHECK(denied[0].principal == "notes");
  CHECK(denied[0].subject == "command.provide:files.erase");
  CHECK(info().denials == 1);
  CHECK(offered().empty());
}

TEST_CASE_FIXTURE(fixture,
                  "a command whose name is taken fails the start, and nothing stays offered") {
  REQUIRE(system
              .ask<void>(dispatcher,
                         add_command{command_spec{"notes.add"},
                                     inline_handler{[](const arguments&,
                                                       const command_context&) -> result<value> {
                                       return value{"the host's own"};
                                     }},
                                     {}})
              .get());
  make();
  const auto why = fail_to_start([](raw_peer& plugin) {
    begin_session(plugin, {"notes.list", "notes.add"});
  });
  CHECK(why.code == error_code::already_exists);
  CHECK(eventually([&] { return offered() == strings{"notes.add"}; }));
  CHECK(execute("notes.add").value() == value{"the host's own"});
}

TEST_CASE_FIXTURE(fixture,
                  "a plugin that fails at its start, or answers nonsense, has not started") {
  make();
  const auto failed = fail_to_start([](raw_peer& plugin) {
    plugin.call_with("session.open", plugin_opening());
    plugin.refuse(plugin.expect_request("plugin.start").id,
                  {error_code::handler_failed, "no database", {}});
  });
  CHECK(failed == error{error_code::handler_failed, "no database", {}});
  const auto odd = fail_to_start([](raw_peer& plugin) {
    plugin.call_with("session.open", plugin_opening());
    plugin.respond(plugin.expect_request("plugin.start").id, value{"started"}.msgpack());
  });
  CHECK(odd.code == error_code::invalid_argument);
  // Whoever ordered the start was told, so it is not tried again behind their back.
  CHECK(launcher.waiting() == 0);
  CHECK(info().restarts == 0);
}

TEST_CASE_FIXTURE(fixture, "a plugin that does not tell its commands in time is ended") {
  auto manifest = notes_manifest();
  manifest.deadlines.start = 50ms;
  make(manifest);
  const auto why = fail_to_start([](raw_peer& plugin) {
    plugin.call_with("session.open", plugin_opening());
    plugin.expect_request("plugin.start");
    CHECK(plugin.sees_the_end());
  });
  CHECK(why.code == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(fixture, "a plugin that opens no session in time is ended") {
  auto manifest = notes_manifest();
  manifest.deadlines.start = 1ms;
  make(manifest);
  const auto why = fail_to_start([](raw_peer& plugin) { CHECK(plugin.sees_the_end()); });
  CHECK(why.code == error_code::deadline_exceeded);
  CHECK(why.message == "the plugin notes did not start within 1 ms");
}

TEST_CASE_FIXTURE(fixture, "a launch that fails is the answer to the start") {
  make();
  const error why{error_code::unavailable, "this kernel gives no user namespaces", {}};
  launcher.refuse_launches(why);
  auto started = order(plugin_order::start);
  CHECK(started.get().error() == why);
  CHECK(info().phase == plugin_phase::failed);
}

// -- calls into the plugin ------------------------------------------------------------------------

TEST_CASE_FIXTURE(
    fixture, "a command runs in the plugin, which is told who asks and how much time is left") {
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

TEST_CASE_FIXTURE(fixture, "the error of a plugin's command reaches the caller") {
  make();
  auto plugin = run();
  auto asked = execute("notes.add");
  const error why{error_code::handler_failed, "the note is too long", {}};
  plugin.refuse(plugin.expect_request("command.execute").id, why);
  CHECK(asked.get().error() == why);
}

TEST_CASE_FIXTURE(
    fixture,
    "a plugin that does not answer a call costs its caller the deadline, and is told to stop") {
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

TEST_CASE_FIXTURE(
    fixture, "a plugin is told once that a call is cancelled, and what it answers is the answer") {
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

TEST_CASE_FIXTURE(fixture,
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
  // Of a flood so many a second are recorded.
  CHECK(audit.records("plugin.denied", 20).size() <= 60);
}

TEST_CASE_FIXTURE(fixture, "a supervisor whose plugin does not run refuses commands") {
  make();
  const auto outcome = system.ask<value>(supervisor, invocation{{"notes.add", {}, "host", 1s, {}}});
  CHECK(outcome.code() == error_code::unavailable);
  CHECK(outcome.problem() == "the plugin notes is discovered");
}

// -- calls out of the plugin ----------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "what a plugin may do reaches the service, in the plugin's name") {
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
    fixture,
    "the error of a service reaches the plugin, and a service that is silent costs a deadline") {
  make();
  auto plugin = run();
  CHECK(plugin.call_with("context.delete", erase_value{path{"/plugins/notes/x"}}).failure.code ==
        error_code::not_found);
  const auto late = plugin.call(
      "context.list", rpc::with_envelope(encode(list_values{path{"/plugins/notes"}}), {50ms, {}}));
  CHECK(late.failure.code == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(fixture,
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
    fixture, "a plugin executes the commands that it may, through the dispatcher's own check") {
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
    fixture,
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

TEST_CASE_FIXTURE(fixture,
                  "a plugin's log lines are logged, made printable, and bounded by the second") {
  make();
  auto plugin = run();
  for (const char* level : {"debug", "info", "warning", "error"})
    plugin.notify("log", encode(log_line{level, std::string{"at "} + level + "\n"}));
  CHECK(eventually([&] { return log.count("plugin.log plugin=notes line=\"at ") == 4; }));
  CHECK(log.contains("line=\"at error\\x0a\""));
  for (int i = 0; i < 300; ++i) plugin.notify("log", encode(log_line{"info", "flood"}));
  CHECK(eventually([&] { return log.contains("plugin.log_dropped plugin=notes lines="); }));
  CHECK(log.count("line=\"flood\"") <= 200);
  plugin.notify("log", value::map({{"no", "line"}}).msgpack());
  plugin.notify("sync.push");
  CHECK(eventually([&] {
    return log.contains("plugin.notification_refused plugin=notes method=\"sync.push\"");
  }));
}

// -- grants ---------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "a grant and its revocation count from the very next message on") {
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
  // The plugin was told of both.
  const auto given = plugin.expect_notification("grants.changed").as<grants_changed>().capabilities;
  CHECK(std::find(given.begin(), given.end(), "context.read:/app/**") != given.end());
  const auto taken = plugin.expect_notification("grants.changed").as<grants_changed>().capabilities;
  CHECK(std::find(taken.begin(), taken.end(), "context.read:/app/**") == taken.end());
  CHECK(taken == info().capabilities);
}

TEST_CASE_FIXTURE(fixture, "what a plugin may do can be asked in each of its phases") {
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

TEST_CASE_FIXTURE(fixture, "a malformed capability is neither given nor taken") {
  make();
  CHECK(alter(alter_grant::kind::grant, "context.raed:/app/**")
            .error()
            .message.find("context.read") != std::string::npos);
  CHECK(alter(alter_grant::kind::revoke, "").error().code == error_code::invalid_argument);
}

TEST_CASE_FIXTURE(fixture,
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

// -- the stop -------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(
    fixture,
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

TEST_CASE_FIXTURE(fixture,
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

TEST_CASE_FIXTURE(fixture,
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
    fixture,
    "a plugin that breaks the protocol at its stop is cut off at once, which is told once") {
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

TEST_CASE_FIXTURE(fixture,
                  "a supervisor that ends without a stop leaves neither process nor command") {
  make();
  auto plugin = run();
  end_with(supervisor, {error_code::internal, "for a test", {}});
  CHECK(plugin.sees_the_end());
  CHECK(eventually([&] { return launcher.ended().size() == 1 && offered().empty(); }));
  CHECK(launcher.ended().front().patience == 0ms);
}

TEST_CASE_FIXTURE(fixture, "a plugin that does not answer its stop is ended after its deadline") {
  auto manifest = notes_manifest();
  manifest.deadlines.stop = 50ms;
  make(manifest);
  auto plugin = run();
  auto stopped = order(plugin_order::stop);
  plugin.expect_request("plugin.stop");
  CHECK(stopped.get());
  CHECK(launcher.ended().size() == 1);
}

TEST_CASE_FIXTURE(fixture, "a plugin that takes no more calls is stopped once, all the same") {
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
