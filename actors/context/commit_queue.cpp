#include <troupe/actors/context/commit_queue.hpp>

#include <algorithm>
#include <iterator>

namespace troupe {

void commit_queue::notify(completion done) { add_waiter(std::move(done), false); }

void commit_queue::notify_durable(completion done) { add_waiter(std::move(done), true); }

void commit_queue::add_waiter(completion done, bool patient) {
  const auto position = durable_ + (under_way_ ? under_way_->size() : 0) + waiting_.size();
  if (position == durable_) return done({});
  waiters_.push_back({position, patient, std::move(done)});
}

commit_queue::batch commit_queue::take() {
  if (under_way_ || waiting_.empty()) return nullptr;
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(max_batch_, waiting_.size()));
  under_way_ = std::make_shared<const std::vector<encoded_record>>(std::move_iterator{waiting_.begin()},
                                                                   std::move_iterator{end});
  waiting_.erase(waiting_.begin(), end);
  return under_way_;
}

void commit_queue::settle(const result<void>& outcome) {
  const auto settled = std::exchange(under_way_, nullptr);
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
    const auto impatient = std::stable_partition(waiters_.begin(), waiters_.end(), [](const auto& each) { return each.patient; });
    std::move(impatient, waiters_.end(), std::back_inserter(told));
    waiters_.erase(impatient, waiters_.end());
  }
  for (auto& each : told) each.done(outcome);
}

}  // namespace troupe
