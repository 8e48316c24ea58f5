#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include <troupe/messages/value.hpp>
#include <troupe/tests/support/value_samples.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

value parsed(std::string_view json) {
  auto got = value::from_json(json);
  REQUIRE_MESSAGE(got.has_value(), got.error().message);
  return *got;
}

error refused(std::string_view json, const codec_limits& limits = {}) {
  auto got = value::from_json(json, limits);
  REQUIRE_MESSAGE(!got.has_value(), json);
  return got.error();
}

std::string repeated(std::string_view piece, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += piece;
  return all;
}

}  // namespace

TEST_CASE("JSON text becomes the value that it says") {
  CHECK(parsed("null").is_nil());
  CHECK(parsed(" true ") == value{true});
  CHECK(parsed("7") == value{7});
  CHECK(parsed("-7") == value{-7});
  CHECK(parsed("18446744073709551615") == value{std::numeric_limits<std::uint64_t>::max()});
  CHECK(parsed("7.0") == value{7.0});
  CHECK(parsed("1e3") == value{1000.0});
  CHECK(parsed(R"("\u00e4\n")") == value{"ä\n"});
  CHECK(parsed("[]") == value::array({}));
  CHECK(parsed(R"({"b": [1, {}], "a": null})") ==
        value::map({{"a", {}}, {"b", value::array({1, value::map({})})}}));
}

TEST_CASE(
    "a number beyond 64 bits is refused and named with its place, as it would become another one") {
  const auto failure = refused("{\n\"a\": {\"b/c\": [1, 18446744073709551616]}}");
  CHECK(failure.code == error_code::limit_exceeded);
  CHECK(failure.message ==
        "the JSON text has the number 18446744073709551616 at /a/b~1c/1, which is beyond 64 bits "
        "and would change; "
        "a string keeps it as it is (at line 2, column 38)");
  CHECK(refused("-9223372036854775809")
            .message.starts_with("the JSON text has the number -9223372036854775809, which"));
  CHECK(refused("\n\n[1e999]")
            .message.starts_with("the JSON text has the number 1e999 at /0, which"));
  CHECK(refused("\n\n[1e999]").message.ends_with("(at line 3, column 7)"));
  CHECK(refused("{\"" + repeated("k", 1000) + "\":" + repeated("9", 1000) + "}").message.size() <
        600);
  CHECK(parsed("18446744073709551616.0") == value{18446744073709551616.0});
  CHECK(parsed("1e20") == value{1e20});
  CHECK(parsed("-9223372036854775808") == value{std::numeric_limits<std::int64_t>::min()});
}

TEST_CASE("a value becomes JSON text with its keys in order") {
  CHECK(value::map({{"b", value::array({1, -2, 3.5, true, {}})}, {"a", "x\"y"}}).to_json() ==
        R"({"a":"x\"y","b":[1,-2,3.5,true,null]})");
  CHECK(value{7.0}.to_json() == "7.0");
  CHECK(value{-0.0}.to_json() == "-0.0");
  CHECK(value{std::numeric_limits<std::uint64_t>::max()}.to_json() == "18446744073709551615");
}

TEST_CASE("the pretty style is indented by two") {
  CHECK(value::map({{"a", value::array({1})}}).to_json(json_style::pretty) ==
        "{\n  \"a\": [\n    1\n  ]\n}");
}

TEST_CASE("numbers that JSON has no word for become null") {
  CHECK(value{std::nan("")}.to_json() == "null");
  CHECK(value{std::numeric_limits<double>::infinity()}.to_json() == "null");
  CHECK(value{-std::numeric_limits<double>::infinity()}.to_json() == "null");
}

