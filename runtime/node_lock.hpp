#pragma once

#include <string>
#include <utility>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/ids.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// Keeps a node from running twice on one machine, from its data directory and from a copy of that:
/// two that make different changes under one name. An exclusive lock on a file in each directory
/// for such files that belongs to the user alone: `XDG_RUNTIME_DIR`, `/run/user/UID` and
/// `/tmp/troupe-UID`. So a service and a login, whose environments differ, meet in one of them. The
/// operating system releases the locks when the process ends, also when it is killed; then the
/// files stay. Copies on other machines are refused by the nodes that they meet, see `peer_book`.
class node_lock {
public:
  /// No lock.
  node_lock() = default;
  /// @param directory The data directory, for the messages of both.
  /// @returns already_exists, which names the process that has the lock and its data directory.
  /// Where no directory belongs to the user alone, nothing is locked.
  static result<node_lock> take(const node_id& node, const std::string& directory);

  node_lock(node_lock&&) noexcept = default;
  node_lock& operator=(node_lock&& other) noexcept;
  /// Removes the files, and the directory in `/tmp` if nothing else is in it.
  ~node_lock();

private:
  struct held {
    unique_fd lock;
    std::string file;
  };
  result<void> take_in(const std::string& place, const node_id& node, const std::string& directory);
  void release() noexcept;

  std::vector<held> held_;
};

}  // namespace troupe
