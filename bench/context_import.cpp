// Importing a file into a node, as people do it: with the programs, into an empty data directory.

#include <stdlib.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>

#include <troupe/bench/scratch_directory.hpp>
#include <troupe/bench/suites.hpp>

namespace troupe::bench {

namespace {

/// A node of its own, in a process of its own.
class started_node {
public:
  started_node(const std::filesystem::path& program, const std::filesystem::path& data)
      : program_(program), data_(data) {
    const auto command =
        fmt::format("'{}' run --json --no-discovery --data-dir '{}' 2>'{}'", program_.string(),
                    data_.string(), (data_.parent_path() / "log").string());
    output_ = ::popen(command.c_str(), "r");
    std::array<char, 4096> line{};
    is_ready_ = output_ != nullptr && std::fgets(line.data(), line.size(), output_) != nullptr;
  }
  started_node(const started_node&) = delete;
  started_node& operator=(const started_node&) = delete;
  ~started_node() {
    if (is_ready_) run("node stop");
    if (output_ != nullptr) ::pclose(output_);
  }

  bool is_ready() const noexcept { return is_ready_; }
  /// Runs a subcommand to its end. @returns whether it has succeeded.
  bool run(const std::string& words) const {
    return std::system(fmt::format("'{}' {} --data-dir '{}' >/dev/null", program_.string(), words,
                                   data_.string())
                           .c_str()) == 0;
  }

private:
  std::filesystem::path program_, data_;
  std::FILE* output_ = nullptr;
  bool is_ready_ = false;
};

/// A JSON file of many values, and nodes that import it.
class imported_file {
public:
  imported_file(std::filesystem::path program, std::uint32_t values)
      : program_(std::move(program)), values_(values) {
    std::ofstream out{place_.path() / "values.json"};
    out << '{';
    for (std::uint32_t i = 0; i < values; ++i)
      out << fmt::format("{}\n\"{:07}\": \"payload-{:07}-of-about-32-bytes\"", i > 0 ? "," : "", i,
                         i);
    out << "\n}\n";
  }

  /// Imports it into an empty node. @returns values a second.
  result<double> import() {
    const auto data = place_.path() / "data";
    std::filesystem::remove_all(data);
    const started_node node{program_, data};
    if (!node.is_ready()) return fail(error_code::unavailable, "a node does not start");
    const auto begin = std::chrono::steady_clock::now();
    const auto words = fmt::format("context import '{}' /values --deadline 600000",
                                   (place_.path() / "values.json").string());
    if (!node.run(words)) return fail(error_code::unavailable, "an import fails");
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    if (!node.run(fmt::format("context get /values/{:07}", values_ - 1)))
      return fail(error_code::corrupt_data, "an imported value is not there");
    return static_cast<double>(values_) / passed.count();
  }

private:
  std::filesystem::path program_;
  std::uint32_t values_;
  scratch_directory place_;
};

}  // namespace

result<void> measure_import(harness& with) {
  const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "troupe";
  if (!std::filesystem::exists(program)) {
    std::fprintf(stderr, "importing: not measured; `make bench` builds the program `troupe`\n");
    return {};
  }
  imported_file large{program, 1'000'000}, small{program, 10'000};
  return with.compare({.suite = "context",
                       .name = "importing 10^6 values",
                       .unit = "values/s",
                       .ours = {"troupe context import", [&] { return large.import(); }},
                       .beside = {"of 10^4 values", [&] { return small.import(); }},
                       .target = 1.0});
}

}  // namespace troupe::bench
