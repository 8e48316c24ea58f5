// Calls over a link, and how it ends.

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <ranges>
#include <thread>

#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/link_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

// -- calls to the other side ----------------------------------------------------------------------

TEST_CASE_FIXTURE(
    link_fixture,
    "a call reaches the other side with deadline and trace, and its answer comes back") {
  auto peer = connect(principal_kind::plugin);
  const trace_id trace{random_uuid()};
  auto asked = call("command.execute", 3s, value::map({{"command", "greet"}}), trace);
  const auto heard = peer.expect_request("command.execute");
  CHECK(heard.as<rpc::envelope>().deadline == 3s);
  CHECK(heard.as<rpc::envelope>().trace == trace);
  CHECK(heard.as<execute_request>().command == "greet");
  peer.respond(heard.id, value{"hello"}.msgpack());
  CHECK(asked.value() == payload{{value{"hello"}.msgpack()}});
}

TEST_CASE_FIXTURE(link_fixture, "replies may come in any order") {
  auto peer = connect(principal_kind::plugin);
  auto a = call("a");
  const auto first = peer.expect_request("a");
  auto b = call("b");
  const auto second = peer.expect_request("b");
  peer.respond(second.id, value{2}.msgpack());
  peer.respond(first.id, value{1}.msgpack());
  CHECK(a.value() == payload{{value{1}.msgpack()}});
  CHECK(b.value() == payload{{value{2}.msgpack()}});
}

TEST_CASE_FIXTURE(link_fixture, "the error of the other side is the error of the call") {
  auto peer = connect(principal_kind::plugin);
  auto asked = call("a");
  const error why{error_code::handler_failed, "no such note", value::map({{"note", 7}}).msgpack()};
  peer.refuse(peer.expect_request("a").id, why);
  CHECK(asked.get().error() == why);
}

TEST_CASE_FIXTURE(
    link_fixture,
    "a call that is not answered ends at its deadline, and the other side gets a cancel") {
  auto peer = connect(principal_kind::plugin);
  auto asked = call("a", 50ms);
  const auto heard = peer.expect_request("a");
  CHECK(asked.code() == error_code::deadline_exceeded);
  const auto cancelled = value::from_msgpack(peer.expect_notification("cancel").bytes).value();
  CHECK(cancelled.find("msgid") == value{heard.id});
  // A late reply does no harm.
  peer.respond(heard.id);
  auto again = call("b");
  peer.respond(peer.expect_request("b").id);
  CHECK(again.get());
}

