// The plugin manager, with plugins that the test plays.

#include <doctest/doctest.h>

#include <troupe/actors/plugins/manager.hpp>
#include <troupe/tests/support/fixtures/plugin_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

plugin_manifest manifest_of(std::string name) {
  auto made = notes_manifest();
  made.name = std::move(name);
  return made;
}

class fixture : public plugin_surroundings {
public:
  fixture() {
    for (const char* name : {"notes", "files", "clock"})
      launcher.add_package(std::string{"/packages/"} + name, manifest_of(name));
    auto fragile = manifest_of("fragile");
    fragile.restart.mode = restart_mode::temporary;
    launcher.add_package("/packages/fragile", fragile);
  }
  /// Ends the supervisors, which belong to the manager.
  ~fixture() {
    const auto stopped = system.ask<void>(manager, stop_plugins{});
    eventually([&] { return stopped.ready(); });
  }

  answer<plugin_info> load(const std::string& name, std::vector<std::string> grants = {}) {
    return system.ask<plugin_info>(manager, load_plugin{"/packages/" + name, std::move(grants)});
  }
  /// A plugin that runs.
  raw_peer run(const std::string& name) {
    auto loaded = load(name);
    auto plugin = launcher.next_plugin();
    begin(plugin, name);
    REQUIRE(loaded.get());
    return plugin;
  }
  static void begin(raw_peer& plugin, const std::string& name) {
    plugin.call_with("session.open", plugin_opening(name));
    plugin.respond(plugin.expect_request("plugin.start").id,
                   encode(plugin_started{{command_spec{name + ".go"}}}));
  }
  static void obey_stop(raw_peer& plugin) {
    plugin.respond(plugin.expect_request("plugin.stop").id);
  }
  std::vector<std::string> names() {
    std::vector<std::string> all;
    const auto listed = system.ask<plugin_list>(manager, list_plugins{});
    for (const auto& each : listed.value().plugins) all.push_back(each.name);
    return all;
  }
  template <request_message Request>
  answer<payload> serve(const Request& wanted) {
    return system.ask<payload>(manager, call_of(wanted));
  }
  template <class Params>
  answer<payload> serve_as(std::string method, const Params& params) {
    return system.ask<payload>(manager, call_of(std::move(method), params));
  }

  plugin_manager_actor manager = system.own(spawn_plugin_manager(system.caf(), environment()));
};

using strings = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(fixture, "a loaded plugin runs, and the answer describes it") {
  auto loaded = load("notes");
  auto plugin = launcher.next_plugin();
  begin(plugin, "notes");
  CHECK(loaded.value().name == "notes");
  CHECK(loaded.value().phase == plugin_phase::running);
  CHECK(loaded.value().commands == strings{"notes.go"});
  CHECK(names() == strings{"notes"});
}

TEST_CASE_FIXTURE(fixture, "plugins are listed in the order of their names") {
  auto notes = run("notes");
  auto clock = run("clock");
  auto files = run("files");
  CHECK(names() == strings{"clock", "files", "notes"});
}

TEST_CASE_FIXTURE(fixture, "a plugin is loaded once") {
  auto plugin = run("notes");
  CHECK(load("notes").code() == error_code::already_exists);
  CHECK(names() == strings{"notes"});
}

TEST_CASE_FIXTURE(
    fixture, "a package that cannot be read, or a malformed grant, is the answer to the load") {
  CHECK(load("nothing").code() == error_code::not_found);
  CHECK(load("notes", {"nonsense"}).code() == error_code::invalid_argument);
  CHECK(names().empty());
  CHECK(launcher.launched().empty());
}

TEST_CASE_FIXTURE(
    fixture, "a plugin that could not be started leaves nothing behind, and may be loaded again") {
  auto loaded = load("notes");
  auto plugin = launcher.next_plugin();
  plugin.call_with("session.open", plugin_opening("somebody"));
  CHECK(loaded.code() == error_code::permission_denied);
  CHECK(eventually([&] { return names().empty(); }));
  auto again = run("notes");
  CHECK(names() == strings{"notes"});
}

