#include <troupe/actors/context/store/store_keeper.hpp>

#include <troupe/actors/context/store/free_memory.hpp>
#include <troupe/actors/kernel/shell.hpp>

namespace troupe {

namespace {

/// Rows of the log that go at once: others wait for the disk meanwhile.
constexpr std::size_t rows_of_trim = 4'000;

class store_keeper_state {
public:
  using interface = store_keeper_actor;
  static constexpr const char* name = "store_keeper";

  store_keeper_state(interface::pointer, context_store store) : store_(std::move(store)) {}

  interface::behavior_type make_behavior() {
    return {
        [this](const append_commit& wanted) { return reply(append(*wanted.what)); },
        [this](const read_batches& asked) -> caf::result<batches_read> {
          auto read = store_.read_log(asked.wanted.wanted, asked.wanted.max_bytes);
          if (!read) return to_caf(std::move(read.error()));
          return batches_read{std::move(*read)};
        },
        [this](const write_checkpoint& wanted) { return reply(store_.checkpoint(*wanted.state)); },
        [this](const trim_log& wanted) -> caf::result<log_trimmed> {
          auto more = store_.collect(*wanted.upto, rows_of_trim);
          if (!more) return to_caf(std::move(more.error()));
          if (!*more) give_back_free_memory();
          return log_trimmed{*more, std::make_shared<const processed_changes>(store_.log_base())};
        },
    };
  }

private:
  result<void> append(const commit& what) {
    if (what.adopted) return store_.adopt(what.adopted->state, what.adopted->foreign);
    return store_.append(what.batches);
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
