#include <troupe/runtime/node_lock.hpp>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe {

namespace {

constexpr std::size_t max_text = 4096;

/// Whether a directory is there into which nobody but this user can write.
bool is_own(const std::string& directory) {
  struct stat found {};
  return ::lstat(directory.c_str(), &found) == 0 && S_ISDIR(found.st_mode) &&
         found.st_uid == ::geteuid() && (found.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::optional<std::string> own_directory() {
  if (const char* given = std::getenv("XDG_RUNTIME_DIR"); given && *given == '/' && is_own(given))
    return given;
  auto made = "/tmp/troupe-" + std::to_string(::geteuid());
  ::mkdir(made.c_str(), 0700);
  return is_own(made) ? std::optional{made} : std::nullopt;
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
  constexpr int attempts = 100;  // each is in vain only when another lock ends at that moment
  for (int attempt = 0; attempt < attempts; ++attempt) {
    const auto place = own_directory();
    if (!place) return node_lock{};
    const auto file = *place + "/troupe-node-" + to_string(node) + ".lock";
    unique_fd taken{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (taken.get() < 0 && errno == ENOENT) continue;
    if (taken.get() < 0) return node_lock{};
    if (::flock(taken.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return node_lock{};
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
    return node_lock{std::move(taken), file};
  }
  return node_lock{};
}

/// The file goes while it is locked: who has opened it meanwhile sees that it is not there any
/// more.
void node_lock::release() noexcept {
  if (taken_.get() < 0) return;
  ::unlink(file_.c_str());
  const auto end = file_.rfind('/');
  if (file_.starts_with("/tmp/")) ::rmdir(file_.substr(0, end).c_str());
  taken_ = {};
}

node_lock& node_lock::operator=(node_lock&& other) noexcept {
  release();
  taken_ = std::move(other.taken_);
  file_ = std::move(other.file_);
  return *this;
}

node_lock::~node_lock() { release(); }

}  // namespace troupe
