#include <troupe/actors/context/store/transfer_file.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <troupe/actors/context/store/row_check.hpp>
#include <troupe/plugins/unique_fd.hpp>
#include <troupe/plugins/write_all.hpp>

namespace troupe {

namespace {

constexpr std::string_view format = "troupe transfer 1\n";

/// Before each frame. As the machine has its numbers: the file stays on it.
struct frame_head {
  std::uint64_t bytes = 0;
  std::int64_t hash = 0;
};

std::int64_t hash_of(std::string_view frame) { return row_hash("transfer", frame); }

/// Reads just so many bytes. @returns false when there are fewer, or they cannot be read.
bool read_all(int file, char* into, std::size_t count) {
  while (count > 0) {
    const auto got = ::read(file, into, count);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    into += got;
    count -= static_cast<std::size_t>(got);
  }
  return true;
}

bool starts_well(int file) {
  std::array<char, format.size()> found;
  return read_all(file, found.data(), found.size()) &&
         std::string_view{found.data(), found.size()} == format;
}

/// The next frame, or nothing. `into` keeps its memory.
bool read_frame(int file, std::string& into) {
  frame_head head;
  std::array<char, sizeof head> bytes;
  if (!read_all(file, bytes.data(), bytes.size())) return false;
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head.bytes > transfer_file::max_frame) return false;
  into.resize(head.bytes);
  return read_all(file, into.data(), into.size()) && hash_of(into) == head.hash;
}

}  // namespace

result<void> transfer_file::append(std::span<const binary> frames) const {
  const auto refused = [&](const std::string& why) {
    return fail(error_code::storage_failure, "'" + name_ + "' cannot be written: " + why);
  };
  const unique_fd file{
      ::open(name_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600)};
  struct stat before {};
  if (!file || ::fstat(file.get(), &before) != 0)
    return refused(std::generic_category().message(errno));
  std::string bytes;
  if (before.st_size == 0) bytes = format;
  for (const auto& [frame] : frames) {
    const frame_head head{frame.size(), hash_of(frame)};
    bytes.append(reinterpret_cast<const char*>(&head), sizeof head).append(frame);
  }
  if (write_all(file.get(), bytes)) return {};
  const auto why = std::generic_category().message(errno);
  // What follows half a frame cannot be read.
  if (::ftruncate(file.get(), before.st_size) != 0) ::unlink(name_.c_str());
  return refused(why);
}

result<std::uint64_t> transfer_file::read(const std::function<bool(std::string_view)>& take) const {
  const unique_fd file{::open(name_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!file && errno == ENOENT) return 0;
  if (!file)
    return fail(error_code::storage_failure,
                "'" + name_ + "' cannot be read: " + std::generic_category().message(errno));
  std::uint64_t taken = 0;
  if (starts_well(file.get())) {
    taken = format.size();
    for (std::string frame; read_frame(file.get(), frame) && take(frame);)
      taken += sizeof(frame_head) + frame.size();
  }
  if (taken <= format.size()) return remove().map([] { return std::uint64_t{0}; });
  if (::ftruncate(file.get(), static_cast<off_t>(taken)) != 0)
    return fail(error_code::storage_failure,
                "'" + name_ + "' cannot be cut off: " + std::generic_category().message(errno));
  return taken;
}

result<void> transfer_file::remove() const {
  if (::unlink(name_.c_str()) == 0 || errno == ENOENT) return {};
  return fail(error_code::storage_failure,
              "'" + name_ + "' cannot be removed: " + std::generic_category().message(errno));
}

result<void> transfer_file::carry_out(const transfer_part& part) const {
  if (part.begins_anew)
    if (auto removed = remove(); !removed) return removed;
  return part.frames.empty() ? result<void>{} : append(part.frames);
}

result<std::optional<kept_transfer>> transfer_file::load(context_tree own) const {
  kept_transfer kept{std::move(own), 0, 0};
  const auto bytes = read([&](std::string_view frame) { return kept.add(frame); });
  if (!bytes) return fail(bytes.error());
  kept.bytes = *bytes;
  if (kept.entries > 0) return kept;
  if (auto removed = remove(); !removed) return fail(std::move(removed.error()));
  return std::nullopt;
}

}  // namespace troupe