TEST_CASE("binary is shown in base64") {
  CHECK(value::binary("").to_json() == R"("base64:")");
  CHECK(value::binary("f").to_json() == R"("base64:Zg==")");
  CHECK(value::binary("fo").to_json() == R"("base64:Zm8=")");
  CHECK(value::binary("foo").to_json() == R"("base64:Zm9v")");
  CHECK(value::binary("\xfb\xff\xfe").to_json() == R"("base64:+//+")");
}

TEST_CASE("text that looks like base64 stays text") {
  CHECK(parsed(R"("base64:Zg==")") == value{"base64:Zg=="});
}

TEST_CASE("an error in JSON text names line and column") {
  const auto failure = refused("{\n  \"a\": 1,\n  \"b\": ]\n}");
  CHECK(failure.code == error_code::invalid_argument);
  CHECK(failure.message.starts_with("not valid JSON: syntax error while parsing value"));
  CHECK(failure.message.ends_with("(at line 3, column 8)"));
  CHECK(refused("").message.ends_with("(at line 1, column 1)"));
  CHECK(refused("[1,").message.ends_with("(at line 1, column 3)"));
  CHECK(refused("1 2").message.ends_with("(at line 1, column 3)"));
}

TEST_CASE("JSON text that is not UTF-8 is refused") {
  CHECK(refused("\"\xff\"").code == error_code::invalid_argument);
  CHECK(refused(R"("\ud800")").code == error_code::invalid_argument);
}

TEST_CASE("a key that occurs twice in JSON text is refused and placed") {
  CHECK(refused("{\"k\": 1,\n \"k\": 2}").message ==
        "not valid JSON: a map has the key \"k\" twice (at line 2, column 8)");
}

TEST_CASE("JSON text is read up to the depth that values may have, and no further") {
  CHECK(value::from_json(repeated("[", 64) + repeated("]", 64)).has_value());
  const auto failure = refused(repeated("[", 65));
  CHECK(failure.code == error_code::limit_exceeded);
  CHECK(failure.message ==
        "the JSON text is nested too deep; at most 64 levels are accepted (at line 1, column 65)");
  CHECK(refused(repeated("{\"a\":", 3), {.depth = 2}).code == error_code::limit_exceeded);
  CHECK(refused(repeated("[", 1000), {.depth = 1000}).code == error_code::limit_exceeded);
}

TEST_CASE("JSON text with more elements than are accepted is refused where they become too many") {
  CHECK(value::from_json("[1,2]", {.elements = 3}).has_value());
  CHECK(refused("[true,true,true,true]", {.elements = 3}).message ==
        "the JSON text has too many elements; at most 3 are accepted (at line 1, column 20)");
  CHECK(refused(R"({"a":1,"b":2})", {.elements = 4}).code == error_code::limit_exceeded);
  CHECK(value::from_json(R"({"a":1,"b":2})", {.elements = 5}).has_value());
}

TEST_CASE("JSON text with too long a string, key or value is refused") {
  CHECK(refused(R"("hello")", {.string_bytes = 4}).code == error_code::limit_exceeded);
  CHECK(refused(R"({"hello":1})", {.string_bytes = 4}).code == error_code::limit_exceeded);
  CHECK(refused(R"(["hello"])", {.frame_bytes = 6}).code == error_code::limit_exceeded);
  CHECK(value::from_json(R"(["hello"])", {.frame_bytes = 7}).has_value());
}

TEST_CASE("what is read from the JSON text of a value is that value") {
  CHECK(rc::check("from_json(to_json(x)) == x", [] {
    const auto original = draw_value(value_range::json);
    const auto style = *rc::gen::element(json_style::compact, json_style::pretty);
    const auto back = value::from_json(original.to_json(style));
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == original);
  }));
}

TEST_CASE("whatever JSON text is taken stays within the same limits as msgpack") {
  CHECK(rc::check("from_msgpack agrees with from_json", [] {
    const auto original = draw_value(value_range::json, 4);
    const codec_limits limits{.frame_bytes = *rc::gen::inRange<std::size_t>(1, 60),
                              .depth = *rc::gen::inRange(0u, 4u),
                              .elements = *rc::gen::inRange<std::uint64_t>(1, 12),
                              .string_bytes = *rc::gen::inRange<std::size_t>(0, 12)};
    RC_ASSERT(value::from_json(original.to_json(), limits).has_value() ==
              value::from_msgpack(original.msgpack(), limits).has_value());
  }));
}

TEST_CASE("no JSON text makes the parser do anything but answer") {
  CHECK(rc::check("random edits of JSON text", [] {
    auto text = draw_value(value_range::json).to_json();
    const auto edits = *rc::gen::inRange(1, 4);
    for (int i = 0; i < edits; ++i)
      text.insert(*rc::gen::inRange<std::size_t>(0, text.size() + 1), 1,
                  *rc::gen::element('[', '}', '"', ',', '\xff', '1'));
    const auto got = value::from_json(text);
    RC_ASSERT(got.has_value() || !got.error().message.empty());
  }));
}
