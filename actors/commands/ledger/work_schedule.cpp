#include <troupe/actors/commands/ledger/work_schedule.hpp>

namespace troupe {

work_schedule::work_id work_schedule::add(time_point deadline) {
  const auto work = ++last_;
  waiting_.emplace(work, deadline);
  by_deadline_.emplace(deadline, work);
  return work;
}

std::optional<work_schedule::assignment> work_schedule::next() {
  if (waiting_.empty()) return std::nullopt;
  if (idle_.empty()) {
    if (workers_ == max_workers_) return std::nullopt;
    idle_.insert(workers_++);
  }
  const auto [work, deadline] = *waiting_.begin();
  const auto worker = *idle_.begin();
  waiting_.erase(waiting_.begin());
  idle_.erase(idle_.begin());
  running_.emplace(work, running_work{worker, deadline});
  return assignment{work, worker};
}

std::optional<bool> work_schedule::finished(work_id work) {
  const auto ended = running_.extract(work);
  if (ended.empty()) return std::nullopt;
  const auto& was = ended.mapped();
  if (!was.overdue) by_deadline_.erase({was.deadline, work});
  idle_.insert(was.worker);
  return was.overdue;
}

std::vector<work_schedule::unwanted_work> work_schedule::expire(time_point now) {
  std::vector<unwanted_work> late;
  while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
    const auto work = by_deadline_.begin()->second;
    by_deadline_.erase(by_deadline_.begin());
    late.push_back(give_up(work));
  }
  return late;
}

std::optional<work_schedule::unwanted_work> work_schedule::cancel(work_id work) {
  const auto waits = waiting_.find(work);
  const auto runs = running_.find(work);
  if (waits == waiting_.end() && (runs == running_.end() || runs->second.overdue))
    return std::nullopt;
  by_deadline_.erase({waits != waiting_.end() ? waits->second : runs->second.deadline, work});
  return give_up(work);
}

work_schedule::unwanted_work work_schedule::give_up(work_id work) {
  const auto started = running_.find(work);
  if (started != running_.end())
    started->second.overdue = true;
  else
    waiting_.erase(work);
  return {work, started != running_.end()};
}

std::vector<work_schedule::work_id> work_schedule::cancel_waiting() {
  std::vector<work_id> cancelled;
  for (const auto& [work, deadline] : waiting_) {
    by_deadline_.erase({deadline, work});
    cancelled.push_back(work);
  }
  waiting_.clear();
  return cancelled;
}

std::vector<work_schedule::work_id> work_schedule::running() const {
  std::vector<work_id> all;
  for (const auto& [work, about] : running_) all.push_back(work);
  return all;
}

}  // namespace troupe
