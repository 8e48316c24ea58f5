// How a plugin starts, and what becomes of a start that fails or is overtaken.

#include <doctest/doctest.h>

#include <troupe/tests/support/fixtures/life_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

const error no_database{error_code::handler_failed, "no database", {}};

}  // namespace

// -- the start ------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(life_fixture,
                  "a plugin is launched, connected, asked for its commands, and runs") {
  make();
  CHECK(life->phase() == plugin_phase::discovered);
  start();
  CHECK(life->phase() == plugin_phase::starting);
  CHECK(std::get<life_effect::launch>(pending.front()).deadline == 12s);
  launched();
  CHECK(life->process() == 4711);
  CHECK(logs("plugin.launched plugin=notes process=4711 layers=\"process: none\""));
  see(life->session_opened());
  CHECK(take<life_effect::ask_commands>().deadline == 10s);
  tell_commands(1, {"notes.list", "notes.add"});
  CHECK(life->phase() == plugin_phase::starting);
  CHECK(count<life_effect::answer_starts>() == 0);
  accept_offers();
  CHECK(start_outcome());
  CHECK(life->phase() == plugin_phase::running);
  CHECK(life->commands() == strings{"notes.add", "notes.list"});
  CHECK(life->restarts() == 0);
  CHECK(life->problem().empty());
  REQUIRE(audits("plugin.started").size() == 1);
  CHECK(audits("plugin.started")[0].subject == "/packages/notes");
  CHECK(audits("plugin.started")[0].rule == "operator");
  CHECK(logs("plugin.running plugin=notes version=1.2.3 commands=2"));
}

TEST_CASE_FIXTURE(life_fixture, "a plugin may have no commands") {
  make();
  start();
  offered({});
  CHECK(start_outcome());
  CHECK(life->phase() == plugin_phase::running);
}

TEST_CASE_FIXTURE(life_fixture, "a command may take as long as the plugin's calls at most") {
  make();
  start();
  const auto number = opened();
  command_spec slow{"notes.slow"}, quick{"notes.quick"};
  slow.timeout = 1h;
  quick.timeout = 1s;
  see(life->commands_received(number, {slow, quick}, policy));
  CHECK(take<life_effect::offer_command>().spec.timeout == 10s);
  CHECK(take<life_effect::offer_command>().spec.timeout == 1s);
}

TEST_CASE_FIXTURE(life_fixture, "a start of what runs is answered at once; two starts are one") {
  make();
  start();
  start();
  run_launch();
  CHECK(start_outcome());
  CHECK(count<life_effect::answer_starts>() == 0);  // it goes to both
  start();
  CHECK(start_outcome());
  CHECK(count<life_effect::launch>() == 0);
}

// -- a start that fails ---------------------------------------------------------------------------

TEST_CASE_FIXTURE(life_fixture, "a launch that fails is the answer to the start") {
  make();
  start();
  const error why{error_code::unavailable, "this kernel gives no user namespaces", {}};
  see(life->launch_failed(take<life_effect::launch>().number, why));
  CHECK(start_outcome().error() == why);
  CHECK(life->phase() == plugin_phase::failed);
  CHECK(count<life_effect::disconnect>() == 0);
}

TEST_CASE_FIXTURE(life_fixture, "a plugin whose opening is refused is ended, and audited") {
  make();
  start();
  const error why{error_code::permission_denied, "this connection is for the plugin notes", {}};
  launched();
  see(life->opening_refused(why));
  CHECK(start_outcome().error() == why);
  CHECK(life->phase() == plugin_phase::failed);
  CHECK(life->problem() == why.message);
  CHECK(life->process() == 0);
  CHECK(take<life_effect::disconnect>().reason.code == error_code::plugin_crashed);
  CHECK(audits("plugin.ended").size() == 1);
  CHECK(audits("plugin.violation").empty());
  const auto end = take<life_effect::end_process>();
  CHECK(end.cause == end_cause::crash);
  CHECK(end.patience == 0ms);
  CHECK(end.grace == 0ms);
  CHECK(end.deadline == 30s);
}

