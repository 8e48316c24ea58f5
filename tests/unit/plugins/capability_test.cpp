#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/plugins/capability.hpp>

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

  TEST_CASE("what this build does not enforce is named with the reason") {
    CHECK(check_enforced(capability{"context.read:/a"}));
    CHECK(missing_for(capability_verb::log).empty());
    const auto refused = check_enforced(capability{"event.publish:notes.**"});
    CHECK(refused.error().code == error_code::invalid_argument);
    CHECK(refused.error().message ==
          "the capability \"event.publish:notes.**\" is not enforced by this build: it has no "
          "events yet; leave it out");
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
