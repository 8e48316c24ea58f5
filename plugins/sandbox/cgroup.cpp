#include <troupe/plugins/sandbox/cgroup.hpp>

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <troupe/plugins/sandbox/kernel_file.hpp>

namespace troupe {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::uint64_t cpu_period_microseconds = 100'000;
/// Beside the plugin's own: bwrap outside, and its first process inside the sandbox.
constexpr std::uint64_t sandbox_processes = 2;

std::optional<std::uint64_t> read_number(const fs::path& file) {
  return parse_leading_number(read_kernel_file(file));
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream{std::string{text}};
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

bool contains(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

struct cgroup_mount {
  fs::path root;   ///< The group that is mounted.
  fs::path point;  ///< Where.
  int version;
  std::vector<std::string> options;
};

/// proc(5): `id parent major:minor root point options fields... - type source super-options`.
std::vector<cgroup_mount> cgroup_mounts(std::string_view mountinfo) {
  std::vector<cgroup_mount> mounts;
  for (const auto& line : split(mountinfo, '\n')) {
    const auto words = split(line, ' ');
    const auto dash = std::ranges::find(words, "-");
    if (words.size() < 6 || std::distance(dash, words.end()) < 4) continue;
    if (dash[1] == "cgroup") mounts.push_back({words[3], words[4], 1, split(dash[3], ',')});
    if (dash[1] == "cgroup2") mounts.push_back({words[3], words[4], 2, {}});
  }
  return mounts;
}

/// The directory of group `path` below a mount, or empty when the mount does not show it.
fs::path directory_of(const cgroup_mount& mount, const fs::path& path) {
  const auto below = path.lexically_relative(mount.root);
  if (below.empty() || *below.begin() == "..") return {};
  return (mount.point / below).lexically_normal();
}

/// Waits in small steps: no version of control groups announces reliably that a group is empty.
template <class Condition>
bool wait_until(Condition condition, milliseconds max_wait) {
  const auto end = std::chrono::steady_clock::now() + max_wait;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(milliseconds{1});
  }
  return true;
}

bool remove_directory(const fs::path& directory) {
  return ::rmdir(directory.c_str()) == 0 || errno == ENOENT;
}

}  // namespace

cgroup_site cgroup_site::find(std::string_view mountinfo, std::string_view self_cgroup,
                              std::string_view v2_controllers) {
  cgroup_site site;
  const auto mounts = cgroup_mounts(mountinfo);
  // cgroups(7): `hierarchy:controllers:path`; version 2 has no controllers here.
  for (const auto& line : split(self_cgroup, '\n')) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const auto controllers =
        split(std::string_view{line}.substr(first + 1, second - first - 1), ',');
    const int version = controllers.empty() ? 2 : 1;
    for (const auto& mount : mounts) {
      if (mount.version != version ||
          (version == 1 && !contains(mount.options, controllers.front())))
        continue;
      const place here{directory_of(mount, line.substr(second + 1)), version};
      if (here.parent.empty()) continue;
      if (version == 2) {
        site.unified = here;
        continue;
      }
      if (contains(controllers, "memory")) site.memory = here;
      if (contains(controllers, "cpu")) site.cpu = here;
      if (contains(controllers, "cpuacct")) site.cpu_account = here;
      if (contains(controllers, "pids")) site.pids = here;
    }
  }
  auto enabled = split(v2_controllers, ' ');
  if (!enabled.empty() && enabled.back().ends_with('\n')) enabled.back().pop_back();
  if (contains(enabled, "memory")) site.memory = site.unified;
  if (contains(enabled, "cpu")) site.cpu = site.unified;
  if (contains(enabled, "pids")) site.pids = site.unified;
  return site;
}

cgroup_site cgroup_site::find() {
  const auto mountinfo = read_kernel_file("/proc/self/mountinfo");
  const auto self = read_kernel_file("/proc/self/cgroup");
  auto site = find(mountinfo, self, "");
  if (site.unified.parent.empty()) return site;
  // A group with processes in it cannot have children with controllers, so a delegated service sits
  // in a child of its own.
  const auto inside = site.unified.parent;
  for (const auto& parent : {inside, inside.parent_path()}) {
    const auto enabled = read_kernel_file(parent / "cgroup.subtree_control");
    if (enabled.find("memory") == std::string::npos || ::access(parent.c_str(), W_OK) != 0)
      continue;
    site = find(mountinfo, self, enabled);
    for (auto* place : {&site.memory, &site.cpu, &site.pids, &site.unified})
      if (place->version == 2) place->parent = parent;
    break;
  }
  return site;
}

std::vector<fs::path> cgroup::directories(const cgroup_site& site, const std::string& name) {
  std::vector<fs::path> all;
  for (const auto* place :
       {&site.memory, &site.cpu, &site.cpu_account, &site.pids, &site.unified}) {
    if (place->parent.empty()) continue;
    auto directory = place->parent / name;
    if (std::ranges::find(all, directory) == all.end()) all.push_back(std::move(directory));
  }
  return all;
}

