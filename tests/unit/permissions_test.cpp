#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/actors/plugins/permissions.hpp>

using namespace troupe;

namespace {

bool path_matches(std::string_view pattern, std::string_view path) {
  return glob::compile(pattern, resource_kind::path).value().matches(path);
}
bool name_matches(std::string_view pattern, std::string_view name) {
  return glob::compile(pattern, resource_kind::name).value().matches(name);
}
std::string glob_problem(std::string_view pattern, resource_kind kind) {
  const auto compiled = glob::compile(pattern, kind);
  return compiled ? "" : compiled.error().message;
}

/// The meaning of a pattern, written down as directly as possible: tries everything.
bool segment_means(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*')
    return segment_means(pattern.substr(1), text) ||
           (!text.empty() && segment_means(pattern, text.substr(1)));
  return !text.empty() && pattern.front() == text.front() &&
         segment_means(pattern.substr(1), text.substr(1));
}
using segments = std::vector<std::string>;
bool pattern_means(segments::const_iterator p, segments::const_iterator p_end,
                   segments::const_iterator t, segments::const_iterator t_end) {
  if (p == p_end) return t == t_end;
  if (*p == "**")
    return pattern_means(p + 1, p_end, t, t_end) ||
           (t != t_end && pattern_means(p, p_end, t + 1, t_end));
  return t != t_end && segment_means(*p, *t) && pattern_means(p + 1, p_end, t + 1, t_end);
}

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

TEST_SUITE("capability pattern") {
  TEST_CASE("a literal pattern matches itself") {
    CHECK(path_matches("/app/theme", "/app/theme"));
    CHECK_FALSE(path_matches("/app/theme", "/app/themes"));
    CHECK_FALSE(path_matches("/app/theme", "/app"));
    CHECK(name_matches("notes.add", "notes.add"));
  }

  TEST_CASE("one star stays within a segment") {
    CHECK(path_matches("/app/*", "/app/x"));
    CHECK_FALSE(path_matches("/app/*", "/app"));
    CHECK_FALSE(path_matches("/app/*", "/app/x/y"));
    CHECK(path_matches("/app/*/name", "/app/7/name"));
    CHECK(path_matches("/a*e", "/abcde"));
    CHECK(path_matches("/*a", "/a"));
    CHECK_FALSE(path_matches("/ab*ba", "/aba"));
    CHECK(path_matches("/a*", "/a"));
    CHECK_FALSE(path_matches("/a*c", "/abd"));
    CHECK(name_matches("notes.*", "notes.add"));
    CHECK_FALSE(name_matches("notes.*", "notes.add.one"));
    CHECK(name_matches("api.*.com:443", "api.example.com:443"));
    CHECK_FALSE(name_matches("api.*.com:443", "api.example.com:80"));
  }

  TEST_CASE("two stars are any number of segments, also none") {
    for (const char* path : {"/app", "/app/x", "/app/x/y"}) CHECK(path_matches("/app/**", path));
    CHECK_FALSE(path_matches("/app/**", "/apple"));
    CHECK_FALSE(path_matches("/app/**", ""));
    for (const char* path : {"", "/a", "/a/b"}) CHECK(path_matches("/**", path));
    CHECK(path_matches("/**/secret", "/secret"));
    CHECK(path_matches("/**/secret", "/a/b/secret"));
    CHECK_FALSE(path_matches("/**/secret", "/a/secret/b"));
    CHECK(path_matches("/a/**/b/**/c", "/a/b/x/b/y/c"));
    CHECK(path_matches("/*/**", "/a"));
    CHECK_FALSE(path_matches("/*/**", ""));
    CHECK(name_matches("**", "anything.at.all"));
    CHECK(name_matches("notes.**", "notes"));
  }

  TEST_CASE("other special characters of shells stand for themselves") {
    CHECK(path_matches("/a?[b]{c}", "/a?[b]{c}"));
    CHECK_FALSE(path_matches("/a?", "/ab"));
  }

  TEST_CASE("a malformed pattern is refused with what would be right") {
    CHECK(glob_problem("", resource_kind::name) == "the pattern \"\" is empty");
    CHECK(glob_problem("app", resource_kind::path) == "the pattern \"app\" must start with '/'");
    CHECK(glob_problem("/a//b", resource_kind::path).find("empty segment") != std::string::npos);
    CHECK(glob_problem("/", resource_kind::path).find("empty segment") != std::string::npos);
    CHECK(glob_problem("a..b", resource_kind::name).find("empty segment") != std::string::npos);
    CHECK(glob_problem("/a/../b", resource_kind::path).find("the segment \"..\"") !=
          std::string::npos);
    CHECK(glob_problem("/a**", resource_kind::path).find("'**' stands alone") != std::string::npos);
    CHECK(glob_problem("/***", resource_kind::path).find("'**' stands alone") != std::string::npos);
    CHECK(glob_problem("/a*b*", resource_kind::path) ==
          "the pattern \"/a*b*\" has more than one '*' in the segment \"a*b*\"");
    CHECK(glob_problem("/x/**/a/b/*/d/e", resource_kind::path)
              .find("more than 4 segments behind a '**'") != std::string::npos);
    CHECK(glob_problem("/a/b/c/d/e/f/**/a/b/c/d/**/a/b/c/d", resource_kind::path).empty());
    CHECK(glob_problem("/*/*/*/*/*/*/*/*/*", resource_kind::path).find("9 wildcards; at most 8") !=
          std::string::npos);
    CHECK(glob_problem("/" + std::string(256, 'a'), resource_kind::path)
              .find("longer than 256 bytes") != std::string::npos);
    CHECK(glob_problem("/\xff", resource_kind::path) == "a pattern is not UTF-8 text");
  }

  TEST_CASE("a match is what trying everything finds") {
    const auto many_of = [](std::vector<std::string> words, int most) {
      return rc::gen::resize(most,
                             rc::gen::container<segments>(rc::gen::elementOf(std::move(words))));
    };
    const auto pattern_segments = many_of({"a", "b", "*", "**", "a*", "*b", "a*b"}, 7);
    const auto text_segments = many_of({"a", "b", "ab", "aab", "ba", "abab"}, 10);
    for (const auto& [kind, separator] :
         {std::pair{resource_kind::path, '/'}, {resource_kind::name, '.'}})
      CHECK(rc::check("against all ways to match", [&, kind = kind, separator = separator] {
        const auto p = *pattern_segments, t = *text_segments;
        const auto join = [&](const segments& parts) {
          std::string text;
          for (const auto& part : parts)
            text += (text.empty() && separator == '.' ? "" : std::string{separator}) + part;
          return text;
        };
        const auto compiled = glob::compile(join(p), kind);
        // Only too many wildcards, too many segments behind one, or nothing at all, are refused.
        if (!compiled) return;
        RC_ASSERT(compiled->matches(join(t)) ==
                  pattern_means(p.begin(), p.end(), t.begin(), t.end()));
      }));
  }

  TEST_CASE("whether two patterns may have a match in common errs on the side of yes") {
    const auto meet = [](std::string_view a, std::string_view b) {
      const auto one = glob::compile(a, resource_kind::path).value(),
                 other = glob::compile(b, resource_kind::path).value();
      CHECK(one.may_meet(other) == other.may_meet(one));
      return one.may_meet(other);
    };
    CHECK(meet("/app/x", "/app/x"));
    CHECK_FALSE(meet("/app/x", "/app/y"));
    CHECK(meet("/app/**", "/app/x"));
    CHECK(meet("/app/**", "/app/notes/**"));
    CHECK_FALSE(meet("/app/**", "/log/**"));
    CHECK_FALSE(meet("/app/*", "/app/x/y"));
    CHECK(meet("/**/x", "/app/*"));
    CHECK(meet("/app/*/a", "/app/*/b"));
    CHECK_FALSE(glob::compile("a.**", resource_kind::name)
                    ->may_meet(*glob::compile("/**", resource_kind::path)));
  }
}

TEST_SUITE("capability") {
  TEST_CASE("verbs with resources need one, verbs without have none") {
    CHECK(capability{"context.read:/app/**"}.verb() == capability_verb::context_read);
    CHECK(capability{"context.read:/app/**"}.pattern() == "/app/**");
    CHECK(capability{"state"}.pattern().empty());
    CHECK(capability{"state"}.covers(""));
    CHECK(capability{"net.connect:api.example.com:443"}.covers("api.example.com:443"));
    CHECK(capability::parse("state:/x").error().message ==
          "the capability \"state:/x\" names a resource, but \"state\" has none; write it alone");
    CHECK(capability::parse("fs.read").error().message ==
          "the capability \"fs.read\" names no resource; write \"fs.read:/…\"");
    CHECK(capability::parse("event.publish").error().message ==
          "the capability \"event.publish\" names no resource; write \"event.publish:…\"");
    CHECK_THROWS_AS(capability{"nonsense"}, std::invalid_argument);
    CHECK(capability{"log"} == capability{"log"});
    CHECK_FALSE(capability{"log"} == capability{"state"});
  }

  TEST_CASE("an unknown verb comes with the nearest known one, and long text is cut") {
    CHECK(capability::parse("contex.read:/a").error().message ==
          "\"contex.read\" is not a capability; did you mean \"context.read\"?");
    CHECK(capability::parse(std::string(5000, 'x')).error().message.size() < 200);
  }

  TEST_CASE("every verb can be written, parsed and used") {
    for (const auto& entry : enum_names<capability_verb>::names) {
      const std::string name{entry.name};
      switch (resource_kind_of(entry.value)) {
        case resource_kind::path: CHECK(capability{name + ":/x/**"}.covers("/x/y")); break;
        case resource_kind::name: CHECK(capability{name + ":x.**"}.covers("x.y")); break;
        case resource_kind::none: CHECK(capability{name}.covers("")); break;
      }
    }
  }
}

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

