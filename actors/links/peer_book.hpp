#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/node.hpp>

namespace troupe {

/// What a node knows of the others: where they listen, who is connected, and when to dial again.
/// Decides; acts not.
///
/// A node keeps one connection to each other node. It dials the addresses that it was given and
/// those it learns, again and again with exponential backoff; of two connections between the same
/// nodes the one dialed by the smaller id stays.
///
/// Others may lie about addresses. So those that were given, and those where a node was met, are
/// kept and dialed first; one that was only learned is forgotten when nobody answers there, and
/// what a node announces of an address changes nothing of one that was given or where another node
/// was met.
class peer_book {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using connection = std::uint64_t;  ///< Names one connection for as long as it lives.

  static constexpr std::size_t max_addresses = 256;
  static constexpr std::size_t max_problem_bytes = 512;  ///< Kept of why there is no connection.
  static constexpr std::uint32_t max_failures =
      8;  ///< In a row, and a learned address where no node was met is forgotten.
  static constexpr std::chrono::milliseconds first_retry{100};
  static constexpr std::chrono::milliseconds last_retry{5'000};
  /// A connection that lasted as long is a success: the waits begin anew when it is lost.
  static constexpr std::chrono::milliseconds success_after{5'000};

  /// @param own_address Where this node listens; never dialed. May be empty.
  peer_book(node_id self, std::uint64_t incarnation, std::string own_address);

  /// Adds a place to dial that whoever runs this node gives. When there are `max_addresses` it
  /// takes the place of one that was learned and where no node was met; when there is none it is
  /// passed over.
  void give(const std::string& address, time_point now);
  /// Adds a place to dial that another node tells of; known ones and those past `max_addresses` are
  /// passed over.
  void learn(const std::string& address, time_point now);
  /// The same for the place where a node that is connected says it listens. It is not dialed while
  /// that node is connected.
  void learn(const std::string& address, const node_id& node, std::uint64_t incarnation,
             time_point now);

  /// The address to dial next, if one is due: those that were given and those where a node was met
  /// come first, then whichever has waited longest. It is pending until `dial_failed` or
  /// `connected`.
  std::optional<std::string> next_due(time_point now);
  /// @param jitter From 0 to 1: lengthens the wait by up to half, so that nodes do not dial in
  /// step.
  void dial_failed(const std::string& address, const error& why, double jitter, time_point now);

  /// What to do with a session that has begun.
  struct verdict {
    bool keep = false;
    std::optional<connection> close;  ///< An older connection that this one replaces.
    error reason;                     ///< Why a connection is closed, whichever it is.
  };
  /// A dialed address whose node is refused is dialed again after the wait of a failure, without
  /// jitter.
  /// @param dialed The address, when this node opened the connection; empty otherwise.
  verdict connected(connection link, const node_id& node, const std::string& name,
                    std::uint64_t incarnation, const std::string& dialed, time_point now);
  /// The connection has ended. @returns the node that is gone with it, if any. @param jitter As for
  /// `dial_failed`.
  std::optional<node_id> disconnected(connection link, const error& why, double jitter,
                                      time_point now);

  /// All nodes and addresses, for people.
  std::vector<peer_info> peers() const;
  /// Where other nodes listen, to be told to a new one: without addresses that are hearsay.
  std::vector<std::string> addresses() const;

private:
  struct place {
    time_point next_dial;
    std::chrono::milliseconds retry = first_retry;
    std::uint32_t failures = 0;  ///< In a row.
    bool given = false;
    bool met = false;  ///< A node answered when it was dialed.
    bool pending = false;
    std::optional<connection> link;
    time_point linked_at;
    node_id node;  ///< Who answered there last, or announces it.
    std::uint64_t incarnation = 0;
    std::string problem;

    bool is_trusted() const noexcept { return given || met; }
  };
  struct member {
    connection link = 0;
    std::string name;
    std::uint64_t incarnation = 0;
    bool was_dialed = false;  ///< By this node.
    time_point since;
  };

  place* find_or_add(const std::string& address, time_point now);
  void make_room();
  bool is_due(const place& at, time_point now) const;
  void retry_later(place& at, const error& why, double jitter, time_point now);
  verdict refuse(const std::string& dialed, error reason, time_point now);

  node_id self_;
  std::uint64_t incarnation_;
  std::string own_address_;
  std::map<std::string, place> places_;
  std::map<node_id, member> members_;
};

}  // namespace troupe
