#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <troupe/bench/harness.hpp>

namespace troupe::bench {

/// The measurements as a JSON list of `{suite, name, unit, ours, beside, beside_name, ratio,
/// target, met}`.
std::string summary_json(const std::vector<measurement>& all);

/// The measurements as a table for people.
std::string summary_text(const std::vector<measurement>& all);

/// Writes what came out, with the machine and the versions that it came from:
///
/// - `<directory>/<date>/summary.json`, as above, and the same as `<directory>/latest/summary.json`
/// - `<directory>/<date>/run.json`: every single run, machine and versions
/// - `<directory>/<date>/table.md`: a table with machine and versions
///
/// The date is the time in UTC, to the second. @returns the directory that was made.
result<std::filesystem::path> write_report(const std::filesystem::path& directory,
                                           const std::vector<measurement>& all);

}  // namespace troupe::bench
