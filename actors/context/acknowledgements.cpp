#include <troupe/actors/context/acknowledgements.hpp>

#include <algorithm>
#include <utility>

#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

bool ends_with_refusal(const acknowledgements::waiter& who) {
  if (const auto* checkpoint = std::get_if<waiting_checkpoint>(&who))
    return checkpoint->settles.has_value();
  return std::holds_alternative<waiting_write>(who);
}

}  // namespace

void acknowledgements::add(std::uint64_t position, waiter who) {
  TROUPE_ASSERT(waiting_.empty() || waiting_.back().position <= position,
                "positions only grow, so the first waiter is the first to be served");
  waiting_.push_back({position, std::move(who)});
}

std::optional<acknowledgements::waiter> acknowledgements::next(std::uint64_t durable) {
  if (waiting_.empty() || waiting_.front().position > durable) return std::nullopt;
  std::optional<waiter> first{std::move(waiting_.front().who)};
  waiting_.pop_front();
  return first;
}

/// Removes the waiters of which something is so, in order.
template <class Ends>
std::vector<acknowledgements::waiter> acknowledgements::remove_if(const Ends& ends) {
  std::vector<waiter> ended;
  const auto rest = std::stable_partition(waiting_.begin(), waiting_.end(),
                                          [&](const entry& each) { return !ends(each.who); });
  for (auto each = rest; each != waiting_.end(); ++each) ended.push_back(std::move(each->who));
  waiting_.erase(rest, waiting_.end());
  return ended;
}

std::vector<acknowledgements::waiter> acknowledgements::refuse() {
  return remove_if(ends_with_refusal);
}

std::vector<waiting_write> acknowledgements::expired(std::uint64_t now_ms) {
  const auto is_late = [now_ms](const waiter& who) {
    const auto* write = std::get_if<waiting_write>(&who);
    return write && write->disk_deadline_ms <= now_ms;
  };
  std::vector<waiting_write> late;
  for (auto& each : remove_if(is_late)) late.push_back(std::get<waiting_write>(std::move(each)));
  return late;
}

void acknowledgements::forget(peer_id peer) {
  std::erase_if(waiting_, [peer](const entry& each) {
    const auto* push = std::get_if<waiting_push>(&each.who);
    const auto* offer = std::get_if<waiting_offer>(&each.who);
    return (push && push->peer == peer) || (offer && offer->peer == peer);
  });
}

}  // namespace troupe
