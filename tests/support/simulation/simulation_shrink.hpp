#pragma once

#include <algorithm>
#include <charconv>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <troupe/tests/support/simulation/simulated_cluster.hpp>

namespace troupe::test::simulation {

/// One option of a scenario, made simpler: "steps=40", "mesh".
struct reduction {
  std::string name;
  unsigned to = 0;  ///< For the options that are numbers.

  std::string text() const { return to > 0 ? name + "=" + std::to_string(to) : name; }
  /// @throws std::invalid_argument when there is none of this name, or it is made no simpler so.
  void apply(scenario& plan) const {
    if (name == "steps" && to > 0)
      plan.steps = to;
    else if (name == "nodes" && to > 1 && to <= plan.nodes)
      plan.nodes = to;
    else if (name == "paths" && to > 0)
      plan.paths = to;
    else if (to > 0)
      throw std::invalid_argument("no option of a scenario can be made '" + text() + "'");
    else if (name == "ordered")
      plan.ordered_links = true;
    else if (name == "mesh")
      plan.heal_as_line = false;
    else if (name == "fast-disks")
      plan.disk_percent = 100;
    else if (name == "whole-logs")
      plan.history = 1'000'000;
    else if (name == "no-backups")
      plan.backups = false;
    else if (name == "one-format")
      plan.newer = false;
    else if (name == "no-leases")
      plan.settings.leases.length_ms = 0;
    else if (name == "no-skew")
      std::ranges::fill(plan.skew_ms, 0);
    else if (name != "none-late")
      throw std::invalid_argument("no option of a scenario can be made '" + text() + "'");
    plan.late = name == "none-late" ? 0 : std::min(plan.late, plan.nodes - 2);
  }
};

/// A scenario of a seed that was made simpler.
class reduced_scenario {
public:
  /// @param text as `text` gives it. @throws std::invalid_argument when it is none.
  static reduced_scenario parse(const std::string& text) {
    reduced_scenario read;
    std::istringstream words{text};
    for (std::string word; words >> word;) {
      const auto equals = word.find('=');
      reduction next{word.substr(0, equals)};
      if (equals != std::string::npos) {
        const auto *const begin = word.data() + equals + 1, *const end = word.data() + word.size();
        if (std::from_chars(begin, end, next.to).ptr != end)
          throw std::invalid_argument("'" + word + "' does not end with a number");
      }
      read.all_.push_back(std::move(next));
    }
    return read;
  }
  std::string text() const {
    std::string words;
    for (const auto& each : all_) words += (words.empty() ? "" : " ") + each.text();
    return words;
  }
  /// With one option more; what was said of that option before is replaced.
  reduced_scenario with(reduction next) const {
    auto more = *this;
    std::erase_if(more.all_, [&](const reduction& each) { return each.name == next.name; });
    more.all_.push_back(std::move(next));
    return more;
  }
  void operator()(scenario& plan) const {
    for (const auto& each : all_) each.apply(plan);
  }

private:
  std::vector<reduction> all_;
};

/// Makes the scenario of a seed simpler while it fails in the same way, so that what is left is
/// what the failure needs. Greedy: each option in turn, then fewer steps. O(100 runs).
/// @param violation_of tells how a reduced scenario fails, if it does.
template <class ViolationOf>
reduced_scenario shrink(const scenario& whole, const std::string& why,
                        const ViolationOf& violation_of) {
  reduced_scenario best;
  const auto try_one = [&](reduction next) {
    auto candidate = best.with(std::move(next));
    if (violation_of(candidate) != why) return false;
    best = std::move(candidate);
    return true;
  };
  const auto fewer = [&](const char* name, unsigned from, unsigned least) {
    auto now = from;
    for (unsigned less = (from - least + 1) / 2; less > 0;) {
      if (now >= least + less && try_one({name, now - less}))
        now -= less;
      else
        less /= 2;
    }
  };
  fewer("steps", whole.steps, 1);
  for (const auto* each : {"no-backups", "none-late", "no-leases", "no-skew", "one-format", "mesh",
                           "ordered", "whole-logs", "fast-disks"})
    try_one({each});
  fewer("nodes", whole.nodes, 2);
  fewer("paths", whole.paths, 1);
  auto shortest = whole;
  best(shortest);
  fewer("steps", shortest.steps, 1);
  return best;
}

}  // namespace troupe::test::simulation
