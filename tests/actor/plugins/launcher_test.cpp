// The launcher, with a sandbox that the test plays.

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>

#include <caf/event_based_actor.hpp>

#include <troupe/actors/plugins/launcher.hpp>
#include <troupe/plugins/integrity.hpp>
#include <troupe/tests/support/fixtures/actor_fixture.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// What the sandbox does, in the hands of the test.
struct sandbox_script {
  std::mutex guard;
  std::map<std::string, bool> in_use;
  std::optional<error> destroy_refusal;
  std::size_t destroyed = 0;
  std::optional<exit_status> exited;
  std::size_t polls = 0, stops_asked = 0, limits_checked = 0;
  std::optional<error> excess;
  std::vector<sandbox_spec> created;
};

class scripted_sandbox : public plugin_sandbox {
public:
  scripted_sandbox(permission_check check, std::shared_ptr<sandbox_script> script)
      : plugin_sandbox(std::move(check)), script_(std::move(script)) {}

  std::string_view name() const noexcept override { return "scripted"; }
  result<sandboxed_process> create(const sandbox_spec& spec) override {
    const std::lock_guard locked{script_->guard};
    if (!script_->in_use.emplace(spec.plugin, true).second)
      return fail(error_code::already_exists, "there is one already");
    script_->created.push_back(spec);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error{"no pipe can be made"};
    sandboxed_process made;
    made.pid = 4711;
    made.output.reset(ends[0]);
    made.socket.reset(ends[1]);
    return made;
  }
  result<void> request_stop(std::string_view) override {
    const std::lock_guard locked{script_->guard};
    ++script_->stops_asked;
    return {};
  }
  result<void> check_limits(std::string_view) override {
    const std::lock_guard locked{script_->guard};
    ++script_->limits_checked;
    if (script_->excess) return fail(*script_->excess);
    return {};
  }
  result<std::optional<exit_status>> poll_exit(std::string_view) override {
    const std::lock_guard locked{script_->guard};
    ++script_->polls;
    return script_->exited;
  }
  result<std::optional<exit_status>> destroy(std::string_view plugin,
                                             std::chrono::milliseconds) override {
    const std::lock_guard locked{script_->guard};
    ++script_->destroyed;
    if (script_->destroy_refusal) return fail(*script_->destroy_refusal);
    script_->in_use.erase(std::string{plugin});
    return script_->exited;
  }
  result<resource_usage> track_resources(std::string_view) override { return resource_usage{}; }
  result<std::size_t> remove_leftovers() override { return std::size_t{0}; }

private:
  std::shared_ptr<sandbox_script> script_;
};

class fixture {
public:
  result<plugin_launched> launch() {
    return system
        .ask<plugin_launched>(launcher,
                              launch_plugin{sandbox_spec{.plugin = "notes"}, watcher, nullptr, {}})
        .get();
  }
  answer<plugin_ended> end(std::chrono::milliseconds grace = 0ms,
                           std::chrono::milliseconds patience = 0ms) {
    return system.ask<plugin_ended>(launcher, end_plugin{"notes", grace, patience});
  }
  template <class T>
  T see(T sandbox_script::*what) {
    const std::lock_guard locked{script->guard};
    return (*script).*what;
  }
  std::vector<std::string> excesses_told() {
    const std::lock_guard locked{told->guard};
    return told->excesses;
  }
  void refuse_ends(std::optional<error> why) {
    const std::lock_guard locked{script->guard};
    script->destroy_refusal = std::move(why);
  }
  std::size_t ends() {
    const std::lock_guard locked{script->guard};
    return script->destroyed;
  }
  void exit_with(exit_status status) {
    const std::lock_guard locked{script->guard};
    script->exited = status;
  }
  std::size_t exits_told() {
    const std::lock_guard locked{told->guard};
    return told->count;
  }
  struct tally {
    std::mutex guard;
    std::size_t count = 0;
    std::vector<std::string> excesses;
  };

