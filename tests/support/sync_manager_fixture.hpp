#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/messages/codec.hpp>
#include <troupe/tests/support/context_fixture.hpp>

namespace troupe::test {

/// A sync manager of node 1, to which the test reports events. The effects of the latest event are
/// in `effects`.
class manager_fixture {
public:
  explicit manager_fixture(sync_settings settings = {})
      : manager(context_engine{node(1), 1}, with_cluster(settings)) {}

  sync_manager manager;
  std::vector<sync_effect> effects;
  event_time now{noon, 0};

  /// The effects of one kind.
  template <class Effect>
  std::vector<Effect> all() const {
    std::vector<Effect> found;
    for (const auto& each : effects)
      if (const auto* effect = std::get_if<Effect>(&each)) found.push_back(*effect);
    return found;
  }
  /// The only effect of this kind.
  template <class Effect>
  Effect only() const {
    const auto found = all<Effect>();
    REQUIRE(found.size() == 1);
    return found.front();
  }
  template <class Effect>
  bool none() const {
    return all<Effect>().empty();
  }
  /// The place of the first effect of this kind, in order.
  template <class Effect>
  std::size_t place() const {
    for (std::size_t i = 0; i < effects.size(); ++i)
      if (std::holds_alternative<Effect>(effects[i])) return i;
    FAIL("there is no such effect");
    return 0;
  }
  /// How many lines of this event are logged.
  std::size_t logged(std::string_view event) const {
    std::size_t count = 0;
    for (const auto& each : all<sync_log_line>()) count += each.event == event ? 1 : 0;
    return count;
  }

  // -- events -------------------------------------------------------------------------------------

  context_request write(write_values wanted) {
    const context_request request{++requests};
    wanted.principal = "tester";
    return after([&] { manager.write(request, wanted, now); }), request;
  }
  context_request write(std::string_view where, value given,
                        durability level = durability::durable) {
    return write({.entries = {{path{where}, std::move(given)}}, .durability = level});
  }
  context_request settle() {
    const context_request request{++requests};
    return after([&] { manager.settle(request); }), request;
  }
  void watch(std::uint64_t watcher, std::string_view prefix) {
    after([&] { manager.watch(watcher_id{watcher}, path{prefix}); });
  }
  void stored() {
    after([&] { manager.stored(); });
  }
  void refused() {
    after([&] { manager.disk_refused({error_code::storage_failure, "the disk is full", {}}); });
  }
  void tick(std::uint64_t milliseconds = 100) {
    now.steady_ms += milliseconds;
    now.wall_ms += milliseconds;
    after([&] { manager.tick(now); });
  }
  void peer_up(std::uint64_t link, unsigned n) {
    after([&] { manager.peer_up(peer_id{link}, node(n), now); });
  }
  void peer_down(std::uint64_t link) {
    after([&] { manager.peer_down(peer_id{link}); });
  }
  template <class Message>
  void hear(std::uint64_t link, const Message& message) {
    hear(link, Message::method, encode(message));
  }
  void hear(std::uint64_t link, std::string_view method, std::string_view params) {
    after([&] { manager.hear(peer_id{link}, method, params, now); });
  }
  void push(std::uint64_t link, std::uint64_t number, std::vector<change_record> records) {
    std::vector<encoded_record> encoded;
    for (const auto& each : records) encoded.push_back(encode_record(each));
    hear(link, push_batch{std::move(encoded)}.to_message(number));
  }
  /// Reports an event and takes its effects.
  template <class Event>
  void after(Event&& event) {
    event();
    manager.take_effects(effects);
  }

  // -- peers --------------------------------------------------------------------------------------

  sync_hello hello(unsigned n, version_vector vector = {}) const {
    return {cluster_id{node(99).id},
            node(n),
            1,
            std::move(vector),
            {},
            strategies_hash(last_writer_wins{}),
            {},
            {}};
  }
  /// A peer that has said hello.
  void greeted_peer(std::uint64_t link, unsigned n) {
    peer_up(link, n);
    hear(link, hello(n));
  }
  /// The messages of one kind to one peer.
  template <class Message>
  std::vector<Message> sent(std::uint64_t link) const {
    std::vector<Message> messages;
    for (const auto& each : all<send_to_peer>())
      if (const auto* message = std::get_if<Message>(&each.message);
          message && each.peer == peer_id{link})
        messages.push_back(*message);
    return messages;
  }
  /// What readers see, or nothing.
  std::optional<value> read(std::string_view where) const {
    auto found = manager.find(path{where});
    return found.found ? std::optional{found.value} : std::nullopt;
  }

  std::uint64_t requests = 0;

private:
  static sync_settings with_cluster(sync_settings settings) {
    settings.cluster = cluster_id{node(99).id};
    return settings;
  }
};

}  // namespace troupe::test
