#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/tests/support/value_samples.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

std::string refusal(std::string_view text) {
  const auto got = path::parse(text);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == error_code::invalid_argument);
  return got.error().message;
}

std::vector<std::string> draw_names() {
  std::vector<std::string> names;
  for (int left = *rc::gen::inRange(0, 5); left > 0; --left) {
    auto name = draw_text() + "x";
    std::erase(name, '\0');
    names.push_back(std::move(name));
  }
  return names;
}

path path_of(const std::vector<std::string>& names) {
  path made;
  for (const auto& name : names) made = made.child(name).value();
  return made;
}

}  // namespace

TEST_CASE("the root is the empty path") {
  CHECK(path{}.is_root());
  CHECK(path{""}.is_root());
  CHECK(path{"/"}.is_root());
  CHECK(path{"/"}.text() == "");
  CHECK(path{}.segments().empty());
  CHECK_FALSE(path{"/a"}.is_root());
}

TEST_CASE("a malformed path is refused with what would be right") {
  CHECK(refusal("a/b") == "the path \"a/b\" must start with '/', such as \"/a/b\"");
  CHECK(refusal("/a/") == "the path \"/a/\" ends with '/'; leave that out");
  CHECK(refusal("/a//b") == "the path \"/a//b\" has an empty name between two '/'");
  CHECK(refusal("/a~b") == "the path \"/a~b\" has a bare '~'; write '~0' for '~' and '~1' for '/'");
  CHECK(refusal("/a~").ends_with("write '~0' for '~' and '~1' for '/'"));
  CHECK(refusal("/~2").ends_with("write '~0' for '~' and '~1' for '/'"));
  CHECK(refusal("/\xff") == "a path is not UTF-8");
  CHECK(refusal(std::string_view{"/a\0b", 4}) == "a path contains a zero byte");
  CHECK(refusal(std::string(90, 'a')) == "the path \"" + std::string(80, 'a') +
                                             "…\" must start with '/', such as \"/" +
                                             std::string(80, 'a') + "\"");
}

TEST_CASE("a long path is quoted in whole characters") {
  const std::string start(79, 'a');
  CHECK(refusal(start + "\u00e4\u00e4") ==
        "the path \"" + start + "…\" must start with '/', such as \"/" + start + "\"");
}

TEST_CASE("a path in a program that is malformed throws") {
  CHECK_THROWS_WITH_AS(path{"a"}, "the path \"a\" must start with '/', such as \"/a\"",
                       std::invalid_argument);
}

TEST_CASE("a path is at most 1 KiB long") {
  CHECK(path::parse("/" + std::string(path::max_bytes - 1, 'a')).has_value());
  CHECK(refusal("/" + std::string(path::max_bytes, 'a')) ==
        "a path of 1025 bytes is too long; at most 1024 are accepted");
  CHECK(refusal(std::string(100'000, '/')).find("too long") != std::string::npos);
}

TEST_CASE("names are escaped in the text and plain in the segments") {
  const path made{"/a~1b/c~0d/~01"};
  CHECK(made.segments() == std::vector<std::string>{"a/b", "c~d", "~1"});
  CHECK(path{}.child("a/b")->child("c~d")->child("~1") == made);
}

TEST_CASE("a child with an impossible name is refused") {
  CHECK(path{"/a"}.child("").error().message == "an empty name cannot be part of a path");
  CHECK_FALSE(path{"/a"}.child("\xff").has_value());
  CHECK_FALSE(path{"/a"}.child(std::string(1, '\0')).has_value());
  CHECK_FALSE(path{"/a"}.child(std::string(path::max_bytes, 'x')).has_value());
  CHECK_FALSE(path{"/a"}.child(std::string(path::max_bytes / 2, '~')).has_value());
}

TEST_CASE("the parent is the path without its last segment") {
  CHECK(path{"/a/b~1c"}.parent() == path{"/a"});
  CHECK(path{"/a"}.parent().is_root());
  CHECK(path{}.parent().is_root());
}

TEST_CASE("a path contains itself and what is below it, and not what only begins alike") {
  CHECK(path{"/a"}.contains(path{"/a"}));
  CHECK(path{"/a"}.contains(path{"/a/b"}));
  CHECK_FALSE(path{"/a"}.contains(path{"/ab"}));
  CHECK_FALSE(path{"/a/b"}.contains(path{"/a"}));
  CHECK(path{}.contains(path{}));
  CHECK(path{}.contains(path{"/a"}));
}

TEST_CASE("a path that is made of names has these segments") {
  CHECK(rc::check("segments", [] {
    const auto names = draw_names();
    const auto made = path_of(names);
    RC_ASSERT(made.segments() == names);
    RC_ASSERT(path::parse(made.text()).value().text() == made.text());
  }));
}

TEST_CASE("one path contains another when its segments are the first of the other's") {
  CHECK(rc::check("contains", [] {
    const auto names = draw_names();
    auto others = *rc::gen::arbitrary<bool>() ? names : draw_names();
    if (*rc::gen::arbitrary<bool>()) others.push_back("y");
    const bool prefix =
        names.size() <= others.size() && std::equal(names.begin(), names.end(), others.begin());
    RC_ASSERT(path_of(names).contains(path_of(others)) == prefix);
  }));
}
