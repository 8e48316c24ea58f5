#include <doctest/doctest.h>

#include <limits>
#include <stdexcept>
#include <string>

#include <troupe/messages/command.hpp>

using namespace troupe;

namespace {

const arguments given{{"flag", true},
                      {"count", 7},
                      {"ratio", 0.5},
                      {"name", "Ada"},
                      {"debt", -1},
                      {"huge", std::numeric_limits<std::uint64_t>::max()},
                      {"list", value::array({1})}};

}  // namespace

TEST_CASE("an argument is given as the type asked for") {
  CHECK(given.get<bool>("flag"));
  CHECK(given.get<int>("count") == 7);
  CHECK(given.get<std::uint8_t>("count") == 7);
  CHECK(given.get<double>("ratio") == 0.5);
  CHECK(given.get<double>("count") == 7.0);
  CHECK(given.get<float>("ratio") == 0.5f);
  CHECK(given.get<std::string>("name") == "Ada");
  CHECK(given.get<value>("list") == value::array({1}));
  CHECK(given.get<std::int64_t>("debt") == -1);
  CHECK(given.get<std::uint64_t>("huge") == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("an argument that was not given is named") {
  CHECK_THROWS_WITH_AS(given.get<int>("size"), "parameter \"size\" was not given",
                       std::out_of_range);
  CHECK(given.get_or<int>("size", 3) == 3);
  CHECK(given.get_or<int>("count", 3) == 7);
  CHECK(given.find("size") == nullptr);
}

TEST_CASE("an argument of another type is named with its type and what is needed") {
  CHECK_THROWS_WITH_AS(
      given.get<int>("name"),
      "parameter \"name\" is of type string where an integer in the range of its type is needed",
      std::invalid_argument);
  CHECK_THROWS_WITH_AS(given.get<bool>("count"),
                       "parameter \"count\" is of type integer where a boolean is needed",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(given.get<double>("list"),
                       "parameter \"list\" is of type array where a number is needed",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(given.get<std::string>("ratio"),
                       "parameter \"ratio\" is of type number where a string is needed",
                       std::invalid_argument);
  CHECK_THROWS_AS(given.get_or<int>("name", 1), std::invalid_argument);
}

TEST_CASE("an integer beyond the type asked for is refused, not cut") {
  CHECK_THROWS_AS(given.get<unsigned>("debt"), std::invalid_argument);
  CHECK_THROWS_AS(given.get<std::int64_t>("huge"), std::invalid_argument);
  CHECK_THROWS_AS((arguments{{"n", 128}}.get<std::int8_t>("n")), std::invalid_argument);
  CHECK((arguments{{"n", -128}}.get<std::int8_t>("n")) == -128);
}

TEST_CASE("setting an argument adds it or replaces it") {
  arguments some{{"a", 1}};
  some.set("b", 2);
  some.set("a", "one");
  CHECK(some == arguments{{"a", "one"}, {"b", 2}});
}

TEST_CASE("a command's parameters follow the C++ types of its function") {
  const auto spec = command_spec{"notes.add"}
                        .summary("Adds a note")
                        .param<std::string>("text", "What it says")
                        .param<bool>("pinned")
                        .param<int>("priority")
                        .param<double>("weight")
                        .param<value>("extra")
                        .with_timeout(std::chrono::seconds{1})
                        .with_concurrency(2, 3);
  CHECK(spec.name == "notes.add");
  CHECK(spec.summary_text == "Adds a note");
  CHECK(spec.timeout == std::chrono::seconds{1});
  CHECK(spec.concurrency == 2);
  CHECK(spec.queue == 3);
  REQUIRE(spec.parameters.size() == 5);
  CHECK(spec.parameters[0].summary == "What it says");
  CHECK(spec.parameters[0].type == parameter_type::string);
  CHECK(spec.parameters[1].type == parameter_type::boolean);
  CHECK(spec.parameters[2].type == parameter_type::integer);
  CHECK(spec.parameters[3].type == parameter_type::floating);
  CHECK(spec.parameters[4].type == parameter_type::any);
}
