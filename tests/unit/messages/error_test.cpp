#include <doctest/doctest.h>

#include <set>
#include <string>

#include <troupe/messages/error.hpp>

using namespace troupe;

TEST_CASE("every error code has a name of its own that is read back as the code") {
  std::set<std::string_view> names;
  for (const auto& entry : error_code_names) {
    CAPTURE(entry.name);
    CHECK(to_string(entry.code) == entry.name);
    CHECK(parse_error_code(entry.name) == entry.code);
    names.insert(entry.name);
  }
  CHECK(names.size() == error_code_names.size());
}

TEST_CASE("a number that is no error code is shown as an internal error") {
  CHECK(to_string(static_cast<error_code>(200)) == "internal");
  CHECK(to_string(static_cast<error_code>(error_code_names.size())) == "internal");
}

TEST_CASE("a name that is no error code is not read") {
  CHECK_FALSE(parse_error_code("").has_value());
  CHECK_FALSE(parse_error_code("Not_found").has_value());
  CHECK_FALSE(parse_error_code("not_found ").has_value());
}

TEST_CASE("an error is shown as its code and its message") {
  CHECK(to_string(error{error_code::not_found, "there is no x", {}}) == "not_found: there is no x");
}

TEST_CASE("a failure becomes the error of any result") {
  const result<int> made = fail(error_code::overloaded, "wait", "\x80");
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error() == error{error_code::overloaded, "wait", "\x80"});
  const result<void> passed_on = fail(made.error());
  CHECK(passed_on.error() == made.error());
}
