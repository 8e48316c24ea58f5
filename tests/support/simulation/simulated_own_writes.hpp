#pragma once

#include <map>
#include <vector>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/tests/support/simulation/simulated_write.hpp>
#include <troupe/tests/support/simulation/simulation_oracle.hpp>

namespace troupe::test::simulation {

/// What a manager writes though nobody asked for it: that its node is a member, that another one is
/// forgotten, that the rest of a transaction is sought or lost. One write in an event.
class simulated_own_writes {
public:
  /// Before the event.
  simulated_own_writes(oracle& truth, const sync_manager& manager, std::vector<path> places)
      : truth_(truth),
        had_joined_(manager.known_members().has_joined()),
        forgotten_(manager.known_members().forgotten()),
        open_(manager.engine().open_ends()),
        asked_(truth, manager, with_transactions(std::move(places))) {}

  /// After it: has the oracle know what was written.
  void note(const sync_manager& manager, event_time now) {
    const auto& known = manager.known_members();
    const auto own = manager.engine().own_incarnation();
    const auto wrote = [&](const path& where, value what) {
      write_values wanted{.entries = {}, .principal = "system"};
      wanted.entries.push_back({where, std::move(what)});
      for (const auto& each : asked_.records(wanted, manager)) truth_.made(each);
    };
    if (!had_joined_ && known.has_joined())
      wrote(members::place_of(own.origin), members::joining(now.wall_ms));
    for (const auto& [member, said] : known.forgotten())
      if (!forgotten_.contains(member) && seq_at(said, own) > 0)
        wrote(members::place_of(member), members::farewell(now.wall_ms, "its lease has ended"));
    for (const auto& [first, last] : open_) {
      const auto where = lost_transactions::place_of(last);
      const auto entry = manager.engine().tree().find(where);
      if (!entry || !asked_.has_made(entry->siblings())) continue;
      const bool is_lost = lost_transactions::has(manager.engine().tree(), last);
      wrote(where, is_lost ? lost_transactions::lost(first.seq, now.wall_ms)
                           : lost_transactions::sought(now.wall_ms));
    }
  }

private:
  std::vector<path> with_transactions(std::vector<path> places) const {
    for (const auto& each : open_) places.push_back(lost_transactions::place_of(each.last));
    return places;
  }

  oracle& truth_;
  bool had_joined_;
  std::map<node_id, version_vector> forgotten_;
  std::vector<open_transactions::ends> open_;
  simulated_write asked_;
};

}  // namespace troupe::test::simulation