TEST_CASE_FIXTURE(fixture, "a package is trusted with what the operator allows, and no more") {
  auto powerful = manifest_of("clock");
  powerful.permission_level = permission_level::system;
  launcher.add_package("/packages/powerful", powerful);
  CHECK(load("powerful").code() == error_code::permission_denied);
  CHECK(load("powerful").problem() ==
        "the plugin clock asks for the permission level system, and user is the most that it may "
        "have; allow it with --level "
        "system (plugin_level = \"system\" in a configuration)");
  CHECK(system
            .ask<plugin_info>(manager,
                              load_plugin{"/packages/notes", {}, permission_level::restricted})
            .code() == error_code::permission_denied);
  CHECK(launcher.launched().empty());
  auto loaded = system.ask<plugin_info>(
      manager, load_plugin{"/packages/powerful", {}, permission_level::system});
  auto plugin = launcher.next_plugin();
  begin(plugin, "clock");
  CHECK(loaded.value().level == permission_level::system);
}

TEST_CASE_FIXTURE(fixture, "a plugin does not get the name of commands with another owner") {
  const auto offer = [&](std::string name) {
    return system
        .ask<void>(dispatcher,
                   add_command{command_spec{std::move(name)},
                               inline_handler{[](const arguments&, const command_context&)
                                                  -> result<value> { return value{}; }},
                               {}})
        .get();
  };
  REQUIRE(offer("notes2.add"));
  auto files = run("files");
  REQUIRE(offer("notes.erase"));
  CHECK(load("notes").code() == error_code::already_exists);
  CHECK(load("notes").problem() ==
        "the plugin cannot be named notes: the command notes.erase has another owner");
  CHECK(launcher.launched().size() == 1);
  REQUIRE(system.ask<void>(dispatcher, remove_commands{{"notes.erase"}}).get());
  auto notes = run("notes");
}

TEST_CASE_FIXTURE(fixture, "an unloaded plugin has stopped and is forgotten") {
  auto plugin = run("notes");
  auto unloaded = system.ask<void>(manager, unload_plugin{"notes"});
  obey_stop(plugin);
  CHECK(unloaded.get());
  CHECK(eventually([&] { return names().empty(); }));
  CHECK(offered().empty());
  CHECK(system.ask<void>(manager, unload_plugin{"notes"}).code() == error_code::not_found);
}

TEST_CASE_FIXTURE(fixture, "a stop stops all plugins, then the manager ends") {
  auto notes = run("notes");
  auto files = run("files");
  auto ended = end_of(manager);
  auto stopped = system.ask<void>(manager, stop_plugins{});
  obey_stop(notes);
  CHECK_FALSE(stopped.ready());
  obey_stop(files);
  CHECK(stopped.get());
  (void)ended.get();
  CHECK(offered().empty());
}

TEST_CASE_FIXTURE(fixture, "a plugin that does not stop in time is named") {
  auto notes = run("notes");
  auto files = run("files");
  auto stopped = system.ask<void>(manager, stop_plugins{2s});
  obey_stop(files);
  CHECK(stopped.problem() == "still running: notes");
}

TEST_CASE_FIXTURE(fixture, "a manager without plugins stops at once") {
  CHECK(system.ask<void>(manager, stop_plugins{}).get());
}

TEST_CASE_FIXTURE(
    fixture,
    "what is loaded while the manager stops is refused, also when its package is being read") {
  auto notes = run("notes");
  launcher.hold_packages();
  auto reading = load("files");
  REQUIRE(eventually([&] { return launcher.held_packages() == 1; }));
  auto stopped = system.ask<void>(manager, stop_plugins{});
  const auto heard = notes.expect_request("plugin.stop");
  auto late = load("clock");
  CHECK(late.code() == error_code::unavailable);
  CHECK(late.problem() == "the node is stopping");
  launcher.let_go();
  CHECK(reading.code() == error_code::unavailable);
  CHECK(reading.problem() == "the node is stopping");
  notes.respond(heard.id);
  CHECK(stopped.get());
  CHECK(launcher.launched().size() == 1);
}

TEST_CASE_FIXTURE(fixture, "a manager that ends by itself takes its supervisors along") {
  auto notes = run("notes");
  end_with(manager, {error_code::internal, "for a test", {}});
  CHECK(notes.sees_the_end());
}

