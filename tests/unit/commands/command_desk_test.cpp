// What a dispatcher decides: the order of the steps, what a caller sees, and what is counted.

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <troupe/actors/commands/command_desk.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using kind = execution_place::kind;

principal_ptr who(principal given) { return std::make_shared<const principal>(std::move(given)); }

const principal_ptr host = who({"app", principal_kind::host, {}});
/// May run everything below `notes`, and nothing else.
const principal_ptr plugin = who({"notes", principal_kind::plugin, {"command.execute:notes.*"}});
const principal_ptr malformed = who({"bad", principal_kind::plugin, {"no such capability"}});

class desk_fixture {
public:
  explicit desk_fixture(open_requests::limits bounds = {}) : desk({100, bounds}) {}

  command_index add(command_spec spec, kind where = kind::dispatcher, handler_id handler = 0) {
    const auto index = desk.add(std::move(spec), {}, {where, handler});
    REQUIRE(index);
    return *index;
  }
  result<command_desk::admitted> admit(std::string_view command, const principal_ptr& caller = host,
                                       request_origin origin = {}) {
    given = {};
    effects.clear();
    return desk.admit({.command = command, .given = given, .caller = caller, .origin = origin}, now,
                      effects);
  }
  /// How often requests for a command ended like this.
  std::uint64_t count(const std::string& command, command_outcome outcome) const {
    const auto numbers = desk.metrics(command);
    REQUIRE(numbers);
    if (numbers->commands.empty()) return 0;
    return numbers->commands.front().outcomes[static_cast<std::size_t>(outcome)];
  }

  command_desk desk;
  request_effects effects;  ///< Of the last call.
  arguments given;
  command_desk::time_point now{1h};
};

command_spec with_parameter(std::string name) {
  command_spec spec{std::move(name)};
  spec.parameters = {{.name = "count"}};
  return spec;
}

std::vector<std::string> names(const command_list& all) {
  std::vector<std::string> found;
  for (const auto& each : all.commands) found.push_back(each.name);
  return found;
}

template <class Effect>
std::size_t number_of(const request_effects& effects) {
  std::size_t found = 0;
  for (const auto& each : effects) found += std::holds_alternative<Effect>(each) ? 1 : 0;
  return found;
}

}  // namespace

TEST_CASE_FIXTURE(desk_fixture,
                  "a call that may run inside has no effects, and its end is counted") {
  add(command_spec{"notes.add"});
  const auto admitted = admit("notes.add");
  REQUIRE(admitted);
  CHECK(admitted->request == 0);
  CHECK(effects.empty());
  CHECK(admitted->command->spec->name == "notes.add");
  CHECK(admitted->deadline == now + admitted->command->spec->timeout);
  desk.end_inline(*admitted->command, value{1}, now, now + 5ms);
  CHECK(count("notes.add", command_outcome::ok) == 1);
  CHECK(desk.metrics("notes.add")->commands.front().max_execution_time == 5ms);
  desk.reset_metrics();
  CHECK(count("notes.add", command_outcome::ok) == 0);
}

TEST_CASE_FIXTURE(desk_fixture, "a call goes to a worker or to the command's handler") {
  add(command_spec{"notes.slow"}, kind::worker);
  add(command_spec{"notes.remote"}, kind::handler, 7);
  const auto slow = admit("notes.slow");
  REQUIRE(slow);
  CHECK(slow->request != 0);
  CHECK(number_of<request_effect::start_function>(effects) == 1);
  const auto remote = admit("notes.remote");
  REQUIRE(remote);
  CHECK(number_of<request_effect::ask_handler>(effects) == 1);
  CHECK(number_of<request_effect::answer>(desk.finish(slow->request, value{1}, now + 1ms)) == 1);
  CHECK(number_of<request_effect::answer>(desk.end_handler(7, now + 1ms)) == 1);
  CHECK(count("notes.slow", command_outcome::ok) == 1);
  CHECK(count("notes.remote", command_outcome::error) == 1);
  CHECK(desk.requests().unanswered() == 0);
}

TEST_CASE_FIXTURE(desk_fixture,
                  "a caller without permission does not learn whether arguments fit") {
  add(with_parameter("notes.add"));
  add(with_parameter("tasks.add"));
  CHECK(admit("tasks.add", plugin).error().code == error_code::permission_denied);
  CHECK(admit("notes.add", plugin).error().code == error_code::invalid_argument);
  CHECK(admit("tasks.add", malformed).error().code == error_code::permission_denied);
  CHECK(count("tasks.add", command_outcome::denied) == 1);
  CHECK(count("notes.add", command_outcome::invalid) == 1);
}

