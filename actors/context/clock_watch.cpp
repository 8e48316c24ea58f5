#include <troupe/actors/context/clock_watch.hpp>

#include <algorithm>
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

/// Whether one more is remembered: what nodes that may not even exist have made keeps out no peer.
bool clock_watch::make_room(const node_id& origin, const std::vector<node_id>& linked) {
  if (others_.size() < max_nodes) return true;
  const auto is_linked = [&](const node_id& node) {
    return std::ranges::binary_search(linked, node);
  };
  if (!is_linked(origin)) return false;
  const auto goes =
      std::ranges::find_if(others_, [&](const auto& each) { return !is_linked(each.first); });
  if (goes != others_.end()) others_.erase(goes);
  return true;
}

std::optional<std::uint64_t> clock_watch::seen(const node_id& origin, timestamp time,
                                               std::uint64_t now_ms,
                                               const std::vector<node_id>& linked) {
  const auto by = ahead(time, now_ms);
  const auto known = others_.find(origin);
  if (known != others_.end()) {
    known->second = by.value_or(0);
    return std::nullopt;
  }
  if (!by || !make_room(origin, linked)) return std::nullopt;
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
