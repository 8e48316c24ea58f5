#include <troupe/actors/context/queries/context_reader.hpp>

#include <limits>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

class context_reader_state {
public:
  using interface = context_reader_actor;
  static constexpr const char* name = "context_reader";

  context_reader_state(interface::pointer self, verified_state state,
                       std::shared_ptr<const conflict_resolution> strategy)
      : self_(self), state_(std::move(state)), strategy_(std::move(strategy)) {}

  interface::behavior_type make_behavior() {
    return {
        [this](const verify_values& wanted) {
          end_normally(self_);
          return verify_subtree(state_, *strategy_, wanted.prefix);
        },
        [this](const list_values& wanted) {
          end_normally(self_);
          auto page =
              list_page(state_.tree, *strategy_, wanted, std::numeric_limits<std::size_t>::max());
          TROUPE_ASSERT(page.has_value(), "without a bound a page is always made");
          return std::move(*page);
        },
    };
  }

private:
  interface::pointer self_;
  verified_state state_;
  std::shared_ptr<const conflict_resolution> strategy_;
};

}  // namespace

context_reader_actor spawn_context_reader(caf::actor_system& system, verified_state state,
                                          std::shared_ptr<const conflict_resolution> strategy) {
  return spawn_shell<context_reader_state>(system, std::move(state), std::move(strategy));
}

}  // namespace troupe
