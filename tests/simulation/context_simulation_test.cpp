#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/tests/support/simulation/simulated_cluster.hpp>
#include <troupe/tests/support/simulation/simulation_shrink.hpp>

using namespace troupe;

// Many replicas in one process, driven by one seed. Each runs the node's own sync manager; disks,
// links, clocks and clients are simulated and fail, and a hostile peer forges changes. An oracle
// that knows every change ever made says what each replica must hold. That all replicas are equal
// is checked too, but proves little: replicas that lose the same data are equal.

namespace {

using test::simulation::cluster;
using test::simulation::reduced_scenario;
using test::simulation::violation;

unsigned from_environment(const char* name, unsigned otherwise) {
  const char* text = std::getenv(name);
  return text ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
}

/// How a seed fails, or an empty text.
std::string violation_of(unsigned seed, const reduced_scenario& reduced) {
  cluster simulated{seed, nullptr, reduced};
  try {
    simulated.run();
  } catch (const violation& broken) {
    return broken.what();
  } catch (const std::exception& thrown) {
    return std::string{"an exception: "} + thrown.what();
  }
  return {};
}

/// A failure with all that is needed to see it again: as it was drawn, and as simple as it gets.
std::string report(unsigned seed, const std::string& why) {
  const auto whole = cluster{seed}.plan();
  const auto least = test::simulation::shrink(
      whole, why, [&](const reduced_scenario& reduced) { return violation_of(seed, reduced); });
  auto small = whole;
  least(small);
  const auto again = "TROUPE_FIRST_SEED=" + std::to_string(seed) + " TROUPE_SEEDS=1";
  return "seed " + std::to_string(seed) + ": " + why + "\n  drawn: " + whole.describe() +
         "\n  least: " + small.describe() + "\n  again: " + again + " TROUPE_REDUCED=\"" +
         least.text() + "\"";
}

/// Seeds that are tried one after the other, by any number of threads at once.
class seed_sweep {
public:
  seed_sweep(unsigned first, unsigned count, std::chrono::minutes at_most, reduced_scenario scene)
      : next_(first), end_(first + count), scene_(std::move(scene)) {
    if (at_most.count() > 0) until_ = std::chrono::steady_clock::now() + at_most;
  }

  /// Tries seeds until none is left, one has failed, or the time is over.
  void run() {
    while (!has_failed_ && std::chrono::steady_clock::now() < until_) {
      const auto seed = next_++;
      if (seed >= end_) return;
      auto why = violation_of(static_cast<unsigned>(seed), scene_);
      if (why.empty())
        ++held_;
      else if (!has_failed_.exchange(true))
        failure_ = {static_cast<unsigned>(seed), std::move(why)};
    }
  }

  std::uint64_t held() const noexcept { return held_; }
  /// The first seed that has failed, and how; no words when all held. After `run`.
  const std::pair<unsigned, std::string>& failure() const noexcept { return failure_; }

private:
  std::atomic<std::uint64_t> next_, held_ = 0;
  std::atomic<bool> has_failed_ = false;
  std::uint64_t end_;
  std::chrono::steady_clock::time_point until_ = std::chrono::steady_clock::time_point::max();
  reduced_scenario scene_;
  std::pair<unsigned, std::string> failure_;
};

}  // namespace

// TROUPE_SEEDS: how many seeds to try. TROUPE_FIRST_SEED: the first. TROUPE_MINUTES: as many of
// them as can be tried in that time, on all cores. TROUPE_REDUCED: how their scenarios are made
// simpler. A failure says how to see it again.
TEST_CASE(
    "replicas hold what the oracle says whatever disks, links and clocks do, and agree when links "
    "are back") {
  const char* reduced = std::getenv("TROUPE_REDUCED");
  const auto minutes = from_environment("TROUPE_MINUTES", 0);
  seed_sweep sweep{from_environment("TROUPE_FIRST_SEED", 1), from_environment("TROUPE_SEEDS", 500),
                   std::chrono::minutes{minutes}, reduced_scenario::parse(reduced ? reduced : "")};
  std::vector<std::future<void>> beside;
  for (unsigned i = 1; minutes > 0 && i < std::thread::hardware_concurrency(); ++i)
    beside.push_back(std::async(std::launch::async, [&] { sweep.run(); }));
  sweep.run();
  for (auto& each : beside) each.get();
  std::printf("%llu seeds held\n", static_cast<unsigned long long>(sweep.held()));
  if (const auto& [seed, why] = sweep.failure(); !why.empty())
    FAIL((reduced ? "seed " + std::to_string(seed) + ": " + why : report(seed, why)));
}

TEST_CASE("equal seeds give equal runs, on each thread and wherever their memory lies") {
  constexpr unsigned seeds = 20;
  const auto traces = [] {
    std::vector<std::uint64_t> all;
    for (unsigned seed = 1; seed <= seeds; ++seed) {
      cluster simulated{seed};
      simulated.run();
      all.push_back(simulated.trace());
    }
    return all;
  };
  const auto alone = traces();
  std::vector<std::future<std::vector<std::uint64_t>>> beside;
  for (int i = 0; i < 3; ++i) beside.push_back(std::async(std::launch::async, traces));
  for (auto& each : beside) CHECK(each.get() == alone);
}
