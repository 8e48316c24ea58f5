#include <troupe/actors/context/store/unsent_file.hpp>

#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <troupe/actors/context/state/strategies.hpp>
#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/plugins/unique_fd.hpp>
#include <troupe/plugins/write_all.hpp>

namespace troupe {

namespace {

constexpr std::size_t write_at_once = std::size_t{1} << 20;  // bytes

std::string line_of(std::string_view where, const sibling& each, std::optional<value> seen) {
  std::vector<value::member> members{{"path", value{std::string{where}}}};
  if (seen)
    members.push_back({"value", std::move(*seen)});
  else
    members.push_back({"erased", value{true}});
  members.push_back({"time_ms", value{static_cast<std::int64_t>(each.timestamp.milliseconds())}});
  members.push_back({"principal", value{std::string{each.principal}}});
  return value::map(std::move(members)).to_json() + "\n";
}

/// One line for each write; what counts makes one number.
std::string lines_of(const tree_entry& entry) {
  const auto siblings = entry.siblings();
  const path where{entry.path()};
  std::string lines;
  bool counts = false;
  for (const auto& each : siblings) counts = counts || !each.counts.empty();
  if (counts)
    return line_of(entry.path(), siblings.back(), view_of(last_writer_wins{}, where, siblings));
  for (const auto& each : siblings)
    lines += line_of(entry.path(), each,
                     each.is_tombstone() ? std::nullopt : std::optional{each.copy_value()});
  return lines;
}

}  // namespace

result<std::string> write_unsent(const std::string& directory, std::uint64_t number,
                                 const context_tree& entries) {
  const store_files files{directory};
  if (auto made = files.make_unsent_directory(); !made) return fail(std::move(made.error()));
  const auto name = files.unsent() + "/" + std::to_string(number) + ".ndjson";
  const auto fresh = name + ".new";
  const auto refused = [&] {
    const auto number = errno;
    ::unlink(fresh.c_str());
    return fail(error_code::storage_failure,
                "'" + name + "' cannot be written: " + std::generic_category().message(number));
  };
  ::unlink(fresh.c_str());
  const unique_fd made{
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (made.get() < 0) return refused();
  std::string bytes;
  bool is_written = true;
  entries.visit_subtree(path{}, [&](const tree_entry& entry) {
    bytes += lines_of(entry);
    if (bytes.size() < write_at_once) return true;
    is_written = write_all(made.get(), bytes);
    bytes.clear();
    return is_written;
  });
  if (!is_written || !write_all(made.get(), bytes) || ::fsync(made.get()) != 0 ||
      ::rename(fresh.c_str(), name.c_str()) != 0)
    return refused();
  if (auto synced = files.sync_unsent_directory(); !synced) return fail(std::move(synced.error()));
  return name;
}

}  // namespace troupe
