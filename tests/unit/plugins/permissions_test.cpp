#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <troupe/actors/plugins/policy/permissions.hpp>

using namespace troupe;

namespace {

permission_decision allowed(std::string rule) { return {true, std::move(rule)}; }
permission_decision refused(std::string rule) { return {false, std::move(rule)}; }

permissions user_with(std::vector<std::string> requested, std::vector<std::string> granted,
                      std::vector<std::string> denied = {}) {
  permissions made{"notes", permission_level::user};
  for (const auto& text : requested) REQUIRE(made.request(capability{text}));
  for (const auto& text : granted) REQUIRE(made.grant(capability{text}));
  for (const auto& text : denied) REQUIRE(made.deny(capability{text}));
  return made;
}

}  // namespace

TEST_SUITE("permissions") {
  TEST_CASE("a policy full of the worst rules answers for the longest path without delay") {
    permissions policy{"notes", permission_level::restricted};
    // Each compares as much as it can, and covers nothing of what is asked.
    std::string behind, deep, wide = "/";
    for (int i = 0; i < 3; ++i) behind += "/**/a/a/a/a";
    for (int i = 0; i < 512; ++i) deep += "/a";
    wide += std::string(1023, 'a');
    for (std::size_t i = 0; i < permissions::max_rules; ++i) {
      const auto end = "/b" + std::to_string(i);
      for (const auto& text :
           {"context.read:" + behind + "/**/a/a" + end,
            "context.read:/" + std::string(120, 'a') + "*" + std::string(100, 'a') + end}) {
        const capability rule{text};
        (void)policy.request(rule);
        (void)policy.grant(rule);
        (void)policy.deny(rule);
      }
    }
    const auto time_of = [](const auto& work) {
      auto least = std::chrono::steady_clock::duration::max();
      for (int i = 0; i < 10; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        work();
        least = std::min(least, std::chrono::steady_clock::now() - begin);
      }
      return least;
    };
    // Beside it, in this very build and on this machine: every byte compared once for each of the
    // 512 rules.
    volatile std::size_t found = 0;  // so that it is done a byte at a time
    const auto once = time_of([&] {
      for (std::size_t rule = 0; rule < 2 * permissions::max_rules; ++rule)
        for (const char c : wide) found = found + (c == static_cast<char>('b' + rule % 20) ? 1 : 0);
    });
    CHECK(found == 0);
    // Comparing every byte with every other of a segment would be some hundred times as much.
    CHECK(time_of([&] { CHECK_FALSE(policy.check(capability_verb::context_read, deep).allowed); }) <
          100 * once);
    CHECK(time_of([&] { CHECK_FALSE(policy.check(capability_verb::context_read, wide).allowed); }) <
          100 * once);
  }

  TEST_CASE("a restricted plugin has its log and its own commands") {
    const permissions policy{"notes", permission_level::restricted};
    CHECK(policy.check(capability_verb::log, "") == allowed("log"));
    CHECK(policy.check(capability_verb::command_execute, "notes.add") ==
          allowed("command.execute:notes.**"));
    CHECK(policy.check(capability_verb::command_provide, "notes.add") ==
          allowed("command.provide:notes.**"));
    CHECK(policy.check(capability_verb::command_execute, "other.add") == refused("not granted"));
    CHECK(policy.check(capability_verb::context_read, "/plugins/notes/x") ==
          refused("not granted"));
    CHECK(policy.check(capability_verb::fs_read, "/etc/passwd") == refused("not granted"));
    CHECK(policy.defaults().size() == 3);
  }

  TEST_CASE("a user plugin also has its own part of the context") {
    const permissions policy{"notes", permission_level::user};
    CHECK(policy.check(capability_verb::context_write, "/plugins/notes/a/b").allowed);
    CHECK(policy.check(capability_verb::context_read, "/plugins/notes").allowed);
    CHECK_FALSE(policy.check(capability_verb::context_read, "/plugins/notes2").allowed);
    CHECK_FALSE(policy.check(capability_verb::context_read, "").allowed);
    CHECK(policy.defaults().size() == 5);
    CHECK(policy.level() == permission_level::user);
  }

  TEST_CASE("a system plugin may do everything that is not denied") {
    permissions policy{"clock", permission_level::system};
    CHECK(policy.check(capability_verb::log, "") == allowed("level system"));
    CHECK(policy.check(capability_verb::context_write, "/anything") == allowed("level system"));
    REQUIRE(policy.deny(capability{"context.write:/audit/**"}));
    CHECK(policy.check(capability_verb::context_write, "/audit/x") ==
          refused("denied by context.write:/audit/**"));
    CHECK(policy.defaults() == std::vector<std::string>{"*"});
  }

  TEST_CASE("no level is allowed what this build does not enforce") {
    for (const auto level :
         {permission_level::system, permission_level::user, permission_level::restricted}) {
      permissions policy{"notes", level};
      CHECK(policy.check(capability_verb::event_publish, "notes.added") ==
            refused("not enforced by this build: it has no events yet"));
      CHECK(policy.check("event.subscribe:notes.added").value() ==
            refused("not enforced by this build: it has no events yet"));
      CHECK(policy.check("net.connect:api.example.com:443").value() ==
            refused("not enforced by this build: it has no network for plugins yet"));
      CHECK(policy.check("state").value() ==
            refused("not enforced by this build: it keeps no state for plugins yet"));
      for (const char* text : {"event.publish:notes.**", "net.connect:**", "state"}) {
        CAPTURE(text);
        CHECK(policy.request(capability{text}).error().code == error_code::invalid_argument);
        CHECK(policy.grant(capability{text}).error().code == error_code::invalid_argument);
        CHECK(policy.deny(capability{text}));
        for (const auto& each : policy.defaults()) CHECK_FALSE(each.starts_with(text));
      }
      CHECK(policy.requested().empty());
      CHECK(policy.granted().empty());
    }
  }

  TEST_CASE("what is requested and granted is allowed, as narrow as the narrower of the two") {
    const auto narrow_grant = user_with({"context.read:/app/**"}, {"context.read:/app/notes/**"});
    CHECK(narrow_grant.check(capability_verb::context_read, "/app/notes/1") ==
          allowed("context.read:/app/notes/**"));
    CHECK(narrow_grant.check(capability_verb::context_read, "/app/mail/1") ==
          refused("not granted"));
    const auto narrow_request = user_with({"context.read:/app/notes/**"}, {"context.read:/app/**"});
    CHECK(narrow_request.check(capability_verb::context_read, "/app/notes/1").allowed);
    CHECK(narrow_request.check(capability_verb::context_read, "/app/mail/1") ==
          refused("granted by context.read:/app/** but not requested"));
    CHECK(user_with({"context.read:/app/**"}, {}).check(capability_verb::context_read, "/app/x") ==
          refused("not granted"));
  }

  TEST_CASE("a denial wins over defaults and grants") {
    const auto policy =
        user_with({"context.read:/app/**"}, {"context.read:/app/**"},
                  {"context.read:/app/secret/**", "log", "context.write:/plugins/notes/locked"});
    CHECK(policy.check(capability_verb::context_read, "/app/x").allowed);
    CHECK(policy.check(capability_verb::context_read, "/app/secret/x") ==
          refused("denied by context.read:/app/secret/**"));
    CHECK(policy.check(capability_verb::log, "") == refused("denied by log"));
    CHECK_FALSE(policy.check(capability_verb::context_write, "/plugins/notes/locked").allowed);
  }

  TEST_CASE("grants and denials change the very next check") {
    auto policy = user_with({"command.execute:mail.*"}, {});
    CHECK_FALSE(policy.check(capability_verb::command_execute, "mail.send").allowed);
    REQUIRE(policy.grant(capability{"command.execute:mail.*"}));
    CHECK(policy.check(capability_verb::command_execute, "mail.send").allowed);
    REQUIRE(policy.deny(capability{"command.execute:mail.send"}));
    CHECK_FALSE(policy.check(capability_verb::command_execute, "mail.send").allowed);
    CHECK(policy.check(capability_verb::command_execute, "mail.read").allowed);
    REQUIRE(policy.allow(capability{"command.execute:mail.send"}));
    CHECK(policy.check(capability_verb::command_execute, "mail.send").allowed);
    REQUIRE(policy.revoke(capability{"command.execute:mail.*"}));
    CHECK_FALSE(policy.check(capability_verb::command_execute, "mail.send").allowed);
    CHECK(policy.revoke(capability{"command.execute:mail.*"}).error().code ==
          error_code::not_found);
    CHECK(policy.allow(capability{"log"}).error().code == error_code::not_found);
  }

  TEST_CASE("sets have no duplicates, keep their order and are bounded") {
    permissions policy{"notes", permission_level::user};
    REQUIRE(policy.grant(capability{"log"}));
    REQUIRE(policy.grant(capability{"fs.read:/x"}));
    REQUIRE(policy.grant(capability{"log"}));
    CHECK(policy.granted() == std::vector<std::string>{"log", "fs.read:/x"});
    for (std::size_t i = 0; i < permissions::max_rules; ++i)
      REQUIRE(policy.request(capability{"context.read:/" + std::to_string(i)}));
    CHECK(policy.requested().size() == permissions::max_rules);
    CHECK(policy.request(capability{"log"}).error().code == error_code::limit_exceeded);
    CHECK(policy.request(capability{"context.read:/0"}));
    CHECK(policy.denied().empty());
  }

  TEST_CASE("a resource that is not of its verb's kind is refused, whatever is granted") {
    permissions policy{"clock", permission_level::system};
    for (const auto& [verb, resource] : {std::pair{capability_verb::context_read, "app"},
                                         {capability_verb::log, "x"},
                                         {capability_verb::command_execute, ""},
                                         {capability_verb::fs_read, ""},
                                         {capability_verb::fs_read, "usr"},
                                         {capability_verb::fs_read, "/usr/../etc/passwd"},
                                         {capability_verb::fs_read, "/usr//x"},
                                         {capability_verb::fs_read, "/usr/./x"},
                                         {capability_verb::fs_read, "/usr/"}})
      CHECK(policy.check(verb, resource) == refused("malformed resource"));
    CHECK(policy.check(capability_verb::fs_read, "/usr/share/dict/words").allowed);
    CHECK(policy.check(capability_verb::context_read, "").allowed);
  }

  TEST_CASE("a written operation is checked like its parts") {
    const auto policy = user_with({"command.execute:mail.*.now"}, {"command.execute:mail.send.*"});
    CHECK(policy.check("command.execute:mail.send.now").value().allowed);
    CHECK_FALSE(policy.check("command.execute:mail.drop.now").value().allowed);
    CHECK(policy.check("log").value().allowed);
    CHECK(policy.check("stat").error().code == error_code::invalid_argument);
  }

  TEST_CASE(
      "a written operation may be about a path and everything below it, and has no other "
      "wildcard") {
    const auto policy =
        user_with({"context.read:/app/**", "fs.read:/usr/**"},
                  {"context.read:/app/**", "fs.read:/usr/**"}, {"context.read:/app/secret"});
    CHECK(policy.check("context.read:/app/**").value() ==
          refused("denied by context.read:/app/secret"));
    CHECK(policy.check("context.read:/app/notes/**").value() == allowed("context.read:/app/**"));
    CHECK(policy.check("context.read:/**").value() ==
          refused("denied by context.read:/app/secret"));
    CHECK(policy.check("context.write:/**").value() == refused("not granted"));
    CHECK(policy.check("fs.read:/usr/share/**").value() == allowed("fs.read:/usr/**"));
    for (const auto* text :
         {"context.read:/app/*", "context.read:/*/x/**", "context.read:/app/**/x",
          "context.read:**", "command.execute:notes.**", "event.publish:notes.*"}) {
      CAPTURE(text);
      const auto asked = policy.check(text);
      REQUIRE_FALSE(asked);
      CHECK(asked.error().code == error_code::invalid_argument);
      CHECK(asked.error().message.find("asks about a pattern; ask about one resource") !=
            std::string::npos);
    }
  }

  TEST_CASE("a subtree is allowed when one rule covers all of it and no denial reaches into it") {
    auto policy = user_with({"context.read:/app/**", "context.read:/one/*"},
                            {"context.read:/app/**", "context.read:/one/*"},
                            {"context.read:/app/secret/**", "context.read:/app/exact",
                             "context.read:/app/mail/*/body"});
    const auto subtree = [&](std::string_view path) {
      return policy.check_subtree(capability_verb::context_read, path);
    };
    CHECK(subtree("/app/notes") == allowed("context.read:/app/**"));
    CHECK(subtree("/plugins/notes/x") == allowed("context.read:/plugins/notes/**"));
    CHECK(subtree("/app") == refused("denied by context.read:/app/secret/**"));
    CHECK(subtree("") == refused("denied by context.read:/app/secret/**"));
    CHECK(subtree("/app/secret/x") == refused("denied by context.read:/app/secret/**"));
    CHECK(subtree("/app/exact") == refused("denied by context.read:/app/exact"));
    CHECK(subtree("/app/mail/7") == refused("denied by context.read:/app/mail/*/body"));
    // Neighbours whose names only begin alike are not below one another.
    CHECK(subtree("/app/sec").allowed);
    CHECK(subtree("/app/exactly").allowed);
    CHECK(subtree("/app/exact/below").allowed);
    CHECK(subtree("/one/x") == refused("not granted"));
    CHECK(subtree("one") == refused("malformed resource"));
    REQUIRE(policy.grant(capability{"context.read:/two/**"}));
    CHECK(subtree("/two") == refused("granted by context.read:/two/** but not requested"));
    CHECK(permissions{"clock", permission_level::system}
              .check_subtree(capability_verb::context_read, "")
              .allowed);
  }

  TEST_CASE("what is effective is listed without what is denied by its own text") {
    const auto policy = user_with({"context.read:/app/x", "context.read:/mail/**", "log"},
                                  {"context.read:/app/**"}, {"log"});
    CHECK(policy.effective() ==
          std::vector<std::string>{"command.provide:notes.**", "command.execute:notes.**",
                                   "context.read:/plugins/notes/**",
                                   "context.write:/plugins/notes/**", "context.read:/app/x"});
    CHECK(permissions{"clock", permission_level::system}.effective() ==
          std::vector<std::string>{"*"});
  }

  TEST_CASE("of a request and a grant the narrower is effective, never more than either") {
    using texts = std::vector<std::string>;
    const auto effective = [](texts requested, texts granted) {
      permissions policy{"notes", permission_level::restricted};
      for (const auto& text : requested) REQUIRE(policy.request(capability{text}));
      for (const auto& text : granted) REQUIRE(policy.grant(capability{text}));
      auto all = policy.effective();
      all.erase(all.begin(), all.begin() + 3);  // the defaults
      return all;
    };
    CHECK(effective({"context.read:/app/**"}, {"context.read:/app/*"}) ==
          texts{"context.read:/app/*"});
    CHECK(effective({"context.read:/app/*"}, {"context.read:/app/**"}) ==
          texts{"context.read:/app/*"});
    CHECK(effective({"context.read:/app/**"},
                    {"context.read:/app/x", "context.read:/mail", "context.read:/app/y/**"}) ==
          texts{"context.read:/app/x", "context.read:/app/y/**"});
    CHECK(effective({"context.read:/*/b"}, {"context.read:/a/*"}).empty());
    CHECK(effective({"context.read:/app/**"}, {"context.write:/app/**"}).empty());
    CHECK(effective({"fs.read:/usr"}, {"fs.read:/usr"}) == texts{"fs.read:/usr"});
    CHECK(effective({"command.execute:mail.**"},
                    {"command.execute:**", "command.execute:mail.send"}) ==
          texts{"command.execute:mail.**"});
  }

  TEST_CASE("whatever is effective is both requested and granted") {
    const std::vector<std::string> pool{
        "context.read:/**",  "context.read:/a/*",  "context.read:/a/**", "context.read:/a/b",
        "context.read:/*/b", "context.read:/**/b", "context.read:/*/**", "context.read:/a*/**/b"};
    const std::vector<std::string> resources{"",       "/a",     "/b",   "/a/b",  "/ab/b",
                                             "/a/b/c", "/a/c/b", "/a/*", "/a/**", "/**"};
    CHECK(rc::check("by every resource", [&] {
      const auto any_rules = rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(pool));
      const auto requested = *any_rules, granted = *any_rules;
      permissions policy{"notes", permission_level::restricted};
      for (const auto& text : requested) RC_ASSERT(policy.request(capability{text}).has_value());
      for (const auto& text : granted) RC_ASSERT(policy.grant(capability{text}).has_value());
      for (const auto& text : policy.effective())
        for (const auto& resource : resources) {
          const capability rule{text};
          if (rule.verb() == capability_verb::context_read && rule.covers(resource))
            RC_ASSERT(policy.check(capability_verb::context_read, resource).allowed);
        }
    }));
  }

  TEST_CASE("deny wins for every operation and every set of rules") {
    const std::vector<std::string> pool{"context.read:/**", "context.read:/a/*",
                                        "context.read:/a/b", "context.read:/*/b",
                                        "context.read:/b/**"};
    const std::vector<std::string> resources{"", "/a", "/a/b", "/b", "/b/c/d", "/c/b"};
    CHECK(rc::check("against the formula", [&] {
      const auto any_rules = rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(pool));
      const auto requested = *any_rules, granted = *any_rules, denied = *any_rules;
      permissions policy{"notes", permission_level::restricted};
      for (const auto& text : requested) RC_ASSERT(policy.request(capability{text}).has_value());
      for (const auto& text : granted) RC_ASSERT(policy.grant(capability{text}).has_value());
      for (const auto& text : denied) RC_ASSERT(policy.deny(capability{text}).has_value());
      for (const auto& resource : resources) {
        const auto covered = [&](const auto& texts) {
          return std::ranges::any_of(
              texts, [&](const auto& text) { return capability{text}.covers(resource); });
        };
        RC_ASSERT(policy.check(capability_verb::context_read, resource).allowed ==
                  (covered(requested) && covered(granted) && !covered(denied)));
      }
    }));
  }
}
