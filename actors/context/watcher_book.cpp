#include <troupe/actors/context/watcher_book.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include <troupe/actors/context/state/record_rules.hpp>

namespace troupe {

bool watcher_book::add(watcher_id id, path prefix) {
  if (watchers_.size() >= limits_.max_watchers && !watchers_.contains(id)) return false;
  watchers_[id].prefix = std::move(prefix);
  return true;
}

bool watcher_book::watches(const path& where) const {
  return std::ranges::any_of(watchers_, [&](const auto& each) {
    const auto& prefix = each.second.prefix;
    return prefix.contains(where) && !is_hidden(where.text(), prefix.text());
  });
}

void watcher_book::note(change_record change) {
  if (!watchers_.empty()) news_.push_back(std::make_shared<const change_record>(std::move(change)));
}

void watcher_book::publish(std::vector<sync_effect>& effects) {
  if (news_.empty()) return;
  for (auto at = watchers_.begin(); at != watchers_.end();) {
    auto& [id, watcher] = *at;
    change_list told;
    for (const auto& change : news_)
      if (watcher.prefix.contains(change->path) &&
          !is_hidden(change->path.text(), watcher.prefix.text()))
        told.push_back(change);
    if (!told.empty() && watcher.unanswered >= limits_.max_unanswered) {
      effects.push_back(sync_log_line{
          log_severity::warning,
          "context.watch_ended",
          {{"prefix", foreign_text{watcher.prefix.text(), path::max_bytes}},
           {"reason", foreign_text{std::to_string(watcher.unanswered) + " changes behind"}}}});
      effects.push_back(
          end_watcher{id, error{error_code::overloaded, "the watcher is too far behind", {}}});
      at = watchers_.erase(at);
      continue;
    }
    watcher.unanswered += told.size();
    if (!told.empty()) effects.push_back(tell_watcher{id, std::move(told)});
    ++at;
  }
  news_.clear();
}

void watcher_book::end_all(const error& why, std::vector<sync_effect>& effects) {
  for (const auto& [id, watcher] : watchers_) effects.push_back(end_watcher{id, why});
  watchers_.clear();
}

void watcher_book::answered(watcher_id id, std::size_t changes) {
  const auto found = watchers_.find(id);
  if (found == watchers_.end()) return;
  auto& unanswered = found->second.unanswered;
  unanswered -= std::min(changes, unanswered);
}

}  // namespace troupe
