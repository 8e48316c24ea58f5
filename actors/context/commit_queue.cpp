#include <troupe/actors/context/commit_queue.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include <troupe/messages/assert.hpp>

namespace troupe {

void commit_queue::push(group added) {
  waiting_ += added.changes;
  waiting_bytes_ += added.bytes;
  groups_.push_back(std::move(added));
}

void commit_queue::add(std::vector<change_record> records) {
  if (records.empty()) return;
  group added;
  added.changes = records.size();
  for (const auto& each : records) added.bytes += each.weight();
  added.records = std::move(records);
  push(std::move(added));
}

void commit_queue::add(shared_batch batch) {
  group added;
  added.changes = batch->size();
  added.bytes = batch->bytes().size();
  added.batches.push_back(std::move(batch));
  push(std::move(added));
}

void commit_queue::add(std::shared_ptr<const adopted_state> adopted) {
  group added;
  added.changes = 1;
  added.adopted = std::move(adopted);
  push(std::move(added));
}

std::shared_ptr<const commit> commit_queue::take() {
  if (under_way_ || groups_.empty()) return nullptr;
  auto next = std::make_shared<commit>();
  std::vector<change_record> open;  // not encoded yet
  const auto encode_open = [&] {
    std::ranges::move(make_batches(open, limits_.max_body_bytes),
                      std::back_inserter(next->batches));
    open.clear();
  };
  for (std::size_t bytes = 0; !groups_.empty(); groups_.pop_front()) {
    auto& group = groups_.front();
    const bool fits = next->changes + group.changes <= limits_.max_batch &&
                      bytes + group.bytes <= limits_.max_batch_bytes;
    if (next->changes > 0 && (!fits || group.adopted || next->adopted)) break;
    next->changes += group.changes;
    next->adopted = std::move(group.adopted);
    bytes += group.bytes;
    waiting_bytes_ -= group.bytes;
    std::ranges::move(group.records, std::back_inserter(open));
    if (group.batches.empty()) continue;
    encode_open();
    std::ranges::move(group.batches, std::back_inserter(next->batches));
  }
  encode_open();
  waiting_ -= next->changes;
  return under_way_ = std::move(next);
}

std::shared_ptr<const commit> commit_queue::end_commit(const result<void>& outcome) {
  TROUPE_ASSERT(under_way_, "the disk answers for a commit that is under way");
  auto ended = std::exchange(under_way_, nullptr);
  health_ = outcome;
  if (outcome) {
    durable_ += ended->changes;
    return ended;
  }
  group again;
  again.batches = ended->batches;
  again.adopted = ended->adopted;
  again.changes = ended->changes;
  for (const auto& each : again.batches) again.bytes += each->bytes().size();
  waiting_ += again.changes;
  waiting_bytes_ += again.bytes;
  groups_.push_front(std::move(again));
  return ended;
}

}  // namespace troupe
