#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The changes that a replica has: all of `1..seq` of each incarnation.
///
/// A node begins an incarnation at each start, and its first change names the earlier ones
/// (`change_record::after`): they end there. What has ended is left out of `vector`, so that has
/// about one entry for each node, however often nodes start. The end of the latest ones is
/// remembered, to know their changes again; of one that is forgotten all changes count as there.
///
/// `vector` depends on the changes alone, not on their order. Pure.
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
  /// Whether an incarnation has ended so long ago that nobody knows where.
  bool has_forgotten(const incarnation_id& source) const noexcept;
  /// Whether an incarnation has ended and has not gone on since, as far as remembered.
  bool has_ended(const incarnation_id& source) const noexcept;

  /// Adds the next change of its incarnation, and ends what it ends. O(log n).
  void add(const change_record& record);
  /// Adds the changes of an incarnation up to this one. One that had ended goes on.
  void raise(const dot& last);
  /// Takes away the changes from this one on. Their incarnation has not ended.
  void lower(const dot& first);

  /// The incarnations that have not ended.
  const version_vector& vector() const noexcept { return vector_; }
  friend bool operator==(const processed_changes&, const processed_changes&) = default;

  /// What a checkpoint holds: the vector, and for each node its id, the latest incarnation that is
  /// forgotten, and the ended ones: the distance to the one before and the number of changes in
  /// turn.
  friend void write(msgpack_writer& out, const processed_changes& x);
  friend bool read(msgpack_reader& in, processed_changes& x, codec::problem& why);

private:
  struct history {
    std::uint64_t forgotten = 0;                  ///< Up to this incarnation.
    std::map<std::uint64_t, std::uint64_t> ends;  ///< The last change, by incarnation.
    friend bool operator==(const history&, const history&) = default;
  };
  void end(const version_entry& last);
  std::optional<std::uint64_t> end_of(const incarnation_id& source) const noexcept;

  version_vector vector_;
  std::map<node_id, history> ended_;
  std::size_t remembered_ = 0;
};

}  // namespace troupe
