#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/actors/commands/validation/conversion.hpp>
#include <troupe/actors/commands/validation/validator.hpp>
#include <troupe/messages/text/utf8.hpp>

using namespace troupe;

namespace {

validator rules_for(command_spec spec, std::vector<custom_check> checks = {}) {
  auto made =
      validator::make(std::make_shared<const command_spec>(std::move(spec)), std::move(checks));
  REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().message));
  return *std::move(made);
}

validator rule_for(parameter_spec parameter) {
  return rules_for(command_spec{"test"}.param(std::move(parameter)));
}

bool accepts(const validator& rules, value given) {
  arguments args{{"p", std::move(given)}};
  return rules.validate(args).has_value();
}

/// The problems in the detail of an error, as JSON.
std::string problems_in(const error& failure) {
  return value::from_msgpack(failure.detail).value().find("problems").value().to_json();
}

std::string problems_of(const validator& rules, arguments args) {
  const auto checked = rules.validate(args);
  REQUIRE_FALSE(checked.has_value());
  CHECK(checked.error().code == error_code::invalid_argument);
  return problems_in(checked.error());
}

/// The one problem with the value of the parameter `p`.
value problem_with(const validator& rules, value given) {
  arguments args{{"p", std::move(given)}};
  const auto checked = rules.validate(args);
  REQUIRE_FALSE(checked.has_value());
  const auto problems =
      value::from_msgpack(checked.error().detail).value().find("problems").value().elements();
  REQUIRE(problems.size() == 1);
  return problems.front();
}

std::string text_in(const value& problem, std::string_view member) {
  const auto found = problem.find(member);
  return found ? std::string{found->as_string().value()} : std::string{};
}

}  // namespace

TEST_CASE("arguments that fit pass unchanged") {
  const auto rules =
      rules_for(command_spec{"greet"}.param<std::string>("name").param<int>("times"));
  arguments args{{"name", "Ada"}, {"times", 3}};
  const arguments before = args;
  CHECK(rules.validate(args).has_value());
  CHECK(args == before);

  arguments swapped{{"times", 3}, {"name", "Ada"}};
  CHECK(rules.validate(swapped).has_value());
}

TEST_CASE("an absent parameter becomes its default, and is missed when it has none") {
  const auto rules = rules_for(command_spec{"greet"}.param<std::string>("name").param(
      {.name = "times", .type = parameter_type::integer, .default_value = 1}));
  arguments args{{"name", "Ada"}};
  REQUIRE(rules.validate(args).has_value());
  CHECK(args.get<int>("times") == 1);

  CHECK(problems_of(rules, {}) ==
        R"([{"expected":"a string","parameter":"name","received":"nothing"}])");
}

TEST_CASE("a default is made a value of its parameter's type") {
  const auto rules = rule_for({.name = "p", .type = parameter_type::floating, .default_value = 1});
  arguments args;
  REQUIRE(rules.validate(args).has_value());
  CHECK(*args.find("p") == value{1.0});
}

TEST_CASE("an optional parameter without a value of its own may be absent or nil") {
  const auto rules =
      rule_for({.name = "p", .type = parameter_type::string, .default_value = value{}});
  arguments absent;
  REQUIRE(rules.validate(absent).has_value());
  CHECK(absent.find("p") == nullptr);
  arguments nil{{"p", nullptr}};
  REQUIRE(rules.validate(nil).has_value());
  CHECK(nil.find("p") == nullptr);
  CHECK(nil.get_or<std::string>("p", "fallback") == "fallback");

  const auto any = rule_for({.name = "p", .type = parameter_type::any, .default_value = value{}});
  arguments kept{{"p", nullptr}};
  REQUIRE(any.validate(kept).has_value());
  CHECK(kept.find("p") != nullptr);

  CHECK_FALSE(accepts(rule_for({.name = "p", .type = parameter_type::string}), nullptr));
  CHECK_FALSE(accepts(rule_for({.name = "p", .type = parameter_type::string, .default_value = "x"}),
                      nullptr));
}