TEST_CASE_FIXTURE(life_fixture,
                  "a plugin that fails at its start has not started, and is not tried again") {
  make();
  start();
  see(life->commands_refused(opened(), no_database));
  CHECK(start_outcome().error() == no_database);
  end_crashed();
  pass(1h);
  CHECK(count<life_effect::launch>() == 0);
  CHECK(life->restarts() == 0);
  CHECK(life->phase() == plugin_phase::failed);
}

TEST_CASE_FIXTURE(life_fixture, "a plugin that has not started in time is ended") {
  make();
  start();
  opened();
  pass(12s);
  CHECK(life->phase() == plugin_phase::starting);
  pass(1ms);
  const auto why = start_outcome().error();
  CHECK(why.code == error_code::deadline_exceeded);
  CHECK(why.message == "the plugin notes did not start within 10000 ms");
  CHECK(count<life_effect::disconnect>() == 1);
  CHECK(count<life_effect::end_process>() == 1);
}

TEST_CASE_FIXTURE(life_fixture, "a launch that is never answered costs the start its deadline") {
  make();
  start();
  const auto number = take<life_effect::launch>().number;
  pass(13s);
  CHECK(start_outcome().error().code == error_code::deadline_exceeded);
  see(life->launched(number, {}));  // too late
  CHECK(count<life_effect::connect>() == 0);
}

TEST_CASE_FIXTURE(life_fixture,
                  "a command outside of the plugin's name is refused, and none is offered") {
  make();
  start();
  offered({"notes.add", "files.erase"});
  const auto why = start_outcome().error();
  CHECK(why.code == error_code::permission_denied);
  CHECK(why.message ==
        "the plugin notes may not provide the command files.erase; its commands start with notes.");
  const auto denied = take<life_effect::deny>().decision;
  CHECK(denied.operation == "command.provide:files.erase");
  CHECK(denied.rule == "not granted");
  CHECK(count<life_effect::offer_command>() == 0);
}

TEST_CASE_FIXTURE(life_fixture, "a plugin has at most 256 commands") {
  make();
  strings many;
  for (int i = 0; i < 257; ++i) many.push_back("notes.n" + std::to_string(i));
  start();
  offered(many);
  const auto why = start_outcome().error();
  CHECK(why.code == error_code::limit_exceeded);
  CHECK(why.message == "the plugin notes offers 257 commands; at most 256 are accepted");
  CHECK(count<life_effect::offer_command>() == 0);
  many.pop_back();
  end_crashed();
  start();
  offered(many);
  accept_offers();
  CHECK(start_outcome());
  CHECK(life->commands().size() == 256);
}

