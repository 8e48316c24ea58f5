#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/sync/sync_session.hpp>

namespace troupe::test::simulation {

/// What one seed decides before anything happens.
struct scenario {
  unsigned nodes;
  unsigned paths;
  unsigned steps;
  bool ordered_links;  ///< Like TCP: what arrives, arrives once and in order. Otherwise anything
                       ///< goes.
  std::size_t max_waiting =
      1000;  ///< Changes and pushes; with so many waiting for the disk a node takes no more.
  bool heal_as_line;  ///< In the end each node is linked with its neighbours only.
  engine_limits engine;
  sync_limits sync;
  std::vector<std::int64_t> skew_ms;

  explicit scenario(std::mt19937& random)
      : nodes(2 + random() % 4),
        paths(1 + random() % 5),
        steps(200 + random() % 800),
        ordered_links(random() % 2 == 0),
        heal_as_line(random() % 3 == 0) {
    if (random() % 3 == 0) {
      engine.max_buffered_records = 2;
      engine.max_overwritten = 6;
      max_waiting = 12;
      sync.max_in_flight_bytes = 600;
      sync.max_in_flight_batches = 2;
      sync.max_queued_bytes = 700;
    }
    for (unsigned i = 0; i < nodes; ++i)
      skew_ms.push_back(
          random() % 3 ? 0 : static_cast<std::int64_t>(random() % 20'000'000) - 10'000'000);
  }

  std::string describe() const {
    std::ostringstream text;
    text << nodes << " nodes, " << paths << " paths, " << steps << " steps, "
         << (ordered_links ? "ordered" : "lossy") << " links, healed as "
         << (heal_as_line ? "line" : "mesh") << ", "
         << (sync.max_in_flight_batches == 2 ? "tight" : "usual") << " limits";
    return text.str();
  }
};

}  // namespace troupe::test::simulation
