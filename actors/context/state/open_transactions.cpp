#include <troupe/actors/context/state/open_transactions.hpp>

#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

std::optional<std::string> open_transactions::misplaced(const change_record& next) const {
  const auto& [index, count, weight] = next.transaction;
  const auto found = open_.find(incarnation_of(next.dot));
  if (found == open_.end() && index > 0) return "it goes on with a transaction that never began";
  const auto begun = found == open_.end() ? 0 : found->second.weight;
  if (found != open_.end()) {
    const auto& parts = found->second.parts;
    const auto& announced = parts.front().record.transaction;
    if (index != parts.size() || count != announced.count || weight != announced.weight)
      return "the transaction before it has " + std::to_string(announced.count) +
             " changes, and it comes after " + std::to_string(parts.size());
  }
  if (count > 1 && begun + next.weight() > weight)
    return "its transaction is larger than it announced";
  return std::nullopt;
}

bool open_transactions::has_room(const change_record& next, const node_id& from) const noexcept {
  if (next.transaction.index > 0) return true;
  const auto weight = next.transaction.weight;
  if (announced_ + weight <= max_weight_ || open_.empty()) return true;
  const auto found = held_.find(holder_of(next, from));
  const bool is_new = found == held_.end();
  if (is_new && announced_ + weight <= most_times * max_weight_) return true;
  const auto share = max_weight_ / (held_.size() + (is_new ? 1 : 0));
  if (is_new) return weight <= share;
  const auto& [held, by_origin] = found->second;
  if (held + weight <= share) return true;
  const auto of_origin = by_origin.find(next.dot.origin);
  const bool is_first = of_origin == by_origin.end();
  const auto has = is_first ? 0 : of_origin->second;
  return has + weight <= share / (by_origin.size() + (is_first ? 1 : 0));
}

void open_transactions::add(part next) {
  const auto& place = next.record.transaction;
  auto& [parts, weight] = open_[incarnation_of(next.record.dot)];
  TROUPE_ASSERT(parts.size() == place.index, "a transaction grows in order");
  if (place.index == 0) {
    announced_ += place.weight;
    auto& [held, by_origin] = held_[holder_of(next.record, next.from)];
    held += place.weight;
    by_origin[next.record.dot.origin] += place.weight;
  }
  weight += next.record.weight();
  ++parts_;
  parts.push_back(std::move(next));
}

std::vector<open_transactions::part> open_transactions::take(const incarnation_id& source) {
  auto taken = open_.extract(source);
  if (taken.empty()) return {};
  auto& parts = taken.mapped().parts;
  const auto& [first, content, from] = parts.front();
  const auto weight = first.transaction.weight;
  announced_ -= weight;
  const auto by = held_.find(holder_of(first, from));
  auto& [held, by_origin] = by->second;
  const auto of_origin = by_origin.find(source.origin);
  if ((of_origin->second -= weight) == 0) by_origin.erase(of_origin);
  if ((held -= weight) == 0) held_.erase(by);
  parts_ -= parts.size();
  return std::move(parts);
}

const std::vector<open_transactions::part>* open_transactions::find(
    const incarnation_id& source) const noexcept {
  const auto found = open_.find(source);
  return found == open_.end() ? nullptr : &found->second.parts;
}

const open_transactions::part* open_transactions::find(const dot& id) const noexcept {
  if (open_.empty()) return nullptr;
  const auto* open = find(incarnation_of(id));
  if (!open || id.seq < open->front().record.dot.seq) return nullptr;
  const auto at = id.seq - open->front().record.dot.seq;
  return at < open->size() ? &(*open)[at] : nullptr;
}

std::vector<open_transactions::ends> open_transactions::all_ends() const {
  std::vector<ends> all;
  for (const auto& [source, each] : open_) {
    const auto& first = each.parts.front().record;
    all.push_back({first.dot, last_of_transaction(first)});
  }
  return all;
}

std::vector<dot> open_transactions::firsts() const {
  std::vector<dot> all;
  for (const auto& [source, each] : open_) all.push_back(each.parts.front().record.dot);
  return all;
}

open_transactions::holder open_transactions::holder_of(const change_record& first,
                                                       const node_id& from) noexcept {
  return {from, first.dot.origin == from};
}

}  // namespace troupe
