#pragma once

#include <string>
#include <utility>

#include <troupe/tests/support/fake_service.hpp>
#include <troupe/tests/support/raw_peer.hpp>

namespace troupe::test {

/// A link over a real connection whose other end the test holds.
class link_fixture {
public:
  real_system system;
  recorded_log log;

  /// A link without a greeting, whose other side is of this kind.
  raw_peer connect(principal_kind kind, service_table services = {}, link_limits limits = {}) {
    return start({.label = "test",
                  .limits = limits,
                  .log = log.target(),
                  .services = std::move(services),
                  .gate = {},
                  .open = {},
                  .other_side = {.name = "somebody", .kind = kind, .capabilities = {}},
                  .owner = {}});
  }
  raw_peer start(link_setup setup) {
    socket_pair sockets;
    link = system.own(spawn_link(system.caf(), sockets.near.release(), std::move(setup)));
    return raw_peer{std::move(sockets.far)};
  }
  answer<payload> call(std::string method, std::chrono::milliseconds deadline = 10s,
                       value params = value::map({}), trace_id trace = {}) {
    return system.ask<payload>(link,
                               call_remote{std::move(method), {params.msgpack()}, deadline, trace});
  }

  link_actor link;
};

/// A table in which one service serves everything.
inline service_table all_by(const service_actor& one) {
  return {{service::commands, one},
          {service::context, one},
          {service::mesh, one},
          {service::node, one},
          {service::plugins, one}};
}

}  // namespace troupe::test