TEST_CASE_FIXTURE(link_fixture, "a call without time left is not made") {
  auto peer = connect(principal_kind::plugin);
  CHECK(call("a", 0ms).code() == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(link_fixture, "more calls than may be in flight are refused as overloaded") {
  link_limits narrow;
  narrow.in_flight = 1;
  auto peer = connect(principal_kind::plugin, {}, narrow);
  auto first = call("a");
  const auto heard = peer.expect_request("a");
  CHECK(call("b").code() == error_code::overloaded);
  peer.respond(heard.id);
  CHECK(first.get());
}

TEST_CASE_FIXTURE(link_fixture, "a notification is sent, and acknowledged when it is on its way") {
  auto peer = connect(principal_kind::peer);
  CHECK(system.ask<void>(link, notify_remote{"sync.ack", {std::string{rpc::no_params}}}).get());
  CHECK(peer.expect_notification("sync.ack").bytes == rpc::no_params);
}

TEST_CASE_FIXTURE(link_fixture,
                  "a side that does not read is overloaded, not buffered for without end") {
  link_limits narrow;
  narrow.output_bytes = 100'000;
  auto peer = connect(principal_kind::peer, {}, narrow);
  const notify_remote notification{"sync.ack",
                                   {value::map({{"x", std::string(50'000, 'x')}}).msgpack()}};
  error_code outcome = error_code::none;
  for (int i = 0; i < 1000 && outcome == error_code::none; ++i)
    outcome = system.ask<void>(link, notification).code();
  CHECK(outcome == error_code::overloaded);
  // It reads, and there is room again.
  CHECK(eventually([&] {
    peer.expect_notification("sync.ack");
    return system.ask<void>(link, notification).code() == error_code::none;
  }));
}

// -- the end of a link ----------------------------------------------------------------------------

TEST_CASE_FIXTURE(link_fixture,
                  "a link that is closed sends what it has, and its open calls are answered") {
  auto peer = connect(principal_kind::peer);
  auto ended = end_of(link);
  auto open = call("a");
  peer.expect_request("a");
  const auto much = value::map({{"x", std::string(50'000, 'x')}}).msgpack();
  REQUIRE(system.ask<void>(link, notify_remote{"sync.ack", {much}}).get());
  tell(link, close_link{"enough"});
  CHECK(open.code() == error_code::unavailable);
  CHECK(open.problem() == "enough");
  CHECK(peer.expect_notification("sync.ack").bytes == much);
  CHECK(peer.sees_the_end());
  CHECK(ended.problem() == "enough");
  CHECK(log.contains("link.closed link=\"test\" reason=\"enough\""));
}

TEST_CASE_FIXTURE(link_fixture, "a peer learns why its link is closed, a client does not") {
  for (const auto kind : {principal_kind::peer, principal_kind::client}) {
    auto peer = connect(kind);
    tell(link, close_link{"enough"});
    const auto told = peer.next([](const heard_frame& f) { return f.method == "session.closed"; });
    REQUIRE(told.has_value() == (kind == principal_kind::peer));
    if (told) CHECK(value::from_msgpack(told->bytes)->find("reason") == value{"enough"});
    CHECK(peer.sees_the_end());
  }
}

TEST_CASE_FIXTURE(
    link_fixture,
    "the reason that a peer sends before it closes is why the link ends, cut and fit for the log") {
  auto peer = connect(principal_kind::peer);
  auto ended = end_of(link);
  peer.notify("session.closed",
              value::map({{"reason", "copied\nforged " + std::string(10'000, 'x')}}).msgpack());
  CHECK(ended.code() == error_code::unavailable);
  CHECK(ended.problem().starts_with("the other side closed the link: copied\nforged xxx"));
  CHECK(ended.problem().size() < 600);
  CHECK(log.contains("the other side closed the link: copied\\x0aforged"));
  auto odd = connect(principal_kind::peer);
  auto odd_ended = end_of(link);
  odd.notify("session.closed");
  CHECK(odd_ended.code() == error_code::invalid_argument);
}

TEST_CASE_FIXTURE(link_fixture, "what is asked of a link that has ended is answered unavailable") {
  auto peer = connect(principal_kind::peer);
  auto ended = end_of(link);
  tell(link, close_link{"enough"});
  (void)ended.get();
  CHECK(call("a").code() == error_code::unavailable);
  CHECK(system.ask<void>(link, notify_remote{"sync.ack", {std::string{rpc::no_params}}}).code() ==
        error_code::unavailable);
}

namespace {

auto open_descriptors() {
  return std::ranges::distance(std::filesystem::directory_iterator{"/proc/self/fd"});
}

}  // namespace

TEST_CASE_FIXTURE(link_fixture, "a link ends although its other side never reads what was sent") {
  const auto before = open_descriptors();
  auto peer = connect(principal_kind::peer);
  auto ended = end_of(link);
  const notify_remote notification{"sync.ack",
                                   {value::map({{"x", std::string(1'000'000, 'x')}}).msgpack()}};
  for (int i = 0; i < 8; ++i) REQUIRE(system.ask<void>(link, notification).get());
  tell(link, close_link{"enough"});
  (void)ended.get();
  CHECK(eventually([&] { return open_descriptors() == before + 1; }));
}

TEST_CASE_FIXTURE(link_fixture,
                  "a link that is closed as soon as it has begun keeps nothing open") {
  const auto before = open_descriptors();
  std::vector<raw_peer> peers;
  for (int i = 0; i < 50; ++i) {
    peers.push_back(connect(principal_kind::client));
    auto ended = end_of(link);
    if (i % 2 == 0)
      tell(link, close_link{"enough"});
    else
      dismiss(link);
    (void)ended.get();
  }
  CHECK(eventually([&] { return open_descriptors() == before + 50; }));
}

TEST_CASE_FIXTURE(link_fixture,
                  "a link that has ended keeps nothing open, even when the other side does") {
  const auto before = open_descriptors();
  std::vector<raw_peer> peers;
  for (int i = 0; i < 5; ++i) {
    peers.push_back(connect(principal_kind::client));
    auto ended = end_of(link);
    peers.back().send("\xc1");
    (void)ended.get();
  }
  // What is left are the test's own ends.
  CHECK(eventually([&] { return open_descriptors() == before + 5; }));
}

TEST_CASE_FIXTURE(
    link_fixture,
    "when the other side closes, open calls are answered unavailable and the link ends") {
  auto peer = connect(principal_kind::peer);
  auto ended = end_of(link);
  auto open = call("a");
  peer.expect_request("a");
  peer.close();
  CHECK(open.code() == error_code::unavailable);
  CHECK(ended.code() == error_code::unavailable);
  CHECK(log.contains("link.closed link=\"test\""));
}

TEST_CASE_FIXTURE(link_fixture,
                  "a malformed frame ends the link with a log event, and open calls are answered") {
  for (const auto& bytes :
       {std::string{"\xc1"}, std::string{"\x93\x07\x01\xa1m"}, value{"no frame"}.msgpack()}) {
    auto peer = connect(principal_kind::client);
    auto ended = end_of(link);
    auto open = call("a");
    peer.expect_request("a");
    peer.send(bytes);
    CHECK(open.code() != error_code::none);
    CHECK(peer.sees_the_end());
    CHECK_FALSE(ended.get());
  }
  CHECK(log.count("link.ended link=\"test\"") == 3);
}

TEST_CASE_FIXTURE(link_fixture,
                  "a frame that promises more than the bound ends the link before it arrives") {
  link_limits narrow;
  narrow.codec.frame_bytes = 1000;
  auto peer = connect(principal_kind::client, {}, narrow);
  peer.send(std::string{"\x94\x00\x01\xdb\x7f\xff\xff\xff", 8});
  CHECK(peer.sees_the_end());
  CHECK(log.contains("link.ended"));
}

TEST_CASE_FIXTURE(link_fixture, "half a message that does not go on ends the link") {
  link_limits hasty;
  hasty.half_frame = 50ms;
  auto peer = connect(principal_kind::client, {}, hasty);
  peer.send("\x94");
  CHECK(peer.sees_the_end());
  CHECK(log.contains("code=protocol_violation"));
}

TEST_CASE_FIXTURE(link_fixture, "a silent other side is found out by pings") {
  link_limits alert;
  alert.ping_interval = 20ms;
  alert.silence = 50ms;
  auto peer = connect(principal_kind::peer, {}, alert);
  CHECK(peer.expect_request("ping").method == "ping");
  CHECK(peer.sees_the_end());
  CHECK(log.contains("nothing was heard for 50 ms"));
}

TEST_CASE_FIXTURE(link_fixture, "an other side that answers pings keeps its link") {
  link_limits alert;
  alert.ping_interval = 20ms;
  alert.silence = 1500ms;
  auto peer = connect(principal_kind::peer, {}, alert);
  for (int i = 0; i < 3; ++i) peer.respond(peer.expect_request("ping").id);
  auto asked = call("a");
  peer.respond(peer.expect_request("a").id);
  CHECK(asked.get());
}

TEST_CASE_FIXTURE(link_fixture, "pings are answered by the link itself") {
  auto peer = connect(principal_kind::client);
  CHECK(peer.call("ping").failure.code == error_code::none);
}
