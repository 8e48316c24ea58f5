#include <troupe/actors/context/state/reorder_buffer.hpp>

#include <iterator>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

bool reorder_buffer::has_room(const node_id& from, std::size_t bytes) const noexcept {
  if (waiting_.size() < max_records_ && bytes_ + bytes <= max_bytes_) return true;
  const auto found = of_sender_.find(from);
  const auto has = found == of_sender_.end() ? amount{} : found->second;
  const auto senders = of_sender_.size() + (found == of_sender_.end() ? 1 : 0);
  return has.records < max_records_ / senders && has.bytes + bytes <= max_bytes_ / senders;
}

void reorder_buffer::count_out(const waiting& each) noexcept {
  const auto bytes = each.record.weight();
  bytes_ -= bytes;
  const auto found = of_sender_.find(each.from);
  found->second.bytes -= bytes;
  if (--found->second.records == 0) of_sender_.erase(found);
}

reorder_buffer::outcome reorder_buffer::put(change_record&& record, const node_id& from) {
  if (const auto* known = find(record.dot))
    return *known == record ? outcome::duplicate : outcome::different_content;
  const auto memory = record.weight();
  if (!has_room(from, memory)) return outcome::full;
  const auto id = record.dot;
  bytes_ += memory;
  auto& of_sender = of_sender_[from];
  ++of_sender.records;
  of_sender.bytes += memory;
  waiting_.emplace(id, waiting{std::move(record), from});
  return outcome::stored;
}

const change_record* reorder_buffer::find(const dot& id) const noexcept {
  const auto at = waiting_.find(id);
  return at == waiting_.end() ? nullptr : &at->second.record;
}

std::optional<reorder_buffer::waiting> reorder_buffer::take(const dot& id) {
  const auto at = waiting_.find(id);
  if (at == waiting_.end()) return std::nullopt;
  count_out(at->second);
  std::optional<waiting> taken{std::move(at->second)};
  waiting_.erase(at);
  return taken;
}

reorder_buffer::all_waiting::iterator reorder_buffer::drop(all_waiting::iterator at) noexcept {
  count_out(at->second);
  return waiting_.erase(at);
}

void reorder_buffer::drop_of(const node_id& origin, const processed_changes& processed) noexcept {
  auto at = waiting_.lower_bound(dot{origin, 0, 0});
  while (at != waiting_.end() && at->first.origin == origin)
    at = processed.covers(at->first) ? drop(at) : std::next(at);
}

void reorder_buffer::drop_of(const node_id& origin) noexcept {
  auto at = waiting_.lower_bound(dot{origin, 0, 0});
  while (at != waiting_.end() && at->first.origin == origin) at = drop(at);
}

void reorder_buffer::drop_all() noexcept {
  waiting_.clear();
  of_sender_.clear();
  bytes_ = 0;
}

void reorder_buffer::drop_from(const node_id& sender) noexcept {
  for (auto at = waiting_.begin(); at != waiting_.end() && of_sender_.contains(sender);)
    at = at->second.from == sender ? drop(at) : std::next(at);
}

std::vector<incarnation_id> reorder_buffer::sources() const {
  std::vector<incarnation_id> found;
  for (const auto& [id, each] : waiting_)
    if (found.empty() || found.back() != incarnation_of(id)) found.push_back(incarnation_of(id));
  return found;
}

std::vector<dot_range> reorder_buffer::missing(const processed_changes& processed) const {
  std::vector<dot_range> gaps;
  incarnation_id source;
  std::uint64_t next = 0;  // the first change of `source` that is neither processed nor waiting
  for (const auto& [id, each] : waiting_) {
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
