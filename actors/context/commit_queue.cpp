#include <troupe/actors/context/commit_queue.hpp>

#include <iterator>
#include <utility>

#include <troupe/messages/assert.hpp>

namespace troupe {

void commit_queue::add(encoded_record record) {
  groups_.push_back({1, record.bytes.size()});
  waiting_bytes_ += record.bytes.size();
  waiting_.push_back(std::move(record));
}

void commit_queue::add(std::vector<encoded_record> records) {
  if (records.empty()) return;
  group whole{records.size(), 0};
  for (auto& each : records) {
    whole.bytes += each.bytes.size();
    waiting_.push_back(std::move(each));
  }
  waiting_bytes_ += whole.bytes;
  groups_.push_back(whole);
}

commit_queue::batch commit_queue::take() {
  if (under_way_ || waiting_.empty()) return nullptr;
  group taken{0, 0};
  while (!groups_.empty()) {
    const auto next = groups_.front();
    const bool fits = taken.records + next.records <= limits_.max_batch &&
                      taken.bytes + next.bytes <= limits_.max_batch_bytes;
    if (taken.records > 0 && !fits) break;
    taken.records += next.records;
    taken.bytes += next.bytes;
    groups_under_way_.push_back(next);
    groups_.pop_front();
  }
  waiting_bytes_ -= taken.bytes;
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(taken.records);
  under_way_ = std::make_shared<const std::vector<encoded_record>>(
      std::move_iterator{waiting_.begin()}, std::move_iterator{end});
  waiting_.erase(waiting_.begin(), end);
  return under_way_;
}

commit_queue::batch commit_queue::end_batch(const result<void>& outcome) {
  TROUPE_ASSERT(under_way_, "the disk answers for a batch that is under way");
  auto ended = std::exchange(under_way_, nullptr);
  health_ = outcome;
  if (outcome) {
    durable_ += ended->size();
  } else {
    waiting_.insert(waiting_.begin(), ended->begin(), ended->end());
    groups_.insert(groups_.begin(), groups_under_way_.begin(), groups_under_way_.end());
    for (const auto& each : groups_under_way_) waiting_bytes_ += each.bytes;
  }
  groups_under_way_.clear();
  return ended;
}

}  // namespace troupe
