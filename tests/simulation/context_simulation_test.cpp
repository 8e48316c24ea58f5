#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include <troupe/tests/support/simulation/simulated_cluster.hpp>

using namespace troupe;

// Many replicas in one process, driven by one seed. Each runs the node's own sync manager; disks,
// links, clocks and clients are simulated and fail, and a hostile peer forges changes. An oracle
// that knows every change ever made says what each replica must hold. That all replicas are equal
// is checked too, but proves little: replicas that lose the same data are equal.

namespace {

unsigned from_environment(const char* name, unsigned otherwise) {
  const char* text = std::getenv(name);
  return text ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
}

}  // namespace

// TROUPE_SEEDS: how many seeds to try. TROUPE_FIRST_SEED: the first; a failure names its seed.
TEST_CASE(
    "replicas hold what the oracle says whatever disks, links and clocks do, and agree when links "
    "are back") {
  const auto first = from_environment("TROUPE_FIRST_SEED", 1);
  const auto count = from_environment("TROUPE_SEEDS", 500);
  for (unsigned seed = first; seed < first + count; ++seed) {
    test::simulation::cluster simulated{seed};
    const auto scene = simulated.plan().describe();
    CAPTURE(seed);
    CAPTURE(scene);
    try {
      simulated.run();
    } catch (const test::simulation::violation& broken) {
      FAIL(std::string{broken.what()});
    }
  }
}

TEST_CASE("equal seeds give equal runs") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    test::simulation::cluster one{seed}, other{seed};
    one.run();
    other.run();
    CHECK(one.trace() == other.trace());
  }
}
