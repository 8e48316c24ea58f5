#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include <troupe/actors/commands/validation/conversion.hpp>
#include <troupe/actors/commands/validation/parse_text.hpp>
#include <troupe/actors/commands/validation/validator.hpp>

using namespace troupe;

namespace {

command_spec greet() {
  return command_spec{"greet"}
      .param<std::string>("name")
      .param({.name = "times", .type = parameter_type::integer, .default_value = 1})
      .param({.name = "tags", .type = parameter_type::array, .default_value = value::array({})});
}

text_arguments typed(const command_spec& spec, const std::vector<std::string_view>& words) {
  return parse_text(spec, words);
}

result<arguments> understood(const command_spec& spec, const std::vector<std::string_view>& words) {
  auto given = typed(spec, words);
  const auto rules = validator::make(std::make_shared<const command_spec>(spec)).value();
  if (auto checked = rules.validate(given); !checked) return fail(checked.error());
  return given.values;
}

std::string problems_of(const command_spec& spec, const std::vector<std::string_view>& words) {
  const auto checked = understood(spec, words);
  REQUIRE_FALSE(checked.has_value());
  return value::from_msgpack(checked.error().detail).value().find("problems").value().to_json();
}

}  // namespace

TEST_CASE("words are given by name or by position") {
  const arguments expected{{"name", "Ada"}, {"times", 3}, {"tags", value::array({"a", "b"})}};
  CHECK(understood(greet(), {"name=Ada", "times=3", R"(tags=["a","b"])"}) == expected);
  CHECK(understood(greet(), {"Ada", "3", R"(["a","b"])"}) == expected);
  CHECK(understood(greet(), {"Ada"}) ==
        arguments{{"name", "Ada"}, {"times", 1}, {"tags", value::array({})}});
}

TEST_CASE("a positional word goes to the next parameter that no word names") {
  const auto args = understood(greet(), {"3", "name=Ada"});
  REQUIRE(args.has_value());
  CHECK(args->get<std::string>("name") == "Ada");
  CHECK(args->get<int>("times") == 3);
}

TEST_CASE("a value keeps its equals signs, and a double hyphen makes the rest positional") {
  CHECK(understood(greet(), {"name=a=b"})->get<std::string>("name") == "a=b");
  CHECK(understood(greet(), {"--", "a=b"})->get<std::string>("name") == "a=b");
  CHECK(understood(greet(), {"--", "--"})->get<std::string>("name") == "--");
  CHECK(understood(greet(), {"1+1=2"})->get<std::string>("name") == "1+1=2");
  CHECK(understood(greet(), {"=x"})->get<std::string>("name") == "=x");
  CHECK(understood(greet(), {"name="})->get<std::string>("name") == "");
}

TEST_CASE("problems name the byte where the value begins") {
  CHECK(problems_of(greet(), {"nmae=Ada", "times=4.5"}) ==
        R"([{"expected":"one of the parameters name, times, tags","parameter":"nmae",)"
        R"("received":"\"Ada\"",)"
        R"("suggestion":"name","where":5},)"
        R"({"expected":"an integer","parameter":"times","received":"\"4.5\"","where":15},)"
        R"({"expected":"a string","parameter":"name","received":"nothing"}])");
  CHECK(problems_of(greet(), {"name=Ada", "name=Bob"}) ==
        R"([{"expected":"one value","parameter":"name","received":"a second value, \"Bob\"",)"
        R"("where":14}])");
  const auto checked = understood(greet(), {"Ada", "x"});
  REQUIRE_FALSE(checked.has_value());
  CHECK(checked.error().message ==
        "command \"greet\" was given wrong arguments: \"times\": expected an integer, received "
        "\"x\" at byte 4");
}

TEST_CASE("a word without a parameter left is a problem beside the others") {
  CHECK(problems_of(command_spec{"one"}.param<int>("n"), {"1", "2"}) ==
        R"([{"expected":"at most 1 argument","parameter":"","received":"\"2\"","where":2}])");
  CHECK(problems_of(command_spec{"two"}.param<int>("n").param<int>("m"), {"x", "2", "3"}) ==
        R"([{"expected":"at most 2 arguments","parameter":"","received":"\"3\"","where":4},)"
        R"({"expected":"an integer","parameter":"n","received":"\"x\"","where":0}])");
  const auto none = understood(command_spec{"none"}, {"1"});
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().message ==
        "command \"none\" was given wrong arguments: expected no arguments, received \"1\" at byte "
        "0");
}

