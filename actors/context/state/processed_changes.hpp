#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The changes that a replica has: all of `1..seq` of each incarnation.
///
/// A node begins an incarnation at each start, and its first change names the earlier ones
/// (`change_record::after`): they end there. What has ended is left out of `vector`, so that has
/// about one entry for each node, however often nodes start. The end of the latest ones is
/// remembered, to know their changes again. Of one that is forgotten all changes count as there.
/// Who makes up more incarnations of a node than are remembered cannot have the one forgotten in
/// which that node speaks itself.
///
/// `vector` depends on the changes alone, not on their order, as long as none goes on after its end
/// was forgotten: that takes a node whose disk was set back, and that has started more than
/// `max_ended_of_node` times before what it had lost comes back from elsewhere. Pure.
class processed_changes {
public:
  /// Ended incarnations that are remembered: of one node, and of all.
  static constexpr std::size_t max_ended_of_node = 1024;
  static constexpr std::size_t max_ended = std::size_t{1} << 16;

  processed_changes() = default;
  /// None of these has ended.
  explicit processed_changes(version_vector vector) : vector_(std::move(vector)) {}

  /// The highest sequence number up to which all changes of an incarnation are there; 0 when it is
  /// unknown or forgotten. O(log n).
  std::uint64_t at(const incarnation_id& source) const noexcept;
  /// Whether a change is there. O(log n).
  bool covers(const dot& id) const noexcept;
  /// Whether all changes of these incarnations are there.
  bool covers(const version_vector& other) const noexcept;
  /// Up to which incarnation those of a node that have ended may be forgotten; 0 for none.
  std::uint64_t forgotten_of(const node_id& origin) const noexcept;
  /// Whether an incarnation counts as ended so long ago that nobody knows where.
  bool has_forgotten(const incarnation_id& source) const noexcept;
  /// Whether an incarnation has ended and has not gone on since, as far as remembered.
  bool has_ended(const incarnation_id& source) const noexcept;

  /// Adds the next change of its incarnation, and ends what it ends. O(log n), or O(n) for one that
  /// ends others.
  void add(const change_record& record);
  /// Adds the changes of an incarnation up to this one. One that had ended goes on.
  void raise(const dot& last);
  /// Takes away the changes from each of these on, one for each incarnation, sorted. None has
  /// ended. O(incarnations).
  void lower(const std::vector<dot>& firsts);
  /// Adds all that another replica has. What has ended there has ended here, unless more of it is
  /// here. O(n).
  void join(const processed_changes& other);
  /// An incarnation has ended with the changes that are here. O(n).
  void end(const incarnation_id& source);
  /// This node runs in this incarnation: it is held as well.
  void run_in(const incarnation_id& running) { running_ = running; }
  /// Nodes have said themselves that they run in these incarnations. One may end here, as others
  /// say, and goes on with its next change; it is never forgotten while it is held, whatever they
  /// say. Replaces the ones before. O(nodes)
  void hold(std::map<node_id, std::uint64_t> running) { held_ = std::move(running); }
  /// Holds what another replica holds.
  void hold_as(const processed_changes& other) {
    running_ = other.running_;
    held_ = other.held_;
  }
  bool is_held(const incarnation_id& source) const noexcept;

  /// The incarnations that have not ended.
  const version_vector& vector() const noexcept { return vector_; }
  /// Those, and of each node the last one that has ended, where none after it goes on. Who has not
  /// all of these lacks something. O(n).
  version_vector latest() const;
  /// Equal in what they have and remember.
  friend bool operator==(const processed_changes& a, const processed_changes& b) {
    return a.vector_ == b.vector_ && a.ended_ == b.ended_ && a.emptied_ == b.emptied_;
  }

  /// What a checkpoint holds: the vector; the incarnations that were lowered to nothing; and for
  /// each node its id, the latest incarnation that is forgotten, and the ended ones: the distance
  /// to the one before and the number of changes in turn.
  friend void write(msgpack_writer& out, const processed_changes& x);
  friend bool read(msgpack_reader& in, processed_changes& x, codec::problem& why);

private:
  struct history {
    std::uint64_t forgotten = 0;                  ///< Up to this incarnation.
    std::map<std::uint64_t, std::uint64_t> ends;  ///< The last change, by incarnation.
    friend bool operator==(const history&, const history&) = default;
  };
  void end_all(const change_record& first);
  void end_these(const std::vector<version_entry>& ending);
  void remember(const version_entry& last);
  bool is_over_with(const incarnation_id& source, std::uint64_t seq) const noexcept;
  void keep_bound_of_all();
  void forget_down_to(const node_id& origin, history& of_node, std::size_t kept);
  std::optional<std::uint64_t> end_of(const incarnation_id& source) const noexcept;

  version_vector vector_;
  std::map<node_id, history> ended_;
  std::set<incarnation_id> emptied_;  ///< Lowered to nothing: they have not ended.
  incarnation_id running_;
  std::map<node_id, std::uint64_t> held_;
  std::size_t remembered_ = 0;
};

/// What of these changes a state with those others has. O(incarnations).
processed_changes common_part(const processed_changes& changes, const processed_changes& state);

}  // namespace troupe
