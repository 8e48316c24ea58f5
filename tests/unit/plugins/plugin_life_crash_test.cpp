// What a crash of a plugin means.

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <troupe/tests/support/fixtures/life_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

const error stuck{error_code::deadline_exceeded, "the kernel has not ended it", {}};
constexpr const char* closed = "the plugin notes closed its connection";

}  // namespace

// -- crash and restart ----------------------------------------------------------------------------

TEST_CASE_FIXTURE(life_fixture, "a plugin that closes its connection is ended and launched again") {
  make();
  run();
  see(life->connection_closed());
  CHECK(life->phase() == plugin_phase::failed);
  CHECK(life->process() == 0);
  CHECK(take<life_effect::disconnect>().reason == error{error_code::plugin_crashed, closed, {}});
  CHECK(audits("plugin.ended").empty());  // its status may say more
  end_crashed();
  REQUIRE(audits("plugin.ended").size() == 1);
  CHECK(audits("plugin.ended")[0].rule == closed);
  CHECK(logs(std::string{"plugin.ended plugin=notes reason=\""} + closed));
  CHECK(audits("plugin.restarted")[0].rule == closed);
  CHECK(life->restarts() == 1);
  CHECK(count<life_effect::launch>() == 0);
  pass(take<life_effect::wake>().delay);
  run_launch();
  CHECK(life->problem().empty());
  CHECK(count<life_effect::answer_starts>() == 0);  // no order waits
}

TEST_CASE_FIXTURE(life_fixture, "a process that ends says how, and its crash counts once") {
  make();
  run();
  see(life->exited({.status = 3, .signal = 0}, {}));
  see(life->connection_closed());
  see(life->exited({.status = 3, .signal = 0}, {}));
  REQUIRE(audits("plugin.ended").size() == 1);
  CHECK(audits("plugin.ended")[0].rule == "the plugin notes ended with exit status 3");
  CHECK(count<life_effect::disconnect>() == 1);
  CHECK(take<life_effect::end_process>().patience == 0ms);
  see(life->ended(end_cause::crash, {}, now, no_jitter));
  CHECK(life->restarts() == 1);
}

TEST_CASE_FIXTURE(life_fixture, "between crash and next launch the commands stay offered") {
  make();
  run();
  see(life->connection_closed());
  CHECK(life->commands() == strings{"notes.add"});
  CHECK(count<life_effect::retract>() == 0);
  end_crashed();
  pass(take<life_effect::wake>().delay);
  CHECK(count<life_effect::retract>() == 0);
  // The next launch may have others.
  offered({"notes.list"});
  CHECK(take<life_effect::retract>().commands == strings{"notes.add"});
  accept_offers();
  CHECK(life->commands() == strings{"notes.list"});
}

TEST_CASE_FIXTURE(life_fixture,
                  "a plugin that breaks the protocol is ended, audited, and launched again") {
  make();
  run();
  see(life->protocol_violated({error_code::protocol_violation, "no frame", {}}));
  CHECK(audits("plugin.violation")[0].rule == "no frame");
  CHECK(life->problem() == "the plugin notes broke the protocol: no frame");
  CHECK(audits("plugin.ended").size() == 1);
  end_crashed();
  CHECK(life->restarts() == 1);
}

TEST_CASE_FIXTURE(life_fixture, "a plugin that is silent is given up and launched again") {
  make();
  run();
  see(life->given_up({error_code::unavailable, "nothing was heard", {}}));
  CHECK(life->problem() == "the plugin notes is given up: nothing was heard");
  CHECK(audits("plugin.violation").empty());
  end_crashed();
  CHECK(life->restarts() == 1);
}

TEST_CASE_FIXTURE(life_fixture, "a plugin above its limits is ended, audited, and launched again") {
  make();
  run();
  const std::string what = "the plugin notes uses 300 bytes of memory; it may use 200";
  see(life->exceeded(what));
  CHECK(audits("plugin.exceeded")[0].rule == what);
  CHECK(audits("plugin.ended")[0].rule == what);
  end_crashed();
  CHECK(life->restarts() == 1);
  pending.clear();
  see(life->exceeded(what));  // of a process that is gone
  CHECK(pending.empty());
}

TEST_CASE_FIXTURE(life_fixture, "restarts wait longer and longer, as the jitter allows") {
  make({restart_mode::permanent, 3, 60s});
  run();
  see(life->connection_closed());
  for (const auto delay : {100ms, 200ms, 400ms}) {
    end_crashed();
    CHECK(take<life_effect::wake>().delay == delay);
    pass(delay - 1ms);
    CHECK(count<life_effect::launch>() == 0);
    pass(1ms);
    launched();
    see(life->connection_closed());
  }
  CHECK(take<life_effect::end_process>().cause == end_cause::crash);
  see(life->ended(end_cause::crash, {}, now, no_jitter));
  CHECK(life->phase() == plugin_phase::quarantined);
  make();
  run();
  see(life->connection_closed());
  take<life_effect::end_process>();
  see(life->ended(end_cause::crash, {}, now, 0.5));
  CHECK(take<life_effect::wake>().delay == 75ms);
}

