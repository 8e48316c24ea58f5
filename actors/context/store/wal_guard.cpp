#include <troupe/actors/context/store/wal_guard.hpp>

#include <utility>

namespace troupe {

namespace {

/// Looks for damage. What the disk cannot read of the file is damage, too.
result<std::optional<wal_damage>> look(const store_files& files, wal_state& state) {
  auto damage = find_wal_damage(files.database());
  if (damage) return damage;
  const auto zeros = files.make_wal_readable();
  if (!zeros || *zeros == 0) return damage;
  state.notes.push_back({"context.wal_unreadable",
                         "the disk cannot read " + std::to_string(*zeros) +
                             " bytes of the write-ahead file, and may be failing; the last commits "
                             "before the start may be lost; the file is in '" +
                             files.damaged() + "'"});
  return find_wal_damage(files.database());
}

}  // namespace

result<wal_state> guard_wal(const store_files& files) {
  wal_state state;
  auto damage = look(files, state);
  if (!damage) return fail(std::move(damage.error()));
  if (!*damage) return state;
  if (auto kept = files.keep_wal(); !kept) return fail(std::move(kept.error()));
  const auto repaired = repair_wal(files.database());
  if (!repaired) return fail(repaired.error());
  const auto copy = "; a copy of the file as it was is in '" + files.damaged() + "'";
  if (*repaired > 0) {
    state.notes.push_back(
        {"context.wal_repaired", "wrong bits in the write-ahead file have been put right, " +
                                     std::to_string(*repaired) + ", and its checksums fit" + copy});
    damage = find_wal_damage(files.database());
    if (!damage) return fail(std::move(damage.error()));
  }
  state.damage = std::move(*damage);
  if (state.damage)
    state.notes.push_back(
        {"context.wal_damaged",
         describe(*state.damage) + "; other members give back what they have" + copy});
  return state;
}

}  // namespace troupe
