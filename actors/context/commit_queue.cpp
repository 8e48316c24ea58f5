#include <troupe/actors/context/commit_queue.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

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

void commit_queue::notify(completion done) { add_waiter(std::move(done), false); }

void commit_queue::notify_durable(completion done) { add_waiter(std::move(done), true); }

void commit_queue::add_waiter(completion done, bool patient) {
  const auto position = added();
  if (position == durable_) return done({});
  waiters_.push_back({position, patient, std::move(done)});
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

void commit_queue::settle(const result<void>& outcome) {
  const auto settled = std::exchange(under_way_, nullptr);
  const auto groups = std::exchange(groups_under_way_, {});
  health_ = outcome;
  std::vector<waiter> told;
  if (outcome) {
    durable_ += settled->size();
    while (!waiters_.empty() && waiters_.front().position <= durable_) {
      told.push_back(std::move(waiters_.front()));
      waiters_.pop_front();
    }
  } else {
    waiting_.insert(waiting_.begin(), settled->begin(), settled->end());
    groups_.insert(groups_.begin(), groups.begin(), groups.end());
    for (const auto& each : groups) waiting_bytes_ += each.bytes;
    const auto impatient = std::stable_partition(waiters_.begin(), waiters_.end(),
                                                 [](const auto& each) { return each.patient; });
    std::move(impatient, waiters_.end(), std::back_inserter(told));
    waiters_.erase(impatient, waiters_.end());
  }
  for (auto& each : told) each.done(outcome);
}

}  // namespace troupe
