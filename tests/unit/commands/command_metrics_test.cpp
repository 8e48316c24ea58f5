#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <troupe/actors/commands/histogram.hpp>
#include <troupe/actors/commands/performance_monitor.hpp>

using namespace troupe;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

constexpr command_index greet{0, 1};

std::uint64_t count_of(const command_metrics& metrics, command_outcome outcome) {
  return metrics.outcomes.at(static_cast<std::size_t>(outcome));
}

/// Durations of every magnitude up to the longest.
rc::Gen<std::int64_t> duration() {
  return rc::gen::exec([] {
    const int bits = *rc::gen::inRange(0, 48);
    return *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << bits);
  });
}

}  // namespace

TEST_CASE("an empty histogram reports zeros") {
  const histogram empty;
  CHECK(empty.count() == 0);
  CHECK(empty.quantile(0.5) == 0ns);
  CHECK(empty.total() == 0ns);
  CHECK(empty.shortest_seen() == 0ns);
  CHECK(empty.longest_seen() == 0ns);
}

TEST_CASE("every quantile of a single duration is that duration") {
  for (const auto& each : {0ns, 1ns, 63ns, 64ns, 65ns, 1'234'567ns, nanoseconds{3h}}) {
    histogram one;
    one.record(each);
    for (const double q : {0.0, 0.5, 1.0}) CHECK(one.quantile(q) == each);
  }
}

TEST_CASE("durations below 64 ns are kept exactly") {
  histogram times;
  for (int i = 0; i < 64; ++i) times.record(nanoseconds{i});
  for (int i = 0; i < 64; ++i) CHECK(times.quantile((i + 1) / 64.0) == nanoseconds{i});
}

TEST_CASE("durations out of range count as the nearest in range") {
  histogram times;
  times.record(-5ns);
  times.record(nanoseconds::max());
  CHECK(times.count() == 2);
  CHECK(times.shortest_seen() == 0ns);
  CHECK(times.longest_seen() == histogram::longest);
  CHECK(times.quantile(-1.0) == 0ns);
  CHECK(times.quantile(2.0) >= histogram::longest * 98 / 100);
}

TEST_CASE("a quantile is within two percent of the true one") {
  CHECK(rc::check("relative error", [] {
    auto durations = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::int64_t>>(duration()));
    const auto q = *rc::gen::inRange(0, 1001) / 1000.0;
    histogram times;
    nanoseconds total{0};
    for (const auto each : durations) {
      times.record(nanoseconds{each});
      total += nanoseconds{each};
    }
    std::ranges::sort(durations);
    const auto rank = std::max<std::size_t>(
        1, static_cast<std::size_t>(std::ceil(q * static_cast<double>(durations.size()))));
    const auto exact = static_cast<double>(durations[rank - 1]);
    const auto told = static_cast<double>(times.quantile(q).count());
    RC_ASSERT(std::abs(told - exact) <= 0.02 * exact);
    RC_ASSERT(times.count() == durations.size());
    RC_ASSERT(times.total() == total);
    RC_ASSERT(times.shortest_seen().count() == durations.front());
    RC_ASSERT(times.longest_seen().count() == durations.back());
  }));
}

TEST_CASE("metrics say how often a command ran, how long it took and how it ended") {
  performance_monitor monitor;
  monitor.record_command(greet, "greet", 10ms, command_outcome::ok);
  monitor.record_command(greet, "greet", 20ms, command_outcome::ok);
  monitor.record_command(greet, "greet", 30ms, command_outcome::ok);
  monitor.record_command("greet", 40ms, command_outcome::error);
  const auto metrics = monitor.get_command_metrics("greet");
  REQUIRE(metrics.has_value());
  CHECK(metrics->name == "greet");
  CHECK(metrics->execution_count == 4);
  CHECK(metrics->total_execution_time == 100ms);
  CHECK(metrics->avg_execution_time == 25ms);
  CHECK(metrics->min_execution_time == 10ms);
  CHECK(metrics->max_execution_time == 40ms);
  CHECK(metrics->error_count == 1);
  CHECK(metrics->success_rate == doctest::Approx(75.0));
  CHECK(metrics->p50 / 1.0ms == doctest::Approx(20.0).epsilon(0.02));
  CHECK(metrics->p90 / 1.0ms == doctest::Approx(40.0).epsilon(0.02));
  CHECK(metrics->p99 / 1.0ms == doctest::Approx(40.0).epsilon(0.02));
  CHECK(metrics->p999 / 1.0ms == doctest::Approx(40.0).epsilon(0.02));
  CHECK(count_of(*metrics, command_outcome::ok) == 3);
  CHECK(count_of(*metrics, command_outcome::error) == 1);
}