  real_system system;
  recorded_log log;
  std::shared_ptr<sandbox_script> script = std::make_shared<sandbox_script>();
  std::shared_ptr<tally> told = std::make_shared<tally>();
  exit_watcher watcher =
      system.own(exit_watcher{system.caf().spawn([told = told](exit_watcher::pointer) {
        return exit_watcher::behavior_type{[told](const plugin_exited&) {
                                             const std::lock_guard locked{told->guard};
                                             ++told->count;
                                           },
                                           [told](const plugin_exceeded& found) {
                                             const std::lock_guard locked{told->guard};
                                             told->excesses.push_back(found.what);
                                           }};
      })});
  launcher_actor launcher = system.own(spawn_launcher(
      system.caf(),
      [script = script](permission_check check) -> result<std::unique_ptr<plugin_sandbox>> {
        return std::make_unique<scripted_sandbox>(std::move(check), script);
      },
      system.own(spawn_package_reader(system.caf())), log.target()));
};

const error stuck{error_code::deadline_exceeded, "the kernel has not ended it", {}};

}  // namespace

TEST_CASE_FIXTURE(fixture, "a plugin that could not be ended is ended by a later order") {
  REQUIRE(launch());
  refuse_ends(stuck);
  CHECK(end().get().error() == stuck);
  CHECK(end(1ms).get().error() == stuck);
  CHECK(launch().error().code == error_code::already_exists);
  CHECK(ends() == 2);
  refuse_ends(std::nullopt);
  CHECK(end().get());
  CHECK(ends() == 3);
  CHECK(launch());
}

TEST_CASE_FIXTURE(
    fixture,
    "what a plugin prints forges no field of the log, and its end says what it printed last") {
  const auto launched = launch();
  REQUIRE(launched);
  const std::string text = "x\" plugin=\"other\n\x1b[2J bad\n";
  REQUIRE(::write(launched->socket->get(), text.data(), text.size()) ==
          static_cast<ssize_t>(text.size()));
  const auto ended = end().get();
  REQUIRE(ended);
  CHECK(ended->last_output == "x\" plugin=\"other; \\x1b[2J bad");
  CHECK(log.contains(R"(plugin.output plugin=notes line="x\" plugin=\"other")"));
}

TEST_CASE_FIXTURE(
    fixture, "only an order ends a plugin that could not be ended, and its exit is no news then") {
  REQUIRE(launch());
  refuse_ends(stuck);
  CHECK_FALSE(end().get());
  exit_with({.status = 0, .signal = 9});
  const auto before = see(&sandbox_script::polls);
  REQUIRE(eventually(
      [&] { return see(&sandbox_script::polls) > before + 2; }));  // it has been looked at
  CHECK(ends() == 1);
  CHECK(exits_told() == 0);
}

TEST_CASE_FIXTURE(fixture, "an end of nothing is done at once") {
  CHECK(end().get());
  CHECK(ends() == 0);
}

TEST_CASE_FIXTURE(fixture, "an exit is reported once") {
  REQUIRE(launch());
  exit_with({.status = 3, .signal = 0});
  CHECK(eventually([&] { return exits_told() == 1; }));
  CHECK(end().get());
  CHECK(exits_told() == 1);
}

TEST_CASE_FIXTURE(fixture,
                  "a question about permissions is answered by the policy that comes with it") {
  const auto ask = [this](const permissions& policy) {
    return system
        .ask<permission_decision>(launcher,
                                  check_by_policy{"notes", "context.read:/plugins/notes/x",
                                                  std::make_shared<const permissions>(policy)})
        .value();
  };
  permissions policy{"notes", permission_level::user};
  CHECK(ask(policy) == permission_decision{true, "context.read:/plugins/notes/**"});
  REQUIRE(policy.deny(capability{"context.read:/**"}));
  CHECK(ask(policy) == permission_decision{false, "denied by context.read:/**"});
}

// -- how it ends ----------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture,
                  "a plugin that is waited for is not asked to end, and says how it ended") {
  REQUIRE(launch());
  auto ended = end(10s, 10s);
  const auto before = see(&sandbox_script::polls);
  REQUIRE(eventually([&] { return see(&sandbox_script::polls) > before + 2; }));
  CHECK_FALSE(ended.ready());
  CHECK(see(&sandbox_script::stops_asked) == 0);
  exit_with({.status = 3, .signal = 0});
  CHECK(ended.value().status == exit_status{.status = 3, .signal = 0});
  CHECK(exits_told() == 0);
}

