#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <troupe/messages/command.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/codec.hpp>

using namespace troupe;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

enum class colour : std::uint8_t { red, green };

struct point {
  std::int8_t x = 0;
  std::uint16_t y = 0;
  static constexpr auto fields() {
    return std::tuple{required("x", &point::x), optional("y", &point::y)};
  }
  friend bool operator==(const point&, const point&) = default;
};

struct drawing {
  std::string title;
  std::vector<point> points;
  std::optional<double> scale;
  colour ink = colour::red;
  std::chrono::milliseconds age{0};
  std::shared_ptr<const point> origin = std::make_shared<const point>();
  static constexpr auto fields() {
    return std::tuple{required("title", &drawing::title), optional("points", &drawing::points),
                      optional("scale", &drawing::scale), optional("ink", &drawing::ink),
                      optional("age_ms", &drawing::age),  optional("origin", &drawing::origin)};
  }
};

struct scalars {
  bool flag = false;
  binary raw;
  node_id node;
  value any;
  path where;
  timestamp when;
  version_vector vector;
  arguments given;
  error failure{error_code::none, {}, {}};
  static constexpr auto fields() {
    return std::tuple{optional("flag", &scalars::flag),      optional("raw", &scalars::raw),
                      optional("node", &scalars::node),      optional("any", &scalars::any),
                      optional("where", &scalars::where),    optional("when", &scalars::when),
                      optional("vector", &scalars::vector),  optional("given", &scalars::given),
                      optional("failure", &scalars::failure)};
  }
};

}  // namespace

template <>
struct troupe::enum_names<colour> {
  static constexpr std::array<enumerator<colour>, 2> names{
      {{colour::red, "red"}, {colour::green, "green"}}};
};

namespace {

std::string msgpack_of(std::string_view json) {
  auto parsed = value::from_json(json);
  REQUIRE(parsed.has_value());
  return std::move(*parsed).msgpack();
}

template <class T>
T decoded(std::string_view json) {
  auto got = decode<T>(msgpack_of(json));
  REQUIRE_MESSAGE(got.has_value(), got.error().message);
  return std::move(*got);
}

template <class T>
std::string problem_in_bytes(std::string_view msgpack) {
  auto got = decode<T>(msgpack);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == error_code::invalid_argument);
  return got.error().message;
}

template <class T>
std::string problem_in(std::string_view json) {
  return problem_in_bytes<T>(msgpack_of(json));
}

}  // namespace

TEST_CASE("a struct is a map of its fields") {
  CHECK(encode(point{-1, 2}) == "\x82\xa1x\xff\xa1y\x02");
  CHECK(encode(drawing{.title = "t", .scale = 0.5, .ink = colour::green, .age = 3ms}) ==
        "\x86\xa5title\xa1t\xa6points\x90\xa5scale\xcb\x3f\xe0\0\0\0\0\0\0\xa3ink\xa5green\xa6"
        "age_ms\x03\xa6origin\x82\xa1x\0\xa1y\0"s);
}

TEST_CASE("fields are read by name, in any order") {
  CHECK(decoded<point>(R"({"y": 2, "x": -1})") == point{-1, 2});
}

TEST_CASE("an optional field that is absent keeps its default") {
  const auto got = decoded<drawing>(R"({"title": "t"})");
  CHECK(got.points.empty());
  CHECK_FALSE(got.scale.has_value());
  CHECK(got.ink == colour::red);
  CHECK(got.age == 0ms);
  CHECK(*got.origin == point{});
}

TEST_CASE("a required field that is absent is named, with the way to it") {
  CHECK(problem_in<point>(R"({"y": 2})") == "x is missing");
  CHECK(problem_in<drawing>(R"({"title": "t", "points": [{"x": 1}, {"y": 1}]})") ==
        "points[1].x is missing");
  CHECK(problem_in<drawing>(R"({"title": "t", "origin": {}})") == "origin.x is missing");
}

TEST_CASE("fields that are not known are passed over, whatever they hold") {
  CHECK(decoded<point>(R"({"z": {"deep": [1, {"er": null}]}, "x": 1, "": 0})") == point{1, 0});
}

