#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/actors/commands/registry.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

error refusal(command_spec spec, std::vector<custom_check> checks = {}) {
  registry commands;
  const auto added = commands.add(std::move(spec), std::move(checks));
  REQUIRE_FALSE(added.has_value());
  CHECK(commands.size() == 0);
  return added.error();
}

bool says(const error& failure, std::string_view text) {
  return failure.message.find(text) != std::string::npos;
}

command_spec with(parameter_spec parameter) {
  return command_spec{"greet"}.param(std::move(parameter));
}

}  // namespace

TEST_CASE("a registered command is found by its name and by its index") {
  registry commands;
  const auto index = commands.add(command_spec{"notes.add"}.summary("Adds a note"));
  REQUIRE(index.has_value());
  const registered_command* found = commands.find("notes.add");
  REQUIRE(found != nullptr);
  CHECK(found->spec->summary_text == "Adds a note");
  CHECK(found->index == *index);
  CHECK(commands.find(*index) == found);
  CHECK(commands.find("notes") == nullptr);
  CHECK(commands.size() == 1);
  CHECK(commands.capacity() == registry::default_capacity);
}

TEST_CASE("a command without a capability of its own needs the one to execute it") {
  registry commands;
  REQUIRE(commands.add(command_spec{"greet"}));
  CHECK(commands.find("greet")->needs.verb == capability_verb::command_execute);
  CHECK(commands.find("greet")->needs.resource == "greet");

  command_spec guarded{"theme"};
  guarded.capability = "context.write:/app/theme";
  REQUIRE(commands.add(guarded));
  CHECK(commands.find("theme")->needs.verb == capability_verb::context_write);
  CHECK(commands.find("theme")->needs.resource == "/app/theme");
}

TEST_CASE("commands are listed in the order of their names") {
  registry commands;
  for (const char* name : {"b", "c", "a.b", "a"}) REQUIRE(commands.add(command_spec{name}));
  std::vector<std::string> names;
  for (const auto& spec : commands.list()) names.push_back(spec->name);
  CHECK(names == std::vector<std::string>{"a", "a.b", "b", "c"});
}

TEST_CASE("well-formed names are accepted") {
  registry commands;
  for (const char* name : {"a", "a1", "notes.add", "my-plugin.do_it.2", "a-", "a.b.c.d", "a.-"}) {
    INFO(name);
    CHECK(commands.add(command_spec{name}).has_value());
  }
  CHECK(commands.add(command_spec{std::string(128, 'a')}).has_value());
}

TEST_CASE("a malformed name is refused and shown") {
  for (const char* name : {"", "A", "1a", "_a", ".a", "a.", "a..b", "a b", "a/b", "ä", "a\n"}) {
    INFO(name);
    CHECK(refusal(command_spec{name}).code == error_code::invalid_argument);
  }
  CHECK(says(refusal(command_spec{"Greet"}), "command \"Greet\": a name is lower-case words"));
}

TEST_CASE("a name is taken until its command is removed") {
  registry commands;
  REQUIRE(commands.add(command_spec{"greet"}));
  const auto again = commands.add(command_spec{"greet"});
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().code == error_code::already_exists);
  CHECK(says(again.error(), "\"greet\""));
  REQUIRE(commands.remove("greet"));
  CHECK(commands.add(command_spec{"greet"}).has_value());
}

TEST_CASE("an index does not find the command that came after its own in the same slot") {
  registry commands;
  const auto first = commands.add(command_spec{"first"}).value();
  CHECK(commands.remove("first").value() == first);
  CHECK(commands.find(first) == nullptr);
  const auto second = commands.add(command_spec{"second"}).value();
  CHECK(second.slot == first.slot);
  CHECK(second != first);
  CHECK(commands.find(first) == nullptr);
  CHECK(commands.find(second)->spec->name == "second");
  CHECK(commands.find(command_index{7, 1}) == nullptr);
}

