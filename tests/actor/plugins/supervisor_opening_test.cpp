// From a plugin's launch to its commands, and what fails on the way.

#include <doctest/doctest.h>

#include <string>
#include <tuple>
#include <vector>

#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/supervisor_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE_FIXTURE(supervisor_fixture, "a plugin introduces itself, lists its commands, and runs") {
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

TEST_CASE_FIXTURE(supervisor_fixture, "the sandbox learns what the plugin may see") {
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

TEST_CASE_FIXTURE(supervisor_fixture,
                  "a start of what runs is answered at once; two starts are one") {
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

TEST_CASE_FIXTURE(supervisor_fixture, "a plugin under another's name is refused and ended") {
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

TEST_CASE_FIXTURE(supervisor_fixture,
                  "anything but a proper opening of a plugin's session ends it") {
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

TEST_CASE_FIXTURE(supervisor_fixture, "what comes behind a refused opening is not acted upon") {
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

TEST_CASE_FIXTURE(supervisor_fixture,
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

TEST_CASE_FIXTURE(supervisor_fixture,
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

TEST_CASE_FIXTURE(supervisor_fixture,
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
  // The order to start was answered with the failure, so the start is not repeated.
  CHECK(launcher.waiting() == 0);
  CHECK(info().restarts == 0);
}

TEST_CASE_FIXTURE(supervisor_fixture, "a plugin that does not list its commands in time is ended") {
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

TEST_CASE_FIXTURE(supervisor_fixture, "a plugin that opens no session in time is ended") {
  auto manifest = notes_manifest();
  manifest.deadlines.start = 1ms;
  make(manifest);
  const auto why = fail_to_start([](raw_peer& plugin) { CHECK(plugin.sees_the_end()); });
  CHECK(why.code == error_code::deadline_exceeded);
  CHECK(why.message == "the plugin notes did not start within 1 ms");
}

TEST_CASE_FIXTURE(supervisor_fixture, "a launch that fails is the answer to the start") {
  make();
  const error why{error_code::unavailable, "this kernel gives no user namespaces", {}};
  launcher.refuse_launches(why);
  auto started = order(plugin_order::start);
  CHECK(started.get().error() == why);
  CHECK(info().phase == plugin_phase::failed);
}
