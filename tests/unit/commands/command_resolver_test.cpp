#include <doctest/doctest.h>

#include <string>

#include <troupe/actors/commands/resolver.hpp>

using namespace troupe;

namespace {

registry notes() {
  registry commands;
  for (const char* name : {"notes.add", "notes.and", "notes.ad", "notes.adds", "greet"})
    REQUIRE(commands.add(command_spec{name}));
  return commands;
}

std::string suggestions_in(const error& failure) {
  return value::from_msgpack(failure.detail).value().find("suggestions").value().to_json();
}

}  // namespace

TEST_CASE("a known name resolves to its command") {
  const registry commands = notes();
  const auto found = resolver{commands}.resolve("greet");
  REQUIRE(found.has_value());
  CHECK(*found == commands.find("greet"));
}

TEST_CASE("an unknown name is answered with the three nearest") {
  const registry commands = notes();
  const auto found = resolver{commands}.resolve("notes.addd");
  REQUIRE_FALSE(found.has_value());
  CHECK(found.error().code == error_code::not_found);
  CHECK(found.error().message ==
        "there is no command \"notes.addd\"; did you mean \"notes.add\", \"notes.adds\" or "
        "\"notes.ad\"?");
  CHECK(suggestions_in(found.error()) == R"(["notes.add","notes.adds","notes.ad"])");
}

TEST_CASE("a name like no other is answered without suggestions") {
  const registry commands = notes();
  const auto found = resolver{commands}.resolve("zzz");
  REQUIRE_FALSE(found.has_value());
  CHECK(found.error().message == "there is no command \"zzz\"");
  CHECK(suggestions_in(found.error()) == "[]");
}

TEST_CASE("commands that the caller may not see are not suggested") {
  const registry commands = notes();
  const auto found = resolver{commands}.resolve(
      "notes.addd",
      [](const registered_command& command) { return command.spec->name == "notes.ad"; });
  REQUIRE_FALSE(found.has_value());
  CHECK(suggestions_in(found.error()) == R"(["notes.ad"])");
}

TEST_CASE("a command that the caller may not see is looked up like one that there is not") {
  const registry commands = notes();
  const auto sees_ad = [](const registered_command& command) {
    return command.spec->name == "notes.ad";
  };
  CHECK(resolver{commands}.look_up("notes.ad", sees_ad).value() == commands.find("notes.ad"));
  const auto hidden = resolver{commands}.look_up("notes.add", sees_ad);
  REQUIRE_FALSE(hidden.has_value());
  CHECK(hidden.error().code == error_code::not_found);
  CHECK(hidden.error().message == "there is no command \"notes.add\"; did you mean \"notes.ad\"?");
  CHECK_FALSE(resolver{commands}.look_up("zzz", sees_ad).has_value());
}

TEST_CASE("a name of any length or content makes a short, printable message") {
  const registry commands = notes();
  CHECK(resolver{commands}.resolve(std::string(100'000, 'x')).error().message.size() < 200);
  CHECK(resolver{commands}.resolve("a\x1b[31m\n").error().message ==
        "there is no command \"a [31m \"");
  CHECK(resolver{commands}.resolve("\xff\xfe").error().message ==
        "there is no command 2 bytes that are not UTF-8");
}
