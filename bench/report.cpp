#include <troupe/bench/report.hpp>

#include <algorithm>
#include <chrono>
#include <fstream>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <troupe/bench/machine.hpp>

namespace troupe::bench {

namespace {

using json = nlohmann::ordered_json;

/// To a tenth, and small figures to four digits: those behind are noise.
double rounded(double figure) {
  const double digits = figure > 0 && figure < 1000 ? 3 - std::floor(std::log10(figure)) : 1;
  const double scale = std::pow(10.0, digits);
  return std::round(figure * scale) / scale;
}

json to_json(const measurement& made) {
  return {{"suite", made.suite},
          {"name", made.name},
          {"unit", made.unit},
          {"ours", rounded(made.ours.median)},
          {"beside", rounded(made.beside.median)},
          {"beside_name", made.beside_name},
          {"ratio", made.ratio},
          {"target", made.target},
          {"met", made.met()}};
}

json to_json(const facts& known) {
  json object = json::object();
  for (const auto& [name, text] : known) object[name] = text;
  return object;
}

json to_json(const figures& side) {
  json runs = json::array();
  for (const double each : side.runs) runs.push_back(rounded(each));
  return {{"median", rounded(side.median)}, {"spread", side.spread}, {"runs", runs}};
}

std::string run_json(std::string_view date, const std::vector<measurement>& all) {
  json results = json::array();
  for (const auto& made : all) {
    auto each = to_json(made);
    each["ours"] = to_json(made.ours);
    each["beside"] = to_json(made.beside);
    results.push_back(std::move(each));
  }
  return json{{"date", date},
              {"machine", to_json(describe_machine())},
              {"versions", to_json(describe_versions())},
              {"results", results}}
             .dump(2) +
         "\n";
}

using row = std::vector<std::string>;

/// A figure with its spread, such as `312345 ± 4 %`.
std::string shown(const figures& side) {
  return fmt::format("{} ± {:.0f} %", show_figure(side.median), 100 * side.spread);
}

std::vector<row> table_rows(const std::vector<measurement>& all) {
  std::vector<row> rows{
      {"suite", "what", "unit", "ours", "beside it", "beside", "ratio", "target", "met"}};
  for (const auto& made : all)
    rows.push_back({made.suite, made.name, made.unit, shown(made.ours), made.beside_name,
                    shown(made.beside), fmt::format("{:.2f}", made.ratio),
                    fmt::format("{:.2f}", made.target), made.met() ? "yes" : "NO"});
  return rows;
}

std::string table_markdown(std::string_view date, const std::vector<measurement>& all) {
  std::string text = fmt::format("# Benchmarks of {}\n\n", date);
  for (const auto& known : {describe_machine(), describe_versions()})
    for (const auto& [name, fact] : known) text += fmt::format("- {}: {}\n", name, fact);
  text += "\nMedians with the distance of the quartiles; larger is better.\n\n";
  const auto rows = table_rows(all);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    text += fmt::format("| {} |\n", fmt::join(rows[i], " | "));
    if (i == 0) text += "|---|---|---|---:|---|---:|---:|---:|---|\n";
  }
  return text;
}

std::string date_now() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H%M%SZ}", fmt::gmtime(now));
}

result<void> write_file(const std::filesystem::path& file, const std::string& text) {
  std::error_code problem;
  std::filesystem::create_directories(file.parent_path(), problem);
  std::ofstream out{file, std::ios::binary};
  out << text;
  out.close();
  if (!out)
    return fail(error_code::storage_failure, "the report cannot be written to " + file.native());
  return {};
}

/// The columns that a text takes, when each character takes one.
std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char byte) { return (byte & 0xc0) != 0x80; }));
}

}  // namespace

std::string summary_json(const std::vector<measurement>& all) {
  json list = json::array();
  for (const auto& made : all) list.push_back(to_json(made));
  return list.dump(2) + "\n";
}

std::string summary_text(const std::vector<measurement>& all) {
  const auto rows = table_rows(all);
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& each : rows)
    for (std::size_t i = 0; i < each.size(); ++i) widths[i] = std::max(widths[i], columns(each[i]));
  std::string text;
  for (const auto& each : rows) {
    std::string line;
    for (std::size_t i = 0; i < each.size(); ++i)
      line += each[i] + std::string(widths[i] - columns(each[i]) + 2, ' ');
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

result<std::filesystem::path> write_report(const std::filesystem::path& directory,
                                           const std::vector<measurement>& all) {
  const auto date = date_now();
  const auto summary = summary_json(all);
  const std::vector<std::pair<std::filesystem::path, std::string>> files{
      {directory / date / "summary.json", summary},
      {directory / date / "run.json", run_json(date, all)},
      {directory / date / "table.md", table_markdown(date, all)},
      {directory / "latest" / "summary.json", summary}};
  for (const auto& [file, text] : files)
    if (auto written = write_file(file, text); !written) return fail(std::move(written.error()));
  return directory / date;
}

}  // namespace troupe::bench
