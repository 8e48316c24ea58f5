#include <troupe/runtime/recovery.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <xxhash.h>

#include <troupe/actors/context/store/directory_lock.hpp>
#include <troupe/actors/context/store/fresh_incarnation.hpp>
#include <troupe/actors/context/store/salvage.hpp>
#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/actors/kernel/clock.hpp>

namespace troupe {

namespace {

result<context_engine> replay(context_store& store, std::uint64_t incarnation) {
  auto state = store.load_checkpoint();
  if (!state) return fail(std::move(state.error()));
  const auto checkpointed = state->processed;
  context_engine engine{store.identity().node, incarnation, std::move(*state)};
  auto replayed =
      store.replay(checkpointed, [&, now = system_wall_clock()()](change_record&& record) {
        return engine.replay(std::move(record), now);
      });
  if (!replayed) return fail(std::move(replayed.error()));
  return engine;
}

/// What there is of a context whose checkpoint is lost.
result<std::shared_ptr<const saved_parts>> saved_of(context_store& store) {
  auto parts = store.load_salvaged();
  if (!parts) return fail(std::move(parts.error()));
  return std::make_shared<const saved_parts>(std::move(*parts));
}

/// Opens the store as it is.
result<recovered_context> open_context(const config& settings) {
  const auto cluster = cluster_of(settings.cluster);
  auto store = context_store::open(settings.data_dir.native(), {cluster, {random_uuid()}},
                                   {.history_changes = settings.history});
  if (!store) return fail(std::move(store.error()));
  if (store->identity().cluster != cluster)
    return fail(error_code::invalid_argument, "the data directory " + settings.data_dir.native() +
                                                  " belongs to another cluster than \"" +
                                                  settings.cluster + "\"");
  auto alone = node_lock::take(store->identity().node, settings.data_dir.native());
  if (!alone) return fail(std::move(alone.error()));
  const auto incarnation = begin_fresh_incarnation(*store);
  if (!incarnation) return fail(incarnation.error());
  const auto identity = store->identity();
  auto log_base = store->log_base();
  auto notes = store->notes();
  const auto clock_since = store->clock_since();
  if (!clock_since) return fail(clock_since.error());
  if (store->needs_state()) {
    engine_state empty;
    empty.clock_since = *clock_since;
    auto saved = saved_of(*store);
    if (!saved) return fail(std::move(saved.error()));
    return recovered_context{std::move(*alone),
                             std::move(*store),
                             context_engine{identity.node, *incarnation, std::move(empty)},
                             identity,
                             *incarnation,
                             0,
                             std::move(log_base),
                             std::move(notes),
                             std::move(*saved)};
  }
  const auto corrected = store->correct_clock(*incarnation);
  if (!corrected) return fail(corrected.error());
  auto engine = replay(*store, *incarnation);
  if (!engine) return fail(std::move(engine.error()));
  const auto replayed = store->records_since_checkpoint();
  return recovered_context{
      std::move(*alone), std::move(*store),   std::move(*engine), identity, *incarnation,
      replayed,          std::move(log_base), std::move(notes),   nullptr};
}

/// Saves what can be read of a damaged store.
result<salvage_outcome> salvage(const config& settings) {
  const store_files files{settings.data_dir.native()};
  const auto lock = directory_lock::take(files.directory(), store_files::lock);
  if (!lock) return fail(lock.error());
  return salvage_store(files);
}

/// What was saved, in words.
std::string describe(const salvage_outcome& saved, const store_files& files) {
  const auto count = [](std::uint64_t number, const char* of) {
    return std::to_string(number) + " " + of + (number == 1 ? "" : "s");
  };
  std::string text;
  if (saved.needs_state)
    text =
        count(saved.entries, "value") + " could be read; the rest has to come from other members";
  else if (saved.is_whole())
    text = "nothing is known to be missing: the rest of the store has replaced it";
  else
    text = "changes in " + count(saved.lost_rows, "row") +
           " of the log are missing, and other members give back what they have of them";
  return text + "; the damaged files are in '" + files.damaged() + "'";
}

/// Puts what was saved in the place of the damaged store, and opens it.
result<recovered_context> open_salvaged(const config& settings, const error& damage,
                                        const salvage_outcome& saved, bool is_whole) {
  const store_files files{settings.data_dir.native()};
  const auto told = damage.message + "; " + describe(saved, files);
  {
    const auto lock = directory_lock::take(files.directory(), store_files::lock);
    if (!lock) return fail(lock.error());
    if (auto taken = files.take_salvaged(told); !taken) return fail(std::move(taken.error()));
  }
  auto opened = open_context(settings);
  if (opened)
    opened->notes.insert(opened->notes.begin(),
                         {is_whole ? "context.repaired" : "context.damaged", told});
  return opened;
}

/// The write-ahead file. Nothing when it cannot be looked at: opening the store says why.
wal_state wal_of(const config& settings) {
  const store_files files{settings.data_dir.native()};
  const auto lock = directory_lock::take(files.directory(), store_files::lock);
  if (!lock) return {};
  return guard_wal(files).value_or(wal_state{});
}

/// Puts notes before others that do not say the same.
void add_new(const std::vector<store_note>& notes, std::vector<store_note>& into) {
  const auto before = into;
  for (const auto& each : notes)
    if (std::ranges::find(before, each.event, &store_note::event) == before.end())
      into.insert(into.begin(), each);
}

/// Runs a step of the host. What it throws is its failure.
result<void> run(const recovery_step& step, const store_damage& found) {
  try {
    return step.recover(found);
  } catch (const std::exception& thrown) {
    return fail(error_code::handler_failed, thrown.what());
  }
}

/// Tries the steps of the host, one after the other. The files that they may replace are kept.
/// @param failed gets a note of each that has not helped.
std::optional<recovered_context> try_steps(const config& settings, const error& damage,
                                           std::vector<store_note>& failed) {
  if (settings.recovery.empty()) return std::nullopt;
  const store_files files{settings.data_dir.native()};
  constexpr auto event = "context.recovery_failed";
  if (const auto kept = files.keep_copies(); !kept) {
    failed.push_back({event,
                      "the recovery steps were left out, because what they may replace "
                      "could not be kept: " +
                          kept.error().message});
    return std::nullopt;
  }
  for (const auto& step : settings.recovery) {
    const auto name = "the recovery step '" + step.name + "' ";
    if (const auto done = run(step, {settings.data_dir, damage}); !done) {
      failed.push_back({event, name + "has failed: " + done.error().message});
      continue;
    }
    auto opened = open_context(settings);
    if (!opened) {
      failed.push_back({event, name + "has not helped: " + opened.error().message});
      continue;
    }
    opened->notes.push_back({"context.recovered", damage.message + "; the recovery step '" +
                                                      step.name + "' has mended it"});
    return std::move(*opened);
  }
  return std::nullopt;
}

/// Opens the store, or what becomes of it in the order that `recover_context` names. @param found
/// of the write-ahead file. @param failed gets a note of each step of the host that has not helped.
result<recovered_context> recover(const config& settings, const wal_state& found,
                                  std::vector<store_note>& failed) {
  const auto& wal = found.damage;
  const bool has_lost_commits = wal && wal->is_certain;
  // SQLite forgets what is behind the damage when it opens the file. A host may have it elsewhere.
  if (has_lost_commits)
    if (auto mended = try_steps(settings, {error_code::corrupt_data, describe(*wal), {}}, failed))
      return std::move(*mended);
  auto opened = open_context(settings);
  if (opened) add_new(found.notes, opened->notes);
  if (opened || opened.error().code != error_code::corrupt_data) return opened;
  auto damage = opened.error();
  for (const auto& note : found.notes) damage.message = note.text + "; " + damage.message;
  auto saved = salvage(settings);
  if (saved && saved->is_whole() && !wal) return open_salvaged(settings, damage, *saved, true);
  if (!has_lost_commits && !settings.recovery.empty()) {
    if (auto mended = try_steps(settings, damage, failed)) return std::move(*mended);
    // There may be other files now, and the attempts have removed what was saved.
    saved = salvage(settings);
  }
  if (!saved) return fail(saved.error());
  return open_salvaged(settings, damage, *saved, saved->is_whole() && !wal);
}

}  // namespace

cluster_id cluster_of(const std::string& name) {
  const XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
  return {make_random_uuid(little_endian(hash.high64, hash.low64))};
}

result<recovered_context> recover_context(const config& settings) {
  const auto found = wal_of(settings);
  std::vector<store_note> failed;
  auto recovered = recover(settings, found, failed);
  if (recovered) {
    recovered->notes.insert(recovered->notes.begin(), failed.begin(), failed.end());
    return recovered;
  }
  auto& why = recovered.error().message;
  for (const auto& each : failed) why += "; " + each.text;
  return recovered;
}

}  // namespace troupe