// -- when it does not restart ---------------------------------------------------------------------

TEST_CASE_FIXTURE(life_fixture,
                  "a plugin that crashes too often is quarantined, and its commands retracted") {
  make({restart_mode::permanent, 1, 60s});
  run();
  crash_and_run();
  see(life->connection_closed());
  end_crashed();
  CHECK(life->phase() == plugin_phase::quarantined);
  CHECK(life->problem() == std::string{"ended too often; the last time: "} + closed);
  CHECK(audits("plugin.quarantined").size() == 1);
  CHECK(logs("plugin.quarantined plugin=notes"));
  CHECK(take<life_effect::retract>().commands == strings{"notes.add"});
  pass(1h);
  CHECK(count<life_effect::launch>() == 0);
}

TEST_CASE_FIXTURE(life_fixture,
                  "an operator brings a plugin back from quarantine, with its past forgotten") {
  make({restart_mode::permanent, 1, 60s});
  run();
  crash_and_run();
  see(life->connection_closed());
  end_crashed();
  REQUIRE(life->phase() == plugin_phase::quarantined);
  run();
  crash_and_run();
  CHECK(life->restarts() == 2);
}

TEST_CASE_FIXTURE(life_fixture, "a restart that fails counts as a crash") {
  make({restart_mode::permanent, 2, 60s});
  run();
  see(life->connection_closed());
  for (int i = 0; i < 2; ++i) {
    end_crashed();
    pass(take<life_effect::wake>().delay);
    see(life->launch_failed(take<life_effect::launch>().number,
                            {error_code::unavailable, "no namespaces", {}}));
  }
  end_crashed();
  CHECK(life->phase() == plugin_phase::quarantined);
  CHECK(life->restarts() == 2);
  CHECK(count<life_effect::answer_starts>() == 0);
}

TEST_CASE_FIXTURE(
    life_fixture,
    "a transient plugin that ends properly stays down, and its commands are retracted") {
  make({restart_mode::transient, 3, 60s});
  run();
  see(life->exited({}, {}));
  end_crashed();
  CHECK(life->phase() == plugin_phase::failed);
  CHECK(life->restarts() == 0);
  CHECK(take<life_effect::retract>().commands == strings{"notes.add"});
  pass(1h);
  CHECK(count<life_effect::launch>() == 0);
  run();  // by hand
}

TEST_CASE_FIXTURE(life_fixture, "a temporary plugin is never launched again by itself") {
  make({restart_mode::temporary, 3, 60s});
  run();
  see(life->connection_closed());
  end_crashed();
  CHECK(life->phase() == plugin_phase::failed);
  CHECK(take<life_effect::retract>().commands == strings{"notes.add"});
  pass(1h);
  CHECK(count<life_effect::launch>() == 0);
}

TEST_CASE_FIXTURE(life_fixture, "a plugin that waits for its restart is stopped and not launched") {
  make();
  run();
  see(life->connection_closed());
  end_crashed();
  REQUIRE(count<life_effect::wake>() == 1);
  see(life->stop());
  CHECK(take<life_effect::end_process>().cause == end_cause::stop);
  pass(1h);
  CHECK(count<life_effect::launch>() == 0);
  stop_ended();
  CHECK(take<life_effect::answer_stops>().outcome);
}

TEST_CASE_FIXTURE(life_fixture, "an ordered start does not wait for the restart's delay") {
  make();
  run();
  see(life->connection_closed());
  end_crashed();
  start();
  run_launch();
  CHECK(start_outcome());
  pass(1h);
  CHECK(count<life_effect::launch>() == 0);
}

// -- the end of a launch --------------------------------------------------------------------------

TEST_CASE_FIXTURE(
    life_fixture,
    "a process that closes its connection gets time to end, and its status says why") {
  make({restart_mode::transient, 3, 60s});
  run();
  see(life->connection_closed());
  CHECK(std::get<life_effect::end_process>(pending[1]).patience == 2s);
  end_crashed({.status = exit_status{.status = 0, .signal = 11}});
  CHECK(audits("plugin.ended")[0].rule == "the plugin notes ended with signal 11");
  CHECK(audits("plugin.restarted")[0].rule == "the plugin notes ended with signal 11");
  pass(take<life_effect::wake>().delay);
  run_launch();
  pending.clear();
  see(life->connection_closed());
  end_crashed({.status = exit_status{}});
  CHECK(life->problem() == "the plugin notes ended with exit status 0");
  CHECK(take<life_effect::retract>().commands == strings{"notes.add"});
  CHECK(life->phase() == plugin_phase::failed);
  CHECK(life->restarts() == 1);
}

