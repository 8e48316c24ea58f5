#include <troupe/bench/harness.hpp>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>

namespace troupe::bench {

namespace {

/// Of sorted numbers, with linear interpolation.
double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

/// A line that is written over on a terminal, and left out elsewhere.
void show_progress(const comparison& wanted, std::size_t run, std::size_t runs) {
  if (!isatty(STDERR_FILENO)) return;
  const auto stage = run == 0 ? std::string{"warming up"} : fmt::format("run {} of {}", run, runs);
  fmt::print(stderr, "\r\x1b[K{}: {}: {}", wanted.suite, wanted.name, stage);
  std::fflush(stderr);
}

void show_result(const measurement& made) {
  fmt::print(stderr, "{}{}: {}: {} {}, {} {}: ratio {:.2f} ({} {:.2f})\n",
             isatty(STDERR_FILENO) ? "\r\x1b[K" : "", made.suite, made.name,
             show_figure(made.ours.median), made.unit, made.beside_name,
             show_figure(made.beside.median), made.ratio, made.met() ? "reaches" : "MISSES",
             made.target);
}

result<double> run_once(const contender& side) {
  auto figure = side.run();
  if (!figure) return fail(figure.error().code, side.name + ": " + figure.error().message);
  return figure;
}

}  // namespace

std::string show_figure(double figure) {
  return figure < 100 ? fmt::format("{:.3g}", figure) : fmt::format("{:.0f}", figure);
}

figures summarise(std::vector<double> runs) {
  auto sorted = runs;
  std::ranges::sort(sorted);
  const double median = quantile(sorted, 0.5);
  return {median, (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / median, std::move(runs)};
}

result<void> harness::compare(const comparison& wanted) {
  std::vector<double> ours, beside;
  for (std::size_t run = 0; run <= runs; ++run) {
    show_progress(wanted, run, runs);
    const auto our_figure = run_once(wanted.ours);
    if (!our_figure) return fail(our_figure.error());
    const auto other_figure = run_once(wanted.beside);
    if (!other_figure) return fail(other_figure.error());
    if (run == 0) continue;
    ours.push_back(*our_figure);
    beside.push_back(*other_figure);
  }
  measurement made{.suite = wanted.suite,
                   .name = wanted.name,
                   .unit = wanted.unit,
                   .ours = summarise(std::move(ours)),
                   .beside_name = wanted.beside.name,
                   .beside = summarise(std::move(beside)),
                   .target = wanted.target};
  made.ratio = made.ours.median / made.beside.median;
  if (wanted.sufficient)
    made.target = std::min(made.target, *wanted.sufficient / made.beside.median);
  show_result(made);
  measurements_.push_back(std::move(made));
  return {};
}

}  // namespace troupe::bench