TEST_CASE_FIXTURE(desk_fixture,
                  "an unknown command is counted nowhere; only names in sight are near") {
  add(command_spec{"notes.add"});
  add(command_spec{"tasks.add"});
  const auto refused = admit("notes.ad", plugin);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::not_found);
  CHECK(refused.error().message.find("notes.add") != std::string::npos);
  const auto unseen = admit("tasks.ad", plugin);
  REQUIRE_FALSE(unseen);
  CHECK(unseen.error().message.find("tasks.add") == std::string::npos);
  CHECK(desk.metrics("")->commands.empty());
  CHECK(desk.metrics("notes.ad").error().code == error_code::not_found);
}

TEST_CASE_FIXTURE(desk_fixture, "a call beyond the places and the queue is rejected and counted") {
  command_spec spec{"notes.slow"};
  spec.concurrency = 1;
  spec.queue = 1;
  add(spec, kind::worker);
  REQUIRE(admit("notes.slow"));
  REQUIRE(admit("notes.slow"));
  CHECK(admit("notes.slow").error().code == error_code::overloaded);
  CHECK(count("notes.slow", command_outcome::rejected) == 1);
}

TEST_CASE_FIXTURE(desk_fixture, "what ends early is counted once, as what it was") {
  add(command_spec{"notes.slow"}, kind::worker);
  REQUIRE(admit("notes.slow", host, {3, 9}));
  CHECK(number_of<request_effect::answer>(desk.cancel({3, 9}, now + 1ms)) == 1);
  CHECK(count("notes.slow", command_outcome::cancelled) == 1);
  const auto late = admit("notes.slow");
  REQUIRE(late);
  CHECK(number_of<request_effect::answer>(desk.expire(late->deadline)) == 1);
  CHECK(number_of<request_effect::answer>(
            desk.finish(late->request, value{1}, late->deadline + 1s)) == 0);
  CHECK(count("notes.slow", command_outcome::timeout) == 1);
  CHECK(count("notes.slow", command_outcome::ok) == 0);
}

TEST_CASE_FIXTURE(desk_fixture,
                  "a handler retracts its own command, and not one that has the name") {
  const auto first = add(command_spec{"notes.add"}, kind::handler, 7);
  CHECK_FALSE(desk.retract("notes.add", 8, now));
  CHECK_FALSE(desk.retract("notes.none", 7, now));
  const auto removed = desk.retract("notes.add", 7, now);
  REQUIRE(removed);
  CHECK(removed->index.slot == first.slot);
  add(command_spec{"notes.add"});
  CHECK_FALSE(desk.retract("notes.add", 7, now));
  CHECK(admit("notes.add"));
  CHECK(desk.remove("notes.add", now));
  CHECK_FALSE(desk.remove("notes.add", now));
  CHECK(admit("notes.add").error().code == error_code::not_found);
}

TEST_CASE_FIXTURE(desk_fixture, "the removal of a command answers what waits for it") {
  command_spec spec{"notes.slow"};
  spec.concurrency = 1;
  add(spec, kind::worker);
  REQUIRE(admit("notes.slow"));
  REQUIRE(admit("notes.slow"));
  const auto removed = desk.remove("notes.slow", now);
  REQUIRE(removed);
  CHECK(number_of<request_effect::answer>(removed->effects) == 1);
}

TEST_CASE_FIXTURE(desk_fixture, "lists and descriptions show a caller what it may run") {
  add(command_spec{"notes.add"});
  add(command_spec{"notes.list"});
  add(command_spec{"tasks.add"});
  CHECK(names(desk.list("")) == std::vector<std::string>{"notes.add", "notes.list", "tasks.add"});
  CHECK(names(desk.list("tasks.")) == std::vector<std::string>{"tasks.add"});
  CHECK(names(desk.list_for(plugin, "").value()) ==
        std::vector<std::string>{"notes.add", "notes.list"});
  CHECK(desk.list_for(malformed, "").error().code == error_code::permission_denied);
  CHECK(desk.describe("tasks.add")->name == "tasks.add");
  CHECK(desk.describe_for(plugin, "notes.add")->name == "notes.add");
  CHECK(desk.describe_for(plugin, "tasks.add").error().code == error_code::not_found);
  CHECK(desk.describe_for(malformed, "notes.add").error().code == error_code::permission_denied);
}

TEST_CASE_FIXTURE(desk_fixture, "during a stop nothing is admitted") {
  add(command_spec{"notes.add"});
  REQUIRE(desk.stop(now + 1s, now));
  CHECK(admit("notes.add").error().code == error_code::unavailable);
  CHECK(desk.stop(now + 1s, now).error().code == error_code::already_exists);
}
