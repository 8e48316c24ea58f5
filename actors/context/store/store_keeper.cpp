#include <troupe/actors/context/store/store_keeper.hpp>

#include <troupe/actors/context/store/fresh_incarnation.hpp>
#include <troupe/actors/kernel/free_memory.hpp>
#include <troupe/actors/kernel/shell.hpp>

namespace troupe {

namespace {

/// Rows of the log that go at once: others wait for the disk meanwhile.
constexpr std::size_t rows_of_trim = 4'000;
/// Rows that are checked at once.
constexpr std::size_t rows_of_scrub = 2'000;

class store_keeper_state {
public:
  using interface = store_keeper_actor;
  static constexpr const char* name = "store_keeper";

  store_keeper_state(interface::pointer, context_store store) : store_(std::move(store)) {}

  interface::behavior_type make_behavior() {
    return {
        [this](const append_commit& wanted) { return reply(append(*wanted.what)); },
        [this](const read_batches& asked) -> caf::result<batches_read> {
          return reply(read(asked.wanted));
        },
        [this](const write_checkpoint& wanted) { return reply(store_.checkpoint(*wanted.state)); },
        [this](const trim_log& wanted) -> caf::result<log_trimmed> {
          auto more = store_.collect(*wanted.upto, rows_of_trim);
          if (!more) return to_caf(std::move(more.error()));
          return log_trimmed{*more, std::make_shared<const processed_changes>(store_.log_base())};
        },
        [this](want_clock_correction) { return reply(store_.want_clock_correction()); },
        [this](const set_state_aside& wanted) { return reply(set_aside(wanted)); },
        [this](const keep_entries& wanted) {
          return reply(store_.keep_unsent(wanted.entries).map([](std::string file) {
            return entries_kept{std::move(file)};
          }));
        },
        [this](give_back_store_memory) {
          store_.give_back_memory();
          give_back_free_memory();
        },
        [this](const write_transfer& wanted) {
          return reply(store_.transfer().carry_out(wanted.part));
        },
        [this](const load_transfer& wanted) -> caf::result<transfer_loaded> {
          auto kept = store_.transfer().load(wanted.own);
          if (!kept) return to_caf(std::move(kept.error()));
          return transfer_loaded{std::move(*kept)};
        },
        [this](check_store asked) { return reply(check(asked.only_files)); },
    };
  }

private:
  result<void> append(const commit& what) {
    if (what.adopted) {
      const auto& keeps = what.adopted->log_keeps;
      return store_.adopt(what.adopted->state, what.adopted->foreign, keeps ? &*keeps : nullptr);
    }
    return store_.append(what.batches);
  }

  /// A damaged row that the checkpoint makes unnecessary goes.
  result<batches_read> read(const read_log& wanted) {
    auto batches = store_.read_log(wanted.wanted, wanted.max_bytes);
    if (batches) return batches_read{std::move(*batches), nullptr};
    const bool is_damaged = batches.error().code == error_code::corrupt_data;
    const auto mended = is_damaged ? store_.mend_log() : false;
    if (!mended || !*mended) return fail(std::move(batches.error()));
    batches = store_.read_log(wanted.wanted, wanted.max_bytes);
    return batches_read{batches ? std::move(*batches) : std::vector<shared_batch>{},
                        std::make_shared<const processed_changes>(store_.log_base())};
  }

  result<state_set_aside> set_aside(const set_state_aside& wanted) {
    if (auto done = store_.set_aside(*wanted.state, wanted.overruled_by); !done)
      return fail(std::move(done.error()));
    const auto incarnation = begin_fresh_incarnation(store_);
    if (!incarnation) return fail(incarnation.error());
    const auto since = store_.clock_since();
    if (!since) return fail(since.error());
    auto saved = store_.load_salvaged();
    if (!saved) return fail(std::move(saved.error()));
    return state_set_aside{*incarnation, *since,
                           std::make_shared<const saved_parts>(std::move(*saved))};
  }

  result<scrubbed_part> check(bool only_files) {
    if (only_files) {
      if (auto there = store_.check_files(); !there) return fail(std::move(there.error()));
      return scrubbed_part{};
    }
    const auto step = store_.scrub(rows_of_scrub);
    if (!step) return fail(step.error());
    return scrubbed_part{step->is_done, step->mended, step->needs_checkpoint,
                         std::make_shared<const processed_changes>(store_.log_base())};
  }

  context_store store_;
};

}  // namespace

store_keeper_actor spawn_store_keeper(caf::actor_system& system, context_store store) {
  return spawn_blocking<store_keeper_state>(system, std::move(store));
}

child_spec store_keeper_child(caf::actor_system& system, std::function<context_store()> store,
                              on_started<store_keeper_actor> started) {
  return make_child(
      "store_keeper",
      [&system, store = std::move(store)] { return spawn_store_keeper(system, store()); },
      std::move(started));
}

}  // namespace troupe
