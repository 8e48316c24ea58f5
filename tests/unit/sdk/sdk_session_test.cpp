#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <rapidcheck.h>

#include <troupe/plugins/sdk/cpp/session.hpp>
#include <troupe/tests/support/fixtures/sdk_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

/// All that the session wants to send, one JSON text for each frame.
std::vector<std::string> said(sdk::session& session) {
  sdk::frame_buffer buffer;
  buffer.append(session.outgoing());
  session.sent(session.outgoing().size());
  std::vector<std::string> frames;
  for (auto frame = buffer.next(); frame.has_value() && !frame->empty(); frame = buffer.next())
    frames.push_back(json(*frame));
  return frames;
}

/// The codes of the errors that the session wants to send.
std::vector<std::string> refusals(sdk::session& session) {
  std::vector<std::string> codes;
  for (const auto& frame : said(session))
    codes.push_back(
        std::string{*value::from_json(frame)->elements().at(2).elements().at(0).as_string()});
  return codes;
}

std::string violation(std::string_view bytes) {
  sdk::session session;
  const auto received = session.receive(bytes, start);
  REQUIRE_FALSE(received);
  return to_string(received.error());
}

value nested(int depth) {
  value made;
  for (; depth > 0; --depth) made = value::array({made});
  return made;
}

}  // namespace

TEST_CASE("sdk session: a frame may arrive byte by byte") {
  sdk::session session;
  const auto ping = request_frame(7, "ping");
  for (const char byte : ping.substr(0, ping.size() - 1))
    REQUIRE(session.receive({&byte, 1}, start));
  CHECK(session.outgoing().empty());
  REQUIRE(session.receive(ping.substr(ping.size() - 1) + ping.substr(0, 3), start));
  CHECK(said(session) == std::vector<std::string>{"[1,7,null,null]"});
}

TEST_CASE("sdk session: however the bytes are cut up, the same is understood") {
  CHECK(rc::check([](const std::vector<std::uint8_t>& cuts) {
    const std::string bytes = execute_frame(1) + request_frame(2, "ping") + execute_frame(3) +
                              cancel_frame(3) + request_frame(4, "no.such") +
                              request_frame(5, "plugin.stop") + execute_frame(6);
    sdk::session whole, pieces;
    RC_ASSERT(whole.receive(bytes, start).has_value());
    std::size_t at = 0;
    for (const auto cut : cuts) {
      RC_ASSERT(pieces.receive(std::string_view{bytes}.substr(at, cut), start).has_value());
      at = std::min(bytes.size(), at + cut);
    }
    RC_ASSERT(pieces.receive(std::string_view{bytes}.substr(at), start).has_value());
    RC_ASSERT(said(whole).size() == 5);
    RC_ASSERT(whole.next_request()->method == "plugin.stop");
    RC_ASSERT(pieces.next_request()->method == "plugin.stop");
    RC_ASSERT(said(pieces).size() == 5);
  }));
}

TEST_CASE("sdk session: bytes that are no msgpack end it") {
  CHECK(violation("\xc1").find("0xc1") != std::string::npos);
  CHECK(violation("\x93\x02\xa1\xff\x90").find("UTF-8") != std::string::npos);
  CHECK(violation(std::string_view{"\x93\x02\xa1x\xc7\x00\x05", 7}).find("extension") !=
        std::string::npos);
  CHECK(violation(std::string(100, '\x91')).find("nesting") != std::string::npos);
}

TEST_CASE("sdk session: messages that are no frames end it") {
  for (const auto* text :
       {"7", "[]", "{}", R"(["x"])", R"([3,1,"m",[]])", R"([0,1,"ping"])", R"([2,"m",[],[]])",
        R"([0,"1","ping",[{}]])", R"([0,-1,"ping",[{}]])", R"([0,4294967296,"ping",[{}]])",
        "[0,1,5,[{}]]", R"([0,1,"ping",{}])", R"([0,1,"ping",[{},{}]])", R"([0,1,"ping",[1]])",
        "[2,null,[{}]]", "[1,null,null,null]", R"([1,1,"no",null])",
        R"([1,1,["not_found"],null])"}) {
    CAPTURE(text);
    CHECK(violation(value::from_json(text)->msgpack()).starts_with("protocol_violation: "));
  }
}

