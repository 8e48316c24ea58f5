#include <troupe/plugins/sandbox/host_record.hpp>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <troupe/plugins/sandbox/cgroup.hpp>

namespace troupe {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view group_prefix = "troupe-";
constexpr std::string_view file_suffix = ".sandbox";
constexpr std::chrono::seconds max_wait_for_group{2};

std::string random_tag() {
  std::array<std::uint8_t, 8> bytes{};
  // Eight bytes are never interrupted, and the pool is ready long before any host runs.
  (void)!::getrandom(bytes.data(), bytes.size(), 0);
  std::string text;
  for (const auto byte : bytes)
    text += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return text;
}

/// Whether a line of a record may be acted on: it must name a control group as hosts name theirs.
/// The file may hold other lines.
bool is_ours(const fs::path& directory) {
  return directory.is_absolute() && directory.lexically_normal() == directory &&
         directory.filename().string().starts_with(group_prefix) && is_cgroup(directory);
}

/// The first line of a record: which file it was written to. Nothing when the file cannot be looked
/// at.
std::string name_itself(const unique_fd& file) {
  struct ::stat seen {};
  if (::fstat(file.get(), &seen) != 0) return {};
  return "record " + std::to_string(seen.st_dev) + ' ' + std::to_string(seen.st_ino);
}

/// @param itself The line with which the record must begin.
bool is_copy(const fs::path& record, const std::string& itself) {
  std::ifstream lines{record};
  std::string first;
  return !std::getline(lines, first) || itself.empty() || first != itself;
}

bool remove_groups(const fs::path& record) {
  std::ifstream lines{record};
  bool all = true;
  for (std::string line; std::getline(lines, line);)
    if (is_ours(line)) all = end_cgroup(line, max_wait_for_group) && all;
  return all;
}

}  // namespace

result<host_record> host_record::open(const fs::path& directory) {
  std::error_code problem;
  fs::create_directories(directory, problem);
  const auto tag = random_tag();
  const auto file = directory / (tag + std::string{file_suffix});
  unique_fd fd{::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  const auto refuse = [&] {
    return fail(error_code::storage_failure, "the sandbox cannot keep its record " + file.string() +
                                                 ": " + std::strerror(errno));
  };
  if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return refuse();
  auto text = name_itself(fd) + '\n';
  if (::pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    return refuse();
  return host_record{file, std::string{group_prefix} + tag + '-', std::move(fd), std::move(text)};
}

host_record::~host_record() {
  if (fd_) ::unlink(file_.c_str());
}

result<void> host_record::add(const fs::path& directory) {
  const auto line = directory.string() + '\n';
  // The end of a line, followed by as many bytes of removed lines as this one needs.
  const auto room = text_.find(std::string(line.size() + 1, '\n'));
  const auto place = room == std::string::npos ? text_.size() : room + 1;
  if (::pwrite(fd_.get(), line.data(), line.size(), static_cast<off_t>(place)) ==
      static_cast<ssize_t>(line.size())) {
    text_.replace(place, line.size(), line);
    return {};
  }
  return fail(error_code::storage_failure, "the sandbox cannot write its record " + file_.string() +
                                               ": " + std::strerror(errno));
}

void host_record::remove(const std::vector<fs::path>& directories) {
  for (const auto& directory : directories) {
    const auto before = text_.find('\n' + directory.string() + '\n');
    if (before == std::string::npos) continue;
    const std::string empty(directory.string().size(), '\n');
    if (::pwrite(fd_.get(), empty.data(), empty.size(), static_cast<off_t>(before + 1)) ==
        static_cast<ssize_t>(empty.size()))
      text_.replace(before + 1, empty.size(), empty);
  }
}

result<std::size_t> host_record::remove_leftovers(const fs::path& directory) {
  std::size_t hosts = 0;
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator{directory, problem}) {
    if (entry.path().extension() != file_suffix) continue;
    const unique_fd fd{::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    if (is_copy(entry.path(), name_itself(fd))) {
      ::unlink(entry.path().c_str());
      continue;
    }
    if (!remove_groups(entry.path()))
      return fail(error_code::unavailable, "control groups named in " + entry.path().string() +
                                               " cannot be removed; end the processes in them");
    ::unlink(entry.path().c_str());
    ++hosts;
  }
  return hosts;
}

}  // namespace troupe
