#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/actors/context/state/record_rules.hpp>
#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// When a member has said that it is one.
struct joining_time {
  std::uint64_t ms;  ///< By its own wall clock.
  std::uint64_t incarnation;
};

/// The members of the cluster: the nodes that keep its data and count for a majority. And what each
/// of them has committed, as far as known.
///
/// A node is a member while the state has a value at `/_sys/members/ID` that the node itself has
/// written; a node writes it when it meets another one for the first time. A cluster without such
/// values has one member, this node. Nobody becomes one by connecting. Another member ends a
/// membership by writing that the node is forgotten in the place of that value.
///
/// What a member has committed is known from its own link, or else from what others pass on.
///
/// Beyond `max_known` members no majority is counted. Of other nodes something is kept while they
/// are linked, and where they were forgotten. Pure.
class members {
public:
  static constexpr std::size_t max_known = 1024;
  static constexpr std::string_view directory = members_directory;

  /// @param self this node.
  explicit members(const node_id& self) : self_(self) { nodes_.insert(self); }

  /// Where the value of a node is.
  static path place_of(const node_id& node);
  /// The value that makes a node a member when it writes it, and the one that ends that when
  /// another node does. @param now_ms wall time. @param why for people.
  static value joining(std::uint64_t now_ms);
  static value farewell(std::uint64_t now_ms, std::string_view why);
  /// Reads the members from the state. O(1) when they are the same as before.
  void update(const context_tree& tree);

  /// Whether this node's value is there.
  bool has_joined() const noexcept { return has_joined_; }
  /// How many members there are, this node among them.
  std::size_t count() const noexcept { return nodes_.size(); }
  bool has(const node_id& node) const { return nodes_.contains(node); }
  /// This node among them; sorted.
  const std::set<node_id>& nodes() const noexcept { return nodes_; }
  /// When a member joined, by its own wall clock; UINT64_MAX when it does not say.
  std::uint64_t since_ms(const node_id& node) const;
  /// The latest incarnation in which a member has said that it is one; 0 for who is none.
  std::uint64_t joined_in(const node_id& node) const;
  /// The nodes that were forgotten and have not joined again, each with the changes that say so.
  const std::map<node_id, version_vector>& forgotten() const noexcept { return forgotten_; }
  /// The changes that say so of one; none when it is not forgotten.
  version_vector forgetting(const node_id& node) const;
  /// How often nodes have ceased to be members. What was found out about all members before may
  /// not hold where others have forgotten one.
  std::uint64_t departures() const noexcept { return departures_; }
  /// Whether there are more than can be counted.
  bool are_too_many() const noexcept { return nodes_.size() > max_known; }

  /// A node that is linked says what it has committed. It counts unless the node itself has said
  /// something in a later incarnation, whatever others have said of it.
  void report(member_report said);
  /// No link with a node is left.
  void unlinked(const node_id& node);
  /// Another one passes on what a member has said. It adds to what is known. A vector that is far
  /// longer than this node's is no use and not kept.
  /// @param mine tells which incarnations have ended.
  void pass_on(const member_report& said, const processed_changes& mine);
  /// A node has committed this as well.
  void add(const node_id& node, const version_vector& more, const processed_changes& mine);

  /// What is known of members that are not among `linked`, for a peer that has no link with them.
  std::vector<member_report> reports_beside(const std::set<node_id>& linked) const;

  /// Up to which change of this incarnation `wanted` members have committed it, this node not
  /// counted. No limit when `wanted` is 0.
  /// @param mine tells which incarnations have ended.
  std::uint64_t committed_by(std::size_t wanted, const incarnation_id& source,
                             const processed_changes& mine) const;
  /// Whether all other members have committed all of this, as they have said of all that they have
  /// at one time: with `all_reported` this is a consistent cut. Not when that is unknown.
  /// @param mine tells which incarnations have ended.
  bool all_have(const version_vector& wanted, const processed_changes& mine) const;
  /// Whether all other members have said to have some changes of this incarnation, and not this
  /// one, and none of them is being restored.
  bool all_lack(const dot& id) const;
  /// Whether this one has, as it has said of all that it has.
  bool has_committed(const node_id& node, const version_vector& wanted,
                     const processed_changes& mine) const;
  /// Whether all other members have said that all of this is stable, see `sync_heads::stable`.
  bool all_know_stable(const version_vector& wanted, const processed_changes& mine) const;
  /// All that other members have said to have committed, in the same reports.
  version_vector all_reported() const;
  /// How many other members have committed this change, and all of these.
  /// @param mine tells which incarnations have ended.
  std::size_t count_with(const dot& id, const version_vector& others,
                         const processed_changes& mine) const;

private:
  /// What is known of a node.
  struct knowledge {
    member_report whole;       ///< The latest that it has said of all that it has.
    version_vector committed;  ///< With what it has acknowledged since.
    std::uint64_t heard = 0;   ///< The latest incarnation in which it has spoken itself.
  };
  void keep(member_report said, std::uint64_t heard);
  template <class Holds>
  bool holds_for_all(const Holds& holds) const;

  node_id self_;
  state_hash seen_;  ///< Of the values in the directory.
  bool has_joined_ = false;
  std::set<node_id> nodes_;
  std::map<node_id, joining_time> since_;  ///< Of members.
  std::map<node_id, version_vector> forgotten_;
  std::uint64_t departures_ = 0;
  std::map<node_id, knowledge> reports_;
};

}  // namespace troupe
