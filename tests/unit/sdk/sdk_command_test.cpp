#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/tests/support/captured_stderr.hpp>
#include <troupe/tests/support/fixtures/sdk_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

TEST_CASE("sdk plugin: it introduces itself and announces its commands with full names") {
  one_command plugin{
      get_a, command_spec{"run"}.summary("Runs").param<std::string>("text").with_timeout(1500ms)};
  plugin.command(command_spec{"about.me"}, get_a);
  sdk::test_host host{plugin};
  CHECK(host.hello.protocol == std::vector<std::uint32_t>{1, 1});
  CHECK(host.hello.kind == session_kind::plugin);
  CHECK(host.hello.name == "p");
  CHECK(host.hello.version == "1.2.3");
  CHECK(host.hello.sdk == "cpp/0.1");
  REQUIRE(host.commands.size() == 2);
  CHECK(host.commands == plugin.commands());
  CHECK(host.commands[0].name == "p.about.me");
  CHECK(host.commands[1].name == "p.run");
  CHECK(host.commands[1].timeout == 1500ms);
  CHECK_FALSE(host.commands[1].parameters.at(0).default_value);
  CHECK(host.stop() == 0);
}

TEST_CASE("sdk plugin: declarations that cannot work are refused") {
  one_command plugin{get_a};
  CHECK_THROWS_WITH_AS(plugin.command(command_spec{"run"}, get_a),
                       "the command \"p.run\" is declared twice", std::invalid_argument);
  for (const auto* wrong : {"", "Run", ".run", "run.", "a..b", "a b"})
    CHECK_THROWS_AS(plugin.command(command_spec{wrong}, get_a), std::invalid_argument);
  CHECK_THROWS_WITH_AS(plugin.command(command_spec{"idle"}, nullptr),
                       "the command \"idle\" has no function", std::invalid_argument);
  parameter_spec maybe;
  maybe.name = "maybe";
  maybe.default_value = value{};
  CHECK_THROWS_WITH_AS(plugin.command(command_spec{"guess"}.param(maybe), get_a),
                       "the default of \"maybe\" cannot be nil; use an empty value of its type",
                       std::invalid_argument);
}

TEST_CASE(
    "sdk plugin: a command is announced as running once at a time unless its author says "
    "otherwise") {
  one_command plugin{get_a};
  plugin.command(command_spec{"wide"}.with_concurrency(8, 10), get_a);
  sdk::test_host host{plugin};
  CHECK(host.commands.at(0).concurrency == 1);
  CHECK(host.commands.at(0).queue == command_spec{}.queue);  // a burst waits at the node
  CHECK(host.commands.at(1).concurrency == 8);
  CHECK(host.commands.at(1).queue == 10);
}

TEST_CASE("sdk plugin: a command works with the context") {
  one_command plugin{[](const arguments& given, sdk::call& call) -> result<value> {
    auto& context = call.context();
    CHECK(context.set(path{"/d/new"}, given.get<value>("what"), durability::memory).has_value());
    CHECK(context.erase(path{"/d/old"}).has_value());
    const auto page = context.list(path{"/d"}, path{"/d/a"}, 1);
    std::vector<value> seen{page.value().more, page->entries.at(0).path.text()};
    const auto all = context.for_each(path{"/d"}, [&](const context_entry& entry) {
      seen.push_back(entry.path.text());
      return true;
    });
    CHECK(all.has_value());
    seen.push_back(context.get(path{"/d/old"}).value().has_value());
    return value::array(seen);
  }};
  const sdk::memory_context before{
      {path{"/d/old"}, 1}, {path{"/d/a"}, 2}, {path{"/d/a/b"}, 3}, {path{"/da"}, 4}};
  sdk::test_host host{plugin, {.context = before}};
  CHECK(host.execute("p.run", {{"what", value{17}}})->to_json() ==
        R"([true,"/d/a/b","/d/a","/d/a/b","/d/new",false])");
  CHECK(host.context.at(path{"/d/new"}) == value{17});
  CHECK_FALSE(host.context.contains(path{"/d/old"}));
}

TEST_CASE(
    "sdk plugin: a visit of many entries goes page by page and ends when the visitor says so") {
  sdk::memory_context context;
  for (int i = 0; i < 2500; ++i) context[path{"/n/" + std::to_string(i)}] = i;
  one_command plugin{[](const arguments& given, sdk::call& call) -> result<value> {
    std::int64_t visited = 0;
    const auto most = given.get<std::int64_t>("most");
    auto done =
        call.context().for_each(path{"/n"}, [&](const context_entry&) { return ++visited < most; });
    if (!done) return fail(done.error());
    return visited;
  }};
  sdk::test_host host{plugin, {.context = std::move(context)}};
  CHECK(host.execute("p.run", {{"most", 9999}}) == value{2500});
  CHECK(host.execute("p.run", {{"most", 1500}}) == value{1500});
}

TEST_CASE("sdk plugin: a node that promises entries for ever is not believed") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    auto done = call.context().for_each(path{}, [](const context_entry&) { return true; });
    if (!done) return fail(done.error());
    return nullptr;
  }};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  const auto empty_page = value::map({{"entries", value::array({})}, {"more", true}});
  host.send(answer_frame(receive_request(host, "context.list"), empty_page));
  CHECK(host.wait(running).error().code == error_code::internal);
}

