#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

#include <troupe/actors/links/methods.hpp>
#include <troupe/plugins/capability.hpp>

using namespace troupe;

namespace {

error refusal(std::string_view name) {
  const auto found = find_method(name);
  REQUIRE_FALSE(found.has_value());
  CHECK(found.error().code == error_code::not_found);
  return found.error();
}

}  // namespace

TEST_CASE("the method table is in the order of the names, each of which is there once") {
  const auto methods = all_methods();
  for (std::size_t i = 1; i < methods.size(); ++i) CHECK(methods[i - 1].name < methods[i].name);
}

TEST_CASE("every method is found by its name") {
  for (const auto& rule : all_methods()) {
    const auto found = find_method(rule.name);
    REQUIRE(found.has_value());
    CHECK(*found == &rule);
  }
}

TEST_CASE("an unknown method gets the nearest name") {
  CHECK(refusal("context.gte").message ==
        "there is no method \"context.gte\"; did you mean \"context.get\"?");
  CHECK(refusal("").message == "there is no method \"\"");
  CHECK(refusal("zzzzzzzzzzzzzzz").message == "there is no method \"zzzzzzzzzzzzzzz\"");
  CHECK(refusal("zzzzz").message.find("did you mean") == std::string::npos);
}

TEST_CASE("an unknown method of any length gets a short answer") {
  CHECK(refusal(std::string(1'000'000, 'x')).message.size() < 128);
}

TEST_CASE("every method has a permitted caller and a summary") {
  for (const auto& rule : all_methods()) {
    CAPTURE(rule.name);
    CHECK((rule.access.callers.client || rule.access.callers.plugin || rule.access.callers.peer));
    CHECK_FALSE(rule.access.summary.empty());
  }
}

TEST_CASE("what a plugin does with the context or with commands needs a capability") {
  // These two describe commands and run none.
  const std::set<std::string_view> harmless{"command.describe", "command.list"};
  for (const auto& rule : all_methods()) {
    const bool sensitive =
        rule.access.service == service::context || rule.access.service == service::commands;
    if (!rule.access.callers.plugin || !sensitive || harmless.contains(rule.name)) continue;
    CAPTURE(rule.name);
    CHECK_FALSE(rule.access.verb.empty());
    CHECK(rule.access.scope != resource_scope::none);
    CHECK_FALSE(rule.access.parameter.empty());
  }
}

TEST_CASE("a plugin may call nothing that governs plugins or the node") {
  for (const auto& rule : all_methods()) {
    CAPTURE(rule.name);
    if (rule.access.service == service::plugins || rule.access.service == service::node ||
        rule.access.service == service::audit || rule.access.service == service::mesh)
      CHECK_FALSE(may_call(rule, principal_kind::plugin));
  }
}

TEST_CASE("every verb is one that capabilities have") {
  for (const auto& rule : all_methods()) {
    if (rule.access.verb.empty()) continue;
    CAPTURE(rule.name);
    CHECK_NOTHROW(capability{std::string{rule.access.verb} +
                             (rule.access.parameter == "command" ? ":x" : ":/x")});
  }
}

TEST_CASE("the messages of synchronisation are for peers alone") {
  for (const auto& rule : all_methods()) {
    if (!rule.name.starts_with("sync.")) continue;
    CAPTURE(rule.name);
    CHECK(may_call(rule, principal_kind::peer));
    CHECK_FALSE(may_call(rule, principal_kind::client));
    CHECK_FALSE(may_call(rule, principal_kind::plugin));
  }
}

TEST_CASE("the host and the node itself may call everything") {
  for (const auto& rule : all_methods()) {
    CHECK(may_call(rule, principal_kind::host));
    CHECK(may_call(rule, principal_kind::system));
  }
  CHECK_FALSE(may_call(all_methods().front(), static_cast<principal_kind>(99)));
}
