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

// -- how much at once -----------------------------------------------------------------------------

TEST_CASE("more calls than may be in flight are refused, and the link goes on") {
  link_limits limits;
  limits.in_flight = 2;
  recorded_outcome outcomes[3];
  session_fixture link{limits};
  const auto first = link.call(outcomes[0]);
  REQUIRE(link.call(outcomes[1]));
  link.sent();
  const auto third = link.call(outcomes[2]);
  REQUIRE_FALSE(third.has_value());
  CHECK(third.error().code == error_code::overloaded);
  CHECK(third.error().message == "2 calls are in flight on this link; wait for answers");
  CHECK(link.sent().empty());
  CHECK(outcomes[2].told == 0);
  REQUIRE(link.receive(response_frame(*first)));
  CHECK(link.call(outcomes[2]).has_value());
}

TEST_CASE("as many calls can be in flight as ids have places, each with an id of its own") {
  link_limits limits;
  limits.in_flight = 1'000'000;
  limits.output_bytes = std::size_t{1} << 30;
  recorded_outcome outcome;
  session_fixture link{limits};
  for (int i = 0; i < 65'536; ++i) REQUIRE(link.call(outcome));
  CHECK(link.call(outcome).error().code == error_code::overloaded);
  link.end({error_code::unavailable, "gone", {}});
  CHECK(outcome.told == 65'536);
}

TEST_CASE("an id stays the only one of its kind for as long as 65,536 calls") {
  recorded_outcome outcome;
  session_fixture link;
  const auto first = link.call(outcome);
  REQUIRE(link.receive(response_frame(*first)));
  for (int i = 1; i < 65'536; ++i) {
    const auto id = link.call(outcome);
    if (*id == *first) FAIL("the id came back after ", i, " calls");
    REQUIRE(link.receive(response_frame(*id)));
    link.sent();
  }
  CHECK(link.call(outcome) == *first);
  REQUIRE(link.receive(response_frame(*first)));
  CHECK(outcome.told == 65'537);
}

TEST_CASE("more requests than may be in flight end the link") {
  link_limits limits;
  limits.in_flight = 2;
  session_fixture link{limits};
  REQUIRE(link.receive(request_frame(1) + request_frame(2)));
  const auto outcome = link.receive(request_frame(3));
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == error_code::limit_exceeded);
  CHECK(outcome.error().message == "more than 2 requests at once; wait for answers");
}

TEST_CASE("a request that was answered makes room for another") {
  link_limits limits;
  limits.in_flight = 1;
  session_fixture link{limits};
  for (std::uint32_t id = 0; id < 10; ++id) CHECK(link.session.respond(link.serve(id), rpc::nil));
}

TEST_CASE(
    "cancelled requests count until their owner has answered; while they fill the bound others are "
    "refused") {
  link_limits limits;
  limits.in_flight = 4;
  session_fixture link{limits};
  for (std::uint32_t id = 0; id < 1000; ++id)
    REQUIRE(link.receive(request_frame(id) + cancel_frame(id)));
  CHECK(link.events.requests.size() == 4);
  CHECK(link.session.requests_in_flight() == 4);
  link.sent();
  REQUIRE(link.receive(request_frame(7)));
  CHECK(link.sent() ==
        failure_frame(
            7, {error_code::overloaded,
                "4 requests are in progress, 4 of them cancelled or expired; try again later",
                {}}));
  CHECK_FALSE(link.session.respond(link.events.requests[0].serial, rpc::nil));
  CHECK(link.session.respond(link.serve(7), rpc::nil));
}

TEST_CASE("requests that expire at once count until their owner has answered") {
  link_limits limits;
  limits.in_flight = 4;
  session_fixture link{limits};
  for (std::uint32_t id = 0; id < 1000; ++id) {
    REQUIRE(link.receive(request_frame(id, "m", value::map({{"deadline_ms", 1}}).msgpack())));
    REQUIRE(link.pass(1ms));
  }
  CHECK(link.events.requests.size() == 4);
  CHECK(link.session.requests_in_flight() == 4);
}

TEST_CASE("requests are refused while those that are worked on have too many bytes of parameters") {
  link_limits limits;
  limits.request_bytes = 1000;
  session_fixture link{limits};
  const auto params = value::map({{"p", std::string(590, 'x')}}).msgpack();
  const auto first = link.serve(1, params);
  REQUIRE(link.receive(request_frame(2, "m", params)));
  CHECK(link.events.requests.size() == 1);
  CHECK(link.sent().find("overloaded") != std::string::npos);
  REQUIRE(link.receive(cancel_frame(1) + request_frame(3, "m", params)));
  CHECK(link.events.requests.size() == 1);
  link.serve(4);
  CHECK_FALSE(link.session.respond(first, rpc::nil));
  link.serve(5, params);
}

TEST_CASE("the limits of messages end the link when they are passed") {
  link_limits limits;
  limits.codec = {.frame_bytes = 100, .depth = 4, .elements = 20, .string_bytes = 50};
  const auto code_after = [&](const std::string& bytes) {
    session_fixture link{limits};
    const auto outcome = link.receive(bytes);
    return outcome ? error_code::none : outcome.error().code;
  };
  CHECK(code_after(notification_frame("m")) == error_code::none);
  CHECK(code_after("\xdd\xff\xff\xff\xff") == error_code::limit_exceeded);
  CHECK(code_after(notification_frame(std::string(51, 'm'))) == error_code::limit_exceeded);
  CHECK(code_after(std::string(5, '\x91')) == error_code::limit_exceeded);
  CHECK(code_after("\x9f" + std::string(15, '\x93')) == error_code::limit_exceeded);
  CHECK(code_after("\x93\xd9\x28" + std::string(40, 'a') + "\xd9\x28" + std::string(40, 'a') +
                   "\xd9\x28") == error_code::limit_exceeded);
}

// -- output ---------------------------------------------------------------------------------------

TEST_CASE(
    "while the other side does not read, calls and notifications are refused and replies become "
    "errors") {
  link_limits limits;
  limits.output_bytes = 1000;
  recorded_outcome outcome;
  session_fixture link{limits};
  const auto request = link.serve(1);
  link.session.set_unsent(990);
  const auto call = link.call(outcome);
  REQUIRE_FALSE(call.has_value());
  CHECK(call.error().code == error_code::overloaded);
  CHECK(call.error().message ==
        "the other side of the link does not read; 990 bytes are waiting for it");
  CHECK(link.session.notify("m", rpc::no_params).error().code == error_code::overloaded);
  CHECK(link.session.respond(request, rpc::nil));
  CHECK(link.sent() == failure_frame(1, call.error()));
  link.session.set_unsent(0);
  CHECK(link.call(outcome).has_value());
}

TEST_CASE("what is in the output counts as not taken") {
  link_limits limits;
  limits.output_bytes = 1000;
  session_fixture link{limits};
  REQUIRE(link.session.notify("m", value{std::string(900, 'x')}.msgpack()));
  CHECK(link.session.notify("m", value{std::string(100, 'x')}.msgpack()).error().code ==
        error_code::overloaded);
}

TEST_CASE("reading is paused while more than half of the output bound is not taken") {
  link_limits limits;
  limits.output_bytes = 1000;
  session_fixture link{limits};
  CHECK_FALSE(link.session.reading_paused());
  link.session.set_unsent(500);
  CHECK_FALSE(link.session.reading_paused());
  link.session.set_unsent(501);
  CHECK(link.session.reading_paused());
  link.session.set_unsent(0);
  REQUIRE(link.session.notify("m", value{std::string(600, 'x')}.msgpack()));
  CHECK(link.session.reading_paused());
  link.sent();
  CHECK_FALSE(link.session.reading_paused());
}

TEST_CASE(
    "reading is paused while too much of the notifications is not dealt with, and the other side "
    "is not "
    "blamed for it") {
  auto limits = pinging();
  limits.untaken_bytes = 1000;
  session_fixture link{limits};
  REQUIRE(link.receive(notification_frame("a").substr(0, 2)));
  link.session.add_untaken(1000);
  CHECK_FALSE(link.session.reading_paused());
  link.session.add_untaken(1);
  CHECK(link.session.reading_paused());
  for (int second = 1; second <= 60; ++second) CHECK(link.pass(1s));
  link.session.remove_untaken(1001);
  CHECK_FALSE(link.session.reading_paused());
  CHECK(link.pass(1s));
  CHECK(link.receive(notification_frame("a").substr(2)));
  CHECK(link.events.notifications.size() == 1);
}

TEST_CASE("a message that the other side would refuse as too long is not sent") {
  link_limits limits;
  limits.codec.frame_bytes = 1000;
  limits.in_flight = 4;
  for (std::size_t payload = 940; payload <= 1000; ++payload) {
    CAPTURE(payload);
    const auto params = value::map({{"p", value::binary(std::string(payload - 7, 'x'))}}).msgpack();
    recorded_outcome outcome;
    session_fixture sender{limits}, receiver{limits};
    const bool called = sender.call(outcome, params).has_value();
    const bool notified = sender.session.notify("a longer method", params).has_value();
    CHECK((called || payload > 940));
    CHECK((!called || payload < 1000));
    CHECK((!notified || called));
    CHECK(receiver.receive(sender.sent()).has_value());
  }
  session_fixture link{limits};
  CHECK(link.session.respond(link.serve(1), value::binary(std::string(990, 'x')).msgpack()));
  const auto refusal = link.sent();
  CHECK(refusal.find("limit_exceeded") != std::string::npos);
  CHECK(refusal.size() < 200);
}

namespace {

/// A map with a value inside this many containers.
std::string nested_map(std::size_t containers) {
  return "\x81\xa1"
         "a" +
         std::string(containers, '\x91') + "\x01";
}
/// A map with an array of this many nils.
std::string wide_map(std::uint32_t nils) {
  std::string bytes;
  msgpack_writer writer{bytes};
  writer.map(1);
  writer.string("a");
  writer.array(nils);
  return bytes + std::string(nils, '\xc0');
}

}  // namespace

TEST_CASE(
    "a message that the other side would refuse as too deep, too large or malformed is not sent, "
    "and the link goes on") {
  const auto bound = static_cast<std::uint32_t>(codec_limits{}.elements);
  const std::vector<std::pair<std::string, error_code>> messages{
      {nested_map(61), error_code::none},
      {nested_map(63), error_code::limit_exceeded},
      {wide_map(bound - 16), error_code::none},
      {wide_map(bound), error_code::limit_exceeded},
      {"\x81\xa1"
       "a\xd9\x64" +
           std::string(100, '\x80'),
       error_code::internal}};
  recorded_outcome outcome;
  session_fixture sender, receiver;
  for (const auto& [params, expected] : messages) {
    CAPTURE(params.size());
    const auto called = sender.call(outcome, params);
    const auto notified = sender.session.notify("m", params);
    CHECK((called ? error_code::none : called.error().code) == expected);
    CHECK((notified ? error_code::none : notified.error().code) == expected);
    CHECK(outcome.told == 0);
    if (called) CHECK(receiver.receive(sender.sent()));
    CHECK(sender.sent().empty());
    CHECK(sender.session.respond(sender.serve(1), params));
    const auto answer = sender.sent();
    CHECK((answer.find(to_string(expected)) != std::string::npos) ==
          (expected != error_code::none));
    CHECK(check_msgpack(answer, {}));
  }
}

TEST_CASE(
    "a refusal that cannot be sent as it is goes without its detail and with a short message") {
  const std::string long_message(std::size_t{9} << 20, 'm');
  const std::string deep_detail = std::string(63, '\x91') + "\xc0";
  for (const auto& [message, detail] :
       {std::pair{long_message, std::string{}}, std::pair{std::string{"no"}, deep_detail}}) {
    session_fixture link;
    CHECK(link.session.refuse(link.serve(1), {error_code::not_found, message, detail}));
    CHECK(link.sent() == failure_frame(1, {error_code::not_found, message.substr(0, 512), {}}));
  }
  session_fixture full;
  const auto request = full.serve(1);
  full.session.set_unsent(link_limits{}.output_bytes);
  CHECK(full.session.refuse(request, {error_code::not_found, std::string(100'000, 'm'), {}}));
  CHECK(full.sent().size() < 600);
}

// -- strikes --------------------------------------------------------------------------------------

TEST_CASE("replies to no call and second replies are dropped and counted") {
  recorded_outcome answered;
  session_fixture link;
  REQUIRE(link.receive(response_frame(12345)));
  CHECK(link.session.strikes() == 1);
  const auto id = link.call(answered);
  REQUIRE(link.receive(response_frame(*id) + response_frame(*id)));
  CHECK(link.session.strikes() == 2);
  CHECK(answered.told == 1);
}

TEST_CASE("a late reply to a call that was given up is dropped, and no strike, once") {
  recorded_outcome late;
  session_fixture link;
  const auto id = link.session.call("m", rpc::no_params, link.now + 1ms, late.taker());
  REQUIRE(link.pass(1ms));
  REQUIRE(link.receive(response_frame(*id)));
  CHECK(link.session.strikes() == 0);
  CHECK(late.told == 1);
  CHECK(late.code() == error_code::deadline_exceeded);
  REQUIRE(link.receive(response_frame(*id)));
  CHECK(link.session.strikes() == 1);
}

TEST_CASE("however many calls are given up at once, late answers to them are no violations") {
  link_limits limits;
  limits.strikes = 0;
  session_fixture link{limits};
  std::vector<recorded_outcome> outcomes(500);
  std::vector<std::uint32_t> ids;
  for (auto& each : outcomes)
    ids.push_back(link.session.call("m", rpc::no_params, link.now + 1ms, each.taker()).value());
  REQUIRE(link.pass(1ms));
  for (const auto id : ids)
    REQUIRE(link.receive(failure_frame(id, {error_code::cancelled, "cancelled", {}})));
  CHECK_FALSE(link.receive(response_frame(ids.front())).has_value());
}

TEST_CASE("a cancel that does not say what it cancels is a strike") {
  session_fixture link;
  REQUIRE(link.receive(notification_frame("cancel")));
  CHECK(link.session.strikes() == 1);
}

TEST_CASE("as many strikes are borne as are allowed; one more ends the link") {
  link_limits limits;
  limits.strikes = 3;
  session_fixture link{limits};
  for (int i = 0; i < 3; ++i) REQUIRE(link.receive(response_frame(1)));
  const auto outcome = link.receive(response_frame(1));
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == error_code::protocol_violation);
  CHECK(outcome.error().message ==
        "too many violations, the last: a reply to no open call; at most 3 are allowed");
}

TEST_CASE("one strike is forgiven each second") {
  link_limits limits;
  limits.strikes = 1;
  session_fixture link{limits};
  for (int second = 0; second < 10; ++second) {
    REQUIRE(link.receive(response_frame(1)));
    CHECK(link.session.strikes() == 1);
    REQUIRE(link.pass(999ms));
    CHECK(link.session.strikes() == 1);
    REQUIRE(link.pass(1ms));
    CHECK(link.session.strikes() == 0);
  }
  REQUIRE(link.pass(1s));
  CHECK(link.session.strikes() == 0);
}

TEST_CASE("one strike is forgiven at a time, however much time has passed") {
  session_fixture link;
  for (int i = 0; i < 3; ++i) REQUIRE(link.receive(response_frame(1)));
  REQUIRE(link.pass(1h));
  CHECK(link.session.strikes() == 2);
}
