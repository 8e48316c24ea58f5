// Whatever happens in whatever order, each request is answered exactly once and each place is
// returned exactly once.

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include <troupe/actors/commands/ledger/open_requests.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using time_point = open_requests::time_point;

/// What a test knows of one request from the effects alone.
struct known_request {
  command_index command;
  std::optional<handler_id> handler;
  time_point deadline;
  bool answered = false;
  bool started = false;
  bool may_end = false;  ///< Its execution has ended.
  bool ended = false;
  std::size_t worker = 0;
};

struct known_command {
  command_index index;
  std::optional<handler_id> handler;
  std::uint32_t concurrency, queue;
};

/// A ledger under random use, beside a plain account of what it said.
class account {
public:
  account()
      : workers_(*rc::gen::inRange<std::size_t>(1, 5)),
        max_waiting_(*rc::gen::inRange<std::size_t>(1, 12)),
        requests_({.max_waiting = max_waiting_, .max_workers = workers_, .handler_grace = 40ms}) {
    for (std::uint32_t slot = 0; slot < 4; ++slot) {
      commands_.push_back({{},
                           slot < 2 ? std::optional<handler_id>{} : handler_id{slot / 3 + 1},
                           *rc::gen::inRange<std::uint32_t>(1, 4),
                           *rc::gen::inRange<std::uint32_t>(0, 5)});
      offer(slot);
    }
  }

  void step() {
    now_ += std::chrono::milliseconds{*rc::gen::inRange(0, 6)};
    switch (*rc::gen::inRange(0, 20)) {
      case 0: return remove();
      case 1: return end_handler();
      case 2:
      case 3: return expire();
      case 4:
      case 5: return cancel();
      case 6: return finish_again();
      case 7:
      case 8:
      case 9:
      case 10:
      case 11: finish(); return;
      default: return open();
    }
  }

  void check() const {
    std::size_t open = 0, queued = 0;
    for (const auto& each : commands_) {
      std::size_t holding = 0, waiting = 0, running = 0;
      for (const auto& [id, request] : known_) {
        if (request.command != each.index) continue;
        const auto place = requests_.place_of(id);
        holding += place && *place != request_place::queue;
        waiting += place == request_place::queue;
        running += request.started && !request.ended;
      }
      RC_ASSERT(requests_.running(each.index) == holding);
      RC_ASSERT(requests_.waiting(each.index) == waiting);
      RC_ASSERT(running <= holding);
      RC_ASSERT(holding <= each.concurrency);
      RC_ASSERT(waiting <= each.queue);
      queued += waiting;
    }
    std::set<std::size_t> busy;
    std::size_t unanswered = 0;
    for (const auto& [id, request] : known_) {
      open += !request.ended;
      unanswered += !request.answered;
      RC_ASSERT(requests_.place_of(id).has_value() == !request.ended);
      RC_ASSERT(!request.ended || request.answered);
      if (request.started && !request.ended && !request.handler)
        RC_ASSERT(busy.insert(request.worker).second);
    }
    RC_ASSERT(queued <= max_waiting_);
    RC_ASSERT(busy.size() <= workers_);
    RC_ASSERT(requests_.size() == open);
    RC_ASSERT(requests_.unanswered() == unanswered);
    if (unanswered > 0) RC_ASSERT(requests_.awaits_deadline());
  }

  void stop() {
    auto effects = requests_.stop(now_ + 20ms, now_);
    RC_ASSERT(effects.has_value());
    stop_by_ = now_ + 20ms;
    take(std::move(*effects));
    for (const auto& [id, request] : known_)
      RC_ASSERT((request.started || (request.answered && request.ended)));
  }

  /// Everything comes to its end.
  void settle() {
    for (int i = 0; i < 30; ++i) {
      finish();
      expire();
      check();
    }
    now_ += 1s;
    expire();
    for (bool any = true; any;) any = finish();
    check();
    for (const auto& [id, request] : known_) RC_ASSERT(request.answered && request.ended);
    for (const auto& each : commands_) RC_ASSERT(requests_.running(each.index) == 0u);
    RC_ASSERT(requests_.size() == 0u);
    RC_ASSERT(!requests_.awaits_deadline());
    RC_ASSERT(reports_ == (stop_by_ ? 1 : 0));
  }

private:
  static constexpr std::uint64_t sender = 3;

  known_command& any_command() {
    return commands_[*rc::gen::inRange<std::size_t>(0, commands_.size())];
  }
  std::optional<request_id> any_of(const std::vector<request_id>& some) const {
    if (some.empty()) return std::nullopt;
    return some[*rc::gen::inRange<std::size_t>(0, some.size())];
  }
  template <class Predicate>
  std::optional<request_id> any_that(Predicate&& wanted) const {
    std::vector<request_id> some;
    for (const auto& [id, request] : known_)
      if (wanted(request)) some.push_back(id);
    return any_of(some);
  }

  void offer(std::uint32_t slot) {
    auto& command = commands_[slot];
    command.index = {slot, ++serial_};
    requests_.add_command(command.index, command.concurrency, command.queue);
  }

