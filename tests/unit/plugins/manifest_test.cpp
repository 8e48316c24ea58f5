// What a manifest says, and how its mistakes are reported.

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/plugins/manifest.hpp>
#include <troupe/tests/support/fixtures/manifest_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

/// The message about the smallest manifest with these lines behind it.
std::string mistake_of(const std::string& lines) {
  const auto parsed = parse_manifest(smallest + lines, "plugin.toml");
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().code == error_code::invalid_argument);
  return parsed.error().message;
}

}  // namespace

TEST_SUITE("manifest") {
  TEST_CASE("the smallest manifest has the defaults of a restricted plugin") {
    const auto parsed = parse_manifest(smallest, "plugin.toml");
    REQUIRE(parsed);
    CHECK(parsed->name == "notes");
    CHECK(to_string(parsed->version) == "1.0.0");
    CHECK(parsed->description.empty());
    CHECK(parsed->entry == std::vector<std::string>{"bin/notes"});
    CHECK(parsed->permission_level == permission_level::restricted);
    CHECK(parsed->resource_limits == default_limits(permission_level::restricted));
    CHECK(parsed->restart == restart_spec{restart_mode::permanent, 3, 30s});
    CHECK(parsed->deadlines == plugin_deadlines{10s, 30s, 5s});
    CHECK(parsed->capabilities.empty());
    CHECK(parsed->denied.empty());
    CHECK(parsed->integrity.empty());
  }

  TEST_CASE("a full manifest says everything once") {
    const auto parsed = parse_manifest(R"(
name = "word-count_2"
version = "2.1.0-rc.1+build.5"
description = "Counts words"
entry = ["/usr/bin/python3", "-u", ""]
permission_level = "user"
denied = ["context.read:/app/secret/**"]
[[capabilities]]
capability = "context.read:/app/**"
reason = "reads documents"
[[capabilities]]
capability = "command.execute:words.**"
reason = "installs word lists"
[resource_limits]
max_memory_bytes = 134_217_728
max_cpu_percent = 75
max_storage_bytes = 0
max_processes = 16
max_open_files = 128
[restart]
mode = "transient"
intensity = 0
period_ms = 60_000
[deadlines]
start_ms = 1
call_ms = 2
stop_ms = 60_000
[integrity]
"data/words" = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)",
                                       "plugin.toml");
    REQUIRE_MESSAGE(parsed, (parsed ? "" : parsed.error().message));
    CHECK(parsed->name == "word-count_2");
    CHECK(to_string(parsed->version) == "2.1.0-rc.1+build.5");
    CHECK(parsed->description == "Counts words");
    CHECK(parsed->entry == std::vector<std::string>{"/usr/bin/python3", "-u", ""});
    CHECK(parsed->permission_level == permission_level::user);
    CHECK(parsed->capabilities ==
          std::vector<requested_capability>{
              {capability{"context.read:/app/**"}, "reads documents"},
              {capability{"command.execute:words.**"}, "installs word lists"}});
    CHECK(parsed->denied == std::vector<capability>{capability{"context.read:/app/secret/**"}});
    CHECK(parsed->resource_limits == resource_limits{128 << 20, 75, 0, 16 << 20, 16, 128});
    CHECK(parsed->restart == restart_spec{restart_mode::transient, 0, 60s});
    CHECK(parsed->deadlines == plugin_deadlines{1ms, 2ms, 60s});
    CHECK(parsed->integrity == std::map<std::string, std::string>{{"data/words", empty_sum}});
  }

  TEST_CASE("limits that a manifest leaves out are those of its level") {
    auto expected = default_limits(permission_level::user);
    expected.max_processes = 4;
    const auto parsed =
        parse_manifest(std::string{smallest} +
                           "permission_level = \"user\"\n[resource_limits]\nmax_processes = 4\n",
                       "plugin.toml");
    REQUIRE(parsed);
    CHECK(parsed->resource_limits == expected);
  }

  TEST_CASE("each level's limits are at least those of the level below") {
    CHECK(default_limits(permission_level::restricted) ==
          resource_limits{64 << 20, 20, 8 << 20, 0, 8, 32});
    CHECK(default_limits(permission_level::user) ==
          resource_limits{256 << 20, 50, 64 << 20, 16 << 20, 32, 64});
    const auto system = default_limits(permission_level::system),
               user = default_limits(permission_level::user);
    CHECK(system.max_memory_bytes > user.max_memory_bytes);
    CHECK(system.max_cpu_percent > user.max_cpu_percent);
    CHECK(system.max_storage_bytes > user.max_storage_bytes);
    CHECK(system.max_network_bytes > user.max_network_bytes);
    CHECK(system.max_processes > user.max_processes);
    CHECK(system.max_open_files > user.max_open_files);
  }

  TEST_CASE("what this build does not enforce is refused, with the reason") {
    CHECK(mistake_of("[resource_limits]\nmax_network_bytes = 0\n") ==
          "plugin.toml:5:21: resource_limits.max_network_bytes: is not enforced by this build: it "
          "has no network for plugins yet; leave it out");
    const auto requesting = [](std::string_view capability) {
      return mistake_of("[[capabilities]]\ncapability = \"" + std::string{capability} +
                        "\"\nreason = \"for a test\"\n");
    };
    CHECK(requesting("state") ==
          "plugin.toml:5:14: capabilities[0].capability: the capability \"state\" is not enforced "
          "by this build: it keeps no state for plugins yet; leave it out");
    CHECK(requesting("event.publish:notes.**").ends_with("it has no events yet; leave it out"));
    CHECK(requesting("event.subscribe:**").ends_with("it has no events yet; leave it out"));
    CHECK(requesting("net.connect:*:443")
              .ends_with("it has no network for plugins yet; leave it out"));
    // A denial of it holds.
    CHECK(
        parse_manifest(std::string{smallest} + "denied = [\"event.publish:**\"]\n", "plugin.toml"));
  }

  TEST_CASE("a mistake is reported with file, line, column and key") {
    CHECK(mistake_of("descripton = \"x\"\n") ==
          "plugin.toml:4:1: descripton: is not a known key; did you mean \"description\"?");
    CHECK(mistake_of("[resource_limits]\n  max_memory = 1\n") ==
          "plugin.toml:5:3: resource_limits.max_memory: is not a known key; known here are "
          "max_memory_bytes, "
          "max_cpu_percent, max_storage_bytes, max_network_bytes, max_processes, max_open_files");
    CHECK(mistake_of("[resource_limits]\nmax_cpu_percent = 0\n") ==
          "plugin.toml:5:19: resource_limits.max_cpu_percent: must be between 1 and 6400, not 0");
    CHECK(mistake_of("[resource_limits]\nmax_memory_bytes = 1.5\n") ==
          "plugin.toml:5:20: resource_limits.max_memory_bytes: must be an integer, not a float");
    CHECK(mistake_of("permission_level = \"root\"\n") ==
          "plugin.toml:4:20: permission_level: must be one of system, user, restricted, not "
          "\"root\"");
    CHECK(mistake_of("[restart]\nmode = \"often\"\n") ==
          "plugin.toml:5:8: restart.mode: must be one of permanent, transient, temporary, not "
          "\"often\"");
    CHECK(mistake_of("[restart]\nintensity = 101\n") ==
          "plugin.toml:5:13: restart.intensity: must be between 0 and 100, not 101");
    CHECK(mistake_of("[restart]\nperiod_ms = 999\n") ==
          "plugin.toml:5:13: restart.period_ms: must be between 1000 and 86400000, not 999");
    CHECK(mistake_of("[deadlines]\nstart_ms = 300_001\n") ==
          "plugin.toml:5:12: deadlines.start_ms: must be between 1 and 300000, not 300001");
    CHECK(mistake_of("[deadlines]\ncall_ms = 3_600_001\n") ==
          "plugin.toml:5:11: deadlines.call_ms: must be between 1 and 3600000, not 3600001");
    CHECK(mistake_of("[deadlines]\nstop_ms = 60_001\n") ==
          "plugin.toml:5:11: deadlines.stop_ms: must be between 1 and 60000, not 60001");
    CHECK(mistake_of("[deadlines]\nstop_ms = 0\n") ==
          "plugin.toml:5:11: deadlines.stop_ms: must be between 1 and 60000, not 0");
    CHECK(mistake_of("description = \"a\\u0000b\"\n") ==
          "plugin.toml:4:15: description: must not contain a zero byte");
    CHECK(mistake_of("description = \"" + std::string(1025, 'x') + "\"\n") ==
          "plugin.toml:4:15: description: must have 0 to 1024 bytes, not 1025");
    CHECK(mistake_of("restart = 3\n") ==
          "plugin.toml:4:11: restart: must be a table, not an integer");
    CHECK(mistake_of("denied = \"x\"\n") ==
          "plugin.toml:4:10: denied: must be an array, not a string");
  }

  TEST_CASE("a value of the wrong type is named by its type") {
    for (const auto& [value, type] : {std::pair{"3", "an integer"},
                                      {"3.5", "a float"},
                                      {"true", "a boolean"},
                                      {"[]", "an array"},
                                      {"{}", "a table"},
                                      {"2024-01-02", "a date"},
                                      {"10:20:30", "a time"},
                                      {"2024-01-02T10:20:30", "a date and time"}})
      CHECK(mistake_of(std::string{"description = "} + value + "\n") ==
            std::string{"plugin.toml:4:15: description: must be a string, not "} + type);
  }

  TEST_CASE("what is missing is named") {
    CHECK(mistake_of_whole("version = \"1.0.0\"\nentry = \"a\"\n") ==
          "plugin.toml:1:1: name: is missing");
    CHECK(mistake_of_whole("name = \"a\"\nentry = \"a\"\n") ==
          "plugin.toml:1:1: version: is missing");
    CHECK(mistake_of_whole("name = \"a\"\nversion = \"1.0.0\"\n") ==
          "plugin.toml:1:1: entry: is missing");
    CHECK(mistake_of("[[capabilities]]\ncapability = \"log\"\n") ==
          "plugin.toml:4:1: capabilities[0].reason: is missing");
    CHECK(mistake_of("[[capabilities]]\nreason = \"why not\"\n") ==
          "plugin.toml:4:1: capabilities[0].capability: is missing");
  }

  TEST_CASE("names of plugins are short, lower case and begin with a letter") {
    for (const char* name :
         {"a", "notes", "word-count", "a1_b-2", "abcdefghijklmnopqrstuvwxyz012345"})
      CHECK(is_plugin_name(name));
    for (const char* name : {"", "1a", "-a", "_a", "Notes", "a b", "a.b", "a/b", "é",
                             "abcdefghijklmnopqrstuvwxyz0123456"})
      CHECK_FALSE(is_plugin_name(name));
    CHECK(mistake_of_whole("name = \"No\"\n") ==
          "plugin.toml:1:8: name: \"No\" is not a plugin name; one has 1 to 32 of a-z, 0-9, '_' "
          "and '-', a letter first");
  }

  TEST_CASE("a plugin does not bear the name of another kind of party") {
    for (const char* name : {"system", "host", "client", "peer", "plugin"}) {
      CAPTURE(name);
      CHECK(
          mistake_of_whole("name = \"" + std::string{name} + "\"\n") ==
          "plugin.toml:1:8: name: \"" + std::string{name} +
              "\" is reserved, as are system, host, client, peer and plugin; choose another name");
    }
    CHECK(parse_manifest("name = \"hosts\"\nversion = \"1.0.0\"\nentry = \"a\"\n", "plugin.toml"));
  }

  TEST_CASE("an entry names a program") {
    CHECK(mistake_of_whole("name = \"a\"\nversion = \"1.0.0\"\nentry = []\n") ==
          "plugin.toml:3:9: entry: must name a program");
    CHECK(mistake_of_whole("name = \"a\"\nversion = \"1.0.0\"\nentry = [\"\"]\n") ==
          "plugin.toml:3:10: entry[0]: must have 1 to 1024 bytes, not 0");
    CHECK(mistake_of_whole("name = \"a\"\nversion = \"1.0.0\"\nentry = [\"x\", 1]\n") ==
          "plugin.toml:3:15: entry[1]: must be a string, not an integer");
    std::string many = "name = \"a\"\nversion = \"1.0.0\"\nentry = [";
    for (int i = 0; i < 65; ++i) many += "\"x\",";
    CHECK(mistake_of_whole(many + "]\n") ==
          "plugin.toml:3:9: entry: must have at most 64 elements, not 65");
  }

  TEST_CASE("capabilities are checked where they are written") {
    CHECK(mistake_of("[[capabilities]]\ncapability = \"contxt.read:/a\"\nreason = \"x\"\n") ==
          "plugin.toml:5:14: capabilities[0].capability: \"contxt.read\" is not a capability; did "
          "you mean "
          "\"context.read\"?");
    CHECK(mistake_of("denied = [\"state\", \"context.read:a\"]\n") ==
          "plugin.toml:4:20: denied[1]: the pattern \"a\" must start with '/'");
  }

  TEST_CASE("a file that is no TOML, or too long, is refused") {
    CHECK(mistake_of_whole("name = \n").starts_with("plugin.toml:1:8: "));
    CHECK(mistake_of_whole(std::string(256 * 1024 + 1, '#')) ==
          "plugin.toml:1:1: a manifest has at most 262144 bytes");
    CHECK(mistake_of("[=\n") ==
          "plugin.toml:1:1: is not TOML; the name of a table or key is malformed");
    CHECK_FALSE(parse_manifest("name = \"a\"\nname = \"b\"\n", "plugin.toml"));
    CHECK_FALSE(parse_manifest("x = " + std::string(5000, '['), "plugin.toml"));
  }

  TEST_CASE("tables and arrays may not lie deep within each other, however that is written") {
    const auto times = [](std::size_t count, const std::string& piece) {
      std::string all;
      for (std::size_t i = 0; i < count; ++i) all += piece;
      return all;
    };
    const std::string too_deep = "the key is nested too deep; there may be at most 64 levels";
    CHECK(mistake_of("  " + times(130'000, "a.") + "a = 1\n") == "plugin.toml:4:3: " + too_deep);
    CHECK(mistake_of(times(64, "a.") + "a = 1\n") == "plugin.toml:4:1: " + too_deep);
    CHECK(mistake_of(times(64, "\"ä.\" . ") + "a = 1\n") == "plugin.toml:4:1: " + too_deep);
    CHECK(mistake_of("[" + times(64, "a.") + "a]\n") == "plugin.toml:4:2: " + too_deep);
    CHECK(mistake_of("x = " + times(64, "[") + "\n").ends_with(too_deep));
    CHECK(mistake_of("x = " + times(16, "{a.b.c.d = ") + "1\n").ends_with(too_deep));
    CHECK(mistake_of("x = [\n\"\"\"\n\"\\\"\"\"\"\"\"\n# ]\n, " + times(64, "'a'.") + "\n") ==
          "plugin.toml:8:3: " + too_deep);

    const auto is_known = [](const std::string& key) {
      return "plugin.toml:4:1: " + key + ": is not a known key";
    };
    CHECK(mistake_of(times(63, "a.") + "a = 1\n").starts_with(is_known("a")));
    for (const std::string quotes : {"\"", "'", "\"\"\"", "'''"})
      CHECK(mistake_of("x = " + quotes + times(100, "a.") + times(100, "[") + quotes + "\n")
                .starts_with(is_known("x")));
    CHECK(mistake_of("x = \"\\\"" + times(100, ".") + "\"\n").starts_with(is_known("x")));
    CHECK(mistake_of("x = 1 # " + times(100, "a.") + times(100, "[") + "\n")
              .starts_with(is_known("x")));
    CHECK(mistake_of("x = [" + times(100, "[1, 1], []") + "]\n").starts_with("plugin.toml:4:"));
    CHECK(mistake_of("x = [" + times(100, "[1, 1], [],") + "]\n" + times(100, "[[y]]\n"))
              .starts_with(is_known("x")));
  }

  TEST_CASE("of a long key or word only the beginning is quoted") {
    CHECK(mistake_of(std::string(200'000, 'k') + " = 1\n")
              .starts_with("plugin.toml:4:1: " + std::string(80, 'k') + "…: is not a known key"));
    CHECK(mistake_of(std::string(200'000, 'k') + " = 1\n").size() < 400);
    CHECK(mistake_of("permission_level = \"" + std::string(1000, 'x') + "\"\n")
              .find("not \"" + std::string(80, 'x') + "…\"") != std::string::npos);
  }

  TEST_CASE("no text makes the parser do anything but answer") {
    const std::vector<std::string> pieces{
        "[",     "]",    "=",  "\n",  "restart", "capabilities", ".",
        "\"",    "'",    "{",  "}",   "\"\"\"",  "integrity",    "1",
        "-",     ",",    "#",  "\\u", "\t",      "\xff\xfe",     "1979-05-27",
        "entry", "true", "[[", "]]"};
    CHECK(rc::check("pieces of TOML behind a good manifest", [&] {
      std::string text = smallest;
      for (const auto& piece :
           *rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(pieces)))
        text += piece;
      const auto parsed = parse_manifest(text, "plugin.toml");
      const bool answered = parsed || parsed.error().message.starts_with("plugin.toml:");
      RC_ASSERT(answered);
    }));
  }
}
