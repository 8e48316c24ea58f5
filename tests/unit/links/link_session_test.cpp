#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include <troupe/tests/support/fixtures/session_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;
using namespace std::string_literals;

// -- calls of ours --------------------------------------------------------------------------------

TEST_CASE("a call is sent as a request and gets the answer that carries its id") {
  recorded_outcome outcome;
  session_fixture link;
  const auto id = link.call(outcome,
                            "\x81\xa1"
                            "a\x01");
  REQUIRE(id.has_value());
  CHECK(link.sent() == request_frame(*id, "m",
                                     "\x81\xa1"
                                     "a\x01"));
  CHECK(link.session.calls_in_flight() == 1);
  REQUIRE(link.receive(response_frame(*id, "\x07")));
  CHECK(**outcome.outcome == "\x07");
  CHECK(outcome.told == 1);
  CHECK(link.session.calls_in_flight() == 0);
}

TEST_CASE("a call gets the error that the other side answers") {
  recorded_outcome outcome;
  session_fixture link;
  const auto id = link.call(outcome);
  const error failure{error_code::not_found, "no m", "\x80"};
  REQUIRE(link.receive(failure_frame(*id, failure)));
  CHECK(outcome.outcome->error() == failure);
}

TEST_CASE("answers may come in any order") {
  recorded_outcome first, second;
  session_fixture link;
  const auto first_id = link.call(first);
  const auto second_id = link.call(second);
  CHECK(*first_id != *second_id);
  REQUIRE(link.receive(response_frame(*second_id, "\x02") + response_frame(*first_id, "\x01")));
  CHECK(**first.outcome == "\x01");
  CHECK(**second.outcome == "\x02");
}

TEST_CASE("an id is not used again right after its call has ended") {
  recorded_outcome first, second;
  session_fixture link;
  const auto first_id = link.call(first);
  REQUIRE(link.receive(response_frame(*first_id)));
  const auto second_id = link.call(second);
  CHECK(*second_id != *first_id);
  REQUIRE(link.receive(response_frame(*first_id, "\x01")));
  CHECK(second.told == 0);
  CHECK(link.session.strikes() == 1);
}

