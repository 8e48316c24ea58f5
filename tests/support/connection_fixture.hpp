#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/links/served_connection.hpp>
#include <troupe/messages/codec.hpp>
#include <troupe/tests/support/session_fixture.hpp>

namespace troupe::test {

/// A served connection at a time that the test moves. Keeps the effects in the order in which they
/// came, until the test takes them.
class connection_fixture {
public:
  explicit connection_fixture(served_setup setup) : connection(std::move(setup), test::start) {
    connection.start(now);
  }

  void receive(std::string_view bytes) { connection.receive(bytes, now); }
  /// Answers what was handed to a service.
  void answer(const ask_service& asked, std::string_view bytes = rpc::nil) {
    connection.answer(asked.request, bytes, now);
  }
  void fail_request(const ask_service& asked, const error& why) {
    connection.answer(asked.request, fail(why), now);
  }
  /// Lets time pass, and a fast tick come at its end.
  void pass(std::chrono::milliseconds time) {
    now += time;
    connection.fast_tick(now);
  }

  /// Takes the bytes for the other side.
  std::string sent() { return std::exchange(connection.output(), {}); }
  std::vector<connection_effect> effects() { return std::exchange(connection.effects(), {}); }
  /// Takes the effects, which must all be of this kind.
  template <class Effect>
  std::vector<Effect> all() {
    std::vector<Effect> taken;
    for (auto& each : effects()) taken.push_back(std::get<Effect>(std::move(each)));
    return taken;
  }
  /// Takes the effects, which must be a single one of this kind.
  template <class Effect>
  Effect one() {
    auto taken = effects();
    if (taken.size() != 1)
      throw std::runtime_error{std::to_string(taken.size()) + " effects, not one"};
    return std::get<Effect>(std::move(taken.front()));
  }

  time_point now = test::start;
  served_connection connection;
};

/// Two sides that know each other: no greeting, all services, the other side of this kind.
inline served_setup known(principal_kind kind) {
  return {.services = {service::commands, service::context, service::mesh, service::node,
                       service::plugins},
          .other_side = {.name = "somebody", .kind = kind}};
}

}  // namespace troupe::test
