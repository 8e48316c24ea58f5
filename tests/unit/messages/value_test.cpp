#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

#include <msgpack.hpp>

#include <troupe/messages/msgpack/msgpack_scanner.hpp>
#include <troupe/messages/msgpack/msgpack_writer.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/tests/support/value_samples.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::string_literals;

namespace {

value taken(std::string_view msgpack) {
  auto got = value::from_msgpack(msgpack);
  REQUIRE_MESSAGE(got.has_value(), got.error().message);
  return *got;
}

error refused(std::string_view msgpack, const codec_limits& limits = {}) {
  auto got = value::from_msgpack(msgpack, limits);
  REQUIRE_FALSE(got.has_value());
  return got.error();
}

value nested_arrays(int levels) {
  value inner;
  for (int i = 0; i < levels; ++i) inner = value::array({inner});
  return inner;
}

/// Compares with what msgpack-c's own unpacker made of the same bytes.
bool same(const value& ours, const msgpack::object& theirs) {
  switch (theirs.type) {
    case msgpack::type::NIL: return ours.is_nil();
    case msgpack::type::BOOLEAN: return ours.as_bool() == theirs.via.boolean;
    case msgpack::type::POSITIVE_INTEGER: return ours.as_unsigned() == theirs.via.u64;
    case msgpack::type::NEGATIVE_INTEGER: return ours.as_integer() == theirs.via.i64;
    case msgpack::type::FLOAT64:
      return ours.as_double() == theirs.via.f64 &&
             std::signbit(*ours.as_double()) == std::signbit(theirs.via.f64);
    case msgpack::type::STR:
      return ours.as_string() == std::string_view{theirs.via.str.ptr, theirs.via.str.size};
    case msgpack::type::BIN:
      return ours.as_binary() == std::string_view{theirs.via.bin.ptr, theirs.via.bin.size};
    case msgpack::type::ARRAY: {
      const auto elements = ours.elements();
      if (ours.type() != value_type::array || elements.size() != theirs.via.array.size)
        return false;
      for (std::size_t i = 0; i < elements.size(); ++i)
        if (!same(elements[i], theirs.via.array.ptr[i])) return false;
      return true;
    }
    case msgpack::type::MAP: {
      const auto members = ours.members();
      if (ours.type() != value_type::map || members.size() != theirs.via.map.size) return false;
      for (std::size_t i = 0; i < members.size(); ++i) {
        const auto& pair = theirs.via.map.ptr[i];
        if (!same(value{members[i].first}, pair.key) || !same(members[i].second, pair.val))
          return false;
      }
      return true;
    }
    default: return false;
  }
}

}  // namespace

TEST_CASE("a value knows its type") {
  CHECK(value{}.type() == value_type::nil);
  CHECK(value{nullptr}.is_nil());
  CHECK(value{true}.type() == value_type::boolean);
  CHECK(value{1}.type() == value_type::integer);
  CHECK(value{-1}.type() == value_type::integer);
  CHECK(value{1.0}.type() == value_type::floating);
  CHECK(value{"a"}.type() == value_type::string);
  CHECK(value::binary("a").type() == value_type::binary);
  CHECK(value::array({}).type() == value_type::array);
  CHECK(value::map({}).type() == value_type::map);
  CHECK_FALSE(value{0}.is_nil());
}

TEST_CASE("every type has a name for people") {
  CHECK(to_string(value_type::nil) == "nil");
  CHECK(to_string(value_type::boolean) == "boolean");
  CHECK(to_string(value_type::integer) == "integer");
  CHECK(to_string(value_type::floating) == "number");
  CHECK(to_string(value_type::string) == "string");
  CHECK(to_string(value_type::binary) == "binary");
  CHECK(to_string(value_type::array) == "array");
  CHECK(to_string(value_type::map) == "map");
  CHECK(to_string(static_cast<value_type>(99)) == "nil");
}

