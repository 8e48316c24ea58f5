#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <troupe/actors/context/queries/json_tree.hpp>

using namespace troupe;

namespace {

value json(std::string_view text) {
  auto parsed = value::from_json(text);
  REQUIRE(parsed);
  return *parsed;
}

std::vector<std::string> shown(const std::vector<context_entry>& entries) {
  std::vector<std::string> lines;
  for (const auto& each : entries) lines.push_back(each.path.text() + " = " + each.value.to_json());
  return lines;
}

/// Names that need escaping, look like numbers, sort around '/', or cannot be part of a path at
/// all.
rc::Gen<std::string> names() {
  return rc::gen::element<std::string>("a", "b", "a/b", "~", "~1", "0", "1", "10", "01", "", "é",
                                       "!", " ", std::string(1, '\0'), std::string(500, 'x'));
}

value any_json(int depth) {
  switch (*rc::gen::inRange(0, depth > 0 ? 7 : 5)) {
    case 0: return nullptr;
    case 1: return *rc::gen::arbitrary<bool>();
    case 2: return *rc::gen::arbitrary<std::int64_t>();
    case 3: return static_cast<double>(*rc::gen::inRange(-1000, 1000)) / 8;
    case 4: return *names();
    case 5: {
      std::vector<value> elements;
      for (int i = *rc::gen::inRange(0, 13); i > 0; --i) elements.push_back(any_json(depth - 2));
      return value::array(elements);
    }
    default: {
      std::vector<value::member> members;
      for (auto name : *rc::gen::unique<std::vector<std::string>>(names()))
        members.emplace_back(name, any_json(depth - 1));
      return value::map(std::move(members));
    }
  }
}

void check_problem(const result<value>& rendered, error_code code, std::string_view part) {
  REQUIRE_FALSE(rendered);
  CHECK(rendered.error().code == code);
  CHECK_MESSAGE(rendered.error().message.find(part) != std::string::npos, rendered.error().message);
}

}  // namespace

TEST_CASE("nested JSON becomes one entry for each leaf and one mark for each array") {
  const auto entries =
      flatten(path{"/user"},
              json(R"({"name": "Ada", "tags": ["x", {"y": null}], "more": {}, "none": []})"));
  CHECK(shown(entries) == std::vector<std::string>{
                              "/user/more = {}", "/user/name = \"Ada\"", "/user/none = []",
                              "/user/tags = []", "/user/tags/0 = \"x\"", "/user/tags/1/y = null"});
}

TEST_CASE("a value without parts is one entry at the prefix") {
  for (const auto* text : {"1", "null", "\"x\"", "{}", "[]"}) {
    const auto entries = flatten(path{"/a"}, json(text));
    CHECK(entries == std::vector<context_entry>{{path{"/a"}, json(text)}});
    CHECK(render(path{"/a"}, entries) == json(text));
  }
}

TEST_CASE("names are escaped in paths and come back") {
  const auto nested = json(R"({"a/b": {"~": 1}, "é": [2]})");
  const auto entries = flatten({}, nested);
  CHECK(shown(entries) == std::vector<std::string>{"/a~1b/~0 = 1", "/é = []", "/é/0 = 2"});
  CHECK(render({}, entries) == nested);
}

TEST_CASE("a container with a member that no path can name stays whole") {
  const auto nested = json(R"({"plain": 1, "odd": {"": 2, "b": [3]}})");
  const auto entries = flatten({}, nested);
  CHECK(shown(entries) == std::vector<std::string>{R"(/odd = {"":2,"b":[3]})", "/plain = 1"});
  CHECK(render({}, entries) == nested);
  const auto deep = value::map({{std::string(600, 'a'), value::map({{std::string(600, 'b'), 1}})}});
  CHECK(flatten({}, deep).size() == 1);
  CHECK(render({}, flatten({}, deep)) == deep);
}

TEST_CASE("rendering what was flattened gives back exactly the same JSON") {
  CHECK(rc::check([] {
    const auto nested = any_json(5);
    const path prefix = *rc::gen::element(path{}, path{"/a"}, path{"/deep/er"});
    auto entries = flatten(prefix, nested);
    RC_ASSERT(
        std::ranges::all_of(entries, [&](const auto& each) { return prefix.contains(each.path); }));
    std::shuffle(entries.begin(), entries.end(), std::mt19937{1});
    const auto rendered = render(prefix, entries);
    RC_ASSERT(rendered.has_value());
    RC_ASSERT(*rendered == nested);
  }));
}

TEST_CASE("elements of an array come in the order of their numbers and gaps close") {
  const std::vector<context_entry> entries{{path{"/a"}, json("[]")},
                                           {path{"/a/10"}, "ten"},
                                           {path{"/a/9"}, "nine"},
                                           {path{"/a/2"}, "two"}};
  CHECK(render(path{"/a"}, entries) == json(R"(["two", "nine", "ten"])"));
}

TEST_CASE("a tree that is deeper than a value can be is refused") {
  const auto nested = [](std::size_t levels) {
    std::string text;
    for (; levels > 0; --levels) text += "/a";
    return render({}, {{path{text}, 1}});
  };
  CHECK(nested(64).has_value());
  check_problem(nested(65), error_code::invalid_argument,
                "the root is nested deeper than 64 levels");
  check_problem(nested(500), error_code::invalid_argument, "flat entries");
}

TEST_CASE("children with numbers for names are a map where no array left its mark") {
  CHECK(render(path{"/a"}, {{path{"/a/0"}, 1}}) == json(R"({"0": 1})"));
}

TEST_CASE("the mark of an empty map disappears beside members") {
  CHECK(render(path{"/a"}, {{path{"/a"}, json("{}")}, {path{"/a/b"}, 1}}) == json(R"({"b": 1})"));
}

TEST_CASE("what nested JSON cannot show is named") {
  check_problem(render(path{"/a"}, {}), error_code::not_found, "'/a'");
  check_problem(render({}, {}), error_code::not_found, "the root");
  check_problem(render(path{"/a"}, {{path{"/ab"}, 1}}), error_code::invalid_argument,
                "'/ab' does not lie below '/a'");
  check_problem(render({}, {{path{"/a"}, 1}, {path{"/a"}, 2}}), error_code::invalid_argument,
                "'/a' occurs twice");
  check_problem(render({}, {{path{"/a"}, 1}, {path{"/a/b"}, 2}}), error_code::invalid_argument,
                "'/a' holds a value of its own");
  check_problem(render({}, {{path{"/a"}, json("[1]")}, {path{"/a/0"}, 2}}),
                error_code::invalid_argument, "flat entries");
  for (const auto* name : {"x", "01", "-1", "18446744073709551616"})
    check_problem(render({}, {{path{"/a"}, json("[]")}, {path{"/a/" + std::string{name}}, 2}}),
                  error_code::invalid_argument, name);
}
