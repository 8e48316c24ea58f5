#pragma once

#include <caf/io/typed_broker.hpp>

#include <troupe/actors/links/link.hpp>
#include <troupe/actors/links/read_window.hpp>
#include <troupe/actors/links/serving.hpp>
#include <troupe/actors/links/stream.hpp>

namespace troupe {

/// The state behind `link_actor`: a broker that owns one connection. It opens the session, stamps
/// the other side's identity on everything that comes in, checks each method against the method
/// table, and passes requests on to the services.
class link_state : public link_events {
public:
  using interface =
      link_actor::extend_with<caf::io::connection_handler>::extend<caf::result<void>(tick)>;
  using pointer = interface::broker_pointer;
  static constexpr const char* name = "link";

  /// @param connection Of a scribe that the broker is given before it runs.
  link_state(pointer self, caf::io::connection_handle connection, link_setup setup);
  /// @param socket Taken over.
  link_state(pointer self, unique_fd socket, link_setup setup);

  interface::behavior_type make_behavior();

private:
  enum class phase { opening, open, closed };

  void on_request(request_serial request, std::string_view method, std::string_view params,
                  const rpc::envelope& beside) override;
  void on_notification(std::string_view method, std::string_view params) override;
  void on_cancelled(request_serial request) override;

  // -- session ------------------------------------------------------------------------------------
  void greet();
  void answer_greeting(request_serial request, std::string_view method, std::string_view params);
  result<session_grant> admit(std::string_view method, std::string_view params);
  result<void> check_acceptance(const session_accepted& answer) const;
  void begin_dialed(const session_accepted& answer);
  void announce(link_opened opened);

  // -- traffic ------------------------------------------------------------------------------------
  caf::result<payload> call(const call_remote& wanted);
  void serve(routed_request asked);
  void hand_on(routed_request asked, link_session::time_point at);
  void pass_on(const route& to, std::string_view method, std::string_view params);
  void settle(result<void> outcome);
  void close(const std::string& reason);
  void hear_closing(std::string_view params);
  void end(const error& reason);
  void pass_time(tick pace);
  void schedule_tick();
  link_session::time_point now() const { return self_->clock().now(); }

  link_state(pointer self, caf::io::connection_handle connection, unique_fd socket,
             link_setup setup);

  pointer self_;
  link_setup setup_;
  unique_fd socket_;  ///< Until the broker runs and can take it.
  stream stream_;
  link_session::time_point began_;
  link_session session_;
  std::shared_ptr<spdlog::logger> log_;
  principal_ptr caller_;
  read_window<routed_request> reads_{max_reads_at_once};
  phase phase_ = phase::opening;
  bool fast_tick_ = false;
  std::uint64_t notifications_refused_ = 0;  ///< Since the last slow tick.
};

}  // namespace troupe
