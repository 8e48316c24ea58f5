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

/// What a node knows of the others: where they listen, which are connected, and when to dial again.
/// Decides; does not act.
///
/// A node keeps one connection to each other node. It dials the addresses that it was given and
/// those that it learns, again and again, with exponential backoff. Of two connections between the
/// same nodes the one dialed by the smaller id stays. A node that comes with another incarnation
/// than the one that is connected is refused for as long as that stays: it may be a copy.
///
/// Other nodes may lie about addresses. So an address that was given, or where a node was met, is
/// trusted: it is kept and dialed first, and no announcement of another node changes it. An address
/// that was only learned is forgotten when nothing answers there.
class peer_book {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using connection = std::uint64_t;  ///< Names one connection for as long as it lives.

  static constexpr std::size_t max_addresses = 256;
  static constexpr std::size_t max_problem_bytes = 512;  ///< Kept of why there is no connection.
  /// In a row. After these an address is forgotten unless it is trusted.
  static constexpr std::uint32_t max_failures = 8;
  static constexpr std::chrono::milliseconds first_retry{100};
  static constexpr std::chrono::milliseconds last_retry{5'000};
  /// After a connection that lasted at least this long, the backoff starts over.
  static constexpr std::chrono::milliseconds success_after{5'000};
  /// For so long after its connection has ended, no other incarnation of a node takes its place
  /// when one has tried before: a copy must not win by a short break.
  static constexpr std::chrono::milliseconds reserved_for{10'000};

  /// @param own_address Where this node listens; never dialed. May be empty.
  peer_book(node_id self, std::uint64_t incarnation, std::string own_address);

  /// Adds an address from the operator. Where there are `max_addresses`, it replaces one that is
  /// not trusted. Where all are trusted, it is ignored.
  void give(const std::string& address, time_point now);
  /// Adds an address that another node announces. Known ones and those past `max_addresses` are
  /// ignored.
  void learn(const std::string& address, time_point now);
  /// Adds the address where a connected node says that it listens. It is not dialed while that node
  /// is connected.
  void learn(const std::string& address, const node_id& node, std::uint64_t incarnation,
             time_point now);

  /// The address to dial next, if one is due. Trusted ones come first, then the one that has waited
  /// longest. It is pending until `dial_failed` or `connected`.
  std::optional<std::string> next_due(time_point now);
  /// @param jitter From 0 to 1: lengthens the wait by up to half, so that nodes do not dial in
  /// step.
  void dial_failed(const std::string& address, const error& why, double jitter, time_point now);

  /// What to do with a session that has begun.
  struct verdict {
    bool keep = false;
    std::optional<connection> close;  ///< An older connection that this one replaces.
    error reason;                     ///< Why one of the two connections is closed.
  };
  /// A dialed address whose node is refused is dialed again after the backoff, without jitter.
  /// @param dialed The address, when this node opened the connection; empty otherwise.
  verdict connected(connection link, const node_id& node, const std::string& name,
                    std::uint64_t incarnation, const std::string& dialed, time_point now);
  /// A connection has ended. @returns the node that is gone with it, if any. @param jitter As for
  /// `dial_failed`.
  std::optional<node_id> disconnected(connection link, const error& why, double jitter,
                                      time_point now);

  /// All nodes and addresses, for people.
  std::vector<peer_info> peers() const;
  /// Where other nodes listen, for announcing to a new one. Addresses without a node are hearsay
  /// and left out, unless they are trusted.
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
    node_id node;  ///< That answered there last, or announces the address.
    std::uint64_t incarnation = 0;
    std::string problem;

    bool is_trusted() const noexcept { return given || met; }
  };
  struct member {
    connection link = 0;
    std::string name;
    std::uint64_t incarnation = 0;
    bool was_dialed = false;  ///< By this node.
    bool has_rival = false;   ///< A newer incarnation has tried to connect meanwhile.
    time_point since;
  };

  place* find_or_add(const std::string& address, time_point now);
  void make_room();
  bool is_due(const place& at, time_point now) const;
  void retry_later(place& at, const error& why, double jitter, time_point now);
  verdict refuse_rival(const node_id& node, std::uint64_t incarnation, const std::string& dialed,
                       time_point now);
  verdict refuse(const std::string& dialed, error reason, time_point now);

  node_id self_;
  std::uint64_t incarnation_;
  std::string own_address_;
  std::map<std::string, place> places_;
  std::map<node_id, member> members_;
  struct reservation {
    std::uint64_t incarnation = 0;
    time_point until;
  };
  std::map<node_id, reservation>
      reserved_;  ///< As many as there were connections at once, at most.
};

}  // namespace troupe