TEST_CASE("sdk plugin: a denied call carries its code") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    std::vector<value> codes;
    const auto note = [&](const auto& outcome) {
      codes.push_back(to_string(outcome.error().code));
    };
    note(call.context().get(path{"/secret/key"}));
    note(call.context().set(path{"/secret"}, 1));
    note(call.context().erase(path{"/secret/key"}));
    note(call.context().list(path{"/secret"}));
    note(call.context().for_each(path{"/secret"}, [](const context_entry&) { return true; }));
    return value::array(codes);
  }};
  sdk::test_host host{plugin, {.denied = {path{"/secret"}}}};
  const value denied{"permission_denied"};
  CHECK(host.execute("p.run") == value::array({denied, denied, denied, denied, denied}));
}

TEST_CASE("sdk plugin: the error of a refused call whose value is taken anyway is the command's") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    return call.context().get(path{"/secret/key"}).value().value_or("nothing");
  }};
  sdk::test_host host{plugin, {.denied = {path{"/secret"}}}};
  CHECK(host.execute("p.run").error() ==
        error{error_code::permission_denied, "the plugin may not touch \"/secret/key\"", {}});
}

TEST_CASE("sdk plugin: a command may run others") {
  one_command plugin{[](const arguments& given, sdk::call& call) {
    return call.execute(given.get<std::string>("which"), {{"n", 21}});
  }};
  sdk::test_host host{plugin,
                      {.commands = {{"math.double", [](const arguments& given) -> result<value> {
                                       return given.get<std::int64_t>("n") * 2;
                                     }}}}};
  CHECK(host.execute("p.run", {{"which", "math.double"}}) == value{42});
  CHECK(host.execute("p.run", {{"which", "math.none"}}).error().code == error_code::not_found);
}

TEST_CASE("sdk plugin: a command sees its caller, the time left and the node") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    const auto left = call.remaining();
    return value::array({call.command(), call.principal(), call.host().node_name,
                         to_string(call.host().node), left ? value{left->count()} : value{},
                         call.trace().is_nil()});
  }};
  sdk::test_host host{plugin,
                      {.node_name = "stage", .principal = "Ada", .clock = [] { return start; }}};
  CHECK(host.execute("p.run", {}, 5000ms)->to_json() ==
        R"(["p.run","Ada","stage","74657374-0000-4000-8000-000000000001",5000,true])");
  CHECK(host.execute("p.run")->elements().at(4).is_nil());
}

TEST_CASE(
    "sdk plugin: what a command throws or cannot send becomes an error, and the plugin lives on") {
  one_command plugin{[](const arguments& given, sdk::call&) -> result<value> {
    const auto how = given.get<std::string>("how");
    if (how == "throw") throw std::runtime_error{"bad"};
    if (how == "throw 5") throw 5;
    if (how == "choose")
      return fail(error_code::already_exists, "taken", value::map({{"by", "x"}}).msgpack());
    if (how == "large") return std::string(std::size_t{9} << 20, 'x');
    return how;
  }};
  const captured_stderr log;
  sdk::test_host host{plugin};
  const auto failure = [&](const char* how) {
    return host.execute("p.run", {{"how", how}}).error();
  };
  CHECK(failure("throw") == error{error_code::handler_failed, "p.run failed: bad", {}});
  CHECK(log.text() == "plugin p: handler_failed: p.run failed: bad\n");
  CHECK(failure("throw 5").code == error_code::handler_failed);
  CHECK(failure("choose") ==
        error{error_code::already_exists, "taken", value::map({{"by", "x"}}).msgpack()});
  CHECK(failure("large").code == error_code::limit_exceeded);
  CHECK(host.execute("p.run").error().code ==
        error_code::handler_failed);  // its argument is missing
  CHECK(host.execute("p.ran").error().message ==
        "\"p.ran\" is not a command of this plugin; it has p.run");
  CHECK(host.execute("p.run", {{"how", "well"}}) == value{"well"});
  host.ping();
}

TEST_CASE("sdk plugin: commands that are not well formed are answered") {
  one_command plugin{get_a};
  sdk::test_host host{plugin};
  for (const auto* text :
       {R"({"command":5,"arguments":{},"principal":"x"})", R"({"arguments":{},"principal":"x"})",
        R"({"command":"p.run","arguments":[],"principal":"x"})"}) {
    const auto id = host.request("command.execute", value::from_json(text)->msgpack());
    CHECK(host.wait(id).error().code == error_code::invalid_argument);
  }
}

TEST_CASE("sdk plugin: logs reach the node") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    CHECK(call.log(log_severity::warning, "careful").has_value());
    CHECK(call.log(log_severity::info, "half a character: \xc3").has_value());
    return nullptr;
  }};
  sdk::test_host host{plugin};
  CHECK(host.execute("p.run")->is_nil());
  REQUIRE(host.logs.size() == 2);
  CHECK(host.logs[0] == std::pair{log_severity::warning, std::string{"careful"}});
  CHECK(host.logs[1] == std::pair{log_severity::info, std::string{"half a character: ?"}});
}

TEST_CASE("sdk plugin: a call cannot outlive its command by a copy") {
  CHECK_FALSE(std::is_copy_constructible_v<sdk::call>);
  CHECK_FALSE(std::is_copy_assignable_v<sdk::call>);
  CHECK_FALSE(std::is_copy_constructible_v<sdk::context_access>);
}
