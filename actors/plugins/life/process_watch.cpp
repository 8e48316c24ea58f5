#include <troupe/actors/plugins/life/process_watch.hpp>

#include <algorithm>
#include <utility>

#include <troupe/messages/assert.hpp>

namespace troupe {

std::uint64_t process_watch::begin_verification(const std::string& plugin) {
  return verifications_[plugin] = ++last_verification_;
}

bool process_watch::finish_verification(const std::string& plugin, std::uint64_t number) {
  const auto found = verifications_.find(plugin);
  if (found == verifications_.end() || found->second != number) return false;
  verifications_.erase(found);
  return true;
}

void process_watch::add(const std::string& plugin, time_point now) {
  const auto added = processes_.emplace(plugin, process{.sample_at = now + sample_interval}).second;
  TROUPE_ASSERT(added, "a plugin has one process at a time");
}

bool process_watch::end(const std::string& plugin, std::chrono::milliseconds patience,
                        std::chrono::milliseconds grace, time_point now) {
  verifications_.erase(plugin);
  const auto found = processes_.find(plugin);
  if (found == processes_.end()) return false;
  auto& process = found->second;
  if (std::exchange(process.is_ending, true)) return true;
  process.is_asked = grace.count() == 0;  // force would follow at once
  process.ask_at = now + patience;
  process.force_at = process.ask_at + grace;
  return true;
}

process_watch::duty process_watch::observe(const std::string& plugin, seen what, time_point now) {
  auto& process = processes_.at(plugin);
  const bool has_exited = what == seen::exited;
  if (!process.is_ending)
    return has_exited && !std::exchange(process.exit_reported, true) ? duty::report_exit
                                                                     : duty::nothing;
  if (has_exited || now >= process.force_at) return duty::reap;
  if (now >= process.ask_at && !std::exchange(process.is_asked, true)) return duty::ask_to_end;
  return duty::nothing;
}

void process_watch::remove(const std::string& plugin) {
  const auto removed = processes_.erase(plugin);
  TROUPE_ASSERT(removed == 1, "what is reaped was watched");
}

void process_watch::end_failed(const std::string& plugin) {
  auto& process = processes_.at(plugin);
  process.is_ending = false;
  process.exit_reported = true;
}

std::optional<std::string> process_watch::next_sample(time_point now) {
  const auto next = std::ranges::min_element(
      processes_, {}, [](const auto& entry) { return entry.second.sample_at; });
  if (next == processes_.end() || next->second.sample_at > now) return std::nullopt;
  auto& [plugin, process] = *next;
  process.sample_at = now + sample_interval;
  if (process.is_ending || process.exit_reported || process.excess_reported) return std::nullopt;
  return plugin;
}

bool process_watch::report_excess(const std::string& plugin) {
  return !std::exchange(processes_.at(plugin).excess_reported, true);
}

}  // namespace troupe
