#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <troupe/plugins/unique_fd.hpp>
#include <troupe/tests/support/captured_stderr.hpp>
#include <troupe/tests/support/fixtures/sdk_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

/// Answers `session.open` of a host that was opened by hand, with these fields in place of good
/// ones.
void open_by_hand(sdk::test_host& host, std::vector<value::member> changed = {}) {
  const auto asked = rpc::parse(host.receive());
  const std::vector<value::member> needed{{"protocol", 1},
                                          {"node", value::binary(std::string(16, 'n'))}};
  for (const auto& [name, good] : needed)
    if (std::ranges::find(changed, name, &value::member::first) == changed.end())
      changed.emplace_back(name, good);
  host.send(answer_frame(std::get<rpc::request>(*asked).id, value::map(std::move(changed))));
}

}  // namespace

TEST_CASE(
    "sdk plugin: a waiting command lets pings through, and what it asks carries deadline and "
    "trace") {
  one_command plugin{get_a};
  sdk::test_host host{plugin, {.clock = [] { return start; }}};
  const auto trace = value::binary(std::string(16, 't'));
  host.send(execute_frame(100, {{"trace", trace}, {"deadline_ms", 700}}));
  const auto first = host.receive();
  CHECK(json(first).find(R"("method")") == std::string::npos);
  const auto asked = std::get<rpc::request>(*rpc::parse(first));
  const auto params = value::from_msgpack(asked.params).value();
  CHECK(params.find("path") == value{"/a"});
  CHECK(params.find("deadline_ms") == value{700});
  CHECK(params.find("trace") == trace);
  host.send(execute_frame(101) + request_frame(102, "ping"));
  CHECK(json(host.receive()) == "[1,102,null,null]");
  host.send(answer_frame(asked.id, an_answer));
  CHECK(json(host.receive()) == "[1,100,null,5]");
  const auto second = host.receive();
  const auto next = std::get<rpc::request>(*rpc::parse(second));
  CHECK(value::from_msgpack(next.params)->find("deadline_ms") == value{10'000});
  CHECK_FALSE(value::from_msgpack(next.params)->find("trace"));
  host.send(answer_frame(next.id, value::map({{"found", false}})));
  CHECK(json(host.receive()) == R"([1,101,null,"nothing"])");
}

TEST_CASE(
    "sdk plugin: a command that is cancelled learns of it while it waits, and can ask no more") {
  one_command plugin{[](const arguments& given, sdk::call& call) -> result<value> {
    const auto got = get_a(given, call);
    CHECK(got.error().code == error_code::cancelled);
    return get_a(given, call);
  }};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  receive_request(host, "context.get");
  host.cancel(running);
  CHECK(host.wait(running).error().code == error_code::cancelled);
}

TEST_CASE(
    "sdk plugin: a computation can look whether it is cancelled, and pings are answered "
    "meanwhile") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    while (!call.cancelled()) {
    }
    return "stopped early";
  }};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  host.ping();
  host.cancel(running);
  CHECK(host.wait(running) == value{"stopped early"});
}

TEST_CASE("sdk plugin: a computation learns that the plugin is to stop") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    while (!call.cancelled()) {
    }
    return "stopped early";
  }};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  host.ping();  // it runs
  CHECK(host.stop() == 0);
  CHECK(host.wait(running) == value{"stopped early"});
}

TEST_CASE("sdk plugin: a computation ends when the node is gone") {
  std::atomic<bool> ended = false;
  one_command plugin{[&](const arguments&, sdk::call& call) -> result<value> {
    while (!call.cancelled()) {
    }
    ended = true;
    return nullptr;
  }};
  sdk::test_host host{plugin};
  host.begin("p.run");
  CHECK(host.hang_up() == 0);
  CHECK(ended);
}

TEST_CASE("sdk plugin: answers that come too late are not taken for others") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    CHECK(call.context().get(path{"/a"}, 1ms).error().code == error_code::deadline_exceeded);
    CHECK(call.context().get(path{"/a"}, 0ms).error().code == error_code::deadline_exceeded);
    return call.context().get(path{"/b"}).value().value();
  }};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  const auto late = receive_request(host, "context.get");
  CHECK(json(host.receive()) ==
        json(notification_frame("cancel", value::map({{"msgid", late}}).msgpack())));
  const auto right = receive_request(host, "context.get");
  host.send(answer_frame(late, an_answer) +
            answer_frame(right, value::map({{"found", true}, {"value", "right"}})));
  CHECK(host.wait(running) == value{"right"});
}