cgroup::cgroup(const cgroup_site& site, const std::string& name, const resource_limits& limits)
    : memory_{make(site.memory, name)},
      cpu_{make(site.cpu, name)},
      cpu_account_{make(site.cpu_account, name)},
      pids_{make(site.pids, name)} {
  make(site.unified, name);
  const auto memory = std::to_string(limits.max_memory_bytes);
  const auto quota = std::to_string(limits.max_cpu_percent * cpu_period_microseconds / 100);
  const auto period = std::to_string(cpu_period_microseconds);
  const auto processes = std::to_string(limits.max_processes + sandbox_processes);
  if (memory_.version == 2) {
    if (!write_kernel_file(memory_.directory / "memory.max", memory)) memory_ = {};
    // Without these two the limit still holds, but swap adds to it, and only one process is ended
    // at it.
    (void)write_kernel_file(memory_.directory / "memory.swap.max", "0");
    (void)write_kernel_file(memory_.directory / "memory.oom.group", "1");
  } else if (memory_.version == 1) {
    if (!write_kernel_file(memory_.directory / "memory.limit_in_bytes", memory)) memory_ = {};
    // Fails on kernels that do not count swap.
    (void)write_kernel_file(memory_.directory / "memory.memsw.limit_in_bytes", memory);
  }
  if (cpu_.version == 2 && !write_kernel_file(cpu_.directory / "cpu.max", quota + ' ' + period))
    cpu_ = {};
  if (cpu_.version == 1 && (!write_kernel_file(cpu_.directory / "cpu.cfs_period_us", period) ||
                            !write_kernel_file(cpu_.directory / "cpu.cfs_quota_us", quota)))
    cpu_ = {};
  if (pids_.version != 0 && !write_kernel_file(pids_.directory / "pids.max", processes)) pids_ = {};
}

cgroup::~cgroup() { remove(milliseconds{0}); }

cgroup::group cgroup::make(const cgroup_site::place& place, const std::string& name) {
  if (place.parent.empty()) return {};
  const auto directory = place.parent / name;
  if (std::ranges::find(made_, directory) != made_.end()) return {directory, place.version};
  if (::mkdir(directory.c_str(), 0755) != 0) return {};
  unique_fd door{::open((directory / "cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC)};
  if (!door) {
    ::rmdir(directory.c_str());
    return {};
  }
  made_.push_back(directory);
  doors_.push_back(std::move(door));
  return {directory, place.version};
}

std::string_view cgroup::mechanism(const group& one) noexcept {
  switch (one.version) {
    case 1: return "cgroup v1";
    case 2: return "cgroup v2";
    default: return {};
  }
}

std::optional<std::uint64_t> cgroup::memory_bytes() const {
  if (memory_.version == 0) return std::nullopt;
  return read_number(memory_.directory /
                     (memory_.version == 2 ? "memory.current" : "memory.usage_in_bytes"));
}

std::optional<std::uint64_t> cgroup::cpu_milliseconds() const {
  if (cpu_.version == 2) {
    constexpr std::string_view key = "usage_usec ";
    const auto text = read_kernel_file(cpu_.directory / "cpu.stat");
    const auto at = text.find(key);
    if (at == std::string::npos) return std::nullopt;
    const auto microseconds = parse_leading_number(std::string_view{text}.substr(at + key.size()));
    return microseconds ? std::optional{*microseconds / 1000} : std::nullopt;
  }
  if (cpu_account_.version == 0) return std::nullopt;
  const auto nanoseconds = read_number(cpu_account_.directory / "cpuacct.usage");
  return nanoseconds ? std::optional{*nanoseconds / 1'000'000} : std::nullopt;
}

std::optional<std::uint64_t> cgroup::processes() const {
  if (pids_.version == 0) return std::nullopt;
  const auto all = read_number(pids_.directory / "pids.current");
  return all ? std::optional{*all - std::min(*all, sandbox_processes)} : std::nullopt;
}

bool cgroup::remove(milliseconds max_wait) {
  doors_.clear();
  return wait_until(
      [&] {
        std::erase_if(made_, remove_directory);
        return made_.empty();
      },
      max_wait);
}

bool is_cgroup(const fs::path& directory) noexcept {
  struct statfs facts {};
  return ::statfs(directory.c_str(), &facts) == 0 &&
         (facts.f_type == CGROUP_SUPER_MAGIC || facts.f_type == CGROUP2_SUPER_MAGIC);
}

bool end_cgroup(const fs::path& directory, milliseconds max_wait) {
  return wait_until(
      [&] {
        if (remove_directory(directory)) return true;
        if (write_kernel_file(directory / "cgroup.kill", "1")) return false;
        for (const auto& line : split(read_kernel_file(directory / "cgroup.procs"), '\n')) {
          const auto pid = parse_leading_number(line);
          if (!pid) continue;
          const unique_fd process{
              static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(*pid), 0))};
          // Still listed after it was opened: the pidfd is of that process, not of a later one with
          // its number.
          if (process && contains(split(read_kernel_file(directory / "cgroup.procs"), '\n'), line))
            ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
        }
        return false;
      },
      max_wait);
}

}  // namespace troupe