  void open() {
    const auto& command = any_command();
    const auto deadline = now_ + std::chrono::milliseconds{*rc::gen::inRange(-1, 60)};
    auto verdict = requests_.open(
        {command.index, spec_, command.handler, {sender, ++last_ticket_}, deadline}, now_);
    if (std::holds_alternative<rejected>(verdict)) return;
    auto& opened = std::get<open_requests::opened>(verdict);
    RC_ASSERT(
        known_.emplace(opened.request, known_request{command.index, command.handler, deadline})
            .second);
    by_ticket_[last_ticket_] = opened.request;
    take(std::move(opened.effects));
  }

  bool finish() {
    const auto id = any_that([](const auto& each) { return each.started && !each.ended; });
    if (!id) return false;
    known_.at(*id).may_end = true;
    if (*rc::gen::inRange(0, 2) == 0)
      take(requests_.finish(*id, value{1}, now_));
    else
      take(requests_.finish(*id, fail(error_code::handler_failed, "broken"), now_));
    RC_ASSERT(known_.at(*id).answered && known_.at(*id).ended);
    return true;
  }

  void end_handler() {
    const auto handler = *rc::gen::inRange<handler_id>(1, 4);
    std::vector<request_id> lost;
    for (auto& [id, request] : known_)
      if (request.started && !request.ended && request.handler == handler) {
        request.may_end = true;
        lost.push_back(id);
      }
    take(requests_.end_handler(handler, now_));
    for (const auto id : lost) RC_ASSERT(known_.at(id).answered && known_.at(id).ended);
  }

  /// A handler answers after the ledger has given it up.
  void finish_again() {
    const auto id = any_that([](const auto& each) { return each.ended; });
    if (id) RC_ASSERT(requests_.finish(*id, value{2}, now_).empty());
  }

  void cancel() {
    const auto ticket = *rc::gen::inRange<std::uint64_t>(0, last_ticket_ + 2);
    const auto found = by_ticket_.find(ticket);
    const bool counts = found != by_ticket_.end() && !known_.at(found->second).answered;
    take(requests_.cancel({sender, ticket}, now_));
    if (counts) RC_ASSERT(known_.at(found->second).answered);
  }

  void expire() {
    take(requests_.expire(now_));
    for (const auto& [id, request] : known_) RC_ASSERT(request.answered || request.deadline > now_);
    if (stop_by_ && now_ >= *stop_by_) RC_ASSERT(reports_ == 1);
  }

  void remove() {
    auto& command = any_command();
    take(requests_.remove_command(command.index, now_));
    for (const auto& [id, request] : known_)
      if (request.command == command.index)
        RC_ASSERT(requests_.place_of(id) != request_place::queue);
    offer(command.index.slot);
  }

  void take(request_effects effects) {
    for (auto& each : effects) std::visit([this](const auto& effect) { note(effect); }, each);
    for (auto& [id, request] : known_) {
      if (request.ended || requests_.place_of(id)) continue;
      RC_ASSERT(!request.started || request.may_end);
      request.ended = true;
    }
  }
  known_request& started_now(request_id id) {
    auto& request = known_.at(id);
    RC_ASSERT(!request.started && !request.answered && request.deadline > now_);
    request.started = true;
    return request;
  }
  void note(const request_effect::answer& effect) {
    auto& request = known_.at(effect.request);
    RC_ASSERT(!request.answered);
    RC_ASSERT(effect.command == request.command);
    RC_ASSERT(effect.ran.has_value() == request.started);
    request.answered = true;
  }
  void note(const request_effect::start_function& effect) {
    auto& request = started_now(effect.request);
    RC_ASSERT(!request.handler && effect.worker < workers_);
    request.worker = effect.worker;
  }
  void note(const request_effect::ask_handler& effect) {
    const auto& request = started_now(effect.request);
    RC_ASSERT(request.handler.has_value());
    RC_ASSERT(effect.time_left == request.deadline - now_);
  }
  void note(const request_effect::stop_function& effect) {
    const auto& request = known_.at(effect.request);
    RC_ASSERT(request.started && !request.answered && !request.handler);
  }
  void note(const request_effect::cancel_at_handler& effect) {
    const auto& request = known_.at(effect.request);
    RC_ASSERT(request.started && !request.answered && request.handler.has_value());
  }
  void note(const request_effect::log&) {}
  void note(const request_effect::report_stop&) {
    RC_ASSERT(stop_by_.has_value() || requests_.is_stopping());
    ++reports_;
  }

  std::size_t workers_, max_waiting_;
  open_requests requests_;
  std::shared_ptr<const command_spec> spec_ = std::make_shared<const command_spec>("work");
  std::vector<known_command> commands_;
  std::map<request_id, known_request> known_;
  std::map<std::uint64_t, request_id> by_ticket_;
  std::uint64_t serial_ = 0, last_ticket_ = 0;
  time_point now_{1h};
  std::optional<time_point> stop_by_;
  int reports_ = 0;
};

}  // namespace

TEST_CASE("whatever happens, each request is answered once and each place is returned once") {
  CHECK(rc::check("the ledger under random use", [] {
    account with;
    const auto steps = *rc::gen::inRange(0, 150);
    for (int step = 0; step < steps; ++step) {
      with.step();
      with.check();
    }
    if (*rc::gen::inRange(0, 2) == 0) {
      with.stop();
      with.check();
    }
    with.settle();
  }));
}
