// The dispatcher as it is seen over links: `command.*` and `metrics.*`.

#include <doctest/doctest.h>

#include <troupe/messages/wire/rpc.hpp>
#include <troupe/tests/support/fixtures/dispatcher_fixture.hpp>
#include <troupe/tests/support/held_handler.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture : public dispatcher_fixture<virtual_system> {
public:
  fixture() {
    for (const char* name : {"notes.add", "notes.list", "files.erase"}) {
      auto added = add(command_spec{name}.summary(std::string{"about "} + name), answering(name));
      system.run();
      REQUIRE(added.get());
    }
  }
  /// The decoded answer to a request.
  template <class T, class Params>
  result<T> ask(std::string method, const Params& params, principal_ptr caller = the_host()) {
    auto got =
        system.demand<payload>(dispatcher, call_of(std::move(method), params, std::move(caller)));
    if (!got) return fail(got.error());
    return decode_checked<T>(got->msgpack.bytes);
  }
  std::vector<std::string> names(const list_commands& wanted, principal_ptr caller = the_host()) {
    std::vector<std::string> all;
    const auto listed = ask<command_list>("command.list", wanted, std::move(caller));
    for (const auto& each : listed.value().commands) all.push_back(each.name);
    return all;
  }
  result<payload> raw(std::string method, std::string bytes) {
    return system.demand<payload>(
        dispatcher, service_call{the_host(), std::move(method), {std::move(bytes)}, 1s, {}});
  }
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "commands are listed in the order of their names") {
  CHECK(names({}) == std::vector<std::string>{"files.erase", "notes.add", "notes.list"});
  CHECK(names({"notes."}) == std::vector<std::string>{"notes.add", "notes.list"});
  CHECK(names({"none"}).empty());
}

TEST_CASE_FIXTURE(fixture, "a caller is shown only the commands that it may run") {
  CHECK(names({}, a_plugin("notes", {"command.execute:notes.add"})) ==
        std::vector<std::string>{"notes.add"});
}

TEST_CASE_FIXTURE(fixture, "a host lists and describes without a link") {
  CHECK(system.demand<command_list>(dispatcher, list_commands{"notes."})->commands.size() == 2);
  CHECK(system.demand<command_spec>(dispatcher, describe_command{"notes.add"})->summary_text ==
        "about notes.add");
  CHECK(system.demand<command_spec>(dispatcher, describe_command{"notes.ad"}).error().code ==
        error_code::not_found);
}

TEST_CASE_FIXTURE(fixture,
                  "a command is described in full, an unknown one with the nearest names") {
  CHECK(ask<command_spec>("command.describe", describe_command{"notes.add"})->summary_text ==
        "about notes.add");
  const auto unknown = ask<command_spec>("command.describe", describe_command{"notes.lst"});
  CHECK(unknown.error().code == error_code::not_found);
  CHECK(unknown.error().message.find("notes.list") != std::string::npos);
}

TEST_CASE_FIXTURE(
    fixture,
    "a command that the caller may not run is described to it no more than one that there is not") {
  const auto caller = a_plugin("notes", {"command.execute:notes.add"});
  CHECK(
      ask<command_spec>("command.describe", describe_command{"notes.add"}, caller)->summary_text ==
      "about notes.add");
  const auto hidden = ask<command_spec>("command.describe", describe_command{"notes.list"}, caller);
  CHECK(hidden.error().code == error_code::not_found);
  CHECK(hidden.error().message == "there is no command \"notes.list\"");
  const auto unknown = ask<command_spec>("command.describe", describe_command{"notes.lst"}, caller);
  CHECK(unknown.error().message ==
        "there is no command \"notes.lst\"; did you mean \"notes.add\"?");
  const auto mistyped = ask<command_spec>("command.describe", describe_command{"notes.ad"}, caller);
  CHECK(mistyped.error().message ==
        "there is no command \"notes.ad\"; did you mean \"notes.add\"?");
  const auto malformed = ask<command_spec>("command.describe", describe_command{"notes.add"},
                                           a_plugin("notes", {"nonsense"}));
  CHECK(malformed.error().code == error_code::permission_denied);
}

TEST_CASE_FIXTURE(fixture, "a command is executed, and the answer is the bytes of its value") {
  const auto got = system.demand<payload>(dispatcher, call_of(execute_request{"notes.add", {}}));
  CHECK(got.value() == payload{{value{"notes.add"}.msgpack()}});
}

TEST_CASE_FIXTURE(fixture, "a command that fails fails over the link as well") {
  const auto refused = system.demand<payload>(
      dispatcher, call_of(execute_request{"files.erase", {}}, a_plugin("notes", {})));
  CHECK(refused.error().code == error_code::permission_denied);
}

TEST_CASE_FIXTURE(fixture, "the deadline of a request over a link is kept") {
  held_handler handler{system};
  auto added = add(command_spec{"slow"}, handler.actor());
  system.run();
  auto asked =
      system.ask<payload>(dispatcher, call_of(execute_request{"slow", {}}, the_host(), 300ms));
  system.pass(290ms);
  CHECK_FALSE(asked.ready());
  system.pass(20ms);
  REQUIRE(asked.ready());
  CHECK(asked.code() == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(fixture, "metrics are read of one command or of all, and reset") {
  REQUIRE(system.demand<payload>(dispatcher, call_of(execute_request{"notes.add", {}})));
  REQUIRE(system.demand<payload>(dispatcher, call_of(execute_request{"notes.list", {}})));
  CHECK(ask<metrics_list>("metrics.get", get_metrics{})->commands.size() == 2);
  const auto one = ask<metrics_list>("metrics.get", get_metrics{"notes.add"}).value();
  REQUIRE(one.commands.size() == 1);
  CHECK(one.commands.front().execution_count == 1);
  CHECK(one.commands.front().success_rate == doctest::Approx(100));

  CHECK(raw("metrics.reset", std::string{rpc::no_params}));
  CHECK(ask<metrics_list>("metrics.get", get_metrics{})->commands.empty());
  CHECK(ask<metrics_list>("metrics.get", get_metrics{"notes.add"})->commands.empty());
  CHECK(system.demand<void>(dispatcher, reset_metrics{}));
}

TEST_CASE_FIXTURE(fixture,
                  "metrics of a command that there is not are an error with the nearest name") {
  const auto unknown = ask<metrics_list>("metrics.get", get_metrics{"notes.ad"});
  CHECK(unknown.error().code == error_code::not_found);
  CHECK(unknown.error().message.find("notes.add") != std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "malformed parameters are refused, method by method") {
  for (const char* method :
       {"command.execute", "command.describe", "command.list", "metrics.get"}) {
    CAPTURE(method);
    // The parameters of each of these are strings.
    CHECK(raw(method, value::map({{"command", 7}, {"prefix", 7}}).msgpack()).error().code ==
          error_code::invalid_argument);
    CHECK(raw(method, "\xc1").error().code != error_code::none);
  }
}

TEST_CASE_FIXTURE(fixture, "methods of others and notifications are refused") {
  CHECK(raw("context.get", std::string{rpc::no_params}).error().code == error_code::not_found);
  CHECK(system.demand<void>(dispatcher, service_notification{the_host(), "command.execute", {}}));
  CHECK(log.contains("command.notification_refused caller=\"host\" method=\"command.execute\""));
}
