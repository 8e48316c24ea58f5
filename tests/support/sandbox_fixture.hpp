#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

#include <troupe/plugins/sandbox/bubblewrap.hpp>
#include <troupe/plugins/sandbox/kernel_file.hpp>
#include <troupe/plugins/sandbox/process_handle.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

/// What the tests of sandboxes share. They start real processes and need the environment variable
/// TROUPE_PLUGIN_INIT.
namespace troupe::test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

inline constexpr auto patience = 30s;

/// Waits until a condition holds that nothing announces; false when it does not in time.
template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds max_wait = patience) {
  const auto end = std::chrono::steady_clock::now() + max_wait;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

/// Everything from a descriptor until its other end is closed.
inline std::string read_to_end(int fd) {
  std::string all;
  const auto end = std::chrono::steady_clock::now() + patience;
  std::array<char, 4096> block;
  while (std::chrono::steady_clock::now() < end) {
    wait_readable(fd, 100ms);
    const auto count = ::read(fd, block.data(), block.size());
    if (count == 0) break;
    if (count > 0) all.append(block.data(), static_cast<std::size_t>(count));
  }
  return all;
}

inline std::string read_line(int fd) {
  std::string line;
  for (char c = 0; wait_readable(fd, patience) && ::read(fd, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

/// Processes whose command line contains a text.
inline std::size_t count_processes(const std::string& text) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator{"/proc"})
    if (read_kernel_file(entry.path() / "cmdline").find(text) != std::string::npos) ++count;
  return count;
}

/// A directory with a package in it, and sandboxes whose records are beside it.
class sandbox_fixture {
  temporary_directory directory_;

public:
  sandbox_fixture() {
    ::chmod(root.c_str(), 0755);
    fs::create_directory(package);
    REQUIRE(std::getenv("TROUPE_PLUGIN_INIT") != nullptr);
    plugin_init = fs::absolute(std::getenv("TROUPE_PLUGIN_INIT"));
  }

  static permission_check deny_all() {
    return [](std::string_view, std::string_view) -> result<permission_decision> {
      return permission_decision{false, "not granted"};
    };
  }

  bubblewrap_config config() const {
    bubblewrap_config made;
    made.plugin_init = plugin_init;
    made.record_directory = root / "records";
    return made;
  }
  std::unique_ptr<bubblewrap> open(bubblewrap_config given) const {
    auto made = bubblewrap::open(std::move(given), deny_all());
    REQUIRE_MESSAGE(made, (made ? "" : made.error().message));
    return std::move(*made);
  }
  std::unique_ptr<bubblewrap> open() const { return open(config()); }

  void write(const fs::path& file, const std::string& text,
             fs::perms mode = fs::perms{0644}) const {
    std::ofstream{file} << text;
    fs::permissions(file, mode);
  }

  /// A plugin that runs a Python script.
  sandbox_spec python(const std::string& script) const {
    write(package / "main.py", script);
    sandbox_spec spec;
    spec.plugin = "probe";
    spec.package = package;
    spec.entry = {"/usr/bin/python3", "-u", "main.py"};
    return spec;
  }
  sandbox_spec shell(const std::string& script) const {
    sandbox_spec spec = python("");
    spec.entry = {"/bin/sh", "-c", script};
    return spec;
  }

  struct outcome {
    exit_status status;
    std::string output;
    std::vector<sandbox_layer> layers;
  };

  /// Runs a plugin to its end.
  static outcome run(plugin_sandbox& sandbox, const sandbox_spec& spec) {
    auto process = sandbox.create(spec);
    REQUIRE_MESSAGE(process, (process ? "" : process.error().message));
    auto output = read_to_end(process->output.get());
    CHECK(wait_readable(process->pidfd.get(), patience));
    const auto status = sandbox.destroy(spec.plugin, 0ms);
    REQUIRE(status);
    REQUIRE(status->has_value());
    return {**status, std::move(output), std::move(process->layers)};
  }
  outcome run(const sandbox_spec& spec) const { return run(*open(), spec); }

  const fs::path root = directory_.path();
  const fs::path package = root / "package";
  fs::path plugin_init;
};

inline bool says(const std::string& output, const std::string& line) {
  const bool found = ('\n' + output).find('\n' + line + '\n') != std::string::npos;
  if (!found) MESSAGE("expected the line \"" << line << "\" in:\n" << output);
  return found;
}

}  // namespace troupe::test
