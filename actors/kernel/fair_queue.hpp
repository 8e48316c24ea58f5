#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <utility>

namespace troupe {

/// What several senders have asked for, taken one by one in turns, so that none of them waits for
/// all that another one has sent. In order for each sender. Every operation is O(log senders).
template <class Sender, class Item>
class fair_queue {
public:
  /// @param most Weight of what waits of one sender. A heavier item has room when it waits alone,
  /// and one without weight always.
  explicit fair_queue(std::size_t most) : most_(most) {}

  /// Adds an item. @returns whether its sender had room for it; if not, it is dropped.
  bool put(const Sender& sender, Item item, std::size_t weight) {
    auto& [items, waiting] = senders_[sender];
    if (!items.empty() && weight > 0 && waiting + weight > most_) return false;
    if (items.empty()) turns_.push_back(sender);
    items.emplace_back(std::move(item), weight);
    waiting += weight;
    return true;
  }

  /// Takes the next item, of the sender whose turn it is. Nothing when none waits.
  std::optional<std::pair<Sender, Item>> take() {
    if (turns_.empty()) return std::nullopt;
    const auto found = senders_.find(turns_.front());
    turns_.pop_front();
    auto& [items, waiting] = found->second;
    std::optional<std::pair<Sender, Item>> next{{found->first, std::move(items.front().first)}};
    waiting -= items.front().second;
    items.pop_front();
    if (items.empty())
      senders_.erase(found);
    else
      turns_.push_back(next->first);
    return next;
  }

  bool empty() const noexcept { return turns_.empty(); }

private:
  struct of_sender {
    std::deque<std::pair<Item, std::size_t>> items;
    std::size_t weight = 0;
  };

  std::size_t most_;
  std::map<Sender, of_sender> senders_;  ///< Those of whom something waits.
  std::deque<Sender> turns_;             ///< Each of them once.
};

}  // namespace troupe
