#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <troupe/actors/context/sync_manager.hpp>

namespace troupe::test::simulation {

class simulated_node;

/// Stands between a manager and its world and breaks a rule on purpose.
class interference {
public:
  virtual ~interference() = default;
  /// Changes the effects of an event before the world carries them out.
  virtual void alter(simulated_node& node, std::vector<sync_effect>& effects) = 0;
};

/// What nodes say to links: what a network has to do.
class link_ends {
public:
  virtual void send(peer_id link, unsigned from, const sync_message& message) = 0;
  /// The replica closes the link.
  virtual void close(peer_id link, unsigned from, const std::string& reason) = 0;
  /// How many of these members have a change on their disks.
  virtual std::size_t holders(const dot& id, const members& known) const = 0;

protected:
  ~link_ends() = default;
};

}  // namespace troupe::test::simulation
