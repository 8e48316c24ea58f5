#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <troupe/tests/support/plugin_fixture.hpp>

namespace troupe::test {

/// The supervisor of one plugin. The test plays the plugin, on the other end of a real connection.
class supervisor_fixture : public plugin_surroundings {
public:
  using strings = std::vector<std::string>;

  void make(plugin_manifest manifest = notes_manifest(),
            const std::vector<std::string>& grants = {}) {
    supervisor = system.own(spawn_supervisor(system.caf(), setup_for(std::move(manifest), grants)));
  }
  answer<void> order(plugin_order what) { return system.ask<void>(supervisor, what); }
  plugin_info info() { return system.ask<plugin_info>(supervisor, describe_plugin{}).value(); }
  result<void> alter(alter_grant::kind what, std::string capability) {
    return system.ask<void>(supervisor, alter_grant{what, std::move(capability)}).get();
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

  supervisor_actor supervisor;
};

}  // namespace troupe::test
