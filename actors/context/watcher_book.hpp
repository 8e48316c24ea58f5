#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include <troupe/actors/context/sync_effects.hpp>

namespace troupe {

/// Bounds of the watchers of one replica.
struct watch_limits {
  std::size_t max_watchers = 1'000;
  /// Unanswered changes of a watcher. A watcher at the bound is ended instead of notified, so that
  /// it cannot miss a change unknowingly.
  std::size_t max_unanswered = 10'000;
};

/// The watchers of a replica and the news for them. A watcher gets each visible change at and below
/// its path once, in order. Pure.
class watcher_book {
public:
  explicit watcher_book(watch_limits limits = {}) noexcept : limits_(limits) {}

  /// Adds a watcher of changes from now on, or gives it another path. False at the bound.
  bool add(watcher_id id, path prefix);
  void remove(watcher_id id) { watchers_.erase(id); }

  /// Keeps news for the watchers until `publish`. O(1), and nothing without watchers.
  void note(change_record change);
  /// Appends the effects that tell each watcher its part of the news, and ends those that are too
  /// far behind. O(watchers * news).
  void publish(std::vector<sync_effect>& effects);
  /// Removes all, with the effects that end them.
  void end_all(const error& why, std::vector<sync_effect>& effects);
  /// The watcher has handled this number of changes.
  void answered(watcher_id id, std::size_t changes);

  /// Whether a watcher is told of changes of this path. O(watchers).
  bool watches(const path& where) const;
  std::size_t size() const noexcept { return watchers_.size(); }

private:
  struct watcher {
    path prefix;
    std::size_t unanswered = 0;  ///< Changes.
  };

  watch_limits limits_;
  std::map<watcher_id, watcher> watchers_;
  change_list news_;
};

}  // namespace troupe
