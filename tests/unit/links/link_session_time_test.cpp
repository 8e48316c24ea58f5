// What a session does as time passes.

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/session_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

/// What the session asks of an idle other side.
std::string ping_frame(session_fixture& link) {
  const auto sent = link.sent();
  const auto frame = rpc::parse(sent);
  REQUIRE(frame.has_value());
  REQUIRE(std::holds_alternative<rpc::request>(*frame));
  CHECK(std::get<rpc::request>(*frame).method == "ping");
  return response_frame(std::get<rpc::request>(*frame).id);
}

/// The ids of the pings among these frames.
std::vector<std::uint32_t> pings_in(const std::string& sent) {
  std::vector<std::uint32_t> ids;
  msgpack_scanner scanner;
  for (std::string_view rest = sent; !rest.empty();) {
    const auto bytes = scanner.scan(rest).value();
    const auto frame = rpc::parse(rest.substr(0, bytes)).value();
    if (const auto* request = std::get_if<rpc::request>(&frame);
        request != nullptr && request->method == "ping")
      ids.push_back(request->id);
    rest.remove_prefix(bytes);
  }
  return ids;
}

}  // namespace

TEST_CASE("a message that has begun must end in time") {
  link_limits limits;
  limits.half_frame = 1s;
  session_fixture link{limits};
  REQUIRE(link.receive(notification_frame("a") + notification_frame("b").substr(0, 2)));
  REQUIRE(link.pass(1s));
  const auto outcome = link.pass(1ms);
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == error_code::protocol_violation);
  CHECK(outcome.error().message ==
        "a message that began 1000 ms ago has not ended; 2 bytes of it arrived");
}

TEST_CASE("the time of a message begins with its first byte, however long nothing came before") {
  link_limits limits;
  limits.half_frame = 1s;
  session_fixture link{limits};
  REQUIRE(link.pass(1h));
  REQUIRE(link.receive(notification_frame("a").substr(0, 2)));
  REQUIRE(link.pass(1s));
  CHECK_FALSE(link.pass(1ms).has_value());
}

TEST_CASE(
    "the other side is not blamed for half a message while this side does not read because of "
    "unsent output") {
  link_limits limits;
  limits.half_frame = 1s;
  limits.output_bytes = 1000;
  session_fixture link{limits};
  REQUIRE(link.receive(notification_frame("a").substr(0, 2)));
  link.session.set_unsent(501);
  REQUIRE(link.session.reading_paused());
  REQUIRE(link.pass(1h));
  link.session.set_unsent(0);
  REQUIRE(link.pass(1s));
  CHECK_FALSE(link.pass(1ms).has_value());
}

TEST_CASE("an other side that slowly takes what it asked for is not silent") {
  auto limits = pinging();
  limits.output_bytes = 1000;
  session_fixture link{limits};
  for (std::size_t second = 1; second <= 60; ++second) {
    link.session.set_unsent(1000 - second);
    REQUIRE(link.pass(1s));
  }
  result<void> outcome;
  int seconds = 0;
  while (outcome && ++seconds < 60) outcome = link.pass(1s);
  CHECK(seconds < 10);
}

TEST_CASE("a message that trickles in gets no more time for it") {
  link_limits limits;
  limits.half_frame = 1s;
  session_fixture link{limits};
  const auto frame = notification_frame("a long method");
  result<void> outcome;
  std::size_t arrived = 0;
  while (outcome && arrived < frame.size()) {
    REQUIRE(link.receive(frame.substr(arrived++, 1)));
    outcome = link.pass(200ms);
  }
  CHECK_FALSE(outcome.has_value());
  CHECK(arrived == 6);
}

TEST_CASE("each message has time of its own, and between messages no time runs") {
  link_limits limits;
  limits.half_frame = 1s;
  session_fixture link{limits};
  const auto frame = notification_frame("m");
  REQUIRE(link.receive(frame.substr(0, 2)));
  for (int i = 0; i < 5; ++i) {
    REQUIRE(link.pass(900ms));
    REQUIRE(link.receive(frame.substr(2) + frame.substr(0, 2)));
  }
  REQUIRE(link.receive(frame.substr(2)));
  REQUIRE(link.pass(1h));
  CHECK(link.events.notifications.size() == 6);
}

TEST_CASE("an idle other side is pinged at the interval") {
  session_fixture link{pinging()};
  REQUIRE(link.pass(999ms));
  CHECK(link.sent().empty());
  REQUIRE(link.pass(1ms));
  REQUIRE(link.receive(ping_frame(link)));
  REQUIRE(link.pass(999ms));
  CHECK(link.sent().empty());
  REQUIRE(link.pass(1ms));
  REQUIRE(link.receive(ping_frame(link)));
  CHECK(link.session.calls_in_flight() == 0);
}

TEST_CASE("no ping is sent when no interval is set") {
  session_fixture link;
  REQUIRE(link.pass(1h));
  CHECK(link.sent().empty());
}

TEST_CASE("a ping that waits for its answer is not repeated") {
  session_fixture link{pinging()};
  REQUIRE(link.pass(1s));
  ping_frame(link);
  REQUIRE(link.pass(1s));
  CHECK(link.sent().empty());
  CHECK(link.session.calls_in_flight() == 1);
}

