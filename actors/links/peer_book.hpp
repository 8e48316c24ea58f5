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

/// What a node knows of the others: where they listen, who is connected, and when to dial again. Decides; acts not.
///
/// A node keeps one connection to each other node. It dials the addresses that it was given and those it learns, again and
/// again with exponential backoff; of two connections between the same nodes the one dialed by the smaller id stays.
class peer_book {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using connection = std::uint64_t;  ///< Names one connection for as long as it lives.

  static constexpr std::size_t max_addresses = 256;
  static constexpr std::chrono::milliseconds first_retry{100};
  static constexpr std::chrono::milliseconds last_retry{5'000};

  /// @param own_address Where this node listens; never dialed. May be empty.
  peer_book(node_id self, std::uint64_t incarnation, std::string own_address);

  /// Adds a place to dial; known ones and those past `max_addresses` are passed over.
  void learn(const std::string& address, time_point now);

  /// The addresses to dial now. Each is then pending until `dial_failed` or `connected`.
  std::vector<std::string> due(time_point now);
  /// @param jitter From 0 to 1: lengthens the wait by up to half, so that nodes do not dial in step.
  void dial_failed(const std::string& address, const error& why, double jitter, time_point now);

  /// What to do with a session that has begun.
  struct verdict {
    bool keep = false;
    std::optional<connection> close;  ///< An older connection that this one replaces.
    error reason;                     ///< Why a connection is closed, whichever it is.
  };
  /// @param dialed The address, when this node opened the connection; empty otherwise.
  verdict connected(connection link, const node_id& node, const std::string& name, std::uint64_t incarnation,
                    const std::string& dialed, time_point now);
  /// The connection has ended. @returns the node that is gone with it, if any.
  std::optional<node_id> disconnected(connection link, const error& why, double jitter, time_point now);

  /// All nodes and addresses, for people.
  std::vector<peer_info> peers() const;
  /// Where other nodes listen, to be told to a new one.
  std::vector<std::string> addresses() const;

private:
  struct place {
    time_point next_dial;
    std::chrono::milliseconds retry = first_retry;
    bool pending = false;
    std::optional<connection> link;
    node_id node;  ///< Who answered there last.
    std::string problem;
  };
  struct member {
    connection link = 0;
    std::string name;
    std::uint64_t incarnation = 0;
    std::string dialed;
  };

  void retry_later(place& at, const error& why, double jitter, time_point now);

  node_id self_;
  std::uint64_t incarnation_;
  std::string own_address_;
  std::map<std::string, place> places_;
  std::map<node_id, member> members_;
};

}  // namespace troupe
