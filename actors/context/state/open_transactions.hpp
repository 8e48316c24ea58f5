#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The last change of the transaction of a change.
inline dot last_of_transaction(const change_record& record) noexcept {
  const auto& [origin, incarnation, seq] = record.dot;
  return {origin, incarnation, seq - record.transaction.index + record.transaction.count - 1};
}

/// The beginnings of transactions of other nodes whose last change has not arrived. Readers see
/// nothing of them. An incarnation has one at most, because its changes arrive in order. Their
/// room is shared between those who have sent their first changes: origins can be invented. What a
/// node has made itself has another share than what it passes on. Pure.
class open_transactions {
public:
  static constexpr std::uint64_t most_times = 4;

  /// A change that has arrived, with its `content_hash`.
  struct part {
    change_record record;
    std::uint64_t content = 0;
    node_id from;  ///< Who has sent it.

    /// The sequence number of the last change of the transaction.
    std::uint64_t last() const noexcept { return last_of_transaction(record).seq; }
  };

  /// @param max_weight of all together, see `change_record::weight`.
  explicit open_transactions(std::uint64_t max_weight) noexcept : max_weight_(max_weight) {}

  /// Why this change cannot be the next of its incarnation, or nothing: it must go on with the
  /// transaction that is open, within the weight that was announced, or begin one when none is.
  std::optional<std::string> misplaced(const change_record& next) const;
  /// Whether there is room for another change. A transaction that has begun has room. Another one
  /// begins when its weight fits, within an equal share of its sender, or within an equal part of
  /// that share for its origin; or as the only one of its share while all together stay within
  /// `most_times` the bound, as a share is no use to what is larger. So none keeps out the others;
  /// who invents senders, too, keeps out what is large.
  /// @param from who has sent it.
  bool has_room(const change_record& next, const node_id& from) const noexcept;
  /// Adds the next change of its incarnation, which is not misplaced. O(log n).
  void add(part next);
  /// Removes and returns what is open of an incarnation, in order. Empty when there is none.
  std::vector<part> take(const incarnation_id& source);

  /// What is open of an incarnation, or null. O(log n).
  const std::vector<part>* find(const incarnation_id& source) const noexcept;
  /// The part with this dot, or null. O(log n).
  const part* find(const dot& id) const noexcept;
  /// The first changes of all, sorted by incarnation. O(n).
  std::vector<dot> firsts() const;
  /// The first change of a transaction, and the last, which has not arrived.
  struct ends {
    dot first, last;
    friend bool operator==(const ends&, const ends&) = default;
  };
  /// Those of all, sorted by incarnation. O(n).
  std::vector<ends> all_ends() const;
  /// The weight that all have announced.
  std::uint64_t announced() const noexcept { return announced_; }
  /// Changes of all transactions.
  std::size_t size() const noexcept { return parts_; }
  bool empty() const noexcept { return open_.empty(); }

private:
  struct transaction {
    std::vector<part> parts;
    std::uint64_t weight = 0;  ///< Of the parts.
  };

  /// What a holder of a share has open.
  struct holding {
    std::uint64_t weight = 0;
    std::map<node_id, std::uint64_t> by_origin;
  };
  /// Whose share it is.
  struct holder {
    node_id from;
    bool has_made_it = false;
    friend auto operator<=>(const holder&, const holder&) = default;
  };
  static holder holder_of(const change_record& first, const node_id& from) noexcept;

  std::uint64_t max_weight_;
  std::uint64_t announced_ = 0;  ///< Weight of all that are open.
  std::map<holder, holding> held_;
  std::size_t parts_ = 0;  ///< Of all.
  std::map<incarnation_id, transaction> open_;
};

}  // namespace troupe
