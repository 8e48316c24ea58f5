#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <troupe/messages/error.hpp>

namespace troupe::bench {

/// How thoroughly to measure.
enum class effort {
  full,
  quick,  ///< With a quarter of the operations: for everyday use.
};

/// One side of a comparison. `run` performs the whole work once, verifies every result and returns
/// operations per second; a wrong result is an error. What it needs is set up before, so that it is
/// not measured.
struct contender {
  std::string name;
  std::function<result<double>()> run;
};

/// Ours beside something else that does the same work.
struct comparison {
  std::string suite;
  std::string name;
  std::string unit;  ///< Of the figures, such as `calls/s`; larger is better.
  contender ours;
  contender beside;
  double target = 1.0;               ///< The least ratio of ours to the other.
  std::optional<double> sufficient;  ///< A figure of ours that is enough even below that ratio.
};

/// The figures of one side.
struct figures {
  double median = 0;
  double spread = 0;         ///< Distance of the quartiles, as a share of the median.
  std::vector<double> runs;  ///< In the order in which they were made.
};

/// A figure for people: whole, or with three digits where it is small.
std::string show_figure(double figure);

/// Median and spread of at least one run.
figures summarise(std::vector<double> runs);

/// What came out of a comparison.
struct measurement {
  std::string suite;
  std::string name;
  std::string unit;
  figures ours;
  std::string beside_name;
  figures beside;
  double ratio = 0;   ///< Of the medians: ours to the other.
  double target = 0;  ///< The least ratio that was asked for; where a sufficient figure was named,
                      ///< at most what reaches it.
  bool met() const noexcept { return ratio >= target; }
};

/// Measures comparisons and collects what came out. Both sides are warmed up with one run each and
/// then run alternately (A B A B), so that a machine that is busy for a while slows both.
class harness {
public:
  explicit harness(effort wanted) : effort_(wanted) {}

  /// How many operations one run should make, where `full` are right for a full measurement.
  std::size_t operations(std::size_t full) const noexcept {
    return effort_ == effort::full ? full : full / 4;
  }
  /// Whether to leave out what takes long.
  bool is_quick() const noexcept { return effort_ == effort::quick; }
  /// Of each side that count.
  static constexpr std::size_t runs = 10;

  /// Measures; says on standard error how far it is. Fails with the first wrong result.
  result<void> compare(const comparison& wanted);

  const std::vector<measurement>& measurements() const noexcept { return measurements_; }

private:
  effort effort_;
  std::vector<measurement> measurements_;
};

/// A group of comparisons that can be run by name.
struct suite {
  std::string_view name;
  std::string_view summary;
  result<void> (*run)(harness&);
};

/// All suites, in the order in which they run.
std::span<const suite> all_suites() noexcept;

}  // namespace troupe::bench
