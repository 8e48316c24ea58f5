#pragma once

#include <memory>
#include <type_traits>

#include <caf/io/typed_broker.hpp>

#include <troupe/actors/links/connection_shell.hpp>
#include <troupe/actors/links/link.hpp>

namespace troupe {

/// The state behind `link_actor`: a broker with one served connection. What is its own are the
/// calls that actors make over the link, its owner and its end.
class link_state : public connection_owner {
public:
  using interface =
      link_actor::extend_with<caf::io::connection_handler>::extend<caf::result<void>(tick)>;
  using pointer = interface::broker_pointer;
  static constexpr const char* name = "link";

  /// @param handle Of a connection that the broker owns before it runs.
  link_state(pointer self, caf::io::connection_handle handle, link_setup setup);
  /// @param socket Connected; taken over.
  link_state(pointer self, unique_fd socket, link_setup setup);

  interface::behavior_type make_behavior();

private:
  using shell = connection_shell<std::remove_pointer_t<pointer>>;

  link_state(pointer self, caf::io::connection_handle handle, unique_fd socket, link_setup setup);

  void on_session(session_began& session) override;
  void on_notification(const notification_came& notification) override;
  void on_refused(const notification_refused& refused) override;
  void on_more_refused(std::uint64_t count) override;
  void on_failure(connection_failed& failed) override;

  void connect();
  caf::result<payload> call(const call_remote& wanted);
  void end(const error& reason);

  pointer self_;
  link_setup setup_;
  unique_fd socket_;  ///< Until the broker runs and can own it.
  caf::io::connection_handle handle_;
  std::shared_ptr<spdlog::logger> log_;
  std::shared_ptr<shell> connection_;
};

}  // namespace troupe
