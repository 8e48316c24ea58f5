#include <troupe/actors/context/state/awaited_changes.hpp>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

void awaited_changes::add(const dot& waits, const dot& awaited) {
  const auto source = incarnation_of(waits);
  remove(source);
  waits_.emplace(source, wait{waits, awaited});
  awaited_.emplace(awaited, source);
}

dot awaited_changes::awaited_by(const dot& waits) const noexcept {
  const auto found = waits_.find(incarnation_of(waits));
  return found == waits_.end() || found->second.waits != waits ? dot{} : found->second.awaited;
}

void awaited_changes::remove(const incarnation_id& source) {
  const auto found = waits_.find(source);
  if (found == waits_.end()) return;
  awaited_.erase({found->second.awaited, source});
  waits_.erase(found);
}

std::vector<incarnation_id> awaited_changes::take(const dot& arrived) {
  std::vector<incarnation_id> taken;
  for (auto at = awaited_.lower_bound({arrived, {}}); at != awaited_.end() && at->first == arrived;
       at = awaited_.erase(at))
    taken.push_back(at->second);
  return taken;
}

std::vector<incarnation_id> awaited_changes::take_of(
    const node_id& origin, const std::function<bool(const dot&)>& has_arrived) {
  std::vector<incarnation_id> taken;
  for (auto at = awaited_.lower_bound({dot{origin, 0, 0}, {}});
       at != awaited_.end() && at->first.origin == origin;) {
    if (!has_arrived(at->first)) {
      ++at;
      continue;
    }
    taken.push_back(at->second);
    at = awaited_.erase(at);
  }
  return taken;
}

void awaited_changes::remove_of(const node_id& origin,
                                const std::function<bool(const dot&)>& holds) {
  for (auto at = waits_.lower_bound({origin, 0});
       at != waits_.end() && at->first.origin == origin;) {
    const auto& [source, each] = *at++;
    if (holds(each.waits)) remove(source);
  }
}

void awaited_changes::remove_if(const std::function<bool(const dot&)>& holds) {
  for (auto at = waits_.begin(); at != waits_.end();) {
    const auto& [source, each] = *at++;
    if (holds(each.waits)) remove(source);
  }
}

}  // namespace troupe
