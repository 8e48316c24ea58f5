#include <troupe/plugins/sandbox/process_sample.hpp>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <unistd.h>

#include <troupe/plugins/sandbox/kernel_file.hpp>

namespace troupe {

namespace {

namespace fs = std::filesystem;

struct process_facts {
  pid_t pid = 0;
  pid_t parent = 0;
  std::uint64_t cpu_ticks = 0;
};

/// proc(5): `pid (name) state ppid ... utime stime cutime cstime`, the last four being fields 14
/// to 17. The name may contain anything, so fields are counted behind its last parenthesis.
std::optional<process_facts> parse_stat(pid_t pid, const std::string& text) {
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields{text.substr(name_end + 1)};
  const std::vector<std::string> words{std::istream_iterator<std::string>{fields}, {}};
  if (words.size() < 15) return std::nullopt;
  process_facts facts{.pid = pid};
  facts.parent = static_cast<pid_t>(std::stol(words[1]));
  for (std::size_t i = 11; i < 15; ++i)
    facts.cpu_ticks += static_cast<std::uint64_t>(std::max(0L, std::stol(words[i])));
  return facts;
}

std::multimap<pid_t, process_facts> processes_by_parent() {
  std::multimap<pid_t, process_facts> all;
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator{"/proc", problem}) {
    const auto pid = parse_leading_number(entry.path().filename().string());
    if (!pid) continue;
    if (const auto facts =
            parse_stat(static_cast<pid_t>(*pid), read_kernel_file(entry.path() / "stat")))
      all.emplace(facts->parent, *facts);
  }
  return all;
}

std::uint64_t proportional_bytes(pid_t pid) {
  std::istringstream lines{read_kernel_file("/proc/" + std::to_string(pid) + "/smaps_rollup")};
  for (std::string key; lines >> key;)
    if (std::uint64_t kibibytes = 0; key == "Pss:" && lines >> kibibytes) return kibibytes * 1024;
  return 0;
}

}  // namespace

process_sample sample_process_tree(pid_t root) {
  const auto by_parent = processes_by_parent();
  const auto ticks_per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  process_sample sample;
  std::uint64_t ticks = 0;
  std::vector<pid_t> waiting{root};
  const auto own =
      std::ranges::find_if(by_parent, [&](const auto& entry) { return entry.second.pid == root; });
  if (own == by_parent.end()) return sample;
  ticks += own->second.cpu_ticks;
  while (!waiting.empty()) {
    const pid_t pid = waiting.back();
    waiting.pop_back();
    ++sample.processes;
    sample.memory_bytes += proportional_bytes(pid);
    const auto [first, last] = by_parent.equal_range(pid);
    for (auto child = first; child != last; ++child) {
      ticks += child->second.cpu_ticks;
      waiting.push_back(child->second.pid);
    }
  }
  sample.cpu_milliseconds = ticks * 1000 / ticks_per_second;
  return sample;
}

}  // namespace troupe