TEST_CASE("requests that never ran count, but have no part in the times") {
  performance_monitor monitor;
  monitor.record_unstarted(greet, "greet", command_outcome::denied);
  const auto denied = monitor.get_command_metrics("greet").value();
  CHECK(denied.execution_count == 1);
  CHECK(denied.success_rate == 0.0);
  CHECK(denied.avg_execution_time == 0ns);
  CHECK(denied.p50 == 0ns);

  monitor.record_command(greet, "greet", 10ms, command_outcome::ok);
  const auto both = monitor.get_command_metrics("greet").value();
  CHECK(both.execution_count == 2);
  CHECK(both.error_count == 1);
  CHECK(both.success_rate == doctest::Approx(50.0));
  CHECK(both.avg_execution_time == 10ms);
  CHECK(both.min_execution_time == 10ms);
  CHECK(count_of(both, command_outcome::denied) == 1);
}

TEST_CASE("every outcome has its own count") {
  performance_monitor monitor;
  for (const auto& each : enum_names<command_outcome>::names)
    monitor.record_unstarted(greet, "greet", each.value);
  CHECK(monitor.get_command_metrics("greet")->outcomes == std::vector<std::uint64_t>(7, 1));
}

TEST_CASE("a command that has not run has no metrics") {
  const performance_monitor monitor;
  CHECK_FALSE(monitor.get_command_metrics("greet").has_value());
  CHECK(monitor.get_all_command_metrics().empty());
}

TEST_CASE("all metrics come in the order of the names, until they are reset") {
  performance_monitor monitor;
  for (const char* name : {"c", "a", "b"}) monitor.record_command(name, 1ms, command_outcome::ok);
  std::vector<std::string> names;
  for (const auto& each : monitor.get_all_command_metrics()) names.push_back(each.name);
  CHECK(names == std::vector<std::string>{"a", "b", "c"});

  monitor.record_command(greet, "greet", 1ms, command_outcome::ok);
  monitor.reset_metrics();
  CHECK(monitor.get_all_command_metrics().empty());
  monitor.record_command(greet, "greet", 1ms, command_outcome::ok);
  CHECK(monitor.get_command_metrics("greet")->execution_count == 1);
}

TEST_CASE("a command that is registered again goes on counting, another in its slot starts anew") {
  performance_monitor monitor;
  monitor.record_command(command_index{0, 1}, "greet", 1ms, command_outcome::ok);
  monitor.record_command(command_index{0, 2}, "notes", 1ms, command_outcome::ok);
  monitor.record_command(command_index{3, 3}, "greet", 1ms, command_outcome::ok);
  CHECK(monitor.get_command_metrics("greet")->execution_count == 2);
  CHECK(monitor.get_command_metrics("notes")->execution_count == 1);
}

TEST_CASE("commands above the capacity share one set of numbers") {
  performance_monitor monitor{2};
  for (const char* name : {"a", "b", "c", "d", "a"})
    monitor.record_command(name, 1ms, command_outcome::ok);
  CHECK(monitor.get_all_command_metrics().size() == 3);
  CHECK(monitor.get_command_metrics("a")->execution_count == 2);
  CHECK(monitor.get_command_metrics(performance_monitor::other_commands)->execution_count == 2);
}
