#include <troupe/plugins/sandbox/landlock.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

namespace {

// The kernel's full interface: the headers of a distribution may be older than its kernel.
constexpr long create_ruleset_call = 444, add_rule_call = 445, restrict_self_call = 446;
constexpr std::uint32_t version_query = 1;
constexpr int rule_path_beneath = 1;

struct ruleset_attributes {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;
  std::uint64_t scoped;
};

struct [[gnu::packed]] path_beneath_attributes {
  std::uint64_t allowed_access;
  std::int32_t parent_fd;
};

enum access : std::uint64_t {
  execute = 1ULL << 0,
  write_file = 1ULL << 1,
  read_file = 1ULL << 2,
  read_dir = 1ULL << 3,
  remove_dir = 1ULL << 4,
  remove_file = 1ULL << 5,
  make_char = 1ULL << 6,
  make_dir = 1ULL << 7,
  make_reg = 1ULL << 8,
  make_sock = 1ULL << 9,
  make_fifo = 1ULL << 10,
  make_block = 1ULL << 11,
  make_sym = 1ULL << 12,
  refer = 1ULL << 13,      // ABI 2
  truncate = 1ULL << 14,   // ABI 3
  ioctl_dev = 1ULL << 15,  // ABI 5
};
constexpr std::uint64_t handled_net = 0b11;     // ABI 4: bind and connect TCP
constexpr std::uint64_t handled_scopes = 0b11;  // ABI 6: abstract unix sockets and signals

constexpr std::uint64_t to_read = read_file | read_dir;
constexpr std::uint64_t to_write = to_read | write_file | truncate | remove_dir | remove_file |
                                   make_dir | make_reg | make_fifo | make_sym | refer;
/// The rights that exist for a file that is not a directory; the kernel refuses the rest.
constexpr std::uint64_t of_files = execute | write_file | read_file | truncate | ioctl_dev;

std::uint64_t known_to(int abi) noexcept {
  std::uint64_t known = refer - 1;
  if (abi >= 2) known |= refer;
  if (abi >= 3) known |= truncate;
  if (abi >= 5) known |= ioctl_dev;
  return known;
}

std::size_t attribute_bytes(int abi) noexcept {
  if (abi >= 6) return sizeof(ruleset_attributes);
  return abi >= 4 ? offsetof(ruleset_attributes, scoped)
                  : offsetof(ruleset_attributes, handled_access_net);
}

int permit(int ruleset, const std::vector<std::string>& paths, std::uint64_t wanted) {
  for (const auto& path : paths) {
    const unique_fd place{::open(path.c_str(), O_PATH | O_CLOEXEC)};
    if (!place && errno == ENOENT) continue;
    struct stat facts {};
    if (!place || ::fstat(place.get(), &facts) != 0) return errno;
    const path_beneath_attributes rule{S_ISDIR(facts.st_mode) ? wanted : wanted & of_files,
                                       place.get()};
    if (::syscall(add_rule_call, ruleset, rule_path_beneath, &rule, 0) != 0) return errno;
  }
  return 0;
}

}  // namespace

int landlock_abi() noexcept {
  const long abi = ::syscall(create_ruleset_call, nullptr, 0, version_query);
  return static_cast<int>(std::max(abi, 0L));
}

int enforce_landlock(const landlock_rules& rules, int abi) {
  const ruleset_attributes attributes{known_to(abi), handled_net, handled_scopes};
  const unique_fd ruleset{
      static_cast<int>(::syscall(create_ruleset_call, &attributes, attribute_bytes(abi), 0))};
  if (!ruleset) return errno;
  const std::array<std::pair<const std::vector<std::string>*, std::uint64_t>, 4> grants{
      {{&rules.executable, to_read | execute},
       {&rules.readable, to_read},
       {&rules.writable, to_write},
       {&rules.devices, read_file | write_file | ioctl_dev}}};
  for (const auto& [paths, wanted] : grants)
    if (const int problem = permit(ruleset.get(), *paths, wanted & known_to(abi))) return problem;
  return ::syscall(restrict_self_call, ruleset.get(), 0) == 0 ? 0 : errno;
}

}  // namespace troupe