TEST_CASE("of a field that is given twice the last counts") {
  CHECK(decode<point>("\x82\xa1x\x01\xa1x\x02").value() == point{2, 0});
}

TEST_CASE("a wrong type is named with the way to the field and what belongs there") {
  CHECK(problem_in<drawing>(R"({"title": 1})") == "title must be a string");
  CHECK(problem_in<drawing>(R"({"title": "t", "points": 1})") == "points must be an array");
  CHECK(problem_in<drawing>(R"({"title": "t", "points": [1]})") == "points[0] must be a map");
  CHECK(problem_in<drawing>(R"({"title": "t", "points": [{"x": 1}, {"x": "1"}]})") ==
        "points[1].x must be an integer in range");
  CHECK(problem_in<drawing>(R"({"title": "t", "scale": "1"})") == "scale must be a number");
  CHECK(problem_in<drawing>(R"({"title": "t", "ink": 1})") == "ink must be one of red, green");
  CHECK(problem_in<drawing>(R"({"title": "t", "age_ms": 1.5})") ==
        "age_ms must be a duration (an integer)");
  CHECK(problem_in<drawing>(R"({"title": "t", "origin": null})") == "origin must be a map");
  CHECK(problem_in<scalars>(R"({"flag": 1})") == "flag must be a boolean");
  CHECK(problem_in<scalars>(R"({"raw": "text"})") == "raw must be binary");
  CHECK(problem_in<scalars>(R"({"node": "text"})") == "node must be an id (16 bytes of binary)");
  CHECK(problem_in<scalars>(R"({"when": -1})") == "when must be a non-negative integer in range");
  CHECK(problem_in<scalars>(R"({"where": 1})") == "where must be a path (a string)");
  CHECK(problem_in<scalars>(R"({"given": []})") == "given must be a map of arguments");
  CHECK(problem_in<scalars>(R"({"failure": "text"})") ==
        "failure must be an error ([code, message, detail])");
}

TEST_CASE("a message that is not even a map is named as the message") {
  CHECK(problem_in<point>("[]") == "the message must be a map");
  CHECK(problem_in<std::string>("1") == "the message must be a string");
}

TEST_CASE("a map of fields has string keys") {
  CHECK(problem_in_bytes<point>("\x81\x01\x02") == "the message must be a map with string keys");
  CHECK(problem_in_bytes<scalars>("\x81\xa5given\x81\x01\x02") ==
        "given must be a map with string keys");
}

TEST_CASE("integers must be in the range of their field") {
  CHECK(decoded<point>(R"({"x": -128, "y": 65535})") == point{-128, 65535});
  CHECK(problem_in<point>(R"({"x": 128})") == "x must be an integer in range");
  CHECK(problem_in<point>(R"({"x": -129})") == "x must be an integer in range");
  CHECK(problem_in<point>(R"({"x": 1.0})") == "x must be an integer in range");
  CHECK(problem_in<point>(R"({"x": 0, "y": 65536})") ==
        "y must be a non-negative integer in range");
  CHECK(problem_in<point>(R"({"x": 0, "y": -1})") == "y must be a non-negative integer in range");
}

TEST_CASE("a number field takes integers too") {
  CHECK(decoded<drawing>(R"({"title": "t", "scale": 2})").scale == 2.0);
}

TEST_CASE("enumerations travel by name") {
  CHECK(encode(colour::green) == "\xa5green");
  CHECK(decoded<drawing>(R"({"title": "t", "ink": "green"})").ink == colour::green);
  CHECK(problem_in<drawing>(R"({"title": "t", "ink": "blue"})") == "ink must be one of red, green");
  CHECK(name_of(static_cast<colour>(7)) == "?");
  CHECK(parse_enum<colour>("red") == colour::red);
  CHECK_FALSE(parse_enum<colour>("Red").has_value());
}

TEST_CASE("a duration is the count of its own unit") {
  CHECK(encode(std::chrono::nanoseconds{1us}) == "\xcd\x03\xe8");
  CHECK(decode<std::chrono::milliseconds>("\xff").value() == -1ms);
}