TEST_CASE(
    "a call that is not answered is given up at its deadline, and the other side gets a cancel") {
  recorded_outcome outcome;
  session_fixture link;
  const auto id = link.call(outcome);
  link.sent();
  REQUIRE(link.pass(9'999ms));
  CHECK(outcome.told == 0);
  REQUIRE(link.pass(1ms));
  CHECK(outcome.told == 1);
  CHECK(outcome.code() == error_code::deadline_exceeded);
  CHECK(link.sent() == notification_frame("cancel", value::map({{"msgid", *id}}).msgpack()));
  REQUIRE(link.pass(1s));
  CHECK(outcome.told == 1);
}

TEST_CASE(
    "the other side hears that a call is cancelled, and the call is open until it is answered") {
  recorded_outcome outcome, other;
  session_fixture link;
  const auto id = link.call(outcome);
  const auto goes_on = link.call(other);
  link.sent();
  link.session.cancel(*id);
  CHECK(outcome.told == 0);
  CHECK(link.sent() == notification_frame("cancel", value::map({{"msgid", *id}}).msgpack()));
  CHECK(link.session.calls_in_flight() == 2);
  REQUIRE(link.receive(failure_frame(*id, {error_code::cancelled, "cancelled", {}})));
  CHECK(outcome.code() == error_code::cancelled);
  CHECK(outcome.told == 1);
  CHECK(link.session.calls_in_flight() == 1);
  link.session.cancel(*id);
  link.session.cancel(77);
  CHECK(link.sent().empty());
  REQUIRE(link.receive(response_frame(*goes_on)));
  CHECK(other.told == 1);
}

TEST_CASE("the end of a session names the requests that are still awaited") {
  session_fixture link;
  const auto answered = link.serve(1), cancelled = link.serve(2), open = link.serve(3);
  link.session.respond(answered, rpc::nil);
  REQUIRE(link.receive(cancel_frame(2)));
  CHECK(link.end({error_code::unavailable, "gone", {}}) == std::vector{open});
  CHECK(link.events.cancelled == std::vector{cancelled});
}

TEST_CASE("a call may be made from the answer to another") {
  recorded_outcome outer, inner;
  session_fixture link;
  const auto id = link.session.call("m", rpc::no_params, start + 1s, [&](result<std::string_view>) {
    ++outer.told;
    CHECK(link.call(inner).has_value());
  });
  link.sent();
  REQUIRE(link.receive(response_frame(*id)));
  CHECK(outer.told == 1);
  CHECK(link.session.calls_in_flight() == 1);
  CHECK_FALSE(link.sent().empty());
}

TEST_CASE("a call may be made when another is given up") {
  recorded_outcome again;
  session_fixture link;
  REQUIRE(link.session.call("m", rpc::no_params, start + 1s, [&](result<std::string_view>) {
    CHECK(link.call(again).has_value());
  }));
  REQUIRE(link.pass(1s));
  CHECK(link.session.calls_in_flight() == 1);
  CHECK(again.told == 0);
}

TEST_CASE("the end of a session fails the calls that are open, each once, and all later ones") {
  recorded_outcome first, second, late;
  session_fixture link;
  REQUIRE(link.call(first));
  REQUIRE(link.call(second));
  REQUIRE(link.receive(request_frame(1)));
  result<std::uint32_t> retried{0};
  REQUIRE(link.session.call("m", rpc::no_params, start + 1s,
                            [&](result<std::string_view>) { retried = link.call(late); }));
  link.end({error_code::unavailable, "gone", {}});
  CHECK(first.told == 1);
  CHECK(second.told == 1);
  CHECK(first.outcome->error() == error{error_code::unavailable, "gone", {}});
  CHECK(link.session.calls_in_flight() == 0);
  CHECK(link.session.requests_in_flight() == 0);
  REQUIRE_FALSE(retried.has_value());
  CHECK(retried.error().message == "gone");
  CHECK(late.told == 0);
}

TEST_CASE("a notification is sent without an id") {
  session_fixture link;
  REQUIRE(link.session.notify("event",
                              "\x81\xa1"
                              "a\x01"));
  CHECK(link.sent() == notification_frame("event",
                                          "\x81\xa1"
                                          "a\x01"));
}

// -- requests of theirs ---------------------------------------------------------------------------

TEST_CASE("a request is handed to the owner, which answers it") {
  session_fixture link;
  REQUIRE(link.receive(request_frame(7, "add",
                                     "\x81\xa1"
                                     "a\x01")));
  REQUIRE(link.events.requests.size() == 1);
  CHECK(link.events.requests[0].method == "add");
  CHECK(link.events.requests[0].params ==
        "\x81\xa1"
        "a\x01");
  CHECK(link.session.requests_in_flight() == 1);
  CHECK(link.session.respond(link.events.requests[0].serial, "\x02"));
  CHECK(link.sent() == response_frame(7, "\x02"));
  CHECK(link.session.requests_in_flight() == 0);
}

TEST_CASE("a request is answered once") {
  session_fixture link;
  const auto request = link.serve(7);
  CHECK(link.session.refuse(request, {error_code::not_found, "no", {}}));
  CHECK(link.sent() == failure_frame(7, {error_code::not_found, "no", {}}));
  CHECK_FALSE(link.session.respond(request, rpc::nil));
  CHECK_FALSE(link.session.refuse(request, {error_code::not_found, "no", {}}));
  CHECK_FALSE(link.session.respond(request + 1, rpc::nil));
  CHECK(link.sent().empty());
}

TEST_CASE("an id may be used again once its request is answered") {
  session_fixture link;
  CHECK(link.session.respond(link.serve(7), rpc::nil));
  CHECK(link.session.respond(link.serve(7), rpc::nil));
  CHECK(link.sent() == response_frame(7) + response_frame(7));
}

TEST_CASE("an id that is in use ends the link when it is used again") {
  session_fixture link;
  const auto outcome = link.receive(request_frame(7) + request_frame(7));
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == error_code::protocol_violation);
  CHECK(outcome.error().message == "the request id 7 is in use; number requests uniquely");
}

TEST_CASE("the envelope of a request is handed over with it") {
  trace_id trace;
  trace.id.bytes.fill(3);
  session_fixture link;
  REQUIRE(link.receive(request_frame(1, "m", rpc::with_envelope(rpc::no_params, {1500ms, trace}))));
  CHECK(link.events.requests.at(0).beside.deadline == 1500ms);
  CHECK(link.events.requests.at(0).beside.trace == trace);
}

TEST_CASE(
    "a request without a deadline gets the default, one with too long a deadline the longest") {
  link_limits limits;
  limits.default_deadline = 5s;
  limits.max_deadline = 60s;
  session_fixture link{limits};
  const auto with_deadline = [](value given) {
    return value::map({{"deadline_ms", std::move(given)}}).msgpack();
  };
  REQUIRE(link.receive(
      request_frame(1) + request_frame(2, "m", with_deadline(-1)) +
      request_frame(3, "m", with_deadline(60'001)) + request_frame(4, "m", with_deadline(60'000)) +
      request_frame(5, "m", with_deadline(std::numeric_limits<std::int64_t>::max()))));
  REQUIRE(link.events.requests.size() == 5);
  CHECK(link.events.requests[0].beside.deadline == 5s);
  CHECK(link.events.requests[1].beside.deadline == 5s);
  CHECK(link.events.requests[2].beside.deadline == 60s);
  CHECK(link.events.requests[3].beside.deadline == 60s);
  CHECK(link.events.requests[4].beside.deadline == 60s);
}

TEST_CASE("a request with a malformed envelope is refused, and the link goes on") {
  session_fixture link;
  REQUIRE(link.receive(request_frame(1, "m", value::map({{"deadline_ms", "soon"}}).msgpack())));
  CHECK(link.events.requests.empty());
  CHECK(link.sent() ==
        failure_frame(
            1, {error_code::invalid_argument, "deadline_ms must be a duration (an integer)", {}}));
  CHECK(link.session.requests_in_flight() == 0);
  CHECK(link.receive(request_frame(1)).has_value());
}

TEST_CASE("a cancelled request is answered with that, and the owner's answer is not sent") {
  session_fixture link;
  const auto request = link.serve(7);
  REQUIRE(link.receive(cancel_frame(7)));
  CHECK(link.sent() ==
        failure_frame(7, {error_code::cancelled,
                          "the caller cancelled the request; it may still be carried out",
                          {}}));
  CHECK(link.events.notifications.empty());
  CHECK(link.events.cancelled == std::vector{request});
  CHECK_FALSE(link.session.respond(request, rpc::nil));
  CHECK(link.sent().empty());
}

TEST_CASE(
    "an id that is used again after a cancellation is not given the late answer to the first "
    "request") {
  session_fixture link;
  const auto first = link.serve(7);
  REQUIRE(link.receive(cancel_frame(7)));
  const auto second = link.serve(7);
  link.sent();
  CHECK(second != first);
  CHECK(link.session.requests_in_flight() == 2);
  CHECK_FALSE(link.session.respond(first, "\x01"));
  CHECK(link.sent().empty());
  CHECK(link.session.respond(second, "\x02"));
  CHECK(link.sent() == response_frame(7, "\x02"));
  CHECK(link.session.requests_in_flight() == 0);
}

TEST_CASE(
    "a request whose owner does not answer is answered at its deadline, and counts until the owner "
    "does") {
  session_fixture link;
  const auto request = link.serve(7, value::map({{"deadline_ms", 50}}).msgpack());
  CHECK(link.session.has_deadlines());
  REQUIRE(link.pass(49ms));
  CHECK(link.sent().empty());
  REQUIRE(link.pass(1ms));
  CHECK(link.sent() ==
        failure_frame(7, {error_code::deadline_exceeded,
                          "no answer before the deadline; the request may still be carried out",
                          {}}));
  CHECK_FALSE(link.session.has_deadlines());
  CHECK(link.session.requests_in_flight() == 1);
  REQUIRE(link.pass(1h));
  CHECK(link.sent().empty());
  CHECK_FALSE(link.session.refuse(request, {error_code::not_found, "late", {}}));
  CHECK(link.sent().empty());
  CHECK(link.session.requests_in_flight() == 0);
}

TEST_CASE("a cancel that comes after the answer is passed over") {
  session_fixture link;
  REQUIRE(link.receive(cancel_frame(7)));
  CHECK(link.sent().empty());
  CHECK(link.session.strikes() == 0);
}

TEST_CASE("a notification is handed to the owner") {
  session_fixture link;
  REQUIRE(link.receive(notification_frame("event",
                                          "\x81\xa1"
                                          "a\x01")));
  REQUIRE(link.events.notifications.size() == 1);
  CHECK(link.events.notifications[0].method == "event");
  CHECK(link.events.notifications[0].params ==
        "\x81\xa1"
        "a\x01");
}

TEST_CASE("a ping is answered without the owner") {
  session_fixture link;
  REQUIRE(link.receive(request_frame(9, "ping")));
  CHECK(link.sent() == response_frame(9));
  CHECK(link.events.requests.empty());
}

// -- before a session is open ---------------------------------------------------------------------

TEST_CASE(
    "before a session is open requests of all kinds are the owner's, and a reply ends the link") {
  session_fixture link;
  link.session.await_opening();
  REQUIRE(link.receive(request_frame(1, "ping") + cancel_frame(1)));
  CHECK(link.events.requests.size() == 1);
  CHECK(link.events.notifications.size() == 1);
  CHECK(link.sent().empty());
  const auto outcome = link.receive(response_frame(1));
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().message ==
        "the first message must be session.open, not a reply to no open call");
  session_fixture other;
  other.session.await_opening();
  other.session.opened();
  REQUIRE(other.receive(request_frame(1, "ping") + response_frame(1)));
  CHECK(other.sent() == response_frame(1));
}

// -- bytes ----------------------------------------------------------------------------------------

TEST_CASE("messages are read however their bytes are cut") {
  const auto bytes = notification_frame("a") +
                     request_frame(1, "b",
                                   "\x81\xa1"
                                   "a\x01") +
                     notification_frame("c");
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); second += 3) {
      session_fixture link;
      REQUIRE(link.receive(bytes.substr(0, first)));
      REQUIRE(link.receive(bytes.substr(first, second - first)));
      REQUIRE(link.receive(bytes.substr(second)));
      CHECK(link.events.notifications.size() == 2);
      REQUIRE(link.events.requests.size() == 1);
      CHECK(link.events.requests[0].params ==
            "\x81\xa1"
            "a\x01");
    }
  }
}

TEST_CASE("what is not a frame ends the link") {
  for (const auto& bytes :
       {"\xc1"s, "\x01"s, "\x80"s, "\x91\xa1\xff"s, "\x94\x00\x01\xa1m\xc0"s, "\xd4\x01\x01"s}) {
    session_fixture link;
    const auto outcome = link.receive(bytes);
    REQUIRE_FALSE(outcome.has_value());
    CHECK(outcome.error().code == error_code::protocol_violation);
  }
}
