// The dispatcher's six steps, one after the other: resolve, permit, validate, admit, run, record.

#include <doctest/doctest.h>

#include <stdexcept>

#include <troupe/tests/support/fixtures/dispatcher_fixture.hpp>
#include <troupe/tests/support/held_handler.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture : public dispatcher_fixture<virtual_system> {
public:
  using dispatcher_fixture::dispatcher_fixture;

  void offer(command_spec spec, command_handler handler) {
    auto added = add(std::move(spec), std::move(handler));
    system.run();
    REQUIRE(added.get());
  }
  /// Executes what must be answered at once.
  result<value> run(std::string command, arguments given = {}, principal_ptr caller = the_host()) {
    auto asked = execute(std::move(command), std::move(given), std::move(caller));
    system.run();
    REQUIRE(asked.ready());
    return asked.get();
  }
  std::uint64_t count(const std::string& command, command_outcome outcome) {
    return count_of(system.demand<metrics_list>(dispatcher, get_metrics{command}).value(), outcome);
  }
};

command_spec greet() { return command_spec{"greet"}.param<std::string>("name"); }

}  // namespace

TEST_CASE_FIXTURE(fixture,
                  "a function that runs inline answers with its result, and knows its caller") {
  offer(greet(),
        inline_handler{[](const arguments& given, const command_context& about) -> result<value> {
          return value{std::string{about.principal} + " greets " + given.get<std::string>("name")};
        }});
  CHECK(run("greet", {{"name", "Ada"}}).value() == value{"host greets Ada"});
  CHECK(count("greet", command_outcome::ok) == 1);
}

TEST_CASE_FIXTURE(fixture,
                  "an actor that handles a command is asked with the caller, the trace and the "
                  "time that is left") {
  held_handler handler{system};
  offer(greet().with_timeout(10s), handler.actor());
  const trace_id trace{random_uuid()};
  auto asked = system.ask<value>(
      dispatcher, execute_command{"greet", {{"name", "Ada"}}, the_host(), 2s, trace});
  system.run();
  REQUIRE(handler.waiting() == 1);
  CHECK(handler.oldest() == invoke_command{"greet", {{"name", "Ada"}}, "host", 2s, trace});
  handler.answer_with("done");
  CHECK(asked.value() == value{"done"});
  CHECK(count("greet", command_outcome::ok) == 1);
}

TEST_CASE_FIXTURE(fixture, "the deadline of a caller is shortened to the command's timeout") {
  held_handler handler{system};
  offer(command_spec{"wait"}.with_timeout(3s), handler.actor());
  auto patient = execute("wait", {}, the_host(), 1h);
  system.run();
  CHECK(handler.oldest().deadline == 3s);
}

// -- resolve --------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "an unknown command is answered with the nearest names") {
  offer(greet(), answering("hello"));
  const auto refused = run("gret");
  CHECK(refused.error().code == error_code::not_found);
  CHECK(refused.error().message.find("\"greet\"") != std::string::npos);
}

TEST_CASE_FIXTURE(
    fixture, "the refusal of an unknown command names no command that the caller may not run") {
  offer(greet(), answering("hello"));
  const auto refused = run("gret", {}, a_plugin("notes", {"command.execute:notes.**"}));
  CHECK(refused.error().code == error_code::not_found);
  CHECK(refused.error().message.find("greet\"") == std::string::npos);
}

// -- permit ---------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture,
                  "a plugin runs the commands that its capabilities cover, and no others") {
  offer(command_spec{"notes.add"}, answering(1));
  offer(command_spec{"files.erase"}, answering(2));
  const auto notes = a_plugin("notes", {"command.execute:notes.**"});
  CHECK(run("notes.add", {}, notes).value() == value{1});
  const auto refused = run("files.erase", {}, notes);
  CHECK(refused.error().code == error_code::permission_denied);
  CHECK(refused.error().message ==
        "plugin \"notes\" may not run \"files.erase\": it lacks the capability "
        "command.execute:files.erase");
  CHECK(count("files.erase", command_outcome::denied) == 1);
  CHECK(count("notes.add", command_outcome::ok) == 1);
}

