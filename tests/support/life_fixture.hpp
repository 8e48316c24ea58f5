#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/plugins/plugin_life.hpp>
#include <troupe/tests/support/plugin_manifests.hpp>

namespace troupe::test {

using namespace std::chrono_literals;

/// The life of the plugin `notes`, without anything around it: the test reports events and looks at
/// the effects, which wait here in their order until it takes them.
class life_fixture {
public:
  void make(plugin_manifest manifest = notes_manifest()) {
    life = std::make_unique<plugin_life>(
        std::make_shared<const plugin_manifest>(std::move(manifest)), "/packages/notes");
    pending.clear();
  }
  void make(restart_spec restart) {
    auto manifest = notes_manifest();
    manifest.restart = restart;
    make(std::move(manifest));
  }

  /// Keeps the effects of an event.
  void see(life_effects effects) { std::ranges::move(effects, std::back_inserter(pending)); }

  /// How many effects of a kind wait.
  template <class Effect>
  std::ptrdiff_t count() const {
    return std::ranges::count_if(
        pending, [](const auto& each) { return std::holds_alternative<Effect>(each); });
  }
  /// Takes the oldest effect of a kind.
  template <class Effect>
  Effect take() {
    const auto found = std::ranges::find_if(
        pending, [](const auto& each) { return std::holds_alternative<Effect>(each); });
    REQUIRE(found != pending.end());
    auto taken = std::get<Effect>(std::move(*found));
    pending.erase(found);
    return taken;
  }
  /// Everything that is to be audited under this event, oldest first.
  std::vector<life_effect::audit> audits(std::string_view event) const {
    std::vector<life_effect::audit> found;
    for (const auto& each : pending)
      if (const auto* audit = std::get_if<life_effect::audit>(&each))
        if (audit->event == event) found.push_back(*audit);
    return found;
  }
  bool logs(std::string_view text) const {
    return std::ranges::any_of(pending, [&](const auto& each) {
      const auto* log = std::get_if<life_effect::log>(&each);
      return log && (log->event + " plugin=notes " + log->fields).find(text) != std::string::npos;
    });
  }
  /// The outcome for those who wait for the start, which must be there.
  result<void> start_outcome() { return take<life_effect::answer_starts>().outcome; }

  // -- the course of things -----------------------------------------------------------------------

  void start() { see(life->start(now)); }
  /// The process of the latest launch runs. @returns the launch's number.
  launch_number launched() {
    const auto number = take<life_effect::launch>().number;
    see(life->launched(number, {.process = 4711, .layers = {{"process", "none"}}}));
    CHECK(take<life_effect::connect>().number == number);
    return number;
  }
  launch_number opened() {
    const auto number = launched();
    see(life->session_opened());
    CHECK(take<life_effect::ask_commands>().number == number);
    return number;
  }
  void tell_commands(launch_number number, const std::vector<std::string>& names) {
    std::vector<command_spec> specs;
    for (const auto& name : names) specs.push_back(command_spec{name});
    see(life->commands_received(number, std::move(specs), policy));
  }
  /// Everything up to the open offers.
  launch_number offered(const std::vector<std::string>& names = {"notes.add"}) {
    const auto number = opened();
    tell_commands(number, names);
    return number;
  }
  void accept_offers() {
    while (count<life_effect::offer_command>() > 0) {
      const auto offer = take<life_effect::offer_command>();
      see(life->offer_accepted(offer.number, offer.spec.name));
    }
  }
  /// The latest launch runs.
  launch_number run_launch() {
    const auto number = offered();
    accept_offers();
    REQUIRE(life->phase() == plugin_phase::running);
    return number;
  }
  /// Starts and runs; what happened on the way is forgotten.
  launch_number run() {
    start();
    const auto number = run_launch();
    REQUIRE(start_outcome());
    pending.clear();
    return number;
  }
  /// The process of a launch that has crashed is gone.
  void end_crashed(const plugin_ended& end = {}) {
    CHECK(take<life_effect::end_process>().cause == end_cause::crash);
    see(life->ended(end_cause::crash, end, now, no_jitter));
  }
  /// A crash of a plugin that runs, up to its next launch, which runs.
  void crash_and_run() {
    see(life->connection_closed());
    end_crashed();
    pass(take<life_effect::wake>().delay);
    run_launch();
  }
  void pass(std::chrono::milliseconds time) {
    now += time;
    see(life->tick(now));
  }
  void stop_ended(const result<void>& outcome = {}) {
    if (outcome)
      see(life->ended(end_cause::stop, {}, now, no_jitter));
    else
      see(life->end_failed(end_cause::stop, outcome.error(), now));
  }

  static constexpr double no_jitter = 0.0;

  permissions policy{"notes", permission_level::user};
  plugin_life::time_point now{};
  std::unique_ptr<plugin_life> life;
  life_effects pending;
};

using strings = std::vector<std::string>;

}  // namespace troupe::test
