#include <troupe/actors/context/sync/early_notifications.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace troupe {

void early_notifications::keep(notification said) {
  const auto of_link = std::ranges::count(kept_, said.link, &notification::link);
  if (static_cast<std::size_t>(of_link) >= max_of_link) return;
  bytes_ += said.params.size();
  kept_.push_back(std::move(said));
  for (; kept_.size() > max_kept || bytes_ > max_bytes; kept_.pop_front())
    bytes_ -= kept_.front().params.size();
}

std::vector<early_notifications::notification> early_notifications::take(peer_id link) {
  const auto others = [link](const notification& each) { return each.link != link; };
  const auto taken = std::stable_partition(kept_.begin(), kept_.end(), others);
  std::vector<notification> said{std::move_iterator{taken}, std::move_iterator{kept_.end()}};
  kept_.erase(taken, kept_.end());
  for (const auto& each : said) bytes_ -= each.params.size();
  return said;
}

}  // namespace troupe