TEST_CASE("sdk session: a frame beyond the limits ends it, and no length is believed") {
  CHECK(violation(std::string_view{"\x93\x02\xa1x\xdb\xff\xff\xff\xff", 9})
            .starts_with("limit_exceeded"));
  CHECK(violation(std::string_view{"\xdd\xff\xff\xff\xff", 5}).starts_with("limit_exceeded"));
  sdk::session_limits limits;
  limits.frames.frame_bytes = 64;
  sdk::session session{limits};
  REQUIRE(session.receive(
      notification_frame("x", value::map({{"v", std::string(40, 'x')}}).msgpack()), start));
  CHECK_FALSE(session.receive(
      notification_frame("x", value::map({{"v", std::string(80, 'x')}}).msgpack()), start));
}

TEST_CASE("sdk session: what is too large, too deep or no UTF-8 is not sent") {
  sdk::session_limits limits;
  limits.frames.frame_bytes = 200;
  sdk::session session{limits};
  CHECK(session.respond(1, value{std::string(300, 'x')}.msgpack()).error().code ==
        error_code::limit_exceeded);
  CHECK(session.respond(1, nested(64).msgpack()).error().code == error_code::limit_exceeded);
  CHECK(session.notify("\xff", rpc::no_params).error().code == error_code::invalid_argument);
  CHECK(session.request("\xff", rpc::no_params).error().code == error_code::invalid_argument);
  CHECK(session.outgoing().empty());
  CHECK(session.respond(1, nested(63).msgpack()));
}

TEST_CASE("sdk session: a failure is always answered, if need be without its words") {
  sdk::session_limits limits;
  limits.frames.frame_bytes = 200;
  sdk::session session{limits};
  session.respond_failure(1, {error_code::not_found, "gone", value::map({{"x", 1}}).msgpack()});
  CHECK(said(session) == std::vector<std::string>{R"([1,1,["not_found","gone",{"x":1}],null])"});
  session.respond_failure(1, {error_code::not_found, std::string(300, 'x'), {}});
  session.respond_failure(1, {error_code::already_exists, "\xff", {}});
  session.respond_failure(1, {error_code::none, "", {}});
  CHECK(refusals(session) == std::vector<std::string>{"not_found", "already_exists", "internal"});
}

TEST_CASE("sdk session: answers may come in any order; late, foreign and second ones are dropped") {
  sdk::session session;
  const auto first = session.request("a", rpc::no_params).value();
  const auto second = session.request("b", rpc::no_params).value();
  const auto given_up = session.request("c", rpc::no_params).value();
  session.abandon(given_up);
  REQUIRE(session.receive(answer_frame(second, "B") + answer_frame(second, "again") +
                              answer_frame(given_up, "late") + answer_frame(99, "foreign"),
                          start));
  CHECK_FALSE(session.take_answer(first));
  CHECK_FALSE(session.take_answer(given_up));
  CHECK_FALSE(session.take_answer(99));
  REQUIRE(session.receive(failure_frame(first, {error_code::not_found, "no A", {}}), start));
  CHECK(session.take_answer(second)->value() == value{"B"}.msgpack());
  CHECK_FALSE(session.take_answer(second));
  CHECK(session.take_answer(first)->error() == error{error_code::not_found, "no A", {}});
}

TEST_CASE("sdk session: unknown requests are answered, unknown notifications ignored") {
  sdk::session session;
  REQUIRE(session.receive(notification_frame("context.changed", value::map({}).msgpack()) +
                              request_frame(9, "state.save"),
                          start));
  const std::string refusal =
      R"([1,9,["not_found","a plugin has no method \"state.save\"",null],null])";
  CHECK(said(session) == std::vector{refusal});
}

TEST_CASE("sdk session: envelope parameters of the wrong type are refused") {
  sdk::session session;
  const auto short_id = value::binary("short");
  for (const auto& [name, wrong] : std::vector<value::member>{{"deadline_ms", "1"},
                                                              {"deadline_ms", -1},
                                                              {"deadline_ms", true},
                                                              {"trace", short_id},
                                                              {"trace", 5}}) {
    CAPTURE(name);
    REQUIRE(session.receive(execute_frame(1, {{name, wrong}}), start));
    CHECK(refusals(session) == std::vector<std::string>{"invalid_argument"});
  }
  CHECK(session.next_request() == nullptr);
}