TEST_CASE("integers keep all of their 64 bits") {
  CHECK(value{std::numeric_limits<std::int64_t>::min()}.as_integer() ==
        std::numeric_limits<std::int64_t>::min());
  CHECK(value{std::numeric_limits<std::uint64_t>::max()}.as_unsigned() ==
        std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("an integer that does not fit the type asked for is not given") {
  CHECK_FALSE(value{std::numeric_limits<std::uint64_t>::max()}.as_integer().has_value());
  CHECK_FALSE(value{-1}.as_unsigned().has_value());
  CHECK(value{std::uint64_t{1} << 62}.as_integer() == std::int64_t{1} << 62);
}

TEST_CASE("an accessor of another type gives nothing") {
  const value text{"7"};
  CHECK_FALSE(text.as_bool().has_value());
  CHECK_FALSE(text.as_integer().has_value());
  CHECK_FALSE(text.as_unsigned().has_value());
  CHECK_FALSE(text.as_double().has_value());
  CHECK_FALSE(text.as_binary().has_value());
  CHECK_FALSE(value::binary("7").as_string().has_value());
  CHECK_FALSE(value{7.0}.as_integer().has_value());
  CHECK(text.size() == 0);
  CHECK(text.elements().empty());
  CHECK(text.members().empty());
  CHECK_FALSE(text.find("7").has_value());
}

TEST_CASE("an integer can be read as the nearest double") {
  CHECK(value{7}.as_double() == 7.0);
  CHECK(value{-7}.as_double() == -7.0);
  CHECK(value{9007199254740993}.as_double() == 9007199254740992.0);
}

TEST_CASE("an integer has one form, the shortest, whatever type it was made from") {
  CHECK(value{7}.msgpack() == "\x07");
  CHECK(value{std::int64_t{200}}.msgpack() == "\xcc\xc8");
  CHECK(value{std::uint8_t{200}} == value{std::int64_t{200}});
  CHECK(value{-1}.msgpack() == "\xff");
  CHECK(value{-33}.msgpack() == "\xd0\xdf");
  CHECK(taken("\xcf\x00\x00\x00\x00\x00\x00\x00\x07"s) == value{7});
  CHECK(taken("\xd3\xff\xff\xff\xff\xff\xff\xff\xff"s) == value{-1});
}

TEST_CASE("a floating point number stays one, even when it is whole") {
  CHECK(value{7.0}.msgpack() == "\xcb\x40\x1c\x00\x00\x00\x00\x00\x00"s);
  CHECK(value{7.0} != value{7});
  CHECK(taken(value{7.0}.msgpack()).type() == value_type::floating);
}

TEST_CASE("minus zero keeps its sign") {
  CHECK(std::signbit(*value{-0.0}.as_double()));
  CHECK(std::signbit(*taken(value{-0.0}.msgpack()).as_double()));
  CHECK(value{-0.0} != value{0.0});
}

TEST_CASE("a 32 bit number from outside becomes a 64 bit one") {
  CHECK(taken("\xca\x3f\xc0\x00\x00"s) == value{1.5});
}

TEST_CASE("the order in which members are given does not matter") {
  const auto one = value::map({{"b", 1}, {"a", 2}, {"", 3}, {"ab", 4}});
  const auto other = value::map({{"ab", 4}, {"", 3}, {"a", 2}, {"b", 1}});
  CHECK(one == other);
  REQUIRE(one.members().size() == 4);
  CHECK(one.members()[0].first == "");
  CHECK(one.members()[1].first == "a");
  CHECK(one.members()[2].first == "ab");
  CHECK(one.members()[3].first == "b");
}

TEST_CASE("keys are ordered by their bytes, not as signed characters") {
  const auto map = value::map({{"ä", 1}, {"z", 2}});
  CHECK(map.members()[0].first == "z");
}

TEST_CASE("a map from outside is put into order, at every depth") {
  const auto map = taken(
      "\x82\xa1"
      "b\x91\x82\xa1"
      "y\x01\xa1"
      "x\x02\xa1"
      "a\xc0"s);
  CHECK(map == value::map({{"a", {}}, {"b", value::array({value::map({{"x", 2}, {"y", 1}})})}}));
}

TEST_CASE("a key that occurs twice is refused and named") {
  CHECK_THROWS_WITH_AS((void)value::map({{"k", 1}, {"k", 1}}), "a map has the key \"k\" twice",
                       std::invalid_argument);
  CHECK(refused("\x82\xa1k\x01\xa1k\x02").message == "a map has the key \"k\" twice");
  CHECK(refused("\x91\x82\xa1k\x01\xa1k\x02").code == error_code::invalid_argument);
}

TEST_CASE("a key that is not a string is refused") {
  CHECK(refused("\x81\x01\x02").message == "a map has a key that is not a string; use string keys");
  CHECK(refused("\x81\xa1k\x81\xc0\x02").code == error_code::invalid_argument);
}

TEST_CASE("text that is not UTF-8 is refused, with the place where other bytes belong") {
  CHECK_THROWS_WITH_AS(value{"\xff"},
                       "a string value is not UTF-8; use value::binary for other bytes",
                       std::invalid_argument);
  CHECK_THROWS_AS((void)value::map({{"\xff", 1}}), std::invalid_argument);
  CHECK(refused("\xa1\xff").code == error_code::protocol_violation);
  CHECK(value::binary("\xff").as_binary() == "\xff");
}

TEST_CASE("text keeps its zero bytes") { CHECK(value{"a\0b"s}.as_string() == "a\0b"s); }

TEST_CASE("long strings, binaries, arrays and maps are read back") {
  for (const std::size_t length : {31, 32, 255, 256, 65535, 65536}) {
    CAPTURE(length);
    const std::string text(length, 'x');
    CHECK(taken(value{text}.msgpack()).as_string() == text);
    CHECK(taken(value::binary(text).msgpack()).as_binary() == text);
    const auto array = value::array(std::vector<value>(length, value{true}));
    CHECK(taken(array.msgpack()) == array);
    CHECK(array.size() == length);
  }
  std::vector<value::member> members;
  for (int i = 0; i < 70'000; ++i) members.emplace_back(std::to_string(i), i);
  const auto map = value::map(std::move(members));
  CHECK(map.size() == 70'000);
  CHECK(taken(map.msgpack()) == map);
}

TEST_CASE("elements and members are values of their own") {
  const auto array = value::array({1, "two", value::array({3})});
  REQUIRE(array.elements().size() == 3);
  CHECK(array.elements()[1] == value{"two"});
  CHECK(array.elements()[2].elements()[0] == value{3});
  const auto map = value::map({{"a", 1}, {"b", value::map({{"c", 2}})}});
  CHECK(map.find("b")->find("c") == value{2});
  CHECK_FALSE(map.find("c").has_value());
}

TEST_CASE("what is not exactly one msgpack value is refused") {
  CHECK(refused("").code == error_code::protocol_violation);
  CHECK(refused("\x91").code == error_code::protocol_violation);
  CHECK(refused("\x01\x02").message == "1 bytes follow the msgpack message");
  CHECK(refused("\xc1").code == error_code::protocol_violation);
  CHECK(refused("\xd4\x01\x02").code == error_code::protocol_violation);
}

TEST_CASE("a value from outside stays within the limits that are given") {
  CHECK(taken(nested_arrays(64).msgpack()) == nested_arrays(64));
  CHECK(refused("\x91" + nested_arrays(64).msgpack()).code == error_code::limit_exceeded);
  CHECK(refused("\x93\x01\x02\x03", {.elements = 3}).code == error_code::limit_exceeded);
  CHECK(value::from_msgpack("\x93\x01\x02\x03", {.elements = 4}).has_value());
  CHECK(refused("\xa5hello", {.string_bytes = 4}).code == error_code::limit_exceeded);
  CHECK(refused("\xa5hello", {.frame_bytes = 5}).code == error_code::limit_exceeded);
}

TEST_CASE("a value that is made of others is nested no deeper than one from outside") {
  const auto* const too_deep = "a value is nested too deep; at most 64 levels are accepted";
  const auto deepest = nested_arrays(64);
  CHECK_THROWS_WITH_AS((void)value::array({1, deepest}), too_deep, std::invalid_argument);
  CHECK_THROWS_WITH_AS((void)value::map({{"a", 1}, {"b", deepest}}), too_deep,
                       std::invalid_argument);
  auto maps = value::map({});
  for (int levels = 1; levels < 64; ++levels) maps = value::map({{"k", std::move(maps)}});
  CHECK(taken(maps.msgpack()) == maps);
  CHECK_THROWS_AS((void)value::map({{"k", maps}}), std::invalid_argument);
  // Long but flat, and wide but not deep.
  CHECK(value::array({std::string(100'000, 'x')}).size() == 1);
  CHECK(value::array(std::vector<value>(100, nested_arrays(63))).size() == 100);
  // What stands deep but beside the deepest place counts as well.
  const auto beside = value::array({nested_arrays(10), nested_arrays(63)});
  CHECK_THROWS_AS((void)value::array({beside}), std::invalid_argument);
}

TEST_CASE("canonical bytes are taken back as they were") {
  const auto map = value::map({{"a", 1.5}});
  CHECK(value::from_canonical(map.msgpack()) == map);
  CHECK(value{map}.msgpack() == map.msgpack());
}

TEST_CASE("what is read from the bytes of a value is that value") {
  CHECK(rc::check("from_msgpack(x.msgpack()) == x", [] {
    const auto original = draw_value(value_range::all);
    const auto back = value::from_msgpack(original.msgpack());
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == original);
    RC_ASSERT(back->msgpack() == original.msgpack());
  }));
}

TEST_CASE("bytes are a value when they pass the check and each map has unique string keys") {
  CHECK(rc::check("hostile bytes", [] {
    const auto bytes = draw_hostile_bytes();
    const auto limits = draw_narrow_limits();
    const auto checked = check_msgpack(bytes, limits);
    const auto got = value::from_msgpack(bytes, limits);
    RC_CLASSIFY(got.has_value(), "read");
    if (!checked) RC_ASSERT(got.error() == checked.error());
    if (checked && !got) RC_ASSERT(got.error().code == error_code::invalid_argument);
    if (got) RC_ASSERT(value::from_msgpack(got->msgpack())->msgpack() == got->msgpack());
  }));
}

TEST_CASE("the members of a map from outside may come in any order") {
  CHECK(rc::check("shuffled members", [] {
    std::vector<value::member> members;
    for (int i = *rc::gen::inRange(0, 12); i > 0; --i)
      members.emplace_back(draw_text() + std::to_string(i), draw_value(value_range::all, 2));
    const auto original = value::map(members);
    for (std::size_t i = members.size(); i > 1; --i)
      std::swap(members[i - 1], members[*rc::gen::inRange<std::size_t>(0, i)]);
    std::string bytes;
    msgpack_writer writer{bytes};
    writer.map(members.size());
    for (const auto& [key, each] : members) {
      writer.string(key);
      writer.raw(each.msgpack());
    }
    RC_ASSERT(taken(bytes) == original);
  }));
}

TEST_CASE("msgpack-c reads what a value holds as the value says it") {
  CHECK(rc::check("against msgpack::unpack", [] {
    const auto original = draw_value(value_range::all);
    const auto handle = msgpack::unpack(original.msgpack().data(), original.msgpack().size());
    RC_ASSERT(same(original, handle.get()));
  }));
}
