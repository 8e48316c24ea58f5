#include <troupe/actors/context/state/reorder_buffer.hpp>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

bool reorder_buffer::has_room(const node_id& origin, std::size_t bytes) const noexcept {
  if (waiting_.size() < max_records_ && bytes_ + bytes <= max_bytes_) return true;
  const auto found = of_origin_.find(origin);
  const auto has = found == of_origin_.end() ? amount{} : found->second;
  const auto origins = of_origin_.size() + (found == of_origin_.end() ? 1 : 0);
  return has.records < max_records_ / origins && has.bytes + bytes <= max_bytes_ / origins;
}

void reorder_buffer::count_out(const node_id& origin, std::size_t bytes) noexcept {
  bytes_ -= bytes;
  const auto found = of_origin_.find(origin);
  found->second.bytes -= bytes;
  if (--found->second.records == 0) of_origin_.erase(found);
}

reorder_buffer::outcome reorder_buffer::put(change_record&& record) {
  if (const auto* known = find(record.dot))
    return *known == record ? outcome::duplicate : outcome::different_content;
  const auto memory = record.weight();
  if (!has_room(record.dot.origin, memory)) return outcome::full;
  const auto id = record.dot;
  bytes_ += memory;
  auto& of_origin = of_origin_[id.origin];
  ++of_origin.records;
  of_origin.bytes += memory;
  waiting_.emplace(id, std::move(record));
  return outcome::stored;
}

const change_record* reorder_buffer::find(const dot& id) const noexcept {
  const auto at = waiting_.find(id);
  return at == waiting_.end() ? nullptr : &at->second;
}

std::optional<change_record> reorder_buffer::take(const dot& id) {
  const auto at = waiting_.find(id);
  if (at == waiting_.end()) return std::nullopt;
  std::optional<change_record> record{std::move(at->second)};
  count_out(id.origin, record->weight());
  waiting_.erase(at);
  return record;
}

void reorder_buffer::drop_of(const node_id& origin, const processed_changes& processed) noexcept {
  auto at = waiting_.lower_bound(dot{origin, 0, 0});
  while (at != waiting_.end() && at->first.origin == origin) {
    if (!processed.covers(at->first)) {
      ++at;
      continue;
    }
    count_out(origin, at->second.weight());
    at = waiting_.erase(at);
  }
}

std::vector<incarnation_id> reorder_buffer::sources() const {
  std::vector<incarnation_id> found;
  for (const auto& [id, record] : waiting_)
    if (found.empty() || found.back() != incarnation_of(id)) found.push_back(incarnation_of(id));
  return found;
}

std::vector<dot_range> reorder_buffer::missing(const processed_changes& processed) const {
  std::vector<dot_range> gaps;
  incarnation_id source;
  std::uint64_t next = 0;  // the first change of `source` that is neither processed nor waiting
  for (const auto& [id, record] : waiting_) {
    if (next == 0 || source != incarnation_of(id)) {
      source = incarnation_of(id);
      next = processed.at(source) + 1;
    }
    if (id.seq > next) gaps.push_back({id.origin, id.incarnation, next, id.seq - 1});
    next = id.seq + 1;
  }
  return gaps;
}

}  // namespace troupe