TEST_CASE_FIXTURE(
    life_fixture,
    "a command with an endless name fails the start without becoming part of a message") {
  make();
  start();
  offered({std::string(100'000, 'x')});
  const auto why = start_outcome().error();
  CHECK(why.code == error_code::limit_exceeded);
  CHECK(why.message ==
        "the plugin notes offers a command with a name of 100000 bytes; at most 128 are accepted");
}

TEST_CASE_FIXTURE(life_fixture,
                  "an offer that is refused fails the start, and the accepted ones are retracted") {
  make();
  start();
  offered({"notes.list", "notes.add"});
  const auto first = take<life_effect::offer_command>(),
             second = take<life_effect::offer_command>();
  see(life->offer_accepted(first.number, first.spec.name));
  const error taken{error_code::already_exists, "the name is taken", {}};
  see(life->offer_refused(second.number, second.spec.name, taken));
  CHECK(start_outcome().error() == taken);
  // The refusal may be a deadline: the dispatcher may accept it later.
  CHECK(take<life_effect::retract>().commands == strings{"notes.add"});
  CHECK(take<life_effect::retract>().commands == strings{"notes.list"});
  CHECK(life->commands().empty());
}

TEST_CASE_FIXTURE(life_fixture, "of what a plugin says of its failure, a kibibyte is kept") {
  make();
  start();
  see(life->commands_refused(
      opened(),
      {error_code::handler_failed, std::string(1023, 'x') + "\u00e9" + std::string(1 << 20, 'x'),
       std::string(1 << 20, 'x')}));
  CHECK(start_outcome().error() == error{error_code::handler_failed, std::string(1023, 'x'), {}});
  CHECK(life->problem() == std::string(1023, 'x'));
  CHECK(audits("plugin.ended")[0].rule == std::string(1023, 'x'));
}

TEST_CASE_FIXTURE(life_fixture, "the answer to a start order says how the process ended") {
  make();
  start();
  launched();
  see(life->connection_closed());
  CHECK(count<life_effect::answer_starts>() == 0);  // its status may say more
  end_crashed({.status = exit_status{.status = 3, .signal = 0}, .last_output = "no database"});
  CHECK(start_outcome().error().message ==
        "the plugin notes ended with exit status 3, it said: no database");
}

TEST_CASE_FIXTURE(life_fixture,
                  "a start whose plugin ends before it opens its session asks for plugin.run()") {
  make();
  start();
  launched();
  see(life->exited({}, "bye"));
  CHECK(start_outcome().error().message ==
        "the plugin notes ended with exit status 0 before it opened its session; does it call "
        "plugin.run()? It said: bye");
}

TEST_CASE_FIXTURE(life_fixture, "what a plugin printed is part of an exit before it runs only") {
  make();
  start();
  opened();
  see(life->exited({.status = 1, .signal = 0}, "no database"));
  CHECK(start_outcome().error().message ==
        "the plugin notes ended with exit status 1, it said: no database");
  end_crashed();
  run();
  see(life->exited({.status = 1, .signal = 0}, "no database"));
  CHECK(life->problem() == "the plugin notes ended with exit status 1");
}

TEST_CASE_FIXTURE(life_fixture, "a session that opens when none is awaited is ignored") {
  make();
  see(life->session_opened());
  see(life->opening_refused(no_database));
  start();
  see(life->session_opened());
  opened();
  see(life->session_opened());
  CHECK(count<life_effect::ask_commands>() == 0);
  CHECK(life->phase() == plugin_phase::starting);
}

// -- a start that is overtaken --------------------------------------------------------------------

TEST_CASE_FIXTURE(life_fixture, "commands that are announced during the stop are not offered") {
  make();
  start();
  const auto number = opened();
  see(life->stop());
  CHECK(start_outcome().error().code == error_code::unavailable);
  tell_commands(number, {"notes.add"});
  CHECK(count<life_effect::offer_command>() == 0);
  CHECK(life->phase() == plugin_phase::stopping);
  stop_ended();
  CHECK(take<life_effect::answer_stops>().outcome);
}

TEST_CASE_FIXTURE(life_fixture,
                  "an offer that is accepted after the crash of its launch is retracted") {
  make();
  start();
  const auto number = offered();
  take<life_effect::offer_command>();  // answered below
  see(life->connection_closed());
  end_crashed();
  CHECK(start_outcome().error().code == error_code::plugin_crashed);
  see(life->offer_accepted(number, "notes.add"));
  CHECK(take<life_effect::retract>().commands == strings{"notes.add"});
  CHECK(life->commands().empty());
  run();
  CHECK(life->commands() == strings{"notes.add"});
}

TEST_CASE_FIXTURE(life_fixture, "a stop is over when no command can be accepted any more") {
  make();
  start();
  const auto number = offered();
  see(life->stop());
  stop_ended();
  CHECK(count<life_effect::answer_stops>() == 0);
  SUBCASE("because it was accepted") {
    see(life->offer_accepted(number, "notes.add"));
    CHECK(take<life_effect::retract>().commands == strings{"notes.add"});
  }
  SUBCASE("because it was refused") {
    see(life->offer_refused(number, "notes.add", {error_code::deadline_exceeded, "no answer", {}}));
    CHECK(take<life_effect::retract>().commands == strings{"notes.add"});
  }
  CHECK(take<life_effect::answer_stops>().outcome);
  CHECK(count<life_effect::quit>() == 1);
}

TEST_CASE_FIXTURE(life_fixture, "what belongs to an earlier launch is ignored") {
  make();
  start();
  const auto number = opened();
  see(life->commands_refused(number, no_database));
  end_crashed();
  start();
  const auto next = launched();
  REQUIRE(next == number + 1);
  pending.clear();
  see(life->launched(number, {}));
  see(life->launch_failed(number, no_database));
  see(life->commands_refused(number, no_database));
  tell_commands(number, {"notes.add"});
  CHECK(pending.empty());
  CHECK(life->phase() == plugin_phase::starting);
}
