#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <stdexcept>
#include <vector>

#include <troupe/actors/commands/ledger/admission.hpp>
#include <troupe/messages/value.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using time_point = admission::time_point;

constexpr command_index greet{0, 1};
constexpr command_index notes{1, 2};
const time_point start{1h};
const time_point late{24h};

admission with_greet(std::uint32_t concurrency, std::uint32_t queue) {
  admission door;
  door.add(greet, concurrency, queue);
  return door;
}

bool is_admitted(const admission_verdict& verdict) {
  return std::holds_alternative<admitted>(verdict);
}

queue_ticket ticket_of(const admission_verdict& verdict) {
  REQUIRE(std::holds_alternative<queued>(verdict));
  return std::get<queued>(verdict).ticket;
}

rejected rejection_of(const admission_verdict& verdict) {
  REQUIRE(std::holds_alternative<rejected>(verdict));
  return std::get<rejected>(verdict);
}

std::string detail_of(const error& failure) {
  return value::from_msgpack(failure.detail).value().to_json();
}

}  // namespace

TEST_CASE("requests run up to the limit and then wait in order") {
  auto door = with_greet(2, 2);
  CHECK(is_admitted(door.offer(greet, late, start)));
  CHECK(is_admitted(door.offer(greet, late, start)));
  const auto first = ticket_of(door.offer(greet, late, start));
  const auto second = ticket_of(door.offer(greet, late, start));
  CHECK(first < second);
  CHECK(door.running(greet) == 2);
  CHECK(door.waiting(greet) == 2);
  CHECK(rejection_of(door.offer(greet, late, start)).reason == rejection_reason::queue_full);

  CHECK(door.finished(greet, 1ms, start).run == first);
  CHECK(door.finished(greet, 1ms, start).run == second);
  CHECK(door.running(greet) == 2);
  CHECK_FALSE(door.finished(greet, 1ms, start).run.has_value());
  CHECK(door.running(greet) == 1);
  CHECK(door.waiting() == 0);
}

TEST_CASE("commands do not stand in each other's way") {
  auto door = with_greet(1, 0);
  door.add(notes, 1, 0);
  CHECK(is_admitted(door.offer(greet, late, start)));
  CHECK(is_admitted(door.offer(notes, late, start)));
  CHECK(rejection_of(door.offer(greet, late, start)).reason == rejection_reason::queue_full);
}

TEST_CASE("a request after its deadline is turned away for good") {
  auto door = with_greet(1, 1);
  const auto verdict = rejection_of(door.offer(greet, start, start));
  CHECK(verdict.reason == rejection_reason::deadline_passed);
  CHECK(verdict.retry_after == 0ms);
}

TEST_CASE(
    "a request that cannot start before its deadline is turned away at once, with a time to come "
    "back") {
  auto door = with_greet(2, 10);
  CHECK(is_admitted(door.offer(greet, late, start)));
  door.finished(greet, 100ms, start);
  CHECK(is_admitted(door.offer(greet, late, start)));
  CHECK(is_admitted(door.offer(greet, late, start)));
  CHECK(rejection_of(door.offer(greet, start + 50ms, start)).retry_after == 1ms);
  ticket_of(door.offer(greet, start + 51ms, start));
  const auto verdict = rejection_of(door.offer(greet, start + 70ms, start));
  CHECK(verdict.reason == rejection_reason::deadline_too_near);
  CHECK(verdict.retry_after == 30ms);
  CHECK(rejection_of(door.offer(greet, start + 100ms, start)).retry_after == 1ms);
  ticket_of(door.offer(greet, start + 101ms, start));
}

TEST_CASE("nothing is expected before the first execution has finished") {
  auto door = with_greet(1, 1);
  CHECK(is_admitted(door.offer(greet, late, start)));
  ticket_of(door.offer(greet, start + 1ns, start));
  CHECK(rejection_of(door.offer(greet, late, start)).retry_after == 100ms);
}