TEST_CASE("sdk plugin: the deadline of a command bounds what it asks") {
  std::atomic<std::int64_t> passed_ms = 0;
  one_command plugin{get_a};
  sdk::test_host host{plugin,
                      {.clock = [&] { return start + std::chrono::milliseconds{passed_ms}; }}};
  const auto running = host.begin("p.run", {}, 500ms);
  receive_request(host, "context.get");
  passed_ms = 500;
  host.ping();  // it wakes up and looks at the clock
  CHECK(host.wait(running).error().code == error_code::deadline_exceeded);
}

TEST_CASE(
    "sdk plugin: a timeout of any length is one; more than a day is a day, and less than nothing "
    "is nothing") {
  one_command plugin{[](const arguments& given, sdk::call& call) -> result<value> {
    return call.context()
        .get(path{"/a"}, std::chrono::milliseconds{given.get<std::int64_t>("ms")})
        .value()
        .value();
  }};
  sdk::test_host host{plugin, {.clock = [] { return start; }}};
  const auto running = host.begin("p.run", {{"ms", std::chrono::milliseconds::max().count()}});
  const auto bytes = host.receive();
  const auto asked = std::get<rpc::request>(*rpc::parse(bytes));
  CHECK(value::from_msgpack(asked.params)->find("deadline_ms") == value{86'400'000});
  host.send(answer_frame(asked.id, an_answer));
  CHECK(host.wait(running) == value{5});
  CHECK(host.execute("p.run", {{"ms", std::chrono::milliseconds::min().count()}}).error().code ==
        error_code::deadline_exceeded);
}

TEST_CASE("sdk plugin: a command whose deadline passed in the queue does not run") {
  std::atomic<std::int64_t> passed_ms = 0;
  one_command plugin{get_a};
  sdk::test_host host{plugin,
                      {.clock = [&] { return start + std::chrono::milliseconds{passed_ms}; }}};
  const auto first = host.begin("p.run");
  const auto asked = receive_request(host, "context.get");
  const auto second = host.begin("p.run", {}, 500ms);
  host.ping();  // it has arrived: its deadline has begun to run
  passed_ms = 500;
  host.send(answer_frame(asked, an_answer));
  CHECK(host.wait(first) == value{5});
  CHECK(host.wait(second).error().message ==
        "the deadline of p.run passed while it waited for its turn");
}

TEST_CASE("sdk plugin: stop lets the running command finish") {
  one_command plugin{get_a};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  const auto asked = receive_request(host, "context.get");
  const auto queued = host.begin("p.run");
  const auto stopping = host.request("plugin.stop");
  CHECK(host.wait(queued).error().code == error_code::unavailable);
  host.send(answer_frame(asked, an_answer));
  CHECK(host.wait(running) == value{5});
  CHECK(host.wait(stopping)->is_nil());
  CHECK_THROWS_WITH_AS(host.receive(), "the plugin closed its socket", std::runtime_error);
  CHECK(host.hang_up() == 0);
}

TEST_CASE("sdk plugin: an answer of the node that is none of its kind is an error") {
  one_command plugin{get_a};
  sdk::test_host host{plugin};
  for (const value& wrong : {value{}, value::map({}), value::map({{"found", 1}})}) {
    const auto running = host.begin("p.run");
    host.send(answer_frame(receive_request(host, "context.get"), wrong));
    CHECK(host.wait(running).error().code == error_code::internal);
  }
}

TEST_CASE("sdk plugin: the end of the socket ends it quietly, also while a command waits") {
  const captured_stderr log;
  one_command plugin{get_a};
  {
    sdk::test_host host{plugin};
    CHECK(host.hang_up() == 0);
  }
  sdk::test_host host{plugin};
  host.begin("p.run");
  receive_request(host, "context.get");
  CHECK(host.hang_up() == 0);
  CHECK(log.text().empty());
}

TEST_CASE("sdk plugin: a malformed frame ends it with one line, also while a command waits") {
  one_command plugin{get_a};
  for (const bool waiting : {false, true}) {
    const captured_stderr log;
    sdk::test_host host{plugin};
    if (waiting) {
      host.begin("p.run");
      receive_request(host, "context.get");
    }
    host.send("\xc1");
    CHECK_THROWS_AS(host.receive(), std::runtime_error);
    CHECK(host.hang_up() == 1);
    CHECK(log.text().starts_with("plugin p: protocol_violation: the node broke the protocol: "));
    CHECK(std::ranges::count(log.text(), '\n') == 1);
  }
}