TEST_CASE("text is read by the type that is wanted") {
  CHECK(read_text("42", parameter_type::string) == value{"42"});
  CHECK(read_text("42", parameter_type::integer) == value{42});
  CHECK(read_text("-9223372036854775808", parameter_type::integer) ==
        value{std::numeric_limits<std::int64_t>::min()});
  CHECK(read_text("18446744073709551615", parameter_type::integer) ==
        value{std::numeric_limits<std::uint64_t>::max()});
  for (const char* text :
       {"", "4.5", "42.0", "0x10", "4 ", " 4", "+4", "1e3", "18446744073709551616", "x"}) {
    INFO(text);
    CHECK_FALSE(read_text(text, parameter_type::integer).has_value());
  }
  CHECK(read_text("4.5", parameter_type::floating) == value{4.5});
  CHECK(read_text("1e3", parameter_type::floating) == value{1000.0});
  CHECK(read_text("7", parameter_type::floating) == value{7.0});
  for (const char* text : {"", "9007199254740993", "18446744073709551617", "-9223372036854775809",
                           "inf", "nan", "1e999", "4.5x"}) {
    INFO(text);
    CHECK_FALSE(read_text(text, parameter_type::floating).has_value());
  }
  CHECK(read_text("true", parameter_type::boolean) == value{true});
  CHECK(read_text("false", parameter_type::boolean) == value{false});
  CHECK_FALSE(read_text("yes", parameter_type::boolean).has_value());
  CHECK(read_text("[1]", parameter_type::array) == value::array({1}));
  CHECK_FALSE(read_text("{}", parameter_type::array).has_value());
  CHECK_FALSE(read_text("[1", parameter_type::array).has_value());
  CHECK(read_text(R"({"a":1})", parameter_type::map) == value::map({{"a", 1}}));
  CHECK(read_text("42", parameter_type::any) == value{42});
  CHECK(read_text("\"42\"", parameter_type::any) == value{"42"});
  CHECK(read_text("hello", parameter_type::any) == value{"hello"});
}

TEST_CASE(
    "JSON with a number beyond 64 bits is refused where it stands, not taken as another number or "
    "as text") {
  constexpr std::string_view large = R"({"n":18446744073709551616})";
  CHECK(read_text(large, parameter_type::map).error().code == error_code::limit_exceeded);
  CHECK(read_text(large, parameter_type::any).error().code == error_code::limit_exceeded);
  CHECK(read_text(large, parameter_type::string) == value{large});
  const auto spec = command_spec{"put"}.param({.name = "data", .type = parameter_type::any});
  const auto refused = understood(spec, {large});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == error_code::invalid_argument);
  CHECK(refused.error().message.find(
            "within limits (the JSON text has the number 18446744073709551616 at /n") !=
        std::string::npos);
  CHECK(
      problems_of(command_spec{"put"}.param({.name = "data", .type = parameter_type::map}), {large})
          .find("at /n") != std::string::npos);
}

TEST_CASE("binary text is base64 behind its prefix, else its own bytes") {
  const auto read = [](std::string_view text) { return read_text(text, parameter_type::binary); };
  CHECK(read("abc") == value::binary("abc"));
  CHECK(read("base64:") == value::binary(""));
  CHECK(read("base64:AP8=") == value::binary(std::string_view{"\0\xff", 2}));
  CHECK(read("base64:YWJj") == value::binary("abc"));
  CHECK(read("base64:YQ==") == value::binary("a"));
  for (const char* text :
       {"base64:YQ", "base64:YR==", "base64:Y===", "base64:YW J", "base64:YQ==YQ=="}) {
    INFO(text);
    CHECK_FALSE(read(text).has_value());
  }
}

TEST_CASE("a word that is not UTF-8 is taken as bytes, and refused where text is wanted") {
  CHECK_FALSE(read_text("\xff", parameter_type::string).has_value());
  CHECK_FALSE(understood(greet(), {"name=\xff"}).has_value());
  const auto bytes = understood(
      command_spec{"put"}.param({.name = "data", .type = parameter_type::binary}), {"\xff"});
  REQUIRE(bytes.has_value());
  CHECK(*bytes->find("data") == value::binary("\xff"));
}
