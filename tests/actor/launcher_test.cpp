// The launcher, with a sandbox that the test plays.

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

#include <troupe/actors/plugins/launcher.hpp>
#include <troupe/tests/support/actor_fixture.hpp>

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
};

class scripted_sandbox : public plugin_sandbox {
public:
  scripted_sandbox(permission_check check, std::shared_ptr<sandbox_script> script)
      : plugin_sandbox(std::move(check)), script_(std::move(script)) {}

  std::string_view name() const noexcept override { return "scripted"; }
  result<sandboxed_process> create(const sandbox_spec& spec) override {
    const std::lock_guard locked{script_->guard};
    if (!script_->in_use.emplace(spec.plugin, true).second) return fail(error_code::already_exists, "there is one already");
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error{"no pipe can be made"};
    sandboxed_process made;
    made.pid = 4711;
    made.output.reset(ends[0]);
    made.socket.reset(ends[1]);
    return made;
  }
  result<void> request_stop(std::string_view) override { return {}; }
  result<std::optional<exit_status>> poll_exit(std::string_view) override {
    const std::lock_guard locked{script_->guard};
    return script_->exited;
  }
  result<std::optional<exit_status>> destroy(std::string_view plugin, std::chrono::milliseconds) override {
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
    return system.ask<plugin_launched>(launcher, launch_plugin{sandbox_spec{.plugin = "notes"}, watcher}).get();
  }
  answer<void> end(std::chrono::milliseconds grace = 0ms, bool for_good = false) {
    return system.ask<void>(launcher, end_plugin{"notes", grace, for_good});
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
  void set_policy() {
    REQUIRE(system.ask<void>(launcher, policy_changed{"notes", std::make_shared<const permissions>("notes", permission_level::user)}).get());
  }
  error_code check() {
    return system.ask<permission_decision>(launcher, check_operation{"notes", "state"}).code();
  }

  struct tally {
    std::mutex guard;
    std::size_t count = 0;
  };

  real_system system;
  recorded_log log;
  std::shared_ptr<sandbox_script> script = std::make_shared<sandbox_script>();
  std::shared_ptr<tally> told = std::make_shared<tally>();
  exit_watcher watcher = system.own(exit_watcher{system.caf().spawn([told = told](exit_watcher::pointer) {
    return exit_watcher::behavior_type{[told](const plugin_exited&) {
      const std::lock_guard locked{told->guard};
      ++told->count;
    }};
  })});
  launcher_actor launcher = system.own(spawn_launcher(
      system.caf(),
      [script = script](permission_check check) -> result<std::unique_ptr<plugin_sandbox>> {
        return std::make_unique<scripted_sandbox>(std::move(check), script);
      },
      log.target()));
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

TEST_CASE_FIXTURE(fixture, "only an order ends a plugin that could not be ended, and its exit is no news then") {
  REQUIRE(launch());
  refuse_ends(stuck);
  CHECK_FALSE(end().get());
  exit_with({.status = 0, .signal = 9});
  std::this_thread::sleep_for(100ms);
  CHECK(ends() == 1);
  CHECK(exits_told() == 0);
}

TEST_CASE_FIXTURE(fixture, "an end of nothing is done at once") {
  CHECK(end().get());
  CHECK(ends() == 0);
}

TEST_CASE_FIXTURE(fixture, "an exit is told once") {
  REQUIRE(launch());
  exit_with({.status = 3, .signal = 0});
  CHECK(eventually([&] { return exits_told() == 1; }));
  CHECK(end().get());
  CHECK(exits_told() == 1);
}

TEST_CASE_FIXTURE(fixture, "a policy outlives the runs of its plugin, and goes with the plugin") {
  CHECK(check() == error_code::not_found);
  set_policy();
  REQUIRE(launch());
  CHECK(end().get());
  CHECK(check() == error_code::none);
  REQUIRE(launch());
  CHECK(end(0ms, true).get());
  CHECK(check() == error_code::not_found);
  // Also when nothing runs any more.
  set_policy();
  CHECK(end(0ms, true).get());
  CHECK(check() == error_code::not_found);
}

TEST_CASE_FIXTURE(fixture, "a policy stays while its plugin cannot be ended") {
  set_policy();
  REQUIRE(launch());
  refuse_ends(stuck);
  CHECK_FALSE(end(0ms, true).get());
  CHECK(check() == error_code::none);
}
