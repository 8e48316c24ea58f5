// The calls of one side of a link, and those that wait for their answers past the deadline.

#include <doctest/doctest.h>

#include <set>
#include <vector>

#include <troupe/actors/links/session/open_calls.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/tests/support/fixtures/session_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

std::uint32_t open_one(open_calls& calls, time_point deadline = start + 1s,
                       call_patience patience = call_patience::until_deadline) {
  const auto number = calls.next_number();
  calls.open(
      number, deadline, [](const result<std::string>&) {}, patience);
  return number;
}

}  // namespace

TEST_CASE("every open call has a number of its own, and a closed one's is not used again soon") {
  open_calls calls{8};
  std::set<std::uint32_t> numbers;
  for (int i = 0; i < 8; ++i) numbers.insert(open_one(calls));
  CHECK(numbers.size() == 8);
  CHECK(calls.is_full());
  const auto first = *numbers.begin();
  CHECK(calls.close(first));
  CHECK_FALSE(calls.is_open(first));
  CHECK_FALSE(calls.is_full());
  for (int i = 0; i < 100; ++i) {
    const auto next = open_one(calls);
    CHECK(numbers.insert(next).second);
    calls.close(next);
  }
}

TEST_CASE("a number that was never given is not open") {
  open_calls calls{8};
  CHECK_FALSE(calls.is_open(0));
  CHECK_FALSE(calls.mark_cancelled(0));
  CHECK_FALSE(calls.waits_for_answer(0));
  const auto number = open_one(calls);
  CHECK_FALSE(calls.is_open(number + 1));
}

TEST_CASE("a call becomes overdue once, at its deadline") {
  open_calls calls{8};
  const auto early = open_one(calls, start + 1s), late = open_one(calls, start + 2s);
  CHECK(calls.take_overdue(start + 999ms).empty());
  CHECK(calls.latest_deadline() == start + 2s);
  CHECK(calls.take_overdue(start + 1s) == std::vector{early});
  CHECK(calls.take_overdue(start + 1s).empty());
  CHECK(calls.in_time() == 1);
  CHECK(calls.count() == 2);
  CHECK(calls.take_overdue(start + 2s) == std::vector{late});
  CHECK(calls.in_time() == 0);
  CHECK_FALSE(calls.latest_deadline());
  calls.close(early);
  calls.close(late);
  CHECK(calls.count() == 0);
  CHECK(calls.in_time() == 0);
}

TEST_CASE("a call is cancelled once") {
  open_calls calls{8};
  const auto number = open_one(calls);
  CHECK(calls.mark_cancelled(number));
  CHECK_FALSE(calls.mark_cancelled(number));
  calls.close(number);
  const auto next = open_one(calls);
  CHECK_FALSE(calls.mark_cancelled(number));
  CHECK(calls.mark_cancelled(next));
}

TEST_CASE("as many late replies are taken as calls were closed at their deadline") {
  open_calls calls{8};
  CHECK_FALSE(calls.take_late_reply());
  calls.expect_late_reply();
  CHECK(calls.take_late_reply());
  CHECK_FALSE(calls.take_late_reply());
}

// -- calls that wait for their answers ------------------------------------------------------------

namespace {

class patient_call {
public:
  explicit patient_call(const link_limits& limits = {}) : link(limits) {
    number =
        link.session
            .call("m", rpc::no_params, link.now + 10s, outcome.taker(), call_patience::until_answer)
            .value();
    link.sent();
  }

  /// Until the call is overdue, in the steps of an owner that is not held up.
  void reach_deadline() {
    for (int i = 0; i < 10; ++i) REQUIRE(link.pass(1s));
  }

  recorded_outcome outcome;
  session_fixture link;
  std::uint32_t number = 0;
};

}  // namespace

TEST_CASE_FIXTURE(
    patient_call,
    "a call may wait for its answer past its deadline; the other side gets cancel then, once") {
  REQUIRE(link.pass(10s));
  CHECK(link.sent() == cancel_frame(number));
  REQUIRE(link.pass(10s));
  link.session.cancel(number);
  CHECK(link.sent().empty());
  CHECK(outcome.told == 0);
  CHECK(link.session.calls_in_flight() == 1);
  CHECK_FALSE(link.session.has_deadlines());
  REQUIRE(link.receive(response_frame(number, "\x05")));
  CHECK(outcome.told == 1);
  CHECK(**outcome.outcome == "\x05");
  CHECK(link.session.calls_in_flight() == 0);
}

TEST_CASE_FIXTURE(patient_call,
                  "a call that was cancelled before its deadline is not cancelled again then") {
  link.session.cancel(number);
  CHECK(link.sent() == cancel_frame(number));
  REQUIRE(link.pass(10s));
  CHECK(link.sent().empty());
}

TEST_CASE_FIXTURE(patient_call, "a second reply to a patient call is a strike, like any other") {
  REQUIRE(link.pass(10s));
  REQUIRE(link.receive(response_frame(number)));
  REQUIRE(link.receive(response_frame(number)));
  CHECK(link.session.strikes() == 1);
}

TEST_CASE_FIXTURE(patient_call, "the end of the session ends a call that waits for its answer") {
  REQUIRE(link.pass(10s));
  link.end({error_code::unavailable, "gone", {}});
  CHECK(outcome.code() == error_code::unavailable);
  CHECK(outcome.told == 1);
}

TEST_CASE("a side that is silent after the deadline of a patient call is given up") {
  patient_call patient{pinging()};
  patient.reach_deadline();
  for (int i = 0; i < 5; ++i) REQUIRE(patient.link.pass(1s));
  const auto passed = patient.link.pass(1s);
  REQUIRE_FALSE(passed);
  CHECK(passed.error().message.find("after a call had passed its deadline") != std::string::npos);
}

TEST_CASE("a side that is silent later, behind a patient call, is found out by pings") {
  patient_call patient{pinging()};
  patient.reach_deadline();
  CHECK(patient.link.sent().find(ping::method) != std::string::npos);
  REQUIRE(patient.link.receive(notification_frame("note")));
  for (int i = 0; i < 6; ++i) REQUIRE(patient.link.pass(1s));
  const auto passed = patient.link.pass(1s);
  REQUIRE_FALSE(passed);
  CHECK(passed.error().message == "nothing was heard for 5000 ms");
}