TEST_CASE_FIXTURE(fixture, "a changed principal is judged by its new capabilities") {
  offer(command_spec{"notes.add"}, answering(1));
  CHECK_FALSE(run("notes.add", {}, a_plugin("notes", {})));
  CHECK(run("notes.add", {}, a_plugin("notes", {"command.execute:notes.*"})));
  CHECK_FALSE(run("notes.add", {}, a_plugin("notes", {})));
}

TEST_CASE_FIXTURE(fixture, "a caller with malformed capabilities may run nothing") {
  offer(greet(), answering("hello"));
  CHECK(run("greet", {{"name", "Ada"}}, a_plugin("odd", {"no capability"})).error().code ==
        error_code::permission_denied);
}

TEST_CASE_FIXTURE(fixture, "more sessions than the permits that are kept are served all the same") {
  offer(command_spec{"notes.add"}, answering(1));
  for (int i = 0; i < 1100; ++i)
    REQUIRE(run("notes.add", {}, a_plugin("notes", {"command.execute:notes.add"})));
  CHECK(count("notes.add", command_outcome::ok) == 1100);
}

TEST_CASE_FIXTURE(fixture,
                  "permission comes before validation: a caller without permission learns nothing "
                  "of the parameters") {
  offer(greet(), answering("hello"));
  const auto refused = run("greet", {{"nonsense", 1}}, a_plugin("notes", {}));
  CHECK(refused.error().code == error_code::permission_denied);
  CHECK(count("greet", command_outcome::invalid) == 0);
}

// -- validate -------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "invalid arguments never reach the handler") {
  held_handler handler{system};
  offer(greet(), handler.actor());
  const auto refused = run("greet", {{"nam", "Ada"}});
  CHECK(refused.error().code == error_code::invalid_argument);
  CHECK(refused.error().message.find("name") != std::string::npos);
  CHECK(handler.waiting() == 0);
  CHECK(count("greet", command_outcome::invalid) == 1);
}

TEST_CASE_FIXTURE(fixture, "the handler is given the default of an absent parameter") {
  parameter_spec times{.name = "times", .type = parameter_type::integer, .default_value = value{3}};
  offer(command_spec{"repeat"}.param(times),
        inline_handler{[](const arguments& given, const command_context&) -> result<value> {
          return value{given.get<int>("times")};
        }});
  CHECK(run("repeat").value() == value{3});
}

TEST_CASE_FIXTURE(fixture,
                  "validation comes before admission: an invalid request to a busy command is "
                  "invalid, not overloaded") {
  held_handler handler{system};
  offer(greet().with_concurrency(1, 0), handler.actor());
  auto first = execute("greet", {{"name", "Ada"}});
  system.run();
  CHECK(run("greet", {}).error().code == error_code::invalid_argument);
  CHECK(run("greet", {{"name", "Bob"}}).error().code == error_code::overloaded);
  CHECK(count("greet", command_outcome::rejected) == 1);
}

// -- admit ----------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(
    fixture,
    "no more executions than the limit run at once, and the others follow in the order they came") {
  held_handler handler{system};
  offer(greet().with_concurrency(2, 10), handler.actor());
  std::vector<answer<value>> asked;
  for (const char* name : {"a", "b", "c", "d", "e"})
    asked.push_back(execute("greet", {{"name", name}}));
  system.run();
  std::string order;
  while (handler.waiting() > 0) {
    CHECK(handler.waiting() <= 2);
    order += handler.oldest().arguments.get<std::string>("name");
    handler.answer_with(order);
  }
  CHECK(order == "abcde");
  for (const auto& each : asked) CHECK(each.get());
}

TEST_CASE("a node's queues together have a bound") {
  fixture small{{.max_commands = 10, .max_waiting = 1, .max_workers = 1}};
  held_handler handler{small.system};
  small.offer(command_spec{"one"}.with_concurrency(1, 10), handler.actor());
  small.offer(command_spec{"two"}.with_concurrency(1, 10), handler.actor());
  auto running = small.execute("one");
  auto waiting = small.execute("one");
  auto other = small.execute("two");
  small.system.run();
  const auto refused = small.run("two");
  CHECK(refused.error().code == error_code::overloaded);
  CHECK(refused.error().message.find("node's queue is full") != std::string::npos);
}

