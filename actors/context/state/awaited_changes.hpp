#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// Which incarnations wait, and for which change. An incarnation waits with its next change, for
/// one change at a time: what that change needs is looked at in order. So there is one entry for
/// each incarnation that waits. Pure.
class awaited_changes {
public:
  /// This change, the next one of its incarnation, waits. What it was waiting for before is over.
  void add(const dot& waits, const dot& awaited);
  /// The change for which this one waits, or waited until it was taken: all that it needs before
  /// that has arrived. Empty when it does not wait.
  dot awaited_by(const dot& waits) const noexcept;
  /// The incarnation waits no more.
  void remove(const incarnation_id& source);

  /// The incarnations that waited for this change, which has arrived. Then call `add` or `remove`
  /// for each.
  std::vector<incarnation_id> take(const dot& arrived);
  /// The same for all changes of a node that have arrived.
  std::vector<incarnation_id> take_of(const node_id& origin,
                                      const std::function<bool(const dot&)>& has_arrived);
  /// The changes of a node that wait and for which this holds wait no more.
  void remove_of(const node_id& origin, const std::function<bool(const dot&)>& holds);
  /// Those of all nodes.
  void remove_if(const std::function<bool(const dot&)>& holds);

  /// What is awaited, and by which incarnation. Sorted.
  const std::set<std::pair<dot, incarnation_id>>& all() const noexcept { return awaited_; }
  std::size_t size() const noexcept { return waits_.size(); }

private:
  struct wait {
    dot waits, awaited;
  };

  std::map<incarnation_id, wait> waits_;
  std::set<std::pair<dot, incarnation_id>> awaited_;
};

}  // namespace troupe