  TEST_CASE("a restricted plugin has its state, its log and its own commands") {
    const permissions policy{"notes", permission_level::restricted};
    CHECK(policy.check(capability_verb::state, "") == allowed("state"));
    CHECK(policy.check(capability_verb::log, "") == allowed("log"));
    CHECK(policy.check(capability_verb::command_execute, "notes.add") ==
          allowed("command.execute:notes.**"));
    CHECK(policy.check(capability_verb::command_provide, "notes.add") ==
          allowed("command.provide:notes.**"));
    CHECK(policy.check(capability_verb::command_execute, "other.add") == refused("not granted"));
    CHECK(policy.check(capability_verb::context_read, "/plugins/notes/x") ==
          refused("not granted"));
    CHECK(policy.check(capability_verb::event_publish, "notes.added") == refused("not granted"));
    CHECK(policy.check(capability_verb::plugin_admin, "") == refused("not granted"));
    CHECK(policy.defaults().size() == 4);
  }

  TEST_CASE("a user plugin also has its own part of the context and its own topics") {
    const permissions policy{"notes", permission_level::user};
    CHECK(policy.check(capability_verb::context_write, "/plugins/notes/a/b").allowed);
    CHECK(policy.check(capability_verb::context_read, "/plugins/notes").allowed);
    CHECK_FALSE(policy.check(capability_verb::context_read, "/plugins/notes2").allowed);
    CHECK_FALSE(policy.check(capability_verb::context_read, "").allowed);
    CHECK(policy.check(capability_verb::event_publish, "notes.added").allowed);
    CHECK(policy.check(capability_verb::event_subscribe, "notes.added").allowed);
    CHECK_FALSE(policy.check(capability_verb::event_subscribe, "other.added").allowed);
    CHECK(policy.level() == permission_level::user);
  }

