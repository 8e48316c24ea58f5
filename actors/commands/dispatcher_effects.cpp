// Carries out what the desk decides: one function for each effect.

#include <troupe/actors/commands/dispatcher_state.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr auto expiry_interval = 10ms;

}  // namespace

void dispatcher_state::carry_out(request_effects effects) {
  for (auto& each : effects) std::visit([this](auto& effect) { carry_out(effect); }, each);
  TROUPE_ASSERT(held_.size() == desk_.requests().unanswered(), "ledger and dispatcher agree");
  if (desk_.requests().awaits_deadline() && !std::exchange(tick_scheduled_, true))
    tick_after(self_, expiry_interval, tick::fast);
}

void dispatcher_state::carry_out(request_effect::answer& effect) {
  auto answered = held_.extract(effect.request);
  TROUPE_ASSERT(!answered.empty(), "a request is answered once");
  answered.mapped().reply(std::move(effect.outcome));
}

void dispatcher_state::carry_out(request_effect::start_function& effect) {
  if (effect.worker == workers_.size()) {
    workers_.push_back(spawn_worker(self_->system()));
    bind_life(self_, workers_.back());
  }
  auto& request = held(effect.request);
  request.stop = std::stop_source{};
  tell(self_, workers_[effect.worker],
       run_function{effect.request,
                    std::get<std::shared_ptr<const command_function>>(request.handler),
                    std::move(request.given), request.caller, request.trace, request.deadline,
                    request.stop.get_token()});
}

void dispatcher_state::carry_out(request_effect::stop_function& effect) {
  held(effect.request).stop.request_stop();
}

void dispatcher_state::carry_out(request_effect::ask_handler& effect) {
  auto& request = held(effect.request);
  const auto left = std::max(std::chrono::duration_cast<milliseconds>(effect.time_left), 1ms);
  ask(self_, std::get<command_handler_actor>(request.handler), effect.give_up_after,
      invocation{
          {effect.spec->name, std::move(request.given), request.caller->name, left, request.trace},
          effect.request})
      .then([this, asked = effect.request](value& answer) { finish(asked, std::move(answer)); },
            [this, asked = effect.request](const error& why) { finish(asked, fail(why)); });
}

void dispatcher_state::carry_out(request_effect::cancel_at_handler& effect) {
  tell(self_, std::get<command_handler_actor>(held(effect.request).handler),
       cancel_request{effect.request});
}

void dispatcher_state::carry_out(request_effect::log& effect) {
  using event = request_effect::log::event;
  const auto& command = effect.spec->name;
  const auto ran = std::chrono::duration_cast<milliseconds>(effect.ran).count();
  switch (effect.what) {
    case event::timed_out: return log_->warn("command.timed_out command={}", command);
    case event::late: return log_->warn("command.late command={} after_ms={}", command, ran);
    case event::given_up:
      return log_->warn("command.given_up command={} after_ms={}", command, ran);
  }
}

void dispatcher_state::carry_out(request_effect::report_stop& effect) {
  TROUPE_ASSERT(stopped_.has_value(), "a stop is reported once");
  (*std::exchange(stopped_, std::nullopt))(std::move(effect.outcome));
}

void dispatcher_state::finish(request_id request, result<value> outcome) {
  carry_out(desk_.finish(request, std::move(outcome), now()));
}

void dispatcher_state::expire() {
  tick_scheduled_ = false;
  carry_out(desk_.expire(now()));
}

dispatcher_state::held_request& dispatcher_state::held(request_id request) {
  const auto found = held_.find(request);
  TROUPE_ASSERT(found != held_.end(), "an unanswered request is held");
  return found->second;
}

}  // namespace troupe
