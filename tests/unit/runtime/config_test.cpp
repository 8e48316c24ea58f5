#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <string>

#include <troupe/runtime/config.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

result<config> parse(std::string_view text, config base = {}) {
  return parse_config(text, "node.toml", "/etc/troupe", std::move(base));
}

/// The message of the mistake that this text has.
std::string mistake(std::string_view text) {
  const auto parsed = parse(text);
  if (parsed) return "no mistake";
  CHECK(parsed.error().code == error_code::invalid_argument);
  return parsed.error().message;
}

config usable() { return {.data_dir = "state"}; }

/// The message of what is wrong with these settings.
template <class Spoil>
std::string wrong(Spoil spoil) {
  auto settings = usable();
  spoil(settings);
  const auto checked = check_config(settings);
  if (checked) return "nothing is wrong";
  CHECK(checked.error().code == error_code::invalid_argument);
  return checked.error().message;
}

result<config> apply(std::map<std::string, std::string> variables, config base = {}) {
  return apply_environment(std::move(base), [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

}  // namespace

// -- files ----------------------------------------------------------------------------------------

TEST_CASE("an empty configuration leaves every default") {
  const auto parsed = parse("");
  REQUIRE(parsed);
  CHECK(parsed->data_dir.empty());
  CHECK(parsed->name == "node");
  CHECK(parsed->cluster == "default");
  CHECK(parsed->listen.empty());
  CHECK(parsed->join.empty());
  CHECK(parsed->discover);
  CHECK(parsed->plugins.empty());
  CHECK(parsed->plugin_level == permission_level::user);
  CHECK(parsed->sandbox == sandbox_kind::bubblewrap);
  CHECK(parsed->sandbox_allow.empty());
  CHECK(parsed->stop_deadline == 15s);
  CHECK(parsed->worker_threads == 64);
  CHECK(parsed->level == log_level::off);
  CHECK(parsed->format == log_format::text);
}

TEST_CASE("every key of a configuration is read, and paths are relative to the file") {
  const auto parsed = parse(R"(
    data_dir = "state"
    name = "alpha"
    cluster = "blue"
    listen = "127.0.0.1:7400"
    join = ["localhost:7401", "[::1]:7402"]
    discover = false
    plugins = ["plugins/notes", "/opt/wordcount"]
    plugin_level = "system"
    sandbox = "none"
    sandbox_allow = ["no-landlock"]
    plugin_init = "bin/init"
    python_sdk = "/opt/sdk"
    log_level = "warning"
    log_format = "json"
    stop_deadline_ms = 2500
    worker_threads = 4
  )");
  REQUIRE_MESSAGE(parsed, parsed.error().message);
  CHECK(parsed->data_dir == "/etc/troupe/state");
  CHECK(parsed->name == "alpha");
  CHECK(parsed->cluster == "blue");
  CHECK(parsed->listen == "127.0.0.1:7400");
  CHECK(parsed->join == std::vector<std::string>{"localhost:7401", "[::1]:7402"});
  CHECK_FALSE(parsed->discover);
  CHECK(parsed->plugins ==
        std::vector<std::filesystem::path>{"/etc/troupe/plugins/notes", "/opt/wordcount"});
  CHECK(parsed->plugin_level == permission_level::system);
  CHECK(parsed->sandbox == sandbox_kind::none);
  CHECK(parsed->sandbox_allow == std::vector<weaker_mode>{weaker_mode::no_landlock});
  CHECK(parsed->plugin_init == "/etc/troupe/bin/init");
  CHECK(parsed->python_sdk == "/opt/sdk");
  CHECK(parsed->level == log_level::warning);
  CHECK(parsed->format == log_format::json);
  CHECK(parsed->stop_deadline == 2500ms);
  CHECK(parsed->worker_threads == 4);
  CHECK(check_config(*parsed));
}

TEST_CASE("a file changes what it names and leaves the rest of the base; lists grow") {
  config base{.data_dir = "kept", .name = "before"};
  base.join = {"127.0.0.1:1"};
  const auto parsed = parse("name = \"after\"\njoin = [\"127.0.0.1:2\"]", base);
  REQUIRE(parsed);
  CHECK(parsed->data_dir == "kept");
  CHECK(parsed->name == "after");
  CHECK(parsed->join == std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:2"});
}

TEST_CASE("a mistake in a configuration is named with file, line, column and key") {
  CHECK(mistake("nmae = \"x\"") ==
        "node.toml:1:1: nmae: is not a known key; did you mean \"name\"?");
  CHECK(mistake("\n\n  log_leval = \"info\"") ==
        "node.toml:3:3: log_leval: is not a known key; did you mean \"log_level\"?");
  CHECK(mistake("[network]\nport = 1")
            .starts_with(
                "node.toml:1:2: network: is not a known key; known here are data_dir, name,"));
  CHECK(mistake("name = 3") == "node.toml:1:8: name: must be a string, not an integer");
  CHECK(mistake("name = \"\"") == "node.toml:1:8: name: must be 1 to 64 bytes of UTF-8");
  CHECK(mistake("cluster = \"" + std::string(65, 'x') + "\"") ==
        "node.toml:1:11: cluster: must be 1 to 64 bytes of UTF-8");
  CHECK(mistake("data_dir = \"\"").starts_with("node.toml:1:12: data_dir: "));
  CHECK(mistake("discover = \"yes\"") ==
        "node.toml:1:12: discover: must be true or false, not a string");
  CHECK(mistake("join = \"127.0.0.1:1\"") == "node.toml:1:8: join: must be an array, not a string");
  CHECK(mistake("join = [\n  \"127.0.0.1:1\",\n  \"there\"]")
            .starts_with("node.toml:3:3: join[1]: the address \"there\" has no port"));
  CHECK(mistake("listen = \"0.0.0.0:1\"")
            .starts_with("node.toml:1:10: listen: \"0.0.0.0\" is not a loopback address"));
  CHECK(mistake("plugins = [\"a\", 3]") ==
        "node.toml:1:17: plugins[1]: must be a string, not an integer");
  CHECK(mistake("sandbox = \"nine\"") ==
        "node.toml:1:11: sandbox: must be one of bubblewrap, none, not \"nine\"");
  CHECK(mistake("log_level = \"loud\"")
            .starts_with("node.toml:1:13: log_level: must be one of debug, info,"));
  CHECK(mistake("log_format = \"xml\"") ==
        "node.toml:1:14: log_format: must be one of text, json, not \"xml\"");
  CHECK(mistake("stop_deadline_ms = 99") ==
        "node.toml:1:20: stop_deadline_ms: must be between 100 and 600000, not 99");
  CHECK(mistake("worker_threads = 0") ==
        "node.toml:1:18: worker_threads: must be between 1 and 1024, not 0");
  CHECK(mistake("worker_threads = 1.5") ==
        "node.toml:1:18: worker_threads: must be an integer, not a float");
  CHECK(mistake("name = \"a\"\nname = \"b\"").starts_with("node.toml:2:"));
  CHECK(mistake("name = ").starts_with("node.toml:1:"));
  CHECK(mistake("name = \"a\" \xff").starts_with("node.toml:1:"));
  std::string deep = "name";
  for (int i = 0; i < 200'000; ++i) deep += ".x";
  CHECK(mistake("\n" + deep + " = 1") ==
        "node.toml:2:1: the key is nested too deep; there may be at most 64 levels");
}

TEST_CASE("a configuration file is read from disk, with paths relative to it") {
  test::temporary_directory place;
  const auto file = place.path() / "node.toml";
  std::ofstream{file} << "data_dir = \"state\"\nname = \"disk\"\n";
  const auto read = read_config(file, config{.cluster = "base"});
  REQUIRE_MESSAGE(read, read.error().message);
  CHECK(read->data_dir == place.path() / "state");
  CHECK(read->name == "disk");
  CHECK(read->cluster == "base");

  std::ofstream{file} << "nmae = \"disk\"\n";
  CHECK(read_config(file).error().message ==
        file.native() + ":1:1: nmae: is not a known key; did you mean \"name\"?");
}

TEST_CASE("a configuration file that cannot be read says why") {
  test::temporary_directory place;
  const auto missing = read_config(place.path() / "none.toml").error();
  CHECK(missing.code == error_code::not_found);
  CHECK(missing.message == "the configuration file " + (place.path() / "none.toml").native() +
                               " cannot be read: No such file or directory");

  const auto directory = read_config(place.path()).error();
  CHECK(directory.code == error_code::not_found);
  CHECK(directory.message.ends_with("cannot be read: it is not a file"));

  const auto large = place.path() / "large.toml";
  std::ofstream{large} << std::string((1 << 20) + 1, '#');
  CHECK(read_config(large).error().code == error_code::limit_exceeded);
  CHECK(read_config(large).error().message.ends_with("is larger than 1 MiB"));
  std::ofstream{large} << std::string(1 << 20, '#');
  CHECK(read_config(large));
}

// -- environment ----------------------------------------------------------------------------------

TEST_CASE("the environment sets what it names") {
  const auto applied = apply({{"TROUPE_DATA_DIR", "/data"},
                              {"TROUPE_NAME", "beta"},
                              {"TROUPE_CLUSTER", "red"},
                              {"TROUPE_LISTEN", "127.0.0.1:0"},
                              {"TROUPE_JOIN", "127.0.0.1:1,127.0.0.1:2"},
                              {"TROUPE_SANDBOX", "none"},
                              {"TROUPE_LOG_LEVEL", "debug"},
                              {"TROUPE_LOG_FORMAT", "json"}});
  REQUIRE_MESSAGE(applied, applied.error().message);
  CHECK(applied->data_dir == "/data");
  CHECK(applied->name == "beta");
  CHECK(applied->cluster == "red");
  CHECK(applied->listen == "127.0.0.1:0");
  CHECK(applied->join == std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:2"});
  CHECK(applied->sandbox == sandbox_kind::none);
  CHECK(applied->level == log_level::debug);
  CHECK(applied->format == log_format::json);
  CHECK(check_config(*applied));
}

TEST_CASE("a variable that is not set or empty changes nothing") {
  config base{.data_dir = "kept", .name = "kept"};
  base.sandbox = sandbox_kind::none;
  const auto applied =
      apply({{"TROUPE_NAME", ""}, {"TROUPE_SANDBOX", ""}, {"TROUPE_JOIN", ""}}, base);
  REQUIRE(applied);
  CHECK(applied->data_dir == "kept");
  CHECK(applied->name == "kept");
  CHECK(applied->sandbox == sandbox_kind::none);
  CHECK(applied->join.empty());
}

TEST_CASE("a variable with a wrong value is named, with what would be right") {
  const auto refused = [](const char* name, const char* text) {
    const auto applied = apply({{name, text}});
    REQUIRE_FALSE(applied);
    CHECK(applied.error().code == error_code::invalid_argument);
    return applied.error().message;
  };
  CHECK(refused("TROUPE_SANDBOX", "nine") ==
        "TROUPE_SANDBOX: \"nine\" is not one of bubblewrap, none");
  CHECK(refused("TROUPE_LOG_LEVEL", "loud") ==
        "TROUPE_LOG_LEVEL: \"loud\" is not one of debug, info, warning, error, off");
  CHECK(refused("TROUPE_LOG_FORMAT", "xml") ==
        "TROUPE_LOG_FORMAT: \"xml\" is not one of text, json");
  CHECK(refused("TROUPE_NAME", std::string(65, 'x').c_str()) ==
        "TROUPE_NAME: must be 1 to 64 bytes of UTF-8");
  CHECK(refused("TROUPE_CLUSTER", "\xff") == "TROUPE_CLUSTER: must be 1 to 64 bytes of UTF-8");
  CHECK(refused("TROUPE_LISTEN", "0.0.0.0:1")
            .starts_with("TROUPE_LISTEN: \"0.0.0.0\" is not a loopback address"));
  CHECK(refused("TROUPE_JOIN", "127.0.0.1:1,there")
            .starts_with("TROUPE_JOIN: the address \"there\" has no port"));
  CHECK(apply({{"TROUPE_SANDBOX", "nine"}, {"TROUPE_LOG_FORMAT", "xml"}})
            .error()
            .message.starts_with("TROUPE_SANDBOX"));
}

TEST_CASE(
    "a variable that is misspelt is named with the one that is meant; others may belong to other "
    "programs") {
  const auto misspelt = [](std::vector<std::string_view> environment) {
    const auto checked = check_spelling_of_variables(environment);
    if (checked) return std::string{"nothing is wrong"};
    CHECK(checked.error().code == error_code::invalid_argument);
    return checked.error().message;
  };
  CHECK(misspelt({"HOME=/root", "TROUPE_DATA_DRI=/x"}) ==
        "there is no environment variable TROUPE_DATA_DRI; did you mean \"TROUPE_DATA_DIR\"?");
  CHECK(misspelt({"TROUPE_NAEM="}).ends_with("TROUPE_NAEM; did you mean \"TROUPE_NAME\"?"));
  CHECK(misspelt({"TROUPE_LOGLEVEL=x=y"})
            .ends_with("TROUPE_LOGLEVEL; did you mean \"TROUPE_LOG_LEVEL\"?"));
  CHECK(misspelt({"TROUPE_LISTNE\xff=1"}).find("TROUPE_LISTNE?;") != std::string::npos);
  for (const char* entry :
       {"TROUPE_DATA_DIR=/x", "TROUPE_NAME=x", "TROUPE_JOIN=", "TROUPE_LOG_FORMAT=json",
        "TROUPE_BINARY=/x", "TROUPE_SOURCE=/x", "TROUPE_PACKAGES=/x", "TROUPE_CACHE=/x",
        "TROUPE_HOME=/x", "TROUPE_=1", "TROUPE_SOCKET=3", "TRUPE_NAME=x", ""}) {
    INFO(entry);
    CHECK(misspelt({entry}) == "nothing is wrong");
  }
}

// -- what must hold in the end --------------------------------------------------------------------

TEST_CASE("settings are checked, and the field is named with what would be right") {
  CHECK(check_config(usable()));
  CHECK(wrong([](config& c) { c.data_dir.clear(); }) ==
        "data_dir: is missing; name the directory where the node keeps its state");
  CHECK(wrong([](config& c) { c.name.clear(); }) == "name: must be 1 to 64 bytes of UTF-8");
  CHECK(wrong([](config& c) { c.name = "\xff"; }) == "name: must be 1 to 64 bytes of UTF-8");
  CHECK(wrong([](config& c) { c.cluster = std::string(65, 'x'); }) ==
        "cluster: must be 1 to 64 bytes of UTF-8");
  CHECK(wrong([](config& c) {
          c.listen = "here";
        }).starts_with("listen: the address \"here\" has no port"));
  CHECK(wrong([](config& c) {
          c.listen = "192.0.2.1:7400";
        }).starts_with("listen: \"192.0.2.1\" is not a loopback address"));
  CHECK(wrong([](config& c) {
          c.join = {"127.0.0.1:1", "there"};
        }).starts_with("join: the address \"there\" has no port"));
  CHECK(wrong([](config& c) {
          c.plugins = {"a", ""};
        }) == "plugins: the name of a package directory is empty");
  CHECK(wrong([](config& c) { c.stop_deadline = 99ms; }) ==
        "stop_deadline_ms: must be 100 to 600000");
  CHECK(wrong([](config& c) { c.stop_deadline = 11min; }) ==
        "stop_deadline_ms: must be 100 to 600000");
  CHECK(wrong([](config& c) { c.worker_threads = 0; }) == "worker_threads: must be 1 to 1024");
  CHECK(wrong([](config& c) { c.worker_threads = 1025; }) == "worker_threads: must be 1 to 1024");
}

TEST_CASE("the limits of the settings are allowed") {
  const auto allowed = [](auto&& set) {
    auto settings = usable();
    set(settings);
    return check_config(settings).has_value();
  };
  CHECK(allowed([](config& c) { c.name = std::string(64, 'x'); }));
  CHECK(allowed([](config& c) { c.listen = "[::1]:0"; }));
  CHECK(allowed([](config& c) { c.listen = "localhost:65535"; }));
  CHECK(allowed([](config& c) { c.join = {"192.0.2.1:1"}; }));
  CHECK(allowed([](config& c) { c.stop_deadline = 100ms; }));
  CHECK(allowed([](config& c) { c.stop_deadline = 10min; }));
  CHECK(allowed([](config& c) { c.worker_threads = 1024; }));
}
