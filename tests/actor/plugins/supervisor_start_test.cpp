// What a plugin offers and sees at its start, and a start that is overtaken by its end.

#include <doctest/doctest.h>

#include <future>

#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/supervisor_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture : public supervisor_fixture {
public:
  /// The error of a start in which the plugin offers these commands.
  error offer(const std::vector<std::string>& commands) {
    return fail_to_start([&](raw_peer& plugin) { begin_session(plugin, commands); });
  }
};

/// A dispatcher in which a command of the host runs until the test lets it end, so that nothing
/// else is done.
class busy_dispatcher {
public:
  explicit busy_dispatcher(fixture& around) {
    REQUIRE(
        around.system
            .ask<void>(around.dispatcher,
                       add_command{command_spec{"host.wait"},
                                   inline_handler{[this](const arguments&,
                                                         const command_context&) -> result<value> {
                                     began_.set_value();
                                     end_.get_future().wait();
                                     return value{};
                                   }},
                                   {}})
            .get());
    running_ = around.execute("host.wait");
    began_.get_future().wait();
  }
  ~busy_dispatcher() { let_go(); }

  void let_go() {
    if (!std::exchange(gone_, true)) {
      end_.set_value();
      (void)running_->get();
    }
  }

private:
  std::promise<void> began_, end_;
  std::optional<answer<value>> running_;
  bool gone_ = false;
};

using strings = std::vector<std::string>;

}  // namespace

// -- what it offers and sees ----------------------------------------------------------------------

TEST_CASE_FIXTURE(
    fixture,
    "a file that is granted or revoked while a plugin runs is shown or hidden at its next start") {
  auto manifest = notes_manifest();
  manifest.capabilities.push_back({capability{"fs.read:/usr/share/dict/**"}, "for a test"});
  make(manifest);
  auto plugin = run();
  REQUIRE(system
              .ask<void>(supervisor,
                         alter_grant{alter_grant::kind::revoke, "fs.read:/usr/share/dict/**"})
              .get());
  REQUIRE(system
              .ask<void>(supervisor,
                         alter_grant{alter_grant::kind::grant, "fs.read:/usr/share/zoneinfo/**"})
              .get());
  CHECK(audit.records("plugin.revoked").front().rule == "operator, from its next start on");
  CHECK(audit.records("plugin.granted").front().rule == "operator, from its next start on");
  plugin.close();
  auto again = launcher.next_plugin();
  CHECK(launcher.launched().back().readable == std::vector<std::filesystem::path>{"/sdk/python"});
  CHECK(launcher.launched_trees().back() ==
        std::vector<std::filesystem::path>{"/usr/share/zoneinfo"});
}

TEST_CASE_FIXTURE(fixture,
                  "a plugin is not pinged before it has opened its session: how long that takes is "
                  "the start's deadline") {
  make();
  auto started = order(plugin_order::start);
  auto slow = launcher.next_plugin();
  const auto first = supervisor;
  make();
  auto other = run();
  for (int i = 0; i < 2; ++i) other.respond(other.expect_request("ping").id);
  CHECK(slow.call_with("session.open", plugin_opening()).failure.code == error_code::none);
  CHECK(slow.kept() == 0);
}

// -- overtaken by the end -------------------------------------------------------------------------

TEST_CASE_FIXTURE(
    fixture,
    "a command that is taken after its plugin crashed is cancelled, and can be offered again") {
  make();
  busy_dispatcher busy{*this};
  auto started = order(plugin_order::start);
  auto plugin = launcher.next_plugin();
  begin_session(plugin, {"notes.add"});
  plugin.close();
  CHECK(started.code() == error_code::plugin_crashed);
  busy.let_go();
  CHECK(eventually([&] { return offered() == strings{"host.wait"}; }));
  auto again = run();
  CHECK(offered() == strings{"host.wait", "notes.add"});
}

TEST_CASE_FIXTURE(fixture, "a stop is over when no command can be offered any more") {
  make();
  busy_dispatcher busy{*this};
  auto started = order(plugin_order::start);
  auto plugin = launcher.next_plugin();
  begin_session(plugin, {"notes.add"});
  plugin.call_with("context.get",
                   get_value{path{"/plugins/notes/x"}});  // what came before this has been read
  auto stopped = order(plugin_order::stop);
  CHECK(started.code() == error_code::unavailable);
  CHECK(plugin.sees_the_end());
  CHECK_FALSE(stopped.ready());
  busy.let_go();
  CHECK(stopped.get());
  CHECK(offered() == strings{"host.wait"});
  make();
  auto again = run();
  CHECK(offered() == strings{"host.wait", "notes.add"});
}

TEST_CASE_FIXTURE(
    fixture,
    "a command of the host stays when the plugin's offer of its name is never answered in time") {
  auto manifest = notes_manifest();
  manifest.deadlines.start = 50ms;
  make(manifest);
  busy_dispatcher busy{*this};
  auto hosts = system.ask<void>(
      dispatcher,
      add_command{command_spec{"notes.add"},
                  inline_handler{[](const arguments&, const command_context&) -> result<value> {
                    return value{"the host's own"};
                  }},
                  {}});
  auto started = order(plugin_order::start);
  auto plugin = launcher.next_plugin();
  begin_session(plugin, {"notes.add"});
  CHECK(started.code() == error_code::deadline_exceeded);
  busy.let_go();
  REQUIRE(hosts.get());
  CHECK(order(plugin_order::stop).get());
  CHECK(execute("notes.add").value() == value{"the host's own"});
}
