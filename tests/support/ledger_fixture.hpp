#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/commands/open_requests.hpp>

namespace troupe::test {

using namespace std::chrono_literals;

/// A ledger of requests, its clock, and what its effects were.
class ledger {
public:
  using time_point = open_requests::time_point;
  using event = request_effect::log::event;

  explicit ledger(const open_requests::limits& bounds = {}) : requests(bounds) {}

  /// @param handler of the command. Without one, a function runs it.
  command_index add(const std::string& name, std::uint32_t concurrency, std::uint32_t queue,
                    std::optional<handler_id> handler = {}) {
    const command_index made{last_slot_++, ++last_serial_};
    offer(made, name, concurrency, queue, handler);
    return made;
  }
  /// Offers another command in the slot of a removed one.
  command_index add_again(command_index removed, std::uint32_t concurrency, std::uint32_t queue) {
    const command_index made{removed.slot, ++last_serial_};
    const auto was = commands_.at(removed.slot);
    offer(made, was.spec->name, concurrency, queue, was.handler);
    return made;
  }
  void remove(command_index command) { take(requests.remove_command(command, now)); }

  /// Nothing when it is rejected; see `rejection`.
  std::optional<request_id> try_open(command_index command, std::chrono::milliseconds time = 10s,
                                     request_origin origin = {}) {
    const auto& about = commands_.at(command.slot);
    auto verdict = requests.open({command, about.spec, about.handler, origin, now + time}, now);
    if (const auto* no = std::get_if<rejected>(&verdict)) {
      rejection = no->reason;
      return std::nullopt;
    }
    auto& opened = std::get<open_requests::opened>(verdict);
    take(std::move(opened.effects));
    return opened.request;
  }
  request_id open(command_index command, std::chrono::milliseconds time = 10s,
                  request_origin origin = {}) {
    const auto made = try_open(command, time, origin);
    REQUIRE(made.has_value());
    return *made;
  }
  void finish(request_id request, result<value> outcome = value{}) {
    take(requests.finish(request, std::move(outcome), now));
  }
  void cancel(const request_origin& origin) { take(requests.cancel(origin, now)); }
  void end_handler(handler_id handler) { take(requests.end_handler(handler, now)); }
  void pass(std::chrono::milliseconds time) {
    now += time;
    take(requests.expire(now));
  }
  result<void> stop(std::chrono::milliseconds patience) {
    auto effects = requests.stop(now + patience, now);
    if (!effects) return fail(std::move(effects.error()));
    take(std::move(*effects));
    return {};
  }

  bool is_answered(request_id request) const { return answers.contains(request); }
  const request_effect::answer& answer(request_id request) const {
    REQUIRE(is_answered(request));
    return answers.at(request);
  }
  error_code code(request_id request) const {
    const auto& outcome = answer(request).outcome;
    return outcome ? error_code::none : outcome.error().code;
  }
  std::string problem(request_id request) const {
    const auto& outcome = answer(request).outcome;
    return outcome ? std::string{} : outcome.error().message;
  }

  open_requests requests;
  time_point now{1h};
  rejection_reason rejection{};
  // What came out, in order.
  std::map<request_id, request_effect::answer> answers;
  std::vector<std::pair<request_id, std::size_t>> started;  ///< Functions, and their workers.
  std::vector<request_id> asked;                            ///< Handlers.
  std::vector<request_effect::ask_handler> questions;       ///< The same, in full.
  std::vector<request_id> told_to_stop;                     ///< Functions.
  std::vector<request_id> cancelled;                        ///< At their handlers.
  std::vector<event> logged;
  std::vector<result<void>> reports;  ///< Of the stop.

private:
  struct known_command {
    std::shared_ptr<const command_spec> spec;
    std::optional<handler_id> handler;
  };

  void offer(command_index made, const std::string& name, std::uint32_t concurrency,
             std::uint32_t queue, std::optional<handler_id> handler) {
    requests.add_command(made, concurrency, queue);
    commands_[made.slot] = {std::make_shared<const command_spec>(name), handler};
  }
  void take(request_effects effects) {
    for (auto& each : effects) std::visit([this](auto& effect) { note(effect); }, each);
  }
  void note(request_effect::answer& effect) {
    REQUIRE(answers.emplace(effect.request, std::move(effect)).second);
  }
  void note(request_effect::start_function& effect) {
    started.emplace_back(effect.request, effect.worker);
  }
  void note(request_effect::stop_function& effect) { told_to_stop.push_back(effect.request); }
  void note(request_effect::ask_handler& effect) {
    asked.push_back(effect.request);
    questions.push_back(std::move(effect));
  }
  void note(request_effect::cancel_at_handler& effect) { cancelled.push_back(effect.request); }
  void note(request_effect::log& effect) { logged.push_back(effect.what); }
  void note(request_effect::report_stop& effect) { reports.push_back(std::move(effect.outcome)); }

  std::map<std::uint32_t, known_command> commands_;
  std::uint32_t last_slot_ = 0;
  std::uint64_t last_serial_ = 0;
};

// Names that the tests of the ledger share.

using ids = std::vector<request_id>;
using event = ledger::event;

inline constexpr handler_id some_handler = 70;
inline constexpr handler_id other_handler = 71;
inline constexpr request_origin caller{5, 9};

}  // namespace troupe::test