// -- run ------------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture,
                  "a handler that throws is an error of its command, and the dispatcher lives on") {
  offer(command_spec{"burn"},
        inline_handler{[](const arguments&, const command_context&) -> result<value> {
          throw std::runtime_error{"disk on fire"};
        }});
  offer(greet(), answering("hello"));
  const auto failed = run("burn");
  CHECK(failed.error() ==
        error{error_code::handler_failed, "the command failed: disk on fire", {}});
  CHECK(count("burn", command_outcome::error) == 1);
  CHECK(run("greet", {{"name", "Ada"}}));
}

TEST_CASE_FIXTURE(fixture, "the error of a handler reaches the caller as it is") {
  held_handler handler{system};
  offer(greet(), handler.actor());
  auto asked = execute("greet", {{"name", "Ada"}});
  system.run();
  const error why{error_code::not_found, "Ada is not here",
                  value::map({{"name", "Ada"}}).msgpack()};
  handler.fail_with(why);
  CHECK(asked.get().error() == why);
  CHECK(count("greet", command_outcome::error) == 1);
}

TEST_CASE_FIXTURE(fixture, "a handler that says cancelled or too late is counted so") {
  held_handler handler{system};
  offer(command_spec{"work"}, handler.actor());
  auto a = execute("work");
  auto b = execute("work");
  system.run();
  handler.fail_with({error_code::cancelled, "cancelled", {}});
  handler.fail_with({error_code::deadline_exceeded, "too slow", {}});
  CHECK(a.code() == error_code::cancelled);
  CHECK(b.code() == error_code::deadline_exceeded);
  CHECK(count("work", command_outcome::cancelled) == 1);
  CHECK(count("work", command_outcome::timeout) == 1);
}

TEST_CASE_FIXTURE(fixture, "a handler that has ended is unavailable") {
  held_handler handler{system};
  offer(command_spec{"work"}, handler.actor());
  auto in_flight = execute("work");
  system.run();
  caf::anon_send_exit(handler.actor(), caf::exit_reason::kill);
  system.run();
  CHECK(run("work").error().code == error_code::unavailable);
  CHECK(count("work", command_outcome::error) >= 1);
}

// -- the register ---------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "a malformed command is not offered") {
  auto refused = add(command_spec{"Not A Name"}, answering(1));
  system.run();
  CHECK(refused.code() == error_code::invalid_argument);
}

TEST_CASE_FIXTURE(fixture, "a name can be taken once, and again after it was given back") {
  offer(greet(), answering("first"));
  auto second = add(greet(), answering("second"));
  system.run();
  CHECK(second.code() == error_code::already_exists);
  CHECK(system.demand<void>(dispatcher, remove_commands{{"greet", "no.such"}}));
  CHECK(run("greet", {{"name", "Ada"}}).error().code == error_code::not_found);
  offer(greet(), answering("third"));
  CHECK(run("greet", {{"name", "Ada"}}).value() == value{"third"});
}

TEST_CASE_FIXTURE(
    fixture, "requests that wait for a removed command are answered; those that run may finish") {
  held_handler handler{system};
  offer(greet().with_concurrency(1, 10), handler.actor());
  auto running = execute("greet", {{"name", "a"}});
  auto waiting = execute("greet", {{"name", "b"}});
  system.run();
  CHECK(system.demand<void>(dispatcher, remove_commands{{"greet"}}));
  CHECK(waiting.code() == error_code::unavailable);
  CHECK(waiting.problem().find("greet was removed") != std::string::npos);
  CHECK_FALSE(running.ready());
  handler.answer_with("done");
  CHECK(running.value() == value{"done"});
}

TEST_CASE_FIXTURE(fixture, "commands are cancelled only from the handler that offers them") {
  REQUIRE(system.demand<void>(dispatcher, add_command{command_spec{"host.own"}, answering(1), {}}));
  held_handler handler{system};
  REQUIRE(system.demand<void>(dispatcher,
                              add_command{command_spec{"plugin.own"}, handler.actor(), {}}));
  const retract_commands order{{"host.own", "plugin.own", "no.such"}, handler.actor().id()};
  REQUIRE(system.demand<void>(dispatcher, retract_commands{order.names, order.handler + 1000}));
  CHECK(system.demand<command_list>(dispatcher, list_commands{"plugin."})->commands.size() == 1);
  REQUIRE(system.demand<void>(dispatcher, order));
  CHECK(system.demand<command_list>(dispatcher, list_commands{"plugin."})->commands.empty());
  CHECK(system.demand<command_list>(dispatcher, list_commands{"host."})->commands.size() == 1);
}