TEST_CASE(
    "all problems are found at once, each with what was expected, what came and the nearest "
    "spelling") {
  const auto rules = rules_for(
      command_spec{"greet"}
          .param<std::string>("name")
          .param({.name = "times", .type = parameter_type::integer, .minimum = 1, .maximum = 10})
          .param<bool>("loud"));
  arguments args{{"nmae", "Ada"}, {"times", 11}, {"loud", "ture"}};
  const auto checked = rules.validate(args);
  REQUIRE_FALSE(checked.has_value());
  CHECK(problems_in(checked.error()) ==
        R"([{"expected":"one of the parameters name, times, loud","parameter":"nmae",)"
        R"("received":"\"Ada\"",)"
        R"("suggestion":"name"},)"
        R"({"expected":"an integer from 1 to 10","parameter":"times","received":"11",)"
        R"("suggestion":"10"},)"
        R"({"expected":"true or false","parameter":"loud","received":"\"ture\"",)"
        R"("suggestion":"true"},)"
        R"({"expected":"a string","parameter":"name","received":"nothing"}])");
  CHECK(checked.error().message ==
        "command \"greet\" was given wrong arguments: "
        "\"nmae\": expected one of the parameters name, times, loud, received \"Ada\" (did you "
        "mean \"name\"?); "
        "\"times\": expected an integer from 1 to 10, received 11 (did you mean \"10\"?); "
        "\"loud\": expected true or false, received \"ture\" (did you mean \"true\"?); "
        "\"name\": expected a string, received nothing");
}

TEST_CASE("a command without parameters says so") {
  CHECK(problems_of(rules_for(command_spec{"now"}), {{"x", 1}}) ==
        R"([{"expected":"no parameters","parameter":"x","received":"1"}])");
}

TEST_CASE("a parameter that is given twice is a problem") {
  const auto rules =
      rules_for(command_spec{"greet"}.param<int>("a").param({.name = "b", .default_value = 0}));
  CHECK(problems_of(rules, {{"a", 1}, {"a", 2}}) ==
        R"([{"expected":"one value","parameter":"a","received":"a second value, 2"}])");
}

TEST_CASE("every type accepts its own values and no others") {
  const std::vector<std::pair<parameter_type, value>> samples{
      {parameter_type::boolean, true},
      {parameter_type::integer, -7},
      {parameter_type::floating, 0.5},
      {parameter_type::string, "x"},
      {parameter_type::binary, value::binary("x")},
      {parameter_type::array, value::array({1})},
      {parameter_type::map, value::map({{"k", 1}})}};
  for (const auto& [type, own] : samples)
    for (const auto& [other_type, other] : samples) {
      const bool lossless =
          type == parameter_type::floating && other_type == parameter_type::integer;
      INFO(name_of(type), " given ", name_of(other_type));
      CHECK(accepts(rule_for({.name = "p", .type = type}), other) ==
            (type == other_type || lossless));
      CHECK(accepts(rule_for({.name = "p"}), other));
    }
}

