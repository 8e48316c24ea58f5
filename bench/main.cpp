#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include <CLI/CLI.hpp>
#include <caf/init_global_meta_objects.hpp>

#include <troupe/bench/bare_types.hpp>
#include <troupe/bench/report.hpp>
#include <troupe/bench/suites.hpp>
#include <troupe/runtime/node.hpp>
#include <troupe/runtime/version.hpp>

namespace {

/// How `troupe-bench` ends. Part of its interface: scripts rely on these numbers.
enum exit_code : int { all_met = 0, target_missed = 1, usage = 2, failed = 3 };

constexpr const char* footer =
    R"(Every figure is measured beside something else that does the same work in the same run.
Both sides are warmed up and run alternately; figures are medians, and what counts is their ratio.
All results are verified.

Exit codes:
  0 every target is reached   1 a target is missed   2 wrong arguments
  3 it could not be measured: a result was wrong, or the report could not be written)";

struct options {
  std::vector<std::string> suites;
  std::string results = "bench/results";
  bool quick = false;
  bool json = false;
};

void list_suites() {
  for (const auto& each : troupe::bench::all_suites())
    std::printf("%-10s %s\n", std::string{each.name}.c_str(), std::string{each.summary}.c_str());
}

std::vector<std::string> suite_names() {
  std::vector<std::string> names;
  for (const auto& each : troupe::bench::all_suites()) names.emplace_back(each.name);
  return names;
}

int report_failure(const troupe::error& why) {
  std::fprintf(stderr, "troupe-bench: %s\n", why.message.c_str());
  return failed;
}

/// Checked before the measurements, which take a minute.
bool can_be_written(const std::string& directory) {
  std::error_code problem;
  std::filesystem::create_directories(directory, problem);
  return ::access(directory.c_str(), W_OK) == 0;
}

int measure(const options& wanted) {
  using namespace troupe;
  if (!can_be_written(wanted.results))
    return report_failure(
        {error_code::storage_failure, "reports cannot be written to " + wanted.results, {}});
  register_messages();
  caf::init_global_meta_objects<caf::id_block::troupe_bench>();
  bench::harness harness{wanted.quick ? bench::effort::quick : bench::effort::full};
  for (const auto& each : bench::all_suites()) {
    if (!wanted.suites.empty() &&
        std::ranges::find(wanted.suites, each.name) == wanted.suites.end())
      continue;
    if (auto done = each.run(harness); !done) return report_failure(done.error());
  }
  const auto& all = harness.measurements();
  const auto written = bench::write_report(wanted.results, all);
  if (!written) return report_failure(written.error());
  std::fprintf(stderr, "the report is in %s\n", written->c_str());
  std::fputs((wanted.json ? bench::summary_json(all) : bench::summary_text(all)).c_str(), stdout);
  return std::ranges::all_of(all, &bench::measurement::met) ? all_met : target_missed;
}

}  // namespace

int main(int argc, char** argv) {
  options wanted;
  bool list = false;
  std::string memory_of;
  std::uint32_t entries = 0;
  CLI::App program{"Measures Troupe beside other ways to do the same work", "troupe-bench"};
  program.set_version_flag("--version", "troupe-bench " + std::string{troupe::version});
  program.add_option("--suite", wanted.suites, "Run only this suite; may be repeated")
      ->check(CLI::IsMember(suite_names()))
      ->take_all()
      ->allow_extra_args(false);
  program.add_option("--results", wanted.results, "Directory of the reports")
      ->capture_default_str();
  program.add_flag("--quick", wanted.quick, "Shorter runs, for everyday use");
  program.add_flag("--json", wanted.json, "Print the summary as JSON");
  program.add_flag("--list", list, "List the suites and end");
  // The suite `context` calls this program again with these.
  program.add_option("--memory-of", memory_of)->group("")->check(CLI::IsMember({"ours", "beside"}));
  program.add_option("--entries", entries)->group("");
  program.footer(footer);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return program.exit(problem, std::cout, std::cerr) == 0 ? all_met : usage;
  }
  if (list) {
    list_suites();
    return all_met;
  }
  if (!memory_of.empty()) {
    std::printf("%f\n", troupe::bench::measure_context_memory(memory_of, entries));
    return all_met;
  }
  return measure(wanted);
}
