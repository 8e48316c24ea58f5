#include <troupe/actors/context/state/reorder_buffer.hpp>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

namespace {

std::size_t memory_of(const change_record& record) noexcept {
  return sizeof(change_record) + record.path.text().size() + record.new_value.msgpack().size() +
         record.principal.size() + record.observed.size() * sizeof(dot);
}

}  // namespace

reorder_buffer::outcome reorder_buffer::put(change_record&& record) {
  if (const auto* known = find(record.dot))
    return *known == record ? outcome::duplicate : outcome::different_content;
  const auto memory = memory_of(record);
  if (waiting_.size() >= max_records_ || bytes_ + memory > max_bytes_) return outcome::full;
  bytes_ += memory;
  const auto id = record.dot;
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
  bytes_ -= memory_of(*record);
  waiting_.erase(at);
  return record;
}

void reorder_buffer::drop(const incarnation_id& source) noexcept {
  auto at = waiting_.lower_bound(dot{source.origin, source.incarnation, 0});
  while (at != waiting_.end() && incarnation_of(at->first) == source) {
    bytes_ -= memory_of(at->second);
    at = waiting_.erase(at);
  }
}

std::vector<dot_range> reorder_buffer::missing(const version_vector& processed) const {
  std::vector<dot_range> gaps;
  incarnation_id source;
  std::uint64_t next = 0;  // the first change of `source` that is neither processed nor waiting
  for (const auto& [id, record] : waiting_) {
    if (next == 0 || source != incarnation_of(id)) {
      source = incarnation_of(id);
      next = processed.at(id.origin, id.incarnation) + 1;
    }
    if (id.seq > next) gaps.push_back({id.origin, id.incarnation, next, id.seq - 1});
    next = id.seq + 1;
  }
  return gaps;
}

}  // namespace troupe