TEST_CASE("numbers are converted only where nothing is lost") {
  const auto converted = [](value given, parameter_type type) -> std::optional<value> {
    const value before = given;
    if (convert_exactly(given, type)) return given;
    CHECK(given == before);
    return std::nullopt;
  };
  const auto integer = parameter_type::integer;
  CHECK(converted(42.0, integer) == value{42});
  CHECK(converted(-1e15, integer) == value{-1'000'000'000'000'000});
  CHECK(converted(0x1p63, integer) == value{std::uint64_t{1} << 63});
  CHECK(converted(-0x1p63, integer) == value{std::numeric_limits<std::int64_t>::min()});
  CHECK_FALSE(converted(42.5, integer));
  CHECK_FALSE(converted(0x1p64, integer));
  CHECK_FALSE(converted(-0x1.8p63, integer));
  CHECK_FALSE(converted(std::numeric_limits<double>::infinity(), integer));
  CHECK_FALSE(converted(std::nan(""), integer));
  CHECK_FALSE(converted("42", integer));

  const auto floating = parameter_type::floating;
  CHECK(converted(7, floating) == value{7.0});
  CHECK(converted(std::int64_t{1} << 53, floating) == value{0x1p53});
  CHECK(converted(std::uint64_t{1} << 63, floating) == value{0x1p63});
  CHECK_FALSE(converted((std::int64_t{1} << 53) + 1, floating));
  CHECK_FALSE(converted(std::numeric_limits<std::int64_t>::max(), floating));
  CHECK_FALSE(converted(std::numeric_limits<std::uint64_t>::max(), floating));
}

TEST_CASE("a conversion to a number and back is the identity") {
  CHECK(rc::check("round trip", [] {
    const value integer{*rc::gen::arbitrary<std::int64_t>() >> *rc::gen::inRange(0, 63)};
    value changed = integer;
    if (!convert_exactly(changed, parameter_type::floating)) return;
    RC_ASSERT(changed.as_double() == static_cast<double>(*integer.as_integer()));
    RC_ASSERT(convert_exactly(changed, parameter_type::integer));
    RC_ASSERT(changed == integer);
  }));
}

TEST_CASE("numbers compare with bounds exactly, also beyond what a double holds") {
  const std::int64_t large = (std::int64_t{1} << 53) + 1;
  CHECK(compare(large, 0x1p53) > 0);
  CHECK(compare(-large, -0x1p53) < 0);
  CHECK(compare(std::numeric_limits<std::int64_t>::max(), 0x1p63) < 0);
  CHECK(compare(std::numeric_limits<std::int64_t>::min(), -0x1p63) == 0);
  CHECK(compare(std::numeric_limits<std::int64_t>::min(), -0x1p64) > 0);
  CHECK(compare(std::numeric_limits<std::uint64_t>::max(), 0x1p64) < 0);
  CHECK(compare(std::uint64_t{1} << 63, 0x1p63) == 0);
  CHECK(compare(std::uint64_t{1} << 63, 5.0) > 0);
  CHECK(compare(2, 2.5) < 0);
  CHECK(compare(-2, -2.5) > 0);
  CHECK(compare(3, 3.0) == 0);
  CHECK(compare(2.5, 2.5) == 0);
  CHECK(compare(1, std::nan("")) == std::partial_ordering::unordered);
}

TEST_CASE("bounds are inclusive, and the nearer one is suggested") {
  const auto integer =
      rule_for({.name = "p", .type = parameter_type::integer, .minimum = 0.5, .maximum = 3});
  CHECK(accepts(integer, 1));
  CHECK(accepts(integer, 3));
  CHECK_FALSE(accepts(integer, 4));
  CHECK(text_in(problem_with(integer, 0), "suggestion") == "1");
  CHECK(text_in(problem_with(integer, 9), "suggestion") == "3");

  const auto floating = rule_for({.name = "p", .type = parameter_type::floating, .minimum = 0.5});
  CHECK(accepts(floating, 0.5));
  CHECK(text_in(problem_with(floating, 0.25), "expected") == "a number of at least 0.5");
  CHECK(text_in(problem_with(floating, 0.25), "suggestion") == "0.5");
  CHECK_FALSE(accepts(floating, std::nan("")));
  const auto capped = rule_for({.name = "p", .type = parameter_type::floating, .maximum = 2.5});
  CHECK(text_in(problem_with(capped, 3), "suggestion") == "2.5");
}

TEST_CASE("bounds of a string, binary or array are those of its length") {
  const auto text =
      rule_for({.name = "p", .type = parameter_type::string, .minimum = 2, .maximum = 3});
  CHECK(accepts(text, "äö"));
  CHECK(accepts(text, "中文字"));
  CHECK_FALSE(accepts(text, "ä"));
  CHECK(text_in(problem_with(text, "abcd"), "expected") == "a string of 2 to 3 characters");
  const auto bytes = rule_for({.name = "p", .type = parameter_type::binary, .maximum = 2});
  CHECK(accepts(bytes, value::binary("ab")));
  CHECK(text_in(problem_with(bytes, value::binary("abc")), "expected") ==
        "binary data of at most 2 bytes");
  CHECK(text_in(problem_with(bytes, value::binary("abc")), "received") == "3 bytes of binary data");
  const auto list = rule_for({.name = "p", .type = parameter_type::array, .minimum = 1});
  CHECK(accepts(list, value::array({1})));
  CHECK(text_in(problem_with(list, value::array({})), "expected") ==
        "an array of at least 1 elements");
}

TEST_CASE("choices are the only strings accepted, and the nearest is suggested") {
  const auto rules =
      rule_for({.name = "p", .type = parameter_type::string, .choices = {"dark", "light"}});
  CHECK(accepts(rules, "dark"));
  const value problem = problem_with(rules, "drak");
  CHECK(text_in(problem, "expected") == "one of \"dark\", \"light\"");
  CHECK(text_in(problem, "suggestion") == "dark");
  CHECK(text_in(problem_with(rules, "zzzzzz"), "suggestion") == "");

  std::vector<std::string> many;
  for (char c = 'a'; c <= 'j'; ++c) many.push_back(std::string(5, c));
  const auto long_list = rule_for({.name = "p", .type = parameter_type::string, .choices = many});
  CHECK(text_in(problem_with(long_list, "x"), "expected").ends_with("\"hhhhh\" and 2 more"));
}

TEST_CASE("a pattern has to match the whole string") {
  const auto rules = rule_for({.name = "p", .type = parameter_type::string, .pattern = "[a-z]+"});
  CHECK(accepts(rules, "abc"));
  CHECK_FALSE(accepts(rules, "abc1"));
  CHECK(text_in(problem_with(rules, "1"), "expected") ==
        "a string of at most 4096 bytes that matches [a-z]+");
}

TEST_CASE("a custom check sees only values that passed the rest, and says what would be right") {
  int calls = 0;
  const auto rules = rules_for(
      command_spec{"test"}.param({.name = "p", .type = parameter_type::integer, .maximum = 10}),
      {{"p", [&](const value& given) -> std::optional<std::string> {
          ++calls;
          if (*given.as_integer() % 2 == 0) return std::nullopt;
          return "an even number";
        }}});
  CHECK(accepts(rules, 4.0));
  CHECK(calls == 1);
  CHECK_FALSE(accepts(rules, 12));
  CHECK_FALSE(accepts(rules, "x"));
  CHECK(calls == 1);
  CHECK(text_in(problem_with(rules, 3), "expected") == "an even number");
}

TEST_CASE("a custom check that throws refuses the value") {
  const auto standard = rules_for(command_spec{"test"}.param<int>("p"),
                                  {{"p", [](const value&) -> std::optional<std::string> {
                                      throw std::runtime_error{"broken"};
                                    }}});
  CHECK(text_in(problem_with(standard, 3), "expected").find("broken") != std::string::npos);
  const auto strange =
      rules_for(command_spec{"test"}.param<int>("p"),
                {{"p", [](const value&) -> std::optional<std::string> { throw 7; }}});
  CHECK(text_in(problem_with(strange, 3), "expected").find("threw") != std::string::npos);
}

TEST_CASE("what was received is shown shortened") {
  const auto rules = rule_for({.name = "p", .type = parameter_type::boolean});
  const auto received = [&](value given) {
    return text_in(problem_with(rules, std::move(given)), "received");
  };
  CHECK(received(42) == "42");
  CHECK(received(nullptr) == "null");
  CHECK(received(value::array({1, 2})) == "[1,2]");
  CHECK(received(value::array(std::vector<value>(100, 7))) == "an array of 100 elements");
  CHECK(received(value::map({{std::string(100, 'k'), 1}})) == "a map of 1 members");
  CHECK(received(std::string(63, 'x') + "ä" + std::string(63, 'x')) ==
        "\"" + std::string(63, 'x') + "…\"");
  CHECK(received("a\x01z") == "\"a z\"");
}

TEST_CASE("more arguments than any command takes are refused without a look at each") {
  const auto rules = rules_for(command_spec{"test"});
  arguments args{std::vector<arguments::entry>(validator::max_arguments + 1, {"x", 1})};
  const auto checked = rules.validate(args);
  REQUIRE_FALSE(checked.has_value());
  CHECK(checked.error().code == error_code::limit_exceeded);
  text_arguments typed{args, {}, {}};
  CHECK(rules.validate(typed).error().code == error_code::limit_exceeded);
}

TEST_CASE("a flood of problems is counted, not listed") {
  const auto rules = rules_for(command_spec{"test"});
  arguments args{std::vector<arguments::entry>(100, {"x", 1})};
  const auto checked = rules.validate(args);
  REQUIRE_FALSE(checked.has_value());
  const auto detail = value::from_msgpack(checked.error().detail).value();
  CHECK(detail.find("problems").value().size() == max_listed_problems);
  CHECK(detail.find("omitted") == value{100 - max_listed_problems});
  CHECK(checked.error().message.ends_with("; and 95 more"));
}

TEST_CASE("arguments answer for themselves") {
  arguments args;
  args.set("a", 1);
  args.set("a", 2);
  args.set("b", "x");
  CHECK(args.entries().size() == 2);
  CHECK(args.get<int>("a") == 2);
  CHECK(args.get<std::string>("b") == "x");
  CHECK(args.find("c") == nullptr);
  CHECK_THROWS_WITH_AS(args.get<int>("c"), "parameter \"c\" was not given", std::out_of_range);
  CHECK_THROWS_WITH_AS(
      args.get<int>("b"),
      "parameter \"b\" is of type string where an integer in the range of its type is needed",
      std::invalid_argument);
}

TEST_CASE("names and texts that are not UTF-8 are reported all the same") {
  const auto rules = rules_for(command_spec{"greet"}.param<std::string>("name"));
  arguments given{{"n\xe4me", 1}};
  const auto refused = rules.validate(given);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == error_code::invalid_argument);
  CHECK(is_utf8(refused.error().message));
  CHECK(value::from_msgpack(refused.error().detail).has_value());
}
