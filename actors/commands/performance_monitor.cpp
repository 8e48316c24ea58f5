#include <troupe/actors/commands/performance_monitor.hpp>

#include <numeric>

namespace troupe {

void performance_monitor::record_command(command_index index, std::string_view name,
                                         nanoseconds duration, command_outcome outcome) {
  record& numbers = record_of(index, name);
  ++numbers.outcomes[static_cast<std::size_t>(outcome)];
  numbers.times.record(duration);
}

void performance_monitor::record_command(std::string_view name, nanoseconds duration,
                                         command_outcome outcome) {
  record& numbers = record_of(name);
  ++numbers.outcomes[static_cast<std::size_t>(outcome)];
  numbers.times.record(duration);
}

void performance_monitor::record_unstarted(command_index index, std::string_view name,
                                           command_outcome outcome) {
  ++record_of(index, name).outcomes[static_cast<std::size_t>(outcome)];
}

performance_monitor::record& performance_monitor::record_of(command_index index,
                                                            std::string_view name) {
  if (index.slot >= by_slot_.size()) by_slot_.resize(index.slot + std::size_t{1});
  cached_record& cached = by_slot_[index.slot];
  if (cached.found == nullptr || cached.serial != index.serial)
    cached = {index.serial, &record_of(name)};
  return *cached.found;
}

performance_monitor::record& performance_monitor::record_of(std::string_view name) {
  const auto known = records_.find(name);
  if (known != records_.end()) return known->second;
  return records_[std::string{records_.size() < capacity_ ? name : other_commands}];
}

std::optional<command_metrics> performance_monitor::get_command_metrics(
    std::string_view name) const {
  const auto known = records_.find(name);
  if (known == records_.end()) return std::nullopt;
  return summarised(known->first, known->second);
}

std::vector<command_metrics> performance_monitor::get_all_command_metrics() const {
  std::vector<command_metrics> all;
  all.reserve(records_.size());
  for (const auto& [name, numbers] : records_) all.push_back(summarised(name, numbers));
  return all;
}

void performance_monitor::reset_metrics() {
  by_slot_.clear();
  records_.clear();
}

command_metrics performance_monitor::summarised(const std::string& name, const record& numbers) {
  const histogram& times = numbers.times;
  command_metrics metrics;
  metrics.name = name;
  metrics.outcomes.assign(numbers.outcomes.begin(), numbers.outcomes.end());
  metrics.execution_count =
      std::accumulate(numbers.outcomes.begin(), numbers.outcomes.end(), std::uint64_t{0});
  const std::uint64_t succeeded = numbers.outcomes[static_cast<std::size_t>(command_outcome::ok)];
  metrics.error_count = metrics.execution_count - succeeded;
  metrics.success_rate =
      100.0 * static_cast<double>(succeeded) / static_cast<double>(metrics.execution_count);
  metrics.total_execution_time = times.total();
  if (times.count() > 0)
    metrics.avg_execution_time = times.total() / static_cast<std::int64_t>(times.count());
  metrics.min_execution_time = times.shortest_seen();
  metrics.max_execution_time = times.longest_seen();
  metrics.p50 = times.quantile(0.50);
  metrics.p90 = times.quantile(0.90);
  metrics.p99 = times.quantile(0.99);
  metrics.p999 = times.quantile(0.999);
  return metrics;
}

}  // namespace troupe