TEST_CASE("sdk session: deadlines count from the arrival and end within a day") {
  sdk::session session;
  const auto longest = std::numeric_limits<std::int64_t>::max();
  REQUIRE(session.receive(execute_frame(1, {{"deadline_ms", 250}}) +
                              execute_frame(2, {{"deadline_ms", 0}}) +
                              execute_frame(3, {{"deadline_ms", longest}}),
                          start));
  CHECK(session.next_request()->deadline == start + 250ms);
  CHECK_FALSE(session.next_request()->deadline);
  CHECK(session.next_request()->deadline == start + 24h);
}

TEST_CASE("sdk session: the queue is bounded in requests") {
  sdk::session session;
  for (std::uint32_t id = 0; id < 1024; ++id) REQUIRE(session.receive(execute_frame(id), start));
  CHECK(session.outgoing().empty());
  REQUIRE(session.receive(execute_frame(1024), start));
  CHECK(refusals(session) == std::vector<std::string>{"overloaded"});
  CHECK(session.next_request()->id == 0);
  REQUIRE(session.receive(execute_frame(1025), start));
  CHECK(session.outgoing().empty());
}

TEST_CASE("sdk session: the queue is bounded in bytes") {
  sdk::session session;
  const value ballast{std::string(std::size_t{6} << 20, 'x')};
  for (std::uint32_t id = 1; id <= 3; ++id)
    REQUIRE(session.receive(execute_frame(id, {{"ballast", ballast}}), start));
  CHECK(refusals(session) == std::vector<std::string>{"overloaded"});
  session.next_request();
  REQUIRE(session.receive(execute_frame(4, {{"ballast", ballast}}), start));
  CHECK(session.outgoing().empty());
}

TEST_CASE("sdk session: cancel answers a queued request and marks the running one") {
  sdk::session session;
  REQUIRE(session.receive(execute_frame(1) + execute_frame(2) + request_frame(3, "plugin.start"),
                          start));
  const auto* running = session.next_request();
  for (const auto& id : std::vector<value>{2, 1, 2, 3, 77, "x"})
    REQUIRE(session.receive(notification_frame("cancel", value::map({{"msgid", id}}).msgpack()),
                            start));
  REQUIRE(session.receive(notification_frame("cancel", value::map({}).msgpack()), start));
  CHECK(refusals(session) == std::vector<std::string>{"cancelled"});
  CHECK(running->cancelled);
  CHECK(session.next_request()->method == "plugin.start");
  CHECK(session.next_request() == nullptr);
}

TEST_CASE("sdk session: stop refuses the commands that wait and those that come later") {
  sdk::session session;
  REQUIRE(session.receive(execute_frame(1) + request_frame(2, "plugin.start") + execute_frame(3),
                          start));
  REQUIRE(session.receive(request_frame(4, "plugin.stop") + execute_frame(5), start));
  CHECK(refusals(session) == std::vector<std::string>{"unavailable", "unavailable", "unavailable"});
  CHECK(session.next_request()->method == "plugin.start");
  CHECK(session.next_request()->method == "plugin.stop");
}

TEST_CASE("sdk session: what was sent in part is not sent again") {
  sdk::session session;
  REQUIRE(session.respond(1, value{std::string(100'000, 'x')}.msgpack()));
  const std::string all{session.outgoing()};
  std::string sent;
  for (const std::size_t part : {1u, 70'000u, 10u}) {
    sent += session.outgoing().substr(0, part);
    session.sent(part);
  }
  sent += session.outgoing();
  CHECK(sent == all);
}

TEST_CASE("sdk session: a long message that is sent in pieces is moved a few times only") {
  sdk::session session;
  REQUIRE(session.respond(1, value{std::string(7'000'000, 'x')}.msgpack()));
  int moves = 0;
  while (!session.outgoing().empty()) {
    const auto part = std::min<std::size_t>(session.outgoing().size(), 64 * 1024);
    const auto* const behind = session.outgoing().data() + part;
    session.sent(part);
    if (session.outgoing().data() != behind) ++moves;
  }
  CHECK(moves < 10);
}
