#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/context/state/strategies.hpp>
#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

namespace troupe::test::simulation {

/// A strategy whose result is neither write, and another one when they change places.
class mixed_values final : public conflict_resolution {
public:
  std::string_view name() const noexcept override { return "mixed_values/1"; }
  std::string_view reason() const noexcept override { return "numbers are mixed in their order"; }
  change_record resolve(const change_record& local, const change_record& remote) const override {
    auto mixed = remote;
    const auto earlier = local.new_value.as_integer(), later = remote.new_value.as_integer();
    const bool are_puts = local.operation == operation::put && remote.operation == operation::put;
    if (are_puts && earlier && later) mixed.new_value = value{*earlier * 3 + *later};
    return mixed;
  }
};

/// What one seed decides before anything happens.
struct scenario {
  unsigned nodes;
  unsigned paths;
  unsigned steps;
  bool ordered_links;     ///< Like TCP: what arrives, arrives once and in order. Otherwise anything
                          ///< goes.
  bool heal_as_line;      ///< In the end each node is linked with its neighbours only.
  unsigned disk_percent;  ///< How likely a disk does a job in one step.
  std::size_t history;    ///< Changes that stay in a log.
  unsigned late;          ///< So many nodes have no link in the first half.
  bool newer;    ///< The first node is of a newer build: it says more than the others know.
  bool mixes;    ///< The conflict strategy is `mixed_values`.
  bool backups;  ///< Disks are set back to backups now and then, or lose their end.
  engine_limits engine;
  sync_settings settings;
  std::vector<std::int64_t> skew_ms;

  explicit scenario(std::mt19937& random)
      : nodes(2 + random() % 4),
        paths(1 + random() % 5),
        steps(200 + random() % 800),
        ordered_links(random() % 2 == 0),
        heal_as_line(random() % 3 == 0),
        disk_percent(random() % 3 == 0 ? 100 : 5 + random() % 40),
        history(random() % 3 == 0 ? 1'000'000 : random() % 40),
        late(random() % 2 ? random() % (nodes - 1) : 0),
        newer(random() % 4 == 0),
        mixes(steps % 4 == 0),
        backups(random() % 2) {
    settings.cluster = cluster_id{node(99).id};
    settings.checkpoint_every = 2 + random() % 60;
    settings.commits.max_batch = random() % 2 ? 1 + random() % 6 : 1000;
    if (random() % 3 == 0) settings.watches.max_unanswered = 1 + random() % 8;
    settings.commits.max_waiting = 1000;
    if (random() % 2) settings.keep_transfer_at = 1;
    if (random() % 3 == 0) settings.commits.max_body_bytes = random() % 200;
    if (random() % 3 == 0) {
      engine.max_buffered_records = 2;
      engine.max_open_weight = 4000;
      settings.commits.max_waiting = 12;
      settings.sync.max_in_flight_bytes = 600;
      settings.sync.max_in_flight_batches = 2;
      settings.sync.max_queued_bytes = 700;
    }
    if (!backups) engine.single_counts = random() % 3;
    settings.leases = {random() % 2 ? 0 : 20'000 + random() % 60'000, 1 + random() % 5'000};
    settings.scrub = {random() % 20'000, random() % 20'000, random() % 5'000, random() % 500};
    for (unsigned i = 0; i < nodes; ++i)
      skew_ms.push_back(
          random() % 3 ? 0 : static_cast<std::int64_t>(random() % 20'000'000) - 10'000'000);
  }

  /// The index of a node, and a path, at random.
  unsigned some_node(std::mt19937& random) const { return random() % nodes; }
  path some_path(std::mt19937& random) const { return path_at(random() % paths); }
  /// Of two paths, one is below the other.
  static path path_at(unsigned i) {
    return path{"/p" + std::to_string(i / 2) + (i % 2 ? "/below" : "")};
  }

  std::shared_ptr<const conflict_resolution> strategy() const {
    if (mixes) return std::make_shared<mixed_values>();
    return std::make_shared<last_writer_wins>();
  }

  /// Bounds are so low that they are reached.
  bool tight() const { return settings.commits.max_waiting < 100; }

  /// Every option.
  std::string describe() const {
    std::ostringstream text;
    text << nodes << " nodes, " << paths << " paths, " << steps << " steps, "
         << (ordered_links ? "ordered" : "lossy") << " links, healed as "
         << (heal_as_line ? "line" : "mesh") << ", " << late << " late, history " << history
         << ", disk " << disk_percent << " %, checkpoint every " << settings.checkpoint_every
         << ", commits of " << settings.commits.max_batch << ", " << settings.commits.max_waiting
         << " waiting, bodies " << settings.commits.max_body_bytes << " B, watchers "
         << settings.watches.max_unanswered << " behind, buffered " << engine.max_buffered_records
         << ", open " << engine.max_open_weight << ", in flight "
         << settings.sync.max_in_flight_batches << " of " << settings.sync.max_in_flight_bytes
         << " B, queued " << settings.sync.max_queued_bytes << " B, leases of "
         << settings.leases.length_ms << " ms, transfers kept from " << settings.keep_transfer_at
         << " B on, " << (backups ? "" : "no ") << "backups, " << (newer ? "a newer node, " : "")
         << (mixes ? "mixed values, " : "") << engine.single_counts << " counts, skew";
    for (const auto each : skew_ms) text << ' ' << each;
    text << " ms";
    return text.str();
  }
};

}  // namespace troupe::test::simulation