TEST_CASE_FIXTURE(fixture, "a plugin that is unloaded while it starts may be loaded again") {
  auto loaded = load("notes");
  auto plugin = launcher.next_plugin();
  plugin.call_with("session.open", plugin_opening("notes"));
  plugin.expect_request("plugin.start");
  CHECK(system.ask<void>(manager, unload_plugin{"notes"}).get());
  CHECK(loaded.code() == error_code::unavailable);
  CHECK(plugin.sees_the_end());
  auto again = run("notes");
  CHECK(offered() == strings{"notes.go"});
}

// -- over links -----------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "plugins are loaded, listed and unloaded over links") {
  auto loaded = serve(load_plugin{"/packages/notes", {}});
  auto plugin = launcher.next_plugin();
  begin(plugin, "notes");
  CHECK(decode_checked<plugin_info>(loaded.value().msgpack.bytes)->name == "notes");
  CHECK(decode_checked<plugin_list>(serve(list_plugins{}).value().msgpack.bytes)->plugins.size() ==
        1);
  auto unloaded = serve(unload_plugin{"notes"});
  obey_stop(plugin);
  CHECK(unloaded.get());
  CHECK(eventually([&] {
    return decode_checked<plugin_list>(serve(list_plugins{}).value().msgpack.bytes)
        ->plugins.empty();
  }));
  CHECK(serve(load_plugin{"/packages/nothing", {}}).code() == error_code::not_found);
}

TEST_CASE_FIXTURE(fixture, "permissions are given, taken, and asked for over links") {
  auto plugin = run("notes");
  const auto allowed = [&] {
    const auto got = serve(check_permission{"notes", "context.read:/app/x"});
    return decode_checked<permission_decision>(got.value().msgpack.bytes)->allowed;
  };
  CHECK_FALSE(allowed());
  CHECK(serve(grant_capability{"notes", "context.read:/app/**"}).get());
  CHECK(allowed());
  CHECK(serve(revoke_capability{"notes", "context.read:/app/**"}).get());
  CHECK_FALSE(allowed());
  CHECK(serve(grant_capability{"notes", "nonsense"}).code() == error_code::invalid_argument);
  CHECK(serve(check_permission{"notes", "nonsense"}).code() == error_code::invalid_argument);
}

TEST_CASE_FIXTURE(fixture, "the resources that a plugin uses are answered over links") {
  auto plugin = run("notes");
  const auto got = serve(get_usage{"notes"});
  CHECK(decode_checked<resource_usage>(got.value().msgpack.bytes)->memory_mechanism == "none");
}

TEST_CASE_FIXTURE(
    fixture,
    "an unknown plugin, malformed parameters, unknown methods and notifications are refused") {
  CHECK(serve(grant_capability{"none", "state"}).code() == error_code::not_found);
  CHECK(serve(revoke_capability{"none", "state"}).code() == error_code::not_found);
  CHECK(serve(check_permission{"none", "state"}).code() == error_code::not_found);
  CHECK(serve(get_usage{"none"}).code() == error_code::not_found);
  CHECK(serve(unload_plugin{"none"}).code() == error_code::not_found);
  for (const char* method : {"plugin.load", "plugin.unload", "plugin.grant", "plugin.revoke",
                             "plugin.check", "plugin.usage"}) {
    CAPTURE(method);
    CHECK(serve_as(method, list_plugins{}).code() == error_code::invalid_argument);
  }
  CHECK(serve_as("plugin.dance", list_plugins{}).code() == error_code::not_found);
  CHECK(system.ask<void>(manager, service_notification{the_host(), "plugin.load", {}}).get());
  CHECK(log.contains("plugin.notification_refused method=\"plugin.load\""));
}

TEST_CASE_FIXTURE(fixture, "a plugin that crashed is listed with its problem") {
  auto plugin = run("fragile");
  plugin.close();
  CHECK(eventually([&] {
    const auto all = system.ask<plugin_list>(manager, list_plugins{}).value().plugins;
    return all.size() == 1 && all[0].phase == plugin_phase::failed &&
           all[0].problem == "the plugin fragile closed its connection";
  }));
}
