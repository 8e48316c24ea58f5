#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include <rapidcheck.h>

#include <troupe/actors/commands/ledger/work_schedule.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using work_id = work_schedule::work_id;

constexpr work_schedule::time_point begin{};

/// Starts all that can start; which work runs on which worker.
std::map<work_id, work_schedule::worker_index> start_all(work_schedule& schedule) {
  std::map<work_id, work_schedule::worker_index> started;
  while (const auto next = schedule.next()) started.emplace(next->work, next->worker);
  return started;
}

}  // namespace

TEST_CASE("work starts on new workers while there may be more, then waits") {
  work_schedule schedule{2, 10};
  const auto a = schedule.add(begin + 1s), b = schedule.add(begin + 1s),
             c = schedule.add(begin + 1s);
  CHECK(start_all(schedule) == std::map<work_id, std::size_t>{{a, 0}, {b, 1}});
  CHECK(schedule.workers() == 2);
  CHECK(schedule.waiting() == 1);
  CHECK(schedule.running() == std::vector<work_id>{a, b});
  CHECK(schedule.finished(b) == false);
  CHECK(start_all(schedule) == std::map<work_id, std::size_t>{{c, 1}});
}

TEST_CASE("an idle worker is used before a new one is made") {
  work_schedule schedule{3, 10};
  const auto first = schedule.add(begin + 1s);
  start_all(schedule);
  CHECK(schedule.finished(first) == false);
  const auto second = schedule.add(begin + 1s);
  CHECK(start_all(schedule) == std::map<work_id, std::size_t>{{second, 0}});
  CHECK(schedule.workers() == 1);
}

TEST_CASE("nothing waits behind work that hangs while another worker is free") {
  work_schedule schedule{2, 10};
  const auto hangs = schedule.add(begin + 1s), quick = schedule.add(begin + 1s);
  start_all(schedule);
  for (int i = 0; i < 5; ++i) {
    const auto next = schedule.add(begin + 1s);
    CHECK(start_all(schedule).empty());
    schedule.finished(i == 0 ? quick : next - 1);
    CHECK(start_all(schedule) == std::map<work_id, std::size_t>{{next, 1}});
  }
  CHECK(schedule.running().front() == hangs);
}

TEST_CASE("work that is cancelled is gone when it waits, and overdue when it runs; once") {
  work_schedule schedule{1, 10};
  const auto runs = schedule.add(begin + 10s), waits = schedule.add(begin + 1s);
  start_all(schedule);
  const auto gone = schedule.cancel(waits);
  REQUIRE(gone);
  CHECK(gone->work == waits);
  CHECK_FALSE(gone->started);
  CHECK(schedule.waiting() == 0);
  const auto overdue = schedule.cancel(runs);
  REQUIRE(overdue);
  CHECK(overdue->started);
  CHECK_FALSE(schedule.cancel(waits));
  CHECK_FALSE(schedule.cancel(runs));
  CHECK(schedule.expire(begin + 1h).empty());
  CHECK(schedule.finished(runs) == true);
  CHECK(schedule.is_idle());
}

TEST_CASE("what waits at its deadline is gone and never runs") {
  work_schedule schedule{1, 10};
  const auto runs = schedule.add(begin + 10s), waits = schedule.add(begin + 1s);
  start_all(schedule);
  const auto late = schedule.expire(begin + 1s);
  REQUIRE(late.size() == 1);
  CHECK(late[0].work == waits);
  CHECK_FALSE(late[0].started);
  schedule.finished(runs);
  CHECK(start_all(schedule).empty());
  CHECK(schedule.is_idle());
}

TEST_CASE("what runs at its deadline is overdue, once, and holds its worker until it ends") {
  work_schedule schedule{1, 10};
  const auto slow = schedule.add(begin + 1s);
  start_all(schedule);
  CHECK(schedule.expire(begin + 999ms).empty());
  const auto late = schedule.expire(begin + 1s);
  REQUIRE(late.size() == 1);
  CHECK(late[0].started);
  CHECK(schedule.expire(begin + 2s).empty());
  const auto next = schedule.add(begin + 9s);
  CHECK(start_all(schedule).empty());
  CHECK(schedule.finished(slow) == true);
  CHECK(start_all(schedule) == std::map<work_id, std::size_t>{{next, 0}});
}

TEST_CASE("late work comes in the order of the deadlines") {
  work_schedule schedule{1, 10};
  const auto a = schedule.add(begin + 3s), b = schedule.add(begin + 1s),
             c = schedule.add(begin + 2s);
  start_all(schedule);
  std::vector<work_id> order;
  for (const auto& late : schedule.expire(begin + 5s)) order.push_back(late.work);
  CHECK(order == std::vector<work_id>{b, c, a});
}

TEST_CASE("what waits can be cancelled; what runs stays") {
  work_schedule schedule{1, 10};
  const auto runs = schedule.add(begin + 1s), b = schedule.add(begin + 1s),
             c = schedule.add(begin + 1s);
  start_all(schedule);
  CHECK(schedule.cancel_waiting() == std::vector<work_id>{b, c});
  CHECK(schedule.running() == std::vector<work_id>{runs});
  CHECK(schedule.expire(begin + 1s).size() == 1);
}

TEST_CASE("it is full when as much waits as may, and the end of unknown work is nothing") {
  work_schedule schedule{1, 2};
  schedule.add(begin + 1s);
  start_all(schedule);
  schedule.add(begin + 1s);
  CHECK_FALSE(schedule.is_full());
  schedule.add(begin + 1s);
  CHECK(schedule.is_full());
  CHECK_FALSE(schedule.finished(99).has_value());
}

TEST_CASE("whatever happens, a worker has one piece of work, and each piece ends once") {
  CHECK(rc::check("against a plain account of what was said", [] {
    work_schedule schedule{3, 1000};
    std::map<work_id, std::size_t> running;
    std::set<work_id> ended, known;
    auto now = begin;
    for (int step = 0; step < 200; ++step) {
      switch (*rc::gen::inRange(0, 4)) {
        case 0:
          known.insert(schedule.add(now + std::chrono::milliseconds{*rc::gen::inRange(0, 20)}));
          break;
        case 1:
          if (!running.empty()) {
            const auto which = std::next(
                running.begin(), *rc::gen::inRange<long>(0, static_cast<long>(running.size())));
            RC_ASSERT(schedule.finished(which->first).has_value());
            RC_ASSERT(ended.insert(which->first).second);
            running.erase(which);
          }
          break;
        case 2:
          now += 5ms;
          for (const auto& late : schedule.expire(now)) {
            RC_ASSERT(running.contains(late.work) == late.started);
            if (!late.started) RC_ASSERT(ended.insert(late.work).second);
          }
          break;
        default:
          while (const auto next = schedule.next()) {
            RC_ASSERT(known.contains(next->work) && !ended.contains(next->work));
            RC_ASSERT(std::ranges::none_of(
                running, [&](const auto& each) { return each.second == next->worker; }));
            running.emplace(next->work, next->worker);
          }
          RC_ASSERT(schedule.waiting() == 0 || running.size() == 3);
      }
      RC_ASSERT(schedule.waiting() + running.size() + ended.size() == known.size());
    }
  }));
}
