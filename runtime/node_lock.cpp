#include <troupe/runtime/node_lock.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <set>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe {

namespace {

constexpr std::size_t max_text = 4096;
constexpr const char* made_directory = "/tmp/troupe-";  // and the user; goes with the last lock

/// Whether a directory is there into which nobody but this user can write.
bool is_own(const std::string& directory) {
  struct stat found {};
  return ::lstat(directory.c_str(), &found) == 0 && S_ISDIR(found.st_mode) &&
         found.st_uid == ::geteuid() && (found.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// The directories of this user for locks, each once.
std::vector<std::string> own_directories() {
  const auto user = std::to_string(::geteuid());
  std::vector<std::string> wanted{"/run/user/" + user, made_directory + user};
  if (const char* given = std::getenv("XDG_RUNTIME_DIR"); given && *given == '/')
    wanted.emplace_back(given);
  ::mkdir(wanted[1].c_str(), 0700);
  std::vector<std::string> found;
  std::set<std::pair<dev_t, ino_t>> known;  // one directory may have several names
  for (auto& each : wanted) {
    struct stat there {};
    if (!is_own(each) || ::stat(each.c_str(), &there) != 0) continue;
    if (known.emplace(there.st_dev, there.st_ino).second) found.push_back(std::move(each));
  }
  return found;
}

/// Whether a file is still the one with this name.
bool is_at(int file, const std::string& name) {
  struct stat opened {
  }, named{};
  return ::fstat(file, &opened) == 0 && ::stat(name.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/// The process and the data directory, one on each line.
struct holder {
  std::string process = "(unknown)", directory = "(unknown)";
};

holder read_holder(int file) {
  std::array<char, max_text> bytes;
  const auto length = ::pread(file, bytes.data(), bytes.size(), 0);
  const std::string text{bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
  const auto end = text.find('\n');
  return end == std::string::npos ? holder{} : holder{text.substr(0, end), text.substr(end + 1)};
}

}  // namespace

result<node_lock> node_lock::take(const node_id& node, const std::string& directory) {
  node_lock all;
  for (const auto& place : own_directories())
    if (auto done = all.take_in(place, node, directory); !done)
      return fail(std::move(done.error()));
  return all;
}

/// Takes the lock in one directory, if files can be made there.
result<void> node_lock::take_in(const std::string& place, const node_id& node,
                                const std::string& directory) {
  constexpr int attempts = 100;  // each is in vain only when another lock ends at that moment
  const auto file = place + "/troupe-node-" + to_string(node) + ".lock";
  for (int attempt = 0; attempt < attempts; ++attempt) {
    unique_fd taken{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (taken.get() < 0 && errno == ENOENT) {  // the last lock took the directory with it
      ::mkdir(place.c_str(), 0700);
      if (is_own(place)) continue;
    }
    if (taken.get() < 0) return {};
    if (::flock(taken.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return {};
      const auto other = read_holder(taken.get());
      return fail(error_code::already_exists,
                  "node " + to_string(node) + " runs already, as process " + other.process +
                      " with the data directory '" + other.directory + "', and '" + directory +
                      "' is a copy of that. Copies of a node cannot run side by side: start a node "
                      "with an empty data directory instead, and join it to that one");
    }
    if (!is_at(taken.get(), file)) continue;
    const auto text = std::to_string(::getpid()) + "\n" + directory;
    // For people only. What counts is the lock, not the content of the file.
    if (::ftruncate(taken.get(), 0) == 0) (void)!::pwrite(taken.get(), text.data(), text.size(), 0);
    held_.push_back({std::move(taken), file});
    return {};
  }
  return {};
}

/// A file goes while it is locked: who has opened it meanwhile sees that it is not there any more.
void node_lock::release() noexcept {
  for (const auto& each : held_) {
    ::unlink(each.file.c_str());
    const auto end = each.file.rfind('/');
    if (each.file.starts_with(made_directory)) ::rmdir(each.file.substr(0, end).c_str());
  }
  held_.clear();
}

node_lock& node_lock::operator=(node_lock&& other) noexcept {
  release();
  held_ = std::move(other.held_);
  return *this;
}

node_lock::~node_lock() { release(); }

}  // namespace troupe
