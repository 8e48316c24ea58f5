#include <troupe/actors/context/store/store_files.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <troupe/actors/context/store/readable_copy.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

namespace {

namespace fs = std::filesystem;

tl::unexpected<error> system_failure(const std::string& what, int number) {
  return fail(error_code::storage_failure, what + ": " + std::generic_category().message(number));
}

/// What was renamed in a directory stays so after a power cut.
result<void> sync_directory(const std::string& directory) {
  const unique_fd opened{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (opened.get() >= 0 && ::fsync(opened.get()) == 0) return {};
  return system_failure("'" + directory + "' cannot be synced", errno);
}

result<void> make_private_directory(const std::string& directory) {
  std::error_code failure;
  const bool existed = fs::exists(directory, failure);
  fs::create_directories(directory, failure);
  if (failure)
    return system_failure("the directory '" + directory + "' cannot be made", failure.value());
  // An existing directory may have other users. The files are private in any case.
  if (!existed && ::chmod(directory.c_str(), 0700) != 0)
    return system_failure("'" + directory + "' cannot be made private", errno);
  return {};
}

/// False also when that cannot be found out.
bool is_there(const std::string& file) {
  std::error_code ignored;
  return fs::exists(file, ignored);
}

/// Moves a file if there is one.
result<void> move_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return {};
  return system_failure("'" + from + "' cannot be moved to '" + to + "'", errno);
}

/// Says that all of a salvaged database is written.
std::string mark_in(const std::string& salvage) { return salvage + "/complete"; }

}  // namespace

result<void> store_files::make_directory() const { return make_private_directory(directory_); }

result<void> store_files::make_unsent_directory() const {
  auto made = make_private_directory(unsent());
  return made ? sync_directory(directory_) : made;
}

result<void> store_files::sync_unsent_directory() const { return sync_directory(unsent()); }

/// SQLite gives its side files the mode of the database file, so this makes all of them private.
result<void> store_files::make_private_file(const std::string& file) {
  const unique_fd made{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (made.get() < 0) return system_failure("'" + file + "' cannot be opened", errno);
  if (::fchmod(made.get(), 0600) != 0)
    return system_failure("'" + file + "' cannot be made private", errno);
  return {};
}

result<void> store_files::keep_wal() const {
  if (auto made = make_private_directory(damaged()); !made) return made;
  return copy_readable(wal(), damaged() + "/copied-wal").map([](std::uint64_t) {});
}

result<std::uint64_t> store_files::make_wal_readable() const {
  if (auto made = make_private_directory(damaged()); !made) return fail(std::move(made.error()));
  const auto copy = wal() + ".new";
  const auto zeros = copy_readable(wal(), copy);
  if (!zeros || *zeros == 0) {
    ::unlink(copy.c_str());
    return zeros;
  }
  const auto kept = damaged() + "/unreadable-wal";
  ::unlink(kept.c_str());
  if (::link(wal().c_str(), kept.c_str()) != 0)
    return system_failure("'" + wal() + "' cannot be linked to '" + kept + "'", errno);
  if (auto moved = move_file(copy, wal()); !moved) return fail(std::move(moved.error()));
  if (auto synced = sync_directory(directory_); !synced) return fail(std::move(synced.error()));
  return zeros;
}

result<void> store_files::keep_copies() const {
  if (auto made = make_private_directory(damaged()); !made) return made;
  if (is_there(wal()))
    if (auto kept = keep_wal(); !kept) return kept;
  if (!is_there(database())) return {};
  return copy_readable(database(), damaged() + "/copied.db").map([](std::uint64_t) {});
}

// -- a salvaged database --------------------------------------------------------------------------

result<void> store_files::begin_salvage() const {
  drop_salvage();
  // Half of a new one must not pass for the old one.
  if (is_there(mark_in(salvage())))
    return fail(error_code::storage_failure, "'" + salvage() + "' cannot be removed");
  if (auto made = make_private_directory(salvage()); !made) return made;
  return make_private_file(salvaged_database());
}

void store_files::drop_salvage() const {
  std::error_code ignored;
  fs::remove(mark_in(salvage()), ignored);
  fs::remove_all(salvage(), ignored);
}

namespace {

/// Makes a private file with this text, which is on the disk then.
result<void> write_private_file(const std::string& file, std::string_view text) {
  if (auto made = store_files::make_private_file(file); !made) return made;
  const unique_fd opened{::open(file.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW)};
  bool is_written = opened.get() >= 0;
  while (is_written && !text.empty()) {
    const auto count = ::write(opened.get(), text.data(), text.size());
    is_written = count >= 0 || errno == EINTR;
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
  if (is_written && ::fsync(opened.get()) == 0) return {};
  return system_failure("'" + file + "' cannot be written", errno);
}

}  // namespace

result<void> store_files::take_salvaged(std::string_view told) const {
  std::error_code ignored;
  for (const std::string end : {"-wal", "-shm", ""})
    fs::remove(damaged() + "/context.db" + end, ignored);
  // The mark appears as a whole or not at all.
  const auto fresh = mark_in(salvage()) + ".new";
  if (auto made = write_private_file(fresh, told); !made) return made;
  if (auto moved = move_file(fresh, mark_in(salvage())); !moved) return moved;
  if (auto synced = sync_directory(salvage()); !synced) return synced;
  return finish_salvage().map([](const std::string&) {});
}

/// The side files go first: SQLite would take them for those of the new database.
result<std::string> store_files::finish_salvage() const {
  if (!is_there(mark_in(salvage()))) return drop_salvage(), std::string{};
  if (is_there(salvaged_database())) {
    auto moved = make_private_directory(damaged());
    for (const std::string end : {"-wal", "-shm", ""})
      if (moved) moved = move_file(database() + end, damaged() + "/context.db" + end);
    if (moved) moved = move_file(salvaged_database(), database());
    if (!moved) return fail(std::move(moved.error()));
  }
  if (auto synced = sync_directory(directory_); !synced) return fail(std::move(synced.error()));
  std::ifstream mark{mark_in(salvage())};
  std::string told{std::istreambuf_iterator<char>{mark}, {}};
  drop_salvage();
  return told;
}

}  // namespace troupe
