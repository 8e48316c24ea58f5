#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <future>
#include <string>
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

}  // namespace

// TROUPE_SEEDS: how many seeds to try. TROUPE_FIRST_SEED: the first. TROUPE_REDUCED: how their
// scenarios are made simpler. A failure says all three.
TEST_CASE(
    "replicas hold what the oracle says whatever disks, links and clocks do, and agree when links "
    "are back") {
  const auto first = from_environment("TROUPE_FIRST_SEED", 1);
  const auto count = from_environment("TROUPE_SEEDS", 500);
  const char* reduced = std::getenv("TROUPE_REDUCED");
  const auto scene = reduced_scenario::parse(reduced ? reduced : "");
  for (unsigned seed = first; seed < first + count; ++seed)
    if (const auto why = violation_of(seed, scene); !why.empty())
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