TEST_CASE("an other side that stays silent after a ping ends the link") {
  session_fixture link{pinging()};
  for (int second = 1; second <= 6; ++second) REQUIRE(link.pass(1s));
  const auto outcome = link.pass(1s);
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == error_code::unavailable);
  CHECK(outcome.error().message == "nothing was heard for 5000 ms");
}

TEST_CASE("any byte that is heard breaks the silence") {
  session_fixture link{pinging()};
  const auto frame = notification_frame("m");
  for (int second = 1; second <= 100; ++second) {
    REQUIRE(link.pass(1s));
    if (second % 5 == 0) REQUIRE(link.receive(frame));
  }
}

TEST_CASE("an other side that was not pinged because this side was held up is not silent") {
  session_fixture link{pinging()};
  REQUIRE(link.pass(1s));
  REQUIRE(link.receive(ping_frame(link)));
  REQUIRE(link.pass(1h));
  CHECK(link.receive(ping_frame(link)).has_value());
  CHECK(link.pass(1s).has_value());
}

TEST_CASE("an other side is neither silent nor slow while this side is held up") {
  session_fixture link{pinging()};
  const auto frame = notification_frame("m");
  REQUIRE(link.receive(frame.substr(0, 2)));
  for (int second = 1; second <= 4; ++second) REQUIRE(link.pass(1s));
  REQUIRE(link.pass(1min));
  // What it has sent meanwhile is read now.
  REQUIRE(link.receive(frame.substr(2)));
  // And from there on it has the time that it always has.
  REQUIRE(link.pass(1min));
  for (int second = 1; second <= 5; ++second) REQUIRE(link.pass(1s));
  CHECK(link.pass(1s).error().message == "nothing was heard for 5000 ms");
}

TEST_CASE("while a call is open its deadline says how long the other side may be silent") {
  recorded_outcome outcome;
  session_fixture link{pinging()};
  REQUIRE(link.session.call("m", rpc::no_params, link.now + 60s, outcome.taker()));
  link.sent();
  for (int second = 1; second < 60; ++second) REQUIRE(link.pass(1s));
  CHECK(link.sent().empty());
  REQUIRE(link.pass(1s));
  CHECK(outcome.code() == error_code::deadline_exceeded);
}

TEST_CASE("an other side that hangs is found out though new calls come all the time") {
  std::vector<recorded_outcome> outcomes(10);
  session_fixture link{pinging()};
  auto next = outcomes.begin();
  REQUIRE(link.session.call("m", rpc::no_params, link.now + 3s, (next++)->taker()));
  for (int second = 1; second <= 8; ++second) {
    REQUIRE(link.session.call("m", rpc::no_params, link.now + 30s, (next++)->taker()));
    if (second == 1) continue;
    REQUIRE(link.pass(1s));
  }
  // The first call ended at 3 s; those that had been made by then have until 32 s. The other side
  // is silent all the time.
  for (int second = 8; second <= 37; ++second) REQUIRE(link.pass(1s));
  const auto outcome = link.pass(1s);
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == error_code::unavailable);
}

TEST_CASE(
    "behind a call that passed its deadline the other side is pinged though other calls are open, "
    "and an answer counts") {
  recorded_outcome late;
  std::vector<recorded_outcome> outcomes(30);
  auto next = outcomes.begin();
  session_fixture link{pinging()};
  REQUIRE(link.session.call("m", rpc::no_params, link.now + 1s, late.taker()));
  for (int second = 1; second <= 30; ++second) {
    REQUIRE(link.session.call("m", rpc::no_params, link.now + 60s, (next++)->taker()));
    REQUIRE(link.pass(1s));
    for (const auto id : pings_in(link.sent())) REQUIRE(link.receive(response_frame(id)));
  }
  CHECK(late.code() == error_code::deadline_exceeded);
}

TEST_CASE("an other side that is busy with one call is not blamed for another's short deadline") {
  recorded_outcome lengthy, hasty;
  session_fixture link{pinging()};
  const auto id = link.session.call("m", rpc::no_params, link.now + 60s, lengthy.taker());
  REQUIRE(link.session.call("m", rpc::no_params, link.now + 1s, hasty.taker()));
  for (int second = 1; second <= 59; ++second) REQUIRE(link.pass(1s));
  CHECK(hasty.code() == error_code::deadline_exceeded);
  REQUIRE(link.receive(response_frame(*id)));
  CHECK(lengthy.outcome->has_value());
  REQUIRE(link.pass(1s));
}

TEST_CASE("after a call was given up the other side has time to answer a ping") {
  recorded_outcome outcome;
  session_fixture link{pinging()};
  REQUIRE(link.pass(1s));
  ping_frame(link);
  REQUIRE(link.session.call("m", rpc::no_params, link.now + 60s, outcome.taker()));
  for (int second = 1; second <= 60; ++second) REQUIRE(link.pass(1s));
  CHECK(outcome.told == 1);
  for (int second = 1; second <= 5; ++second) REQUIRE(link.pass(1s));
  CHECK_FALSE(link.pass(1s).has_value());
}

TEST_CASE("an other side that neither reads nor speaks is found out though no ping can be sent") {
  auto limits = pinging();
  limits.output_bytes = 100;
  session_fixture link{limits};
  link.session.set_unsent(100);
  result<void> outcome;
  int seconds = 0;
  while (outcome && seconds < 60) {
    outcome = link.pass(1s);
    ++seconds;
  }
  CHECK(seconds == 7);
  CHECK(link.sent().empty());
}
