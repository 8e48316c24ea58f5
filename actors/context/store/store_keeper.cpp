#include <troupe/actors/context/store/store_keeper.hpp>

#include <troupe/actors/kernel/shell.hpp>

namespace troupe {

namespace {

class store_keeper_state {
public:
  using interface = store_keeper_actor;
  static constexpr const char* name = "store_keeper";

  store_keeper_state(interface::pointer, context_store store) : store_(std::move(store)) {}

  interface::behavior_type make_behavior() {
    return {
        [this](const append_commit& wanted) { return reply(store_.append(wanted.what->batches)); },
        [this](const read_batches& asked) -> caf::result<batches_read> {
          auto read = store_.read_log(asked.wanted.wanted, asked.wanted.max_bytes);
          if (!read) return to_caf(std::move(read.error()));
          return batches_read{std::move(*read)};
        },
        [this](const write_checkpoint& wanted) { return reply(store_.checkpoint(*wanted.state)); },
    };
  }

private:
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
