#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <troupe/tests/support/fixtures/session_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

/// One side of a conversation: calls the other with numbers that tell the calls apart, answers each
/// number with its double.
class talker {
public:
  explicit talker(const link_limits& limits) : link_(limits) {}

  /// @param patience After which the call is given up.
  void call(std::chrono::milliseconds patience) {
    const auto number = calls_.size();
    auto& outcome = *calls_.emplace_back(std::make_unique<recorded_outcome>());
    const auto params = value::map({{"number", number}}).msgpack();
    const auto started =
        link_.session.call("double", params, link_.now + patience, outcome.taker());
    if (!started) outcome.outcome = fail(started.error());
  }
  void notify() {
    RC_ASSERT(link_.session.notify("note", value::map({{"number", notes_sent_++}}).msgpack())
                  .has_value());
  }

  void answer_one() {
    if (waiting_.empty()) return;
    const auto at = waiting_.begin() + *rc::gen::inRange<std::ptrdiff_t>(
                                           0, static_cast<std::ptrdiff_t>(waiting_.size()));
    link_.session.respond(at->first, value{2 * at->second}.msgpack());
    waiting_.erase(at);
  }

  void receive(std::string_view bytes) {
    const auto received = link_.receive(bytes);
    RC_ASSERT(received.has_value());
    for (const auto& request : link_.events.requests) {
      const auto number =
          value::from_msgpack(request.params).value().find("number")->as_unsigned().value();
      RC_ASSERT(++asked_[number] == 1);
      waiting_.emplace_back(request.serial, number);
    }
    for (const auto& note : link_.events.notifications)
      RC_ASSERT(value::from_msgpack(note.params).value().find("number") == value{notes_heard_++});
    link_.events = {};
  }

  void pass(std::chrono::milliseconds time) { RC_ASSERT(link_.pass(time).has_value()); }

  /// Moves some of what is to be sent to `wire`.
  void send(std::string& wire) { wire += link_.sent(); }

  /// Checks what must hold when everything has been delivered and answered.
  void check_against(const talker& other) const {
    std::uint64_t answered = 0;
    for (std::size_t number = 0; number < calls_.size(); ++number) {
      const auto& call = *calls_[number];
      RC_ASSERT(call.outcome.has_value());
      const bool was_asked = other.asked_.contains(number);
      const bool is_overloaded = call.code() == error_code::overloaded;
      RC_ASSERT(call.told == 1 || (call.told == 0 && is_overloaded));
      RC_ASSERT(!was_asked || !is_overloaded);
      if (!*call.outcome) continue;
      RC_ASSERT(was_asked);
      ++answered;
      RC_ASSERT(**call.outcome == value{2 * number}.msgpack());
    }
    RC_CLASSIFY(answered > 0 && answered < calls_.size(), "some calls were given up or refused");
    RC_ASSERT(link_.session.calls_in_flight() == 0u);
    RC_ASSERT(other.link_.session.requests_in_flight() == 0u);
    RC_ASSERT(other.notes_heard_ == notes_sent_);
  }

  bool has_unanswered() const { return !waiting_.empty(); }

private:
  session_fixture link_;
  std::vector<std::unique_ptr<recorded_outcome>> calls_;
  std::map<std::uint64_t, int> asked_;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> waiting_;
  std::uint64_t notes_sent_ = 0;
  std::uint64_t notes_heard_ = 0;
};

void deliver(std::string& wire, talker& to, std::size_t bytes) {
  to.receive(wire.substr(0, bytes));
  wire.erase(0, bytes);
}

}  // namespace

TEST_CASE(
    "however the bytes between two sessions are cut and interleaved, each call is delivered and "
    "answered exactly "
    "once") {
  CHECK(rc::check("conversation", [] {
    link_limits limits;
    limits.in_flight = 8;
    limits.strikes = 1'000;
    talker left{limits}, right{limits};
    std::string to_left, to_right;
    for (int steps = *rc::gen::inRange(0, 200); steps > 0; --steps) {
      auto& actor = *rc::gen::arbitrary<bool>() ? left : right;
      switch (*rc::gen::inRange(0, 7)) {
        case 0: actor.call(1h); break;
        case 1: actor.call(std::chrono::milliseconds{*rc::gen::inRange(1, 100)}); break;
        case 2: actor.notify(); break;
        case 3: actor.answer_one(); break;
        case 4:
          left.pass(20ms);
          right.pass(20ms);
          break;
        default:
          left.send(to_right);
          right.send(to_left);
          deliver(to_left, left, *rc::gen::inRange<std::size_t>(0, to_left.size() + 1));
          deliver(to_right, right, *rc::gen::inRange<std::size_t>(0, to_right.size() + 1));
      }
    }
    for (bool busy = true; busy;) {
      left.answer_one();
      right.answer_one();
      left.send(to_right);
      right.send(to_left);
      busy =
          left.has_unanswered() || right.has_unanswered() || !to_left.empty() || !to_right.empty();
      deliver(to_left, left, to_left.size());
      deliver(to_right, right, to_right.size());
    }
    left.check_against(right);
    right.check_against(left);
  }));
}

TEST_CASE("no bytes make a session do anything but go on or end") {
  CHECK(rc::check("hostile bytes", [] {
    recorded_outcome outcome;
    session_fixture link;
    const auto id = link.call(outcome).value();
    std::string bytes = request_frame(1) + response_frame(id) + notification_frame("cancel") +
                        notification_frame("m");
    for (int edits = *rc::gen::inRange(0, 4); edits > 0; --edits)
      bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = *rc::gen::arbitrary<char>();
    const auto received = link.receive(bytes);
    RC_CLASSIFY(!received.has_value(), "ended");
    link.end({error_code::unavailable, "end", {}});
    RC_ASSERT(outcome.told == 1);
  }));
}