TEST_CASE("an optional that holds nothing is nil") {
  CHECK(encode(std::optional<double>{}) == "\xc0");
  CHECK(decode<std::optional<std::string>>("\xc0").value() == std::nullopt);
  CHECK(decode<std::optional<std::string>>("\xa1"
                                           "a")
            .value() == "a");
  CHECK(problem_in_bytes<std::optional<std::string>>("\x01") == "the message must be a string");
}

TEST_CASE("ids are 16 bytes of binary, no more and no fewer") {
  node_id id;
  id.id.bytes.fill(7);
  CHECK(encode(id) == "\xc4\x10" + std::string(16, '\x07'));
  CHECK(decode<node_id>(encode(id)).value() == id);
  CHECK(problem_in_bytes<node_id>("\xc4\x01\x07") ==
        "the message must be an id (16 bytes of binary)");
  CHECK(problem_in_bytes<node_id>("\xc4\x11" + std::string(17, '\x07')) ==
        "the message must be an id (16 bytes of binary)");
}

TEST_CASE("a value inside a message is made canonical, or refused with the reason") {
  CHECK(decode<scalars>("\x81\xa3"
                        "any\xcd\x00\x07"s)
            ->any == value{7});
  CHECK(problem_in_bytes<scalars>("\x81\xa3"
                                  "any\x82\xa1k\x01\xa1k\x02") ==
        "any is not a value: a map has the key \"k\" twice");
}

TEST_CASE("a path inside a message must be one") {
  CHECK(decoded<scalars>(R"({"where": "/a"})").where == path{"/a"});
  CHECK(problem_in<scalars>(R"({"where": "a"})") ==
        "where is not a path: the path \"a\" must start with '/', such as \"/a\"");
}

TEST_CASE("a version vector is the list of its entries, in any order") {
  node_id a, b;
  a.id.bytes[0] = 1;
  b.id.bytes[0] = 2;
  const version_vector vector{{{a, 1, 5}, {b, 1, 6}}};
  CHECK(decode<version_vector>(encode(vector)).value() == vector);
  CHECK(decode<version_vector>(encode(std::vector<version_entry>{{b, 1, 6}, {a, 1, 5}, {b, 1, 2}}))
            .value() == vector);
  CHECK(problem_in_bytes<scalars>("\x81\xa6vector\x91\x80") == "vector[0].origin is missing");
}

TEST_CASE("arguments are a map of names and values") {
  const arguments given{{"b", 1}, {"a", "x"}};
  CHECK(encode(given) ==
        "\x82\xa1"
        "b\x01\xa1"
        "a\xa1x");
  CHECK(decode<arguments>(encode(given)).value() == given);
  CHECK(problem_in_bytes<scalars>("\x81\xa5given\x81\xa1p\x81\x01\x02")
            .starts_with("given.p is not a value: "));
}

TEST_CASE("an argument that is given twice is refused and named") {
  CHECK(problem_in_bytes<scalars>("\x81\xa5given\x82\xa1p\x01\xa1p\x02") ==
        "given.p is given twice");
}

TEST_CASE(
    "as many arguments as a command may be given are read, and one more is refused before any is "
    "read") {
  std::vector<arguments::entry> entries;
  for (std::size_t i = 0; i < max_arguments; ++i) entries.emplace_back("p" + std::to_string(i), i);
  const arguments most{entries};
  CHECK(decode<arguments>(encode(most)).value() == most);
  entries.emplace_back("p0", 0);
  CHECK(problem_in_bytes<arguments>(encode(arguments{entries})) ==
        "the message has 257 arguments; at most 256 are accepted");
  // The announced number is enough: nothing that follows is looked at.
  const auto announced = decode_checked<scalars>("\x81\xa5given\xdf\x00\x07\xa1\x20"s);
  REQUIRE_FALSE(announced.has_value());
  CHECK(announced.error().message == "given has 500000 arguments; at most 256 are accepted");
}

