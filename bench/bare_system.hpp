#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/middleman.hpp>

namespace troupe::bench {

/// The actor system of what is measured beside ours: with CAF's own settings, so that a setting of
/// ours cannot slow both sides.
class bare_system {
public:
  bare_system() : system_(settings_.load<caf::io::middleman>()) {}
  bare_system(const bare_system&) = delete;
  bare_system& operator=(const bare_system&) = delete;

  caf::actor_system& caf() noexcept { return system_; }

private:
  caf::actor_system_config settings_;
  caf::actor_system system_;
};

}  // namespace troupe::bench
