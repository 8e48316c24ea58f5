#include <troupe/bench/machine.hpp>

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include <fmt/format.h>

#include <troupe/runtime/version.hpp>

namespace troupe::bench {

namespace {

std::string processor_model() {
  std::ifstream about{"/proc/cpuinfo"};
  for (std::string line; std::getline(about, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

std::string memory_size() {
  const double bytes =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  return fmt::format("{:.1f} GiB", bytes / (1 << 30));
}

std::string kernel() {
  utsname about{};
  if (uname(&about) != 0) return "unknown";
  return fmt::format("{} {} {}", about.sysname, about.release, about.machine);
}

}  // namespace

facts describe_machine() {
  return {{"processor", processor_model()},
          {"processors", std::to_string(std::thread::hardware_concurrency())},
          {"memory", memory_size()},
          {"kernel", kernel()}};
}

facts describe_versions() {
  return {{"troupe", std::string{version}}, {"commit", std::string{built_from_commit}},
          {"caf", TROUPE_CAF_VERSION},      {"compiler", TROUPE_COMPILER},
          {"allocator", TROUPE_ALLOCATOR},  {"build", TROUPE_BUILD_TYPE}};
}

}  // namespace troupe::bench