TEST_CASE_FIXTURE(fixture,
                  "a plugin that does not end by itself is asked once, then ended by force, which "
                  "says nothing of it") {
  REQUIRE(launch());
  CHECK_FALSE(end(100ms, 30ms).value().status);
  CHECK(see(&sandbox_script::stops_asked) == 1);
  CHECK(ends() == 1);
  // Without any grace there is nothing to be asked.
  REQUIRE(launch());
  CHECK_FALSE(end(0ms, 30ms).value().status);
  CHECK(see(&sandbox_script::stops_asked) == 1);
}

TEST_CASE_FIXTURE(fixture, "a plugin above its limits is reported once") {
  REQUIRE(launch());
  {
    const std::lock_guard locked{script->guard};
    script->excess = error{error_code::limit_exceeded, "it uses too much", {}};
  }
  CHECK(
      eventually([&] { return excesses_told() == std::vector<std::string>{"it uses too much"}; }));
  const auto before = see(&sandbox_script::limits_checked);
  const auto polls = see(&sandbox_script::polls);
  REQUIRE(eventually(
      [&] { return see(&sandbox_script::polls) > polls + 60; }));  // for more than a second
  CHECK(see(&sandbox_script::limits_checked) == before);
  CHECK(excesses_told().size() == 1);
}

// -- what is launched -----------------------------------------------------------------------------

namespace {

/// A package of one file, with its sum.
class package_fixture : public fixture {
public:
  package_fixture() {
    write("x");
    manifest->integrity["run"] =
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";  // of "x"
  }
  void write(std::string_view text) const { std::ofstream{directory.path() / "run"} << text; }
  answer<plugin_launched> launch_checked(std::vector<std::filesystem::path> files = {},
                                         std::vector<std::filesystem::path> trees = {}) {
    return system.ask<plugin_launched>(
        launcher, launch_plugin{sandbox_spec{.plugin = "notes", .package = directory.path()},
                                watcher, manifest, std::move(files), std::move(trees)});
  }

  temporary_directory directory;
  std::shared_ptr<plugin_manifest> manifest = std::make_shared<plugin_manifest>();
};

}  // namespace

TEST_CASE_FIXTURE(package_fixture,
                  "a package that has changed since it was loaded is not launched") {
  REQUIRE(launch_checked().get());
  CHECK(end().get());
  write("y");
  CHECK(launch_checked().code() == error_code::corrupt_data);
  CHECK(see(&sandbox_script::created).size() == 1);
}

TEST_CASE_FIXTURE(package_fixture,
                  "a plugin that is ended while its package is verified is not launched") {
  write(std::string(
      32 << 20,
      'x'));  // which takes the reader longer than the launcher to come to its next message
  auto most = max_summed_bytes;
  manifest->integrity["run"] = sha256_of_file(directory.path() / "run", most).value();
  const auto outcome = std::make_shared<std::promise<error_code>>();
  system.caf().spawn([this, outcome](caf::event_based_actor* self) {
    self->request(launcher, caf::infinite,
                  launch_plugin{sandbox_spec{.plugin = "notes", .package = directory.path()},
                                watcher,
                                manifest,
                                {},
                                {}})
        .then([outcome](const plugin_launched&) { outcome->set_value(error_code::none); },
              [outcome](const caf::error& why) { outcome->set_value(from_caf(why).code); });
    self->request(launcher, caf::infinite, end_plugin{"notes"})
        .then([](const plugin_ended&) {}, [](const caf::error&) {});
  });
  CHECK(outcome->get_future().get() == error_code::unavailable);
  CHECK(see(&sandbox_script::created).empty());
}

TEST_CASE_FIXTURE(package_fixture,
                  "of the files that a plugin may see, those are shown that are there") {
  const auto file = directory.path() / "run";
  REQUIRE(launch_checked({file, directory.path(), directory.path() / "missing"}).get());
  CHECK(see(&sandbox_script::created).front().readable == std::vector<std::filesystem::path>{file});
}

TEST_CASE_FIXTURE(package_fixture,
                  "a tree that was granted and cannot be shown keeps no plugin from its start") {
  const std::filesystem::path there = "/usr/share";
  REQUIRE(launch_checked({}, {there, "/srv/nowhere", "/tmp", "/run"}).get());
  CHECK(see(&sandbox_script::created).front().readable ==
        std::vector<std::filesystem::path>{there});
  CHECK(
      log.contains("plugin.not_shown plugin=notes reason=\"the readable path \\\"/srv/nowhere\\\" "
                   "does not exist\""));
}