TEST_CASE_FIXTURE(life_fixture,
                  "a status that comes after the report of the crash changes nothing") {
  make();
  run();
  see(life->exceeded("too much"));
  end_crashed({.status = exit_status{.status = 0, .signal = 9}});
  CHECK(audits("plugin.ended").size() == 1);
  CHECK(audits("plugin.restarted")[0].rule == "too much");
}

TEST_CASE_FIXTURE(life_fixture,
                  "a plugin that cannot be ended offers nothing and is reported once, until it is "
                  "ended and launched again") {
  make();
  run();
  see(life->connection_closed());
  take<life_effect::end_process>();
  see(life->end_failed(end_cause::crash, stuck, now));
  CHECK(life->phase() == plugin_phase::failed);
  CHECK(life->problem() == "the plugin notes has not ended: the kernel has not ended it");
  CHECK(audits("plugin.not_ended")[0].rule == "the kernel has not ended it");
  CHECK(logs("plugin.not_ended plugin=notes reason=\"the kernel has not ended it\""));
  CHECK(audits("plugin.ended").size() == 1);
  CHECK(take<life_effect::retract>().commands == strings{"notes.add"});
  // Each attempt waits longer, up to a minute.
  for (const auto delay : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    pass(delay - 1ms);
    CHECK(count<life_effect::end_process>() == 0);
    pass(1ms);
    CHECK(take<life_effect::end_process>().cause == end_cause::crash);
    see(life->end_failed(end_cause::crash, stuck, now));
  }
  CHECK(count<life_effect::launch>() == 0);
  CHECK(audits("plugin.not_ended").size() == 1);
  pass(60s);
  end_crashed();
  pass(take<life_effect::wake>().delay);
  run_launch();
  CHECK(life->problem().empty());
  CHECK(life->restarts() == 1);
}

TEST_CASE_FIXTURE(life_fixture,
                  "a plugin that cannot be ended is stopped, and its end is not tried again") {
  make();
  run();
  see(life->connection_closed());
  take<life_effect::end_process>();
  see(life->end_failed(end_cause::crash, stuck, now));
  see(life->stop());
  CHECK(take<life_effect::end_process>().cause == end_cause::stop);
  stop_ended(fail(stuck));
  CHECK(take<life_effect::answer_stops>().outcome.error() == stuck);
  CHECK(audits("plugin.stopped")[0].rule == "the kernel has not ended it");
  pass(1h);
  CHECK(count<life_effect::end_process>() == 0);
}

TEST_CASE_FIXTURE(life_fixture,
                  "a plugin that is started while its last launch ends is launched then") {
  make({restart_mode::temporary, 3, 60s});
  run();
  see(life->connection_closed());
  start();
  CHECK(life->phase() == plugin_phase::failed);
  CHECK(count<life_effect::launch>() == 0);
  end_crashed();
  run_launch();
  CHECK(start_outcome());
}

TEST_CASE_FIXTURE(life_fixture,
                  "a start that waits for the end of what cannot be ended fails with the reason") {
  make();
  run();
  see(life->connection_closed());
  take<life_effect::end_process>();
  start();
  see(life->end_failed(end_cause::crash, stuck, now));
  CHECK(start_outcome().error() ==
        error{stuck.code, "the plugin notes has not ended: the kernel has not ended it", {}});
  // An order between two attempts is worth an attempt of its own.
  start();
  CHECK(count<life_effect::launch>() == 1);
}

TEST_CASE_FIXTURE(life_fixture,
                  "the end of a crashed launch is audited before the plugin is stopped") {
  make();
  run();
  see(life->connection_closed());
  see(life->stop());
  CHECK(audits("plugin.ended").size() == 1);
  take<life_effect::end_process>();
  see(life->ended(end_cause::crash, {}, now, no_jitter));  // of no interest any more
  CHECK(life->phase() == plugin_phase::stopping);
  CHECK(count<life_effect::wake>() == 0);
}

// -- the policy -----------------------------------------------------------------------------------

TEST_CASE_FIXTURE(life_fixture, "commands that the plugin may no longer provide are retracted") {
  make();
  start();
  offered({"notes.add", "notes.list"});
  accept_offers();
  see(life->policy_changed(policy));
  CHECK(count<life_effect::retract>() == 0);
  REQUIRE(policy.deny(capability{"command.provide:notes.add"}));
  see(life->policy_changed(policy));
  CHECK(take<life_effect::retract>().commands == strings{"notes.add"});
  CHECK(life->commands() == strings{"notes.list"});
}