TEST_CASE("a string in another encoding is made fit for the wire, wherever it stands") {
  CHECK(encode("caf\xe9"s) ==
        "\xa4"
        "caf?");
  CHECK(decode<drawing>(encode(drawing{.title = "\xff"}))->title == "?");
  CHECK(decode<arguments>(encode(arguments{{"\xff", 1}})).value() == arguments{{"?", 1}});
  CHECK(encode("caf\u00e9"s) ==
        "\xa5"
        "caf\u00e9");
}

TEST_CASE("an error is its code by name, its message and its detail") {
  const error failure{error_code::not_found, "m", "\x80"};
  CHECK(encode(failure) == "\x93\xa9not_found\xa1m\x80");
  CHECK(decode<error>(encode(failure)).value() == failure);
  const error plain{error_code::cancelled, "m", {}};
  CHECK(encode(plain) ==
        "\x93\xa9"
        "cancelled\xa1m\xc0");
  CHECK(decode<error>(encode(plain)).value() == plain);
}

TEST_CASE("no error is nil") {
  CHECK(encode(error{error_code::none, "m", {}}) == "\xc0");
  CHECK(decode<error>("\xc0").value() == error{error_code::none, {}, {}});
}

TEST_CASE("an error whose code is not known is an error of the handler") {
  CHECK(decode<error>("\x92\xa3new\xa1m").value() == error{error_code::handler_failed, "m", {}});
  CHECK(decode<error>("\x92\xa4none\xa1m").value() == error{error_code::handler_failed, "m", {}});
}

TEST_CASE("an error may have more parts than are known, but not fewer") {
  CHECK(decode<error>("\x95\xa9not_found\xa1m\x80\x01\x02").value() ==
        error{error_code::not_found, "m", "\x80"});
  for (const auto& bytes :
       {"\x90"s, "\x91\xa9not_found"s, "\x92\x01\xa1m"s, "\x92\xa9not_found\x01"s})
    CHECK(problem_in_bytes<error>(bytes) ==
          "the message must be an error ([code, message, detail])");
}

TEST_CASE("an error message in another encoding is made fit for the wire") {
  const auto back = decode<error>(encode(error{error_code::internal, "caf\xe9", {}}));
  REQUIRE(back.has_value());
  CHECK(back->message == "caf?");
}

TEST_CASE(
    "the detail of an error that is not one msgpack value is sent as a string, and breaks no "
    "frame") {
  const auto detail_of = [](std::string detail) {
    const auto bytes = encode(error{error_code::handler_failed, "m", std::move(detail)});
    CHECK(check_msgpack(bytes, {}));
    return value::from_msgpack(decode<error>(bytes).value().detail).value();
  };
  CHECK(detail_of("plain text") == value{"plain text"});
  CHECK(detail_of("\x80\x80") == value{"??"});
  CHECK(detail_of("\xd9\xff") == value{"??"});
  CHECK(detail_of("\xc1") == value{"?"});
  CHECK(detail_of("\xa1\xff") == value{"??"});
  CHECK(detail_of("\x93\x01\x02\x03") == value::array({1, 2, 3}));
}

TEST_CASE("bytes of any origin are checked before they are read") {
  CHECK(decode<std::string>("\xa1\xff").error().code == error_code::protocol_violation);
  CHECK(decode<point>("\x81\xa1x").error().message == "the msgpack message is cut off");
  CHECK(decode<std::vector<int>>("\x93\x01\x02\x03", {.elements = 3}).error().code ==
        error_code::limit_exceeded);
}

TEST_CASE("bytes that were not checked are read safely all the same") {
  CHECK_FALSE(decode_checked<point>("\x82\xa1x\x01").has_value());
  CHECK_FALSE(decode_checked<point>("\x82\xa1x\x01\xa1z").has_value());
  CHECK_FALSE(decode_checked<point>("\x82\xa1x\x01\xa1z\xd9\xff").has_value());
  CHECK_FALSE(decode_checked<std::vector<std::string>>("\xdd\xff\xff\xff\xff").has_value());
  CHECK_FALSE(decode_checked<value>("\x91").has_value());
  CHECK_FALSE(decode_checked<error>("\x93\xa1x\xa1x").has_value());
}
