#include <troupe/actors/links/listener.hpp>

#include <map>
#include <memory>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/link_state.hpp>

namespace troupe {

namespace {

class listener_state {
public:
  using interface = listener_actor;
  using pointer = interface::broker_pointer;
  static constexpr const char* name = "listener";

  listener_state(pointer self, unique_fd socket, listener_setup setup)
      : self_(self),
        socket_(std::move(socket)),
        setup_(std::move(setup)),
        log_(setup_.log.logger("links")) {
    ends_.attach(self_);
  }
  /// The links end with their listener: the actor system waits for every actor, and only the
  /// listener knows all its links.
  ~listener_state() {
    for (const auto& [id, link] : links_) dismiss(link);
  }

  interface::behavior_type make_behavior() {
    listen_on(self_, std::move(socket_));
    return {
        [this](const caf::io::new_connection_msg& connection) { accept(connection.handle); },
        [this](const caf::io::acceptor_closed_msg&) {
          end_with(self_, {error_code::unavailable,
                           "the listening socket " + setup_.label + " is not open",
                           {}});
        },
    };
  }

private:
  void accept(caf::io::connection_handle connection) {
    auto setup = links_.size() < setup_.max_connections
                     ? setup_.setup_for(descriptor_of(connection))
                     : result<link_setup>{fail(error_code::overloaded, "too many connections")};
    if (!setup) {
      log_->warn("link.refused listener=\"{}\" reason={}", setup_.label,
                 printable_quoted(setup.error().message));
      close_later(*self_, connection);
      return;
    }
    auto link = spawn_on_connection<link_state>(self_, connection, std::move(*setup));
    links_[link.id()] = link;
    ends_.watch(self_, link, [this, id = link.id()](const caf::error&) { links_.erase(id); });
  }

  pointer self_;
  unique_fd socket_;  ///< Until the broker runs and can take it.
  listener_setup setup_;
  std::shared_ptr<spdlog::logger> log_;
  watch_list ends_;
  std::map<caf::actor_id, link_actor> links_;  ///< At most `max_connections`.
};

}  // namespace

listener_actor spawn_listener(caf::actor_system& system, unique_fd socket, listener_setup setup) {
  return spawn_io<listener_state>(system, std::move(socket), std::move(setup));
}

child_spec listener_child(caf::actor_system& system, std::string name,
                          std::function<unique_fd()> open, std::function<listener_setup()> setup) {
  child_spec made;
  made.name = std::move(name);
  made.start = [&system, open = std::move(open), setup = std::move(setup)]() -> caf::actor {
    auto socket = open();
    if (!socket) return {};
    return untyped(spawn_listener(system, std::move(socket), setup()));
  };
  made.kind = child_kind::replaceable;
  return made;
}

}  // namespace troupe
