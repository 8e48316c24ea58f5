#include <troupe/actors/context/clock_watch.hpp>

#include <utility>

namespace troupe {

std::optional<std::uint64_t> clock_watch::ahead(timestamp time, std::uint64_t now_ms) {
  const auto here = timestamp::from_parts(now_ms, 0).milliseconds();
  if (time.milliseconds() <= here + tolerated_ms) return std::nullopt;
  return time.milliseconds() - here;
}

std::optional<std::uint64_t> clock_watch::own(timestamp next, std::uint64_t now_ms) {
  const auto before = std::exchange(own_ms_, ahead(next, now_ms));
  return before ? std::nullopt : own_ms_;
}

std::optional<std::uint64_t> clock_watch::seen(const node_id& origin, timestamp time,
                                               std::uint64_t now_ms) {
  const auto by = ahead(time, now_ms);
  const auto known = others_.find(origin);
  if (known != others_.end()) {
    known->second = by.value_or(0);
    return std::nullopt;
  }
  if (!by || others_.size() >= max_nodes) return std::nullopt;
  others_.emplace(origin, *by);
  return by;
}

std::vector<node_ahead> clock_watch::others() const {
  std::vector<node_ahead> all;
  for (const auto& [node, by] : others_)
    if (by > 0) all.push_back({node, by});
  return all;
}

}  // namespace troupe