TEST_CASE("the expected duration follows the recent ones") {
  auto door = with_greet(1, 0);
  const auto run_for = [&](std::chrono::nanoseconds duration) {
    REQUIRE(is_admitted(door.offer(greet, late, start)));
    door.finished(greet, duration, start);
  };
  // With one place and no queue, a refusal advises to come back after one execution: in whole
  // milliseconds, rounded up.
  const auto usual = [&] {
    REQUIRE(is_admitted(door.offer(greet, late, start)));
    const auto advised = rejection_of(door.offer(greet, late, start)).retry_after;
    door.finished(greet, advised, start);
    return advised;
  };
  run_for(80ms);
  CHECK(usual() == 80ms);
  run_for(160ms);
  CHECK(usual() == 90ms);
  for (int i = 0; i < 100; ++i) run_for(8ms);
  CHECK(usual() <= 9ms);
  run_for(-5ms);
  CHECK(usual() <= 8ms);
  for (int i = 0; i < 300; ++i) run_for(10'000h);
  CHECK(usual() <= 24h);
}

TEST_CASE("a full queue says how long one place takes to become free") {
  auto door = with_greet(2, 0);
  REQUIRE(is_admitted(door.offer(greet, late, start)));
  door.finished(greet, 100ms, start);
  REQUIRE(is_admitted(door.offer(greet, late, start)));
  REQUIRE(is_admitted(door.offer(greet, late, start)));
  CHECK(rejection_of(door.offer(greet, late, start)).retry_after == 50ms);
}

TEST_CASE("all queues together are bounded") {
  admission door{1};
  door.add(greet, 1, 10);
  door.add(notes, 1, 10);
  REQUIRE(is_admitted(door.offer(greet, late, start)));
  REQUIRE(is_admitted(door.offer(notes, late, start)));
  const auto ticket = ticket_of(door.offer(greet, late, start));
  CHECK(rejection_of(door.offer(notes, late, start)).reason == rejection_reason::node_full);
  CHECK(door.finished(greet, 1ms, start).run == ticket);
  ticket_of(door.offer(notes, late, start));
}

TEST_CASE("requests expire at their deadlines, earliest first") {
  auto door = with_greet(1, 5);
  REQUIRE(is_admitted(door.offer(greet, late, start)));
  const auto third = ticket_of(door.offer(greet, start + 30ms, start));
  const auto first = ticket_of(door.offer(greet, start + 10ms, start));
  const auto second = ticket_of(door.offer(greet, start + 20ms, start));
  CHECK(door.expire(start + 9ms).empty());
  CHECK(door.expire(start + 20ms) == std::vector{first, second});
  CHECK(door.finished(greet, 1ms, start + 25ms).run == third);
  CHECK(door.expire(late).empty());
}

TEST_CASE(
    "a free place goes to the first request whose deadline has not passed, and the requests before "
    "it expire") {
  auto door = with_greet(1, 5);
  REQUIRE(is_admitted(door.offer(greet, late, start)));
  const auto dead = ticket_of(door.offer(greet, start + 10ms, start));
  const auto alive = ticket_of(door.offer(greet, late, start));
  const auto release = door.finished(greet, 1ms, start + 10ms);
  CHECK(release.expired == std::vector{dead});
  CHECK(release.run == alive);
}

TEST_CASE("a removed command gives its tickets back and is gone") {
  auto door = with_greet(1, 5);
  REQUIRE(is_admitted(door.offer(greet, late, start)));
  const auto first = ticket_of(door.offer(greet, late, start));
  const auto second = ticket_of(door.offer(greet, start + 1ms, start));
  CHECK(door.remove(greet) == std::vector{first, second});
  CHECK(door.remove(greet).empty());
  CHECK(door.expire(late).empty());
  CHECK(rejection_of(door.offer(greet, late, start)).reason == rejection_reason::command_gone);
  CHECK(door.running(greet) == 0);
  CHECK(door.waiting(greet) == 0);
}

TEST_CASE("an execution that outlives its command takes no place from the next one in its slot") {
  auto door = with_greet(1, 0);
  REQUIRE(is_admitted(door.offer(greet, late, start)));
  door.remove(greet);
  const command_index next{greet.slot, 7};
  door.add(next, 1, 1);
  REQUIRE(is_admitted(door.offer(next, late, start)));
  const auto waiting = ticket_of(door.offer(next, late, start));
  CHECK_FALSE(door.finished(greet, 1ms, start).run.has_value());
  CHECK(door.running(next) == 1);
  CHECK(door.finished(next, 1ms, start).run == waiting);
}

TEST_CASE("an end without a beginning changes nothing") {
  auto door = with_greet(1, 0);
  CHECK_FALSE(door.finished(greet, 1ms, start).run.has_value());
  CHECK(door.running(greet) == 0);
  CHECK(is_admitted(door.offer(greet, late, start)));
}

TEST_CASE("a command is added with at least one place, into a slot that is free") {
  auto door = with_greet(1, 0);
  CHECK_THROWS_AS(door.add(notes, 0, 1), std::invalid_argument);
  CHECK_THROWS_AS(door.add(command_index{greet.slot, 9}, 1, 1), std::invalid_argument);
}

TEST_CASE("a rejection reads as an error that names the command and when to try again") {
  const auto full = to_error({rejection_reason::queue_full, 50ms}, "greet");
  CHECK(full.code == error_code::overloaded);
  CHECK(full.message == "the queue of command \"greet\" is full; try again in 50 ms");
  CHECK(detail_of(full) == R"({"reason":"queue_full","retry_after_ms":50})");
  CHECK(to_error({rejection_reason::node_full, 50ms}, "greet").code == error_code::overloaded);
  CHECK(to_error({rejection_reason::deadline_too_near, 5ms}, "greet").code ==
        error_code::overloaded);
  const auto late_error = to_error({rejection_reason::deadline_passed}, "greet");
  CHECK(late_error.code == error_code::deadline_exceeded);
  CHECK(detail_of(late_error) == R"({"reason":"deadline_passed"})");
  CHECK(to_error({rejection_reason::command_gone}, "greet").code == error_code::unavailable);
}

namespace {

/// An admission under random use, and a model of what it must do.
class random_use {
public:
  random_use() {
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      commands_.push_back({{slot, ++serial_},
                           *rc::gen::inRange<std::uint32_t>(1, 4),
                           *rc::gen::inRange<std::uint32_t>(0, 5)});
      add(commands_.back());
    }
  }

  void step() {
    now_ += std::chrono::milliseconds{*rc::gen::inRange(0, 5)};
    auto& command = commands_[*rc::gen::inRange<std::uint32_t>(0, slots)];
    switch (*rc::gen::inRange(0, 8)) {
      case 0: expire(); break;
      case 1: replace(command); break;
      case 2:
      case 3: finish(command); break;
      default: offer(command);
    }
    check();
  }

private:
  static constexpr std::uint32_t slots = 3;

  struct model {
    command_index index;
    std::uint32_t concurrency, queue;
    std::size_t running = 0;
    std::vector<queue_ticket> waiting{};
  };

  void add(const model& command) { door_.add(command.index, command.concurrency, command.queue); }
  time_point comes_back(queue_ticket ticket) {
    RC_ASSERT(std::erase(commands_[ticket.slot].waiting, ticket) == 1u);
    return deadlines_.at(ticket);
  }

  void expire() {
    for (const auto& ticket : door_.expire(now_)) RC_ASSERT(comes_back(ticket) <= now_);
    for (const auto& each : commands_)
      for (const auto& ticket : each.waiting) RC_ASSERT(deadlines_.at(ticket) > now_);
  }
  /// Removes the command, in one of five cases, and adds another one in its slot.
  void replace(model& command) {
    if (*rc::gen::inRange(0, 5) != 0) return;
    RC_ASSERT(door_.remove(command.index) == command.waiting);
    command = {{command.index.slot, ++serial_}, command.concurrency, command.queue};
    add(command);
  }
  void finish(model& command) {
    if (command.running == 0) return;
    --command.running;
    const auto release =
        door_.finished(command.index, std::chrono::milliseconds{*rc::gen::inRange(0, 20)}, now_);
    for (const auto& ticket : release.expired) RC_ASSERT(comes_back(ticket) <= now_);
    if (!release.run) {
      RC_ASSERT(command.waiting.empty());
      return;
    }
    RC_ASSERT(command.waiting.front() == *release.run);
    RC_ASSERT(comes_back(*release.run) > now_);
    ++command.running;
  }
  void offer(model& command) {
    const auto deadline = now_ + std::chrono::milliseconds{*rc::gen::inRange(-1, 40)};
    const auto verdict = door_.offer(command.index, deadline, now_);
    if (std::holds_alternative<admitted>(verdict)) {
      ++command.running;
    } else if (const auto* place = std::get_if<queued>(&verdict)) {
      RC_ASSERT(command.running == command.concurrency);
      RC_ASSERT(deadlines_.emplace(place->ticket, deadline).second);
      command.waiting.push_back(place->ticket);
    } else {
      const auto& refusal = std::get<rejected>(verdict);
      RC_ASSERT((deadline <= now_ || command.running == command.concurrency));
      RC_ASSERT((refusal.retry_after > 0ms) == (deadline > now_));
    }
  }
  void check() const {
    std::size_t total = 0;
    for (const auto& each : commands_) {
      RC_ASSERT(each.running <= each.concurrency);
      RC_ASSERT(each.waiting.size() <= each.queue);
      RC_ASSERT(door_.running(each.index) == each.running);
      RC_ASSERT(door_.waiting(each.index) == each.waiting.size());
      RC_ASSERT((each.waiting.empty() || each.running == each.concurrency));
      total += each.waiting.size();
    }
    RC_ASSERT(door_.waiting() == total);
    RC_ASSERT(total <= max_waiting_);
  }

  std::size_t max_waiting_ = *rc::gen::inRange<std::size_t>(1, 12);
  admission door_{max_waiting_};
  std::vector<model> commands_;
  std::map<queue_ticket, time_point> deadlines_;
  std::uint64_t serial_ = 0;
  time_point now_ = start;
};

}  // namespace

TEST_CASE("whatever happens, no limit is passed and every ticket comes back exactly once") {
  CHECK(rc::check("admission under random use", [] {
    random_use use;
    const auto steps = *rc::gen::inRange(0, 200);
    for (int step = 0; step < steps; ++step) use.step();
  }));
}