TEST_CASE("slots stay dense when commands come and go") {
  registry commands;
  for (int round = 0; round < 50; ++round) {
    for (const char* name : {"a", "b", "c"})
      CHECK(commands.add(command_spec{name}).value().slot < 3);
    for (const char* name : {"b", "a", "c"}) REQUIRE(commands.remove(name));
  }
  CHECK(commands.size() == 0);
}

TEST_CASE("a command that does not exist cannot be removed") {
  registry commands;
  const auto removed = commands.remove("greet");
  REQUIRE_FALSE(removed.has_value());
  CHECK(removed.error().code == error_code::not_found);
  CHECK(says(removed.error(), "\"greet\""));
}

TEST_CASE("a full registry refuses the next command and takes it after a removal") {
  registry commands{2};
  REQUIRE(commands.add(command_spec{"a"}));
  REQUIRE(commands.add(command_spec{"b"}));
  const auto third = commands.add(command_spec{"c"});
  REQUIRE_FALSE(third.has_value());
  CHECK(third.error().code == error_code::limit_exceeded);
  REQUIRE(commands.remove("a"));
  CHECK(commands.add(command_spec{"c"}).has_value());
  CHECK_THROWS_AS(registry{0}, std::invalid_argument);
}

TEST_CASE("limits of a specification are inclusive and named when passed") {
  registry commands;
  CHECK(commands.add(command_spec{"a"}.with_timeout(1ms).with_concurrency(1, 0)).has_value());
  CHECK(commands.add(command_spec{"b"}.with_timeout(24h).with_concurrency(65'536, 65'536))
            .has_value());
  CHECK(says(refusal(command_spec{"a"}.with_timeout(0ms)), "timeout is 0 ms"));
  CHECK(says(refusal(command_spec{"a"}.with_timeout(24h + 1ms)), "from 1 ms to 1 day"));
  CHECK(says(refusal(command_spec{"a"}.with_concurrency(0, 1)), "concurrency is 0"));
  CHECK(says(refusal(command_spec{"a"}.with_concurrency(65'537, 1)), "concurrency is 65537"));
  CHECK(says(refusal(command_spec{"a"}.with_concurrency(1, 65'537)), "queue is 65537"));
  CHECK(says(refusal(command_spec{std::string(129, 'a')}), "129"));
  command_spec wordy =
      command_spec{"a"}.param({.name = "p", .choices = {std::string(1000, 'x')}, .pattern = {}});
  wordy.parameters[0].type = parameter_type::string;
  wordy.parameters[0].default_value = std::string(1000, 'x');
  wordy.description = std::string(64 * 1024, 'x');
  CHECK(refusal(wordy).code == error_code::limit_exceeded);
}

TEST_CASE("a malformed capability is refused") {
  command_spec spec{"greet"};
  spec.capability = "comand.execute:greet";
  CHECK(says(refusal(spec), "command \"greet\": "));
  CHECK(says(refusal(spec), "command.execute"));
}

TEST_CASE("a malformed parameter is refused by its name") {
  CHECK(says(refusal(with({.name = "a b"})), "parameter \"a b\": a name is"));
  CHECK(says(refusal(with({.name = ""})), "a name is"));
  CHECK(says(refusal(with({.name = "1a"})), "a name is"));
  CHECK(says(refusal(with({.name = std::string(65, 'a')})), "64 bytes at most"));
  CHECK(says(refusal(command_spec{"greet"}.param<int>("a").param<bool>("a")),
             "parameter \"a\": it is defined twice"));

  command_spec many{"greet"};
  for (int i = 0; i < 65; ++i) many.param<int>("p" + std::to_string(i));
  CHECK(says(refusal(many), "65 parameters; at most 64"));
}

TEST_CASE("constraints that do not fit their parameter are refused") {
  CHECK(says(refusal(with({.name = "p", .type = parameter_type::boolean, .minimum = 1})),
             "bounds do not apply"));
  CHECK(says(refusal(with({.name = "p", .type = parameter_type::any, .maximum = 1})),
             "bounds do not apply"));
  CHECK(says(
      refusal(with({.name = "p", .type = parameter_type::integer, .minimum = 2, .maximum = 1})),
      "above its maximum"));
  CHECK(says(
      refusal(with({.name = "p", .type = parameter_type::floating, .minimum = std::stod("nan")})),
      "not a number"));
  CHECK(says(refusal(with({.name = "p", .type = parameter_type::integer, .choices = {"1"}})),
             "choices apply to strings"));
  CHECK(says(refusal(with({.name = "p", .type = parameter_type::any, .pattern = "a"})),
             "a pattern applies to strings"));
  CHECK(says(refusal(with({.name = "p", .type = parameter_type::string, .pattern = "(a"})),
             "missing )"));
}

TEST_CASE("a default has to be what the parameter accepts") {
  CHECK(says(refusal(with({.name = "p", .type = parameter_type::integer, .default_value = "x"})),
             "its default is \"x\", which is not an integer"));
  CHECK(says(
      refusal(
          with({.name = "p", .type = parameter_type::integer, .default_value = 11, .maximum = 10})),
      "not an integer of at most 10"));
  CHECK(says(refusal(with({.name = "p",
                           .type = parameter_type::string,
                           .default_value = "c",
                           .choices = {"a", "b"}})),
             "one of \"a\", \"b\""));
  registry commands;
  CHECK(commands.add(with({.name = "p", .type = parameter_type::floating, .default_value = 1}))
            .has_value());
}

TEST_CASE("a check needs a parameter of its own") {
  const value_check fine = [](const value&) { return std::nullopt; };
  CHECK(says(refusal(command_spec{"greet"}.param<int>("count"), {{"coutn", fine}}),
             "did you mean \"count\"?"));
  CHECK(says(refusal(command_spec{"greet"}.param<int>("count"), {{"count", fine}, {"count", fine}}),
             "has a check already"));
}

TEST_CASE("texts that are not UTF-8 are refused, as they could not be listed") {
  CHECK(says(refusal(command_spec{"greet"}.summary("caf\xe9")), "its summary is not UTF-8"));
  command_spec described{"greet"};
  described.description = "\xff";
  CHECK(says(refusal(described), "its description is not UTF-8"));
  CHECK(says(refusal(with({.name = "p", .type = parameter_type::string, .summary = "\xff"})),
             "parameter \"p\": its summary is not UTF-8"));
  CHECK(says(refusal(with({.name = "p", .type = parameter_type::string, .choices = {"\xff"}})),
             "parameter \"p\": a choice is not UTF-8"));
}

TEST_CASE("all specifications together fit into one frame, and removing one makes room") {
  registry commands;
  const auto large = [](int number) {
    command_spec spec{"large.n" + std::to_string(number)};
    spec.description = std::string(60'000, 'x');
    return spec;
  };
  int added = 0;
  while (commands.add(large(added)).has_value()) ++added;
  CHECK(static_cast<std::size_t>(added) == registry::max_total_bytes / 60'100);
  const auto refused = commands.add(large(added));
  CHECK(refused.error().code == error_code::limit_exceeded);
  CHECK(says(refused.error(), "all specifications together"));
  REQUIRE(commands.remove("large.n0").has_value());
  CHECK(commands.add(large(added)).has_value());
}

TEST_CASE("patterns are bounded, of one command and of all") {
  command_spec costly{"costly"};
  for (int i = 0; i < 5; ++i)
    costly.param(
        {.name = "p" + std::to_string(i), .type = parameter_type::string, .pattern = "[a-z]{900}"});
  CHECK(says(refusal(costly), "parameter \"p4\": with its pattern, all patterns have"));

  registry commands;
  std::size_t patterns = 0;
  for (int number = 0;; ++number) {
    command_spec spec{"many.n" + std::to_string(number)};
    for (int i = 0; i < 64; ++i)
      spec.param({.name = "p" + std::to_string(i), .type = parameter_type::string, .pattern = "a"});
    const auto added = commands.add(std::move(spec));
    if (!added) {
      CHECK(added.error().code == error_code::limit_exceeded);
      break;
    }
    patterns += 64;
  }
  CHECK(patterns == registry::max_total_patterns);
}
