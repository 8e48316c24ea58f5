#include <doctest/doctest.h>

#include <random>
#include <stdexcept>
#include <string>

#include <troupe/tests/support/simulation/simulated_cluster.hpp>
#include <troupe/tests/support/simulation/simulation_broken_rules.hpp>
#include <troupe/tests/support/simulation/simulation_shrink.hpp>

using namespace troupe;
using namespace troupe::test::simulation;

// The simulation is worth what it finds: a manager that breaks a rule is found within a few seeds,
// and for the right reason.

namespace {

constexpr unsigned seeds = 40;

/// Why a seed fails, or an empty text.
template <class Interference>
std::string violation_of(unsigned seed, const reduced_scenario& reduced = {}) {
  Interference breaks;
  cluster simulated{seed, &breaks, reduced};
  try {
    simulated.run();
  } catch (const violation& found) {
    return found.what();
  }
  return {};
}

/// Why the first of these seeds fails that fails, or an empty text.
template <class Interference>
std::string first_violation() {
  for (unsigned seed = 1; seed <= seeds; ++seed)
    if (auto found = violation_of<Interference>(seed); !found.empty()) return found;
  return {};
}

}  // namespace

TEST_CASE("a manager that acknowledges before it has stored is found") {
  CHECK(first_violation<acknowledges_before_stored>() ==
        "what was acknowledged as durable is lost");
}

TEST_CASE("a manager that does not wait for members is found") {
  CHECK(first_violation<acknowledges_before_members>() ==
        "a write is acknowledged that too few members have");
}

TEST_CASE("a manager that tells watchers twice is found") {
  CHECK(first_violation<tells_watchers_twice>() ==
        "a watcher receives a change twice, not at all, or out of order");
}

TEST_CASE("a manager that leaves out news is found") {
  const auto found = first_violation<leaves_out_news>();
  CHECK((found == "what a watcher received, replayed, is not the state" ||
         found == "a watcher does not receive a visible change"));
}

TEST_CASE("a manager that tells news in the wrong order is found") {
  CHECK(first_violation<reorders_news>() ==
        "a watcher receives changes in another order than they were made");
}

TEST_CASE("a manager that forgets a session's position is found") {
  const auto found = first_violation<forgets_positions>();
  CHECK((found == "replicas that agree push changes" ||
         found == "the replicas push more than what is missing"));
}

TEST_CASE("a manager that claims more than it has stored is found") {
  CHECK(first_violation<claims_too_much>() == "a node claims what it has not stored");
}

TEST_CASE("a manager that has only a part of a batch stored is found") {
  CHECK_FALSE(first_violation<stores_a_part>().empty());
}

TEST_CASE("a manager that checkpoints what the log does not have yet is found") {
  CHECK(first_violation<checkpoints_too_early>() ==
        "a checkpoint holds changes that the log lacks");
}

TEST_CASE("a manager that leaves a write unanswered is found") {
  CHECK(first_violation<leaves_writes_unanswered>() == "a write is never answered");
}

// -- the least scenario that fails ----------------------------------------------------------------

TEST_CASE("a scenario is made simpler as long as it fails in the same way") {
  const std::string why = "what was acknowledged as durable is lost";
  unsigned seed = 1;
  while (violation_of<acknowledges_before_stored>(seed) != why) REQUIRE(++seed <= seeds);
  const auto whole = cluster{seed}.plan();
  const auto least = shrink(whole, why, [&](const reduced_scenario& reduced) {
    return violation_of<acknowledges_before_stored>(seed, reduced);
  });
  auto small = whole;
  least(small);
  CHECK(small.steps < whole.steps / 2);
  CHECK_FALSE(small.heal_as_line);
  const auto again = reduced_scenario::parse(least.text());
  CHECK(again.text() == least.text());
  CHECK(violation_of<acknowledges_before_stored>(seed, again) == why);
}

TEST_CASE("no option is made simpler that there is not") {
  std::mt19937 random{1};
  scenario plan{random};
  const auto apply = [&](const char* text) { reduced_scenario::parse(text)(plan); };
  CHECK_THROWS_AS(apply("stops=3"), std::invalid_argument);
  CHECK_THROWS_AS(apply("steps"), std::invalid_argument);
  CHECK_THROWS_AS(apply("nodes=1"), std::invalid_argument);
  CHECK_THROWS_AS(apply("steps=x"), std::invalid_argument);
  CHECK_NOTHROW(apply("steps=7  mesh"));
  CHECK(plan.steps == 7);
}
