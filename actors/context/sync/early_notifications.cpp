#include <troupe/actors/context/sync/early_notifications.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

namespace troupe {

result<sync_message> read_sync_message(std::string_view method, std::string_view params) {
  using known = message_types<sync_hello, sync_push, sync_ack, sync_heads, sync_pull>;
  result<sync_message> outcome =
      fail(error_code::not_found, "no sync session has a method " + std::string{method});
  visit_method(known{}, method, [&]<class Message>(std::type_identity<Message>) {
    auto read = decode_checked<Message>(params);
    if (read)
      outcome = std::move(*read);
    else
      outcome = fail(std::move(read.error()));
  });
  return outcome;
}

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
