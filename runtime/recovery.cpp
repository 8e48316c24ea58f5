#include <troupe/runtime/recovery.hpp>

#include <xxhash.h>

#include <troupe/actors/kernel/clock.hpp>

namespace troupe {

namespace {

/// The least incarnation that this start may have. It grows with time, so that a data directory
/// that was restored from an old copy repeats no incarnation. Its last bits are random, so that two
/// copies that start at the same moment differ.
std::uint64_t least_incarnation() {
  const auto chance = random_uuid().bytes;
  return system_wall_clock()() << 12 | (chance[0] & 0x0fu) << 8 | chance[1];
}

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

}  // namespace

cluster_id cluster_of(const std::string& name) {
  const XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
  return {make_random_uuid(little_endian(hash.high64, hash.low64))};
}

result<recovered_context> recover_context(const config& settings) {
  const auto cluster = cluster_of(settings.cluster);
  auto store = context_store::open(settings.data_dir.native(), {cluster, {random_uuid()}},
                                   {.history_changes = settings.history});
  if (!store) return fail(std::move(store.error()));
  if (store->identity().cluster != cluster)
    return fail(error_code::invalid_argument, "the data directory " + settings.data_dir.native() +
                                                  " belongs to another cluster than \"" +
                                                  settings.cluster + "\"");
  const auto incarnation = store->begin_incarnation(least_incarnation());
  if (!incarnation) return fail(incarnation.error());
  auto engine = replay(*store, *incarnation);
  if (!engine) return fail(std::move(engine.error()));
  const auto identity = store->identity();
  const auto replayed = store->records_since_checkpoint();
  const auto check_took = store->check_took();
  auto log_base = store->log_base();
  return recovered_context{std::move(*store), std::move(*engine),  identity,  *incarnation,
                           replayed,          std::move(log_base), check_took};
}

}  // namespace troupe