TEST_CASE("sdk plugin: a node that writes before it reads does not block it") {
  const std::string text(std::size_t{4} << 20, 'x');
  one_command plugin{[&](const arguments&, sdk::call&) -> result<value> { return text; }};
  sdk::test_host host{plugin};
  const auto large = host.begin("p.run");
  std::vector<std::uint32_t> others;
  for (int i = 0; i < 3000; ++i)  // more than the socket's buffers hold
    others.push_back(host.begin("p.none", {{"ballast", std::string(2000, 'y')}}));
  CHECK(host.wait(large)->as_string()->size() == text.size());
  for (const auto id : others) {
    const auto code = host.wait(id).error().code;
    CHECK((code == error_code::not_found || code == error_code::overloaded));
  }
}

TEST_CASE("sdk plugin: a refused or foreign session ends it with the reason") {
  one_command plugin{get_a};
  const captured_stderr log;
  {
    sdk::test_host host{plugin, {}, sdk::test_host::opening::by_hand};
    host.send(failure_frame(receive_request(host, "session.open"),
                            {error_code::version_mismatch, "speak 2", {}}));
    CHECK_THROWS_AS(host.receive(), std::runtime_error);
    CHECK(host.hang_up() == 1);
    CHECK(log.text() == "plugin p: version_mismatch: speak 2\n");
  }
  for (const auto& wrong :
       std::vector<value::member>{{"protocol", 2}, {"protocol", "1"}, {"node", "x"}}) {
    sdk::test_host host{plugin, {}, sdk::test_host::opening::by_hand};
    open_by_hand(host, {wrong});
    CHECK_THROWS_AS(host.receive(), std::runtime_error);
    CHECK(host.hang_up() == 1);
  }
  CHECK(log.text().find("protocol 2") != std::string::npos);
  CHECK(log.text().find("session.open: node must be an id") != std::string::npos);
}

TEST_CASE("sdk plugin: the node's fields that are not needed may be missing") {
  one_command plugin{
      [](const arguments&, sdk::call& call) -> result<value> { return call.host().node_name; }};
  sdk::test_host host{plugin, {}, sdk::test_host::opening::by_hand};
  open_by_hand(host);
  CHECK(host.execute("p.run") == value{""});
}

TEST_CASE(
    "sdk connection: what is sent to a node that has gone fails, and so does everything after it") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  sdk::connection node{unique_fd{ends[0]}, std::chrono::steady_clock::now};
  ::close(ends[1]);
  REQUIRE(node.session().notify("log", rpc::no_params));
  CHECK(node.drain().error().code == error_code::unavailable);
  CHECK(node.turn(std::nullopt).error().code == error_code::unavailable);
  CHECK(node.ask("context.get", rpc::no_params, 1s, nullptr).error().code ==
        error_code::unavailable);
  CHECK(node.end()->code == error_code::unavailable);
}

TEST_CASE("sdk plugin: the socket comes as an inherited descriptor, and children do not get it") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const unique_fd ours{ends[0]};
  const auto ping = request_frame(1, "ping");
  REQUIRE(::send(ours.get(), ping.data(), ping.size(), 0) == static_cast<ssize_t>(ping.size()));
  REQUIRE(::shutdown(ours.get(), SHUT_WR) == 0);
  REQUIRE(::setenv("TROUPE_SOCKET", std::to_string(ends[1]).c_str(), 1) == 0);
  one_command plugin{get_a};
  CHECK(plugin.run() == 0);
  CHECK(::fcntl(ends[1], F_GETFD) == -1);  // it was taken over and closed
  ::unsetenv("TROUPE_SOCKET");
}

TEST_CASE("sdk plugin: started by hand it says what is missing") {
  const captured_stderr log;
  one_command plugin{get_a};
  for (const auto* wrong : {"", "x", "3x", "-1", "99999999999999999999", "4000"}) {
    ::setenv("TROUPE_SOCKET", wrong, 1);
    CHECK(plugin.run() == 1);
  }
  ::unsetenv("TROUPE_SOCKET");
  CHECK(log.text().find("a plugin is started by a Troupe node; TROUPE_SOCKET is \"3x\"") !=
        std::string::npos);
}
