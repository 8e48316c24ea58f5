#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include <troupe/actors/commands/permit.hpp>

using namespace troupe;

namespace {

permit permit_for(principal who) {
  return permit::make(std::make_shared<const principal>(std::move(who))).value();
}

struct some_commands {
  registry known;
  const registered_command* add;
  const registered_command* theme;

  some_commands() {
    REQUIRE(known.add(command_spec{"notes.add"}));
    command_spec guarded{"theme"};
    guarded.capability = "context.write:/app/theme";
    REQUIRE(known.add(guarded));
    add = known.find("notes.add");
    theme = known.find("theme");
  }
};

}  // namespace

TEST_CASE("the host, the node and clients of the same user run everything") {
  const some_commands commands;
  for (const principal& who :
       {principal{"app", principal_kind::host, {}}, principal{"node", principal_kind::system, {}},
        principal{.name = "cli", .kind = principal_kind::client, .same_user = true}}) {
    CHECK(permit_for(who).allows(*commands.theme));
  }
}

TEST_CASE("all others need a capability that covers the command") {
  const some_commands commands;
  for (const auto kind : {principal_kind::plugin, principal_kind::peer, principal_kind::client}) {
    const permit held =
        permit_for({"x", kind, {"state", "command.execute:tasks.*", "command.execute:notes.*"}});
    CHECK(held.allows(*commands.add));
    CHECK_FALSE(held.allows(*commands.theme));
  }
  CHECK_FALSE(permit_for({"x", principal_kind::plugin, {}}).allows(*commands.add));
}

TEST_CASE("a command may need another capability than the one to execute it") {
  const some_commands commands;
  CHECK(
      permit_for({"x", principal_kind::plugin, {"context.write:/app/**"}}).allows(*commands.theme));
  CHECK_FALSE(
      permit_for({"x", principal_kind::plugin, {"command.execute:**"}}).allows(*commands.theme));
}

TEST_CASE("a denial names the principal, the command and the missing capability") {
  const some_commands commands;
  const error denied = permit_for({"weather", principal_kind::plugin, {}}).denial(*commands.add);
  CHECK(denied.code == error_code::permission_denied);
  CHECK(denied.message ==
        "plugin \"weather\" may not run \"notes.add\": it lacks the capability "
        "command.execute:notes.add");
  CHECK(value::from_msgpack(denied.detail).value().to_json() ==
        R"({"command":"notes.add","needs":"command.execute:notes.add","principal":"weather"})");

  registry others;
  command_spec spec{"install"};
  spec.capability = "context.write:/app/**";
  REQUIRE(others.add(spec));
  CHECK(permit_for({"w", principal_kind::peer, {}})
            .denial(*others.find("install"))
            .message.ends_with(" context.write:/app/**"));
}

TEST_CASE("what is denied is refused, whatever the capabilities say") {
  const some_commands commands;
  const auto with = [](std::vector<std::string> denied) {
    return permit_for({"x",
                       principal_kind::plugin,
                       {"context.write:/**", "command.execute:**"},
                       std::move(denied)});
  };
  const permit held = with({"state", "context.write:/app/**"});
  CHECK_FALSE(held.allows(*commands.theme));
  CHECK(held.denial(*commands.theme).message ==
        "plugin \"x\" may not run \"theme\": context.write:/app/theme is denied by "
        "context.write:/app/**");
  CHECK(held.allows(*commands.add));
  // Neither another verb nor another resource is denied.
  CHECK(with({"context.read:/app/**", "context.write:/other"}).allows(*commands.theme));
  CHECK_FALSE(with({"command.execute:notes.*"}).allows(*commands.add));
  const auto malformed = permit::make(
      std::make_shared<const principal>(principal{"x", principal_kind::plugin, {}, {"stat"}}));
  REQUIRE_FALSE(malformed.has_value());
  CHECK(malformed.error().message.starts_with("plugin \"x\": "));
}

TEST_CASE("a malformed capability names its principal") {
  const auto made = permit::make(std::make_shared<const principal>(
      principal{"weather", principal_kind::plugin, {"comand.execute:x"}}));
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error().message.starts_with("plugin \"weather\": "));
}

TEST_CASE("a permit names its principal") {
  CHECK(permit_for({"weather", principal_kind::plugin, {}}).who().name == "weather");
}