  TEST_CASE("a system plugin may do everything that is not denied") {
    permissions policy{"clock", permission_level::system};
    CHECK(policy.check(capability_verb::plugin_admin, "") == allowed("level system"));
    CHECK(policy.check(capability_verb::context_write, "/anything") == allowed("level system"));
    REQUIRE(policy.deny(capability{"context.write:/audit/**"}));
    CHECK(policy.check(capability_verb::context_write, "/audit/x") ==
          refused("denied by context.write:/audit/**"));
    CHECK(policy.defaults() == std::vector<std::string>{"*"});
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
                  {"context.read:/app/secret/**", "state", "context.write:/plugins/notes/locked"});
    CHECK(policy.check(capability_verb::context_read, "/app/x").allowed);
    CHECK(policy.check(capability_verb::context_read, "/app/secret/x") ==
          refused("denied by context.read:/app/secret/**"));
    CHECK(policy.check(capability_verb::state, "") == refused("denied by state"));
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
    CHECK(policy.allow(capability{"state"}).error().code == error_code::not_found);
  }

  TEST_CASE("sets have no duplicates, keep their order and are bounded") {
    permissions policy{"notes", permission_level::user};
    REQUIRE(policy.grant(capability{"log"}));
    REQUIRE(policy.grant(capability{"state"}));
    REQUIRE(policy.grant(capability{"log"}));
    CHECK(policy.granted() == std::vector<std::string>{"log", "state"});
    for (std::size_t i = 0; i < permissions::max_rules; ++i)
      REQUIRE(policy.request(capability{"context.read:/" + std::to_string(i)}));
    CHECK(policy.requested().size() == permissions::max_rules);
    CHECK(policy.request(capability{"state"}).error().code == error_code::limit_exceeded);
    CHECK(policy.request(capability{"context.read:/0"}));
    CHECK(policy.denied().empty());
  }

  TEST_CASE("a resource that is not of its verb's kind is refused, whatever is granted") {
    permissions policy{"clock", permission_level::system};
    for (const auto& [verb, resource] : {std::pair{capability_verb::context_read, "app"},
                                         {capability_verb::state, "x"},
                                         {capability_verb::event_publish, ""},
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
    const auto policy =
        user_with({"net.connect:*.example.com:443"}, {"net.connect:api.example.com:443"});
    CHECK(policy.check("net.connect:api.example.com:443").value().allowed);
    CHECK_FALSE(policy.check("net.connect:www.example.com:443").value().allowed);
    CHECK(policy.check("state").value().allowed);
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
    const auto policy = user_with({"context.read:/app/x", "context.read:/mail/**", "state"},
                                  {"context.read:/app/**"}, {"log"});
    CHECK(policy.effective() ==
          std::vector<std::string>{"state", "command.provide:notes.**", "command.execute:notes.**",
                                   "context.read:/plugins/notes/**",
                                   "context.write:/plugins/notes/**", "event.publish:notes.**",
                                   "event.subscribe:notes.**", "context.read:/app/x"});
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
      all.erase(all.begin(), all.begin() + 4);  // the defaults
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
    CHECK(effective({"plugin.admin"}, {"plugin.admin"}) == texts{"plugin.admin"});
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
