#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/plugins/policy/call_check.hpp>
#include <troupe/messages/msgpack/msgpack_writer.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/messages/wire/codec.hpp>

using namespace troupe;

namespace {

permissions policy(std::vector<std::string> granted, std::vector<std::string> denied = {}) {
  permissions made{"notes", permission_level::restricted};
  for (const auto& text : granted) {
    REQUIRE(made.request(capability{text}));
    REQUIRE(made.grant(capability{text}));
  }
  for (const auto& text : denied) REQUIRE(made.deny(capability{text}));
  return made;
}

result<permission_decision> check(const permissions& by, std::string_view method,
                                  std::string_view params) {
  return check_call(by, **find_method(method), params);
}
result<permission_decision> check(const permissions& by, std::string_view method,
                                  std::vector<value::member> params) {
  return check(by, method, value::map(std::move(params)).msgpack());
}

/// The bytes of a map of two strings that may have equal keys.
std::string doubled(std::string_view key, std::string_view first, std::string_view second) {
  std::string bytes;
  bytes += '\x82';
  for (const auto text : {first, second}) {
    bytes += value{key}.msgpack();
    bytes += value{text}.msgpack();
  }
  return bytes;
}

}  // namespace

TEST_CASE("methods that need no capability are allowed, whatever they are given") {
  const auto decision = check(policy({}), "command.list", "\x80").value();
  CHECK(decision.allowed);
  CHECK(decision.operation.empty());
  CHECK(check(policy({}), "command.describe", std::vector<value::member>{{"command", 7}})->allowed);
}

TEST_CASE("a call is checked for what its parameter names, and the decision says by which rule") {
  const auto by = policy({"context.read:/app/*"});
  const auto yes = check(by, "context.get", {{"path", "/app/theme"}}).value();
  CHECK(yes.allowed);
  CHECK(yes.operation == "context.read:/app/theme");
  CHECK(yes.rule == "context.read:/app/*");
  const auto no = check(by, "context.get", {{"path", "/secret"}}).value();
  CHECK_FALSE(no.allowed);
  CHECK(no.operation == "context.read:/secret");
  CHECK(no.rule == "not granted");
}

TEST_CASE("reading and writing are different rights") {
  const auto by = policy({"context.read:/app/**"});
  CHECK(check(by, "context.explain", {{"path", "/app/x"}})->allowed);
  CHECK_FALSE(check(by, "context.set", {{"path", "/app/x"}, {"value", 1}})->allowed);
  CHECK_FALSE(check(by, "context.delete", {{"path", "/app/x"}})->allowed);
}

TEST_CASE("commands are checked by their names") {
  const auto by = policy({"command.execute:files.*"});
  CHECK(check(by, "command.execute", {{"command", "files.list"}})->allowed);
  CHECK(check(by, "command.execute", {{"command", "notes.add"}})->allowed);
  CHECK_FALSE(check(by, "command.execute", {{"command", "system.stop"}})->allowed);
}

TEST_CASE("a name that no command can have is refused before it becomes part of an operation") {
  const auto by = policy({"command.execute:**"});
  CHECK(check(by, "command.execute", {{"command", std::string(128, 'x')}})->allowed);
  const auto refused = check(by, "command.execute", {{"command", std::string(129, 'x')}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::limit_exceeded);
  CHECK(refused.error().message == "command has 129 bytes; at most 128 are accepted");
  CHECK(check(by, "command.execute", {{"command", std::string(5'000'000, 'x')}})
            .error()
            .message.size() < 100);
}

TEST_CASE("a list needs the right to everything below its prefix") {
  const auto by = policy({"context.read:/app/**", "context.read:/one/*"});
  CHECK(check(by, "context.list", {{"prefix", "/app"}})->allowed);
  CHECK(check(by, "context.list", {{"prefix", "/app/deep"}})->allowed);
  CHECK_FALSE(check(by, "context.list", {{"prefix", "/one"}})->allowed);
  CHECK_FALSE(check(by, "context.list", {{"prefix", "/one/x"}})->allowed);
  CHECK_FALSE(check(by, "context.list", {{"prefix", ""}})->allowed);
}

TEST_CASE("a list is refused when anything below its prefix is denied") {
  const auto by = policy({"context.read:/app/**"}, {"context.read:/app/secret/**"});
  const auto above = check(by, "context.list", {{"prefix", "/app"}}).value();
  CHECK_FALSE(above.allowed);
  CHECK(above.rule == "denied by context.read:/app/secret/**");
  CHECK_FALSE(check(by, "context.list", {{"prefix", "/app/secret"}})->allowed);
  CHECK_FALSE(check(by, "context.list", {{"prefix", "/app/secret/deep"}})->allowed);
  CHECK(check(by, "context.list", {{"prefix", "/app/open"}})->allowed);
  CHECK(check(by, "context.get", {{"path", "/app/theme"}})->allowed);
}

TEST_CASE(
    "a missing parameter counts as the root or the empty name, which only a right to everything "
    "covers") {
  CHECK_FALSE(check(policy({"context.read:/app/**"}), "context.list", "\x80")->allowed);
  CHECK(check(policy({"context.read:/**"}), "context.list", "\x80")->allowed);
  CHECK_FALSE(check(policy({"command.execute:**"}), "command.execute", "\x80")->allowed);
}

TEST_CASE("of a key that occurs twice the last counts, as in the decoder of the call") {
  const auto by = policy({"context.read:/app/**"});
  CHECK_FALSE(check(by, "context.get", doubled("path", "/app/theme", "/secret"))->allowed);
  CHECK(check(by, "context.get", doubled("path", "/secret", "/app/theme"))->allowed);
  struct get {
    std::string path;
    static constexpr auto fields() { return std::tuple{required("path", &get::path)}; }
  };
  const auto decoded = decode_checked<get>(doubled("path", "/app/theme", "/secret"));
  CHECK((!decoded || decoded->path == "/secret"));
}

TEST_CASE("parameters that are malformed are refused before the policy decides") {
  const auto by = policy({"context.read:/**"});
  CHECK(check(by, "context.get", {{"path", 7}}).error().code == error_code::invalid_argument);
  CHECK(check(by, "context.get", {{"path", "no slash"}}).error().code ==
        error_code::invalid_argument);
  CHECK(check(by, "context.get", {{"path", "/a//b"}}).error().code == error_code::invalid_argument);
  CHECK(check(by, "context.get", "\x81\x07\x07").error().code == error_code::invalid_argument);
}

TEST_CASE("an escaped path is checked as it is used") {
  const auto by = policy({"context.read:/app/**"}, {"context.read:/app/x~1y"});
  CHECK_FALSE(check(by, "context.get", {{"path", "/app/x~1y"}})->allowed);
  CHECK(check(by, "context.get", {{"path", "/app/x/y"}})->allowed);
}

TEST_CASE("other parameters, of any kind, are passed over") {
  const auto by = policy({"context.write:/app/**"});
  const auto nested = value::map({{"path", "/secret"}});
  CHECK(check(by, "context.set",
              {{"a", nested}, {"path", "/app/x"}, {"value", value::array({1, nested})}})
            ->allowed);
}

TEST_CASE("a system plugin may do everything that is not denied") {
  permissions by{"ops", permission_level::system};
  REQUIRE(by.deny(capability{"context.read:/secret/**"}));
  CHECK(check(by, "context.get", {{"path", "/anything"}})->allowed);
  CHECK_FALSE(check(by, "context.get", {{"path", "/secret/key"}})->allowed);
}
