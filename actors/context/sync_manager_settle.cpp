// Making everything durable before a stop, and what becomes of checkpoints.

#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

void sync_manager::settle(context_request request, std::uint64_t deadline_ms) {
  // Nothing that was acknowledged is lost when a restoration begins anew.
  if (restoring_ || leaving_ == leaving::asked)
    return effects_.push_back(answer_settle{request, {}});
  settles_.emplace(request, open_settle{deadline_ms, queue_.added()});
  waiting_.add(queue_.added(),
               waiting_checkpoint{std::make_shared<const engine_state>(engine_.state()),
                                  checkpoints_.position(queue_.added()), request});
  go_on();
}

/// Answers a `settle`, unless its deadline has passed.
void sync_manager::answer(context_request settle, result<void> outcome) {
  if (settles_.erase(settle) > 0) effects_.push_back(answer_settle{settle, std::move(outcome)});
}

/// The answer to a `settle` without a checkpoint. @param upto what it covers of the queue. @param
/// why there is none.
result<void> sync_manager::settled_without(std::uint64_t upto, const std::string& why) const {
  if (upto <= queue_.durable()) return {};  // the next start replays the log
  return fail(error_code::storage_failure,
              changes_are(upto - queue_.durable()) +
                  " not on the disk, and not acknowledged as durable: " + why);
}

void sync_manager::expire_settles() {
  std::vector<std::pair<context_request, std::uint64_t>> late;
  for (const auto& [request, open] : settles_)
    if (open.deadline_ms <= now_.steady_ms) late.emplace_back(request, open.upto);
  for (const auto& [request, upto] : late)
    answer(request, settled_without(upto, "the disk has not taken so much in time"));
}

void sync_manager::refuse(waiting_checkpoint& ended, const error& why) {
  TROUPE_ASSERT(ended.settles, "only a checkpoint that a request waits for is refused");
  fail_settle(*ended.settles, why);
}

void sync_manager::fail_settle(context_request settle, const error& why) {
  const auto open = settles_.find(settle);
  if (open != settles_.end()) answer(settle, settled_without(open->second.upto, why.message));
}

void sync_manager::checkpoint_written(checkpoint_id id) {
  collection_.saved(id, true);
  has_freed_ = true;  // the state, where the tree has changed since
  if (const auto settles = checkpoints_.end(id, true)) answer(*settles, {});
}

void sync_manager::checkpoint_failed(checkpoint_id id, const error& why) {
  collection_.saved(id, false);
  log(log_severity::error, "context.checkpoint_failed", {{"reason", foreign_text{why.message}}});
  if (const auto settles = checkpoints_.end(id, false)) fail_settle(*settles, why);
}

}  // namespace troupe
