#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/kernel/connection.hpp>
#include <troupe/actors/kernel/local_types.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/actors/links/served_connection.hpp>
#include <troupe/actors/links/serving.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

/// The most that a connection reads at once.
inline constexpr std::size_t max_read_bytes = 32 * 1024;

/// What an actor learns of its served connection. The functions run after the event that caused
/// them, in order, and may call the connection.
class connection_owner {
public:
  virtual ~connection_owner() = default;
  /// The session is open; the other side has been answered.
  virtual void on_session(session_began& session) = 0;
  /// A notification of the link itself, such as `log`.
  virtual void on_notification(const notification_came& notification) = 0;
  /// A notification of the other side was refused; for the log.
  virtual void on_refused(const notification_refused& refused) = 0;
  /// This many more were refused in the last second.
  virtual void on_more_refused(std::uint64_t count) = 0;
  /// The connection cannot go on: call `end`.
  virtual void on_failure(connection_failed& failed) = 0;
};

/// Carries out the effects of a served connection inside a broker: moves the bytes, asks the
/// services, passes their answers back and schedules ticks. Decides nothing.
///
/// `Self` is the broker's type. Shared, because answers of services may come after the owner has
/// dropped the connection for a new one.
template <class Self>
class connection_shell : public std::enable_shared_from_this<connection_shell<Self>> {
public:
  static constexpr std::chrono::milliseconds slow_interval{1000};
  /// How late a deadline may be noticed.
  static constexpr std::chrono::milliseconds fast_interval{20};
  /// For a service to take a notification.
  static constexpr std::chrono::seconds notification_deadline{60};

  /// Received before its effects are carried out.
  static constexpr std::size_t max_piece_bytes = 2 * 1024;
  /// Effects whose memory is kept for the next ones.
  static constexpr std::size_t max_kept_effects = 256;

  /// @param self Owns `wire`. @param owner Lives as long as `self`.
  /// @param services Where the requests go. They replace the services of the setup.
  connection_shell(Self* self, connection_owner& owner, connection wire, served_setup setup,
                   service_table services)
      : self_(self),
        owner_(owner),
        wire_(std::move(wire)),
        services_(std::move(services)),
        connection_(with_services(std::move(setup), services_), self->clock().now()) {}

  /// Starts to read, and introduces this side when it is the dialing one. Call it once.
  void start() {
    wire_.start_reading(max_read_bytes);
    step([this](auto& served) { served.start(now()); });
  }

  /// Passes on the bytes that the broker has read, piece by piece. What a piece leads to is carried
  /// out before the next one, so other actors work on the first messages while this one reads on.
  void receive(const caf::io::new_data_msg& data) {
    const auto alive = this->shared_from_this();
    for (auto rest = bytes_of(data); !rest.empty() && !connection_.has_ended();) {
      const auto piece = rest.substr(0, max_piece_bytes);
      step([&](auto& served) { served.receive(piece, now()); });
      rest.remove_prefix(piece.size());
    }
  }

  /// Passes a tick on. The owner repeats the slow tick itself.
  void pass_time(tick pace) {
    step([&](auto& served) {
      if (pace == tick::slow)
        served.slow_tick(now());
      else
        served.fast_tick(now());
    });
  }

  /// As `served_connection::call`.
  result<std::uint32_t> call(std::string_view method, std::string_view params,
                             std::chrono::milliseconds deadline, call_completion&& done,
                             call_patience patience = call_patience::until_deadline) {
    return step([&](auto& served) {
      return served.call(method, params, now() + deadline, std::move(done), patience);
    });
  }
  /// These do what their namesakes of `served_connection` do.
  void cancel(std::uint32_t call) {
    step([&](auto& served) { served.cancel(call); });
  }
  result<void> notify(std::string_view method, std::string_view params) {
    return step([&](auto& served) { return served.notify(method, params); });
  }
  void close(const std::string& reason) {
    step([&](auto& served) { served.close(reason); });
  }
  /// As `served_connection::end`; sends what there is to send and closes the connection.
  void end(const error& reason) {
    step([&](auto& served) { served.end(reason); });
  }
  void set_caller(principal_ptr caller) { connection_.set_caller(std::move(caller)); }

  bool is_open() const noexcept { return connection_.is_open(); }
  bool has_ended() const noexcept { return connection_.has_ended(); }
  const principal_ptr& caller() const noexcept { return connection_.caller(); }

private:
  static served_setup with_services(served_setup setup, const service_table& services) {
    setup.services = {};
    for (const auto& [name, actor] : services) setup.services.insert(name);
    return setup;
  }

  auto now() const { return self_->clock().now(); }

  /// Lets the connection deal with one event and carries out what follows. The owner may cause
  /// further events meanwhile; their effects come after those that are there.
  template <class Event>
  auto step(Event event) {
    connection_.set_unsent(wire_.unsent());
    if constexpr (std::is_void_v<decltype(event(connection_))>) {
      event(connection_);
      carry_out();
    } else {
      auto outcome = event(connection_);
      carry_out();
      return outcome;
    }
  }

  void carry_out() {
    if (is_busy_) return;
    is_busy_ = true;
    // The owner may drop the connection while it carries something out.
    std::shared_ptr<connection_shell> alive;
    if (!connection_.effects().empty()) alive = this->shared_from_this();
    while (!connection_.effects().empty()) {
      batch_.swap(connection_.effects());
      for (auto& effect : batch_) std::visit([this](auto& what) { carry_out(what); }, effect);
      batch_.clear();
    }
    if (batch_.capacity() > max_kept_effects) batch_ = {};
    is_busy_ = false;
    if (!connection_.output().empty()) {
      connection_.set_unsent(wire_.send(connection_.output()));
      connection_.output().clear();
    }
    if (connection_.has_ended()) return wire_.close();
    if (connection_.reading_paused())
      wire_.pause_reading();
    else
      wire_.resume_reading();
    if (connection_.take_fast_tick(wire_.reading_paused()))
      tick_after(self_, fast_interval, tick::fast);
  }

  // Once the connection has ended, only outcomes of calls and cancellations are delivered.

  void carry_out(ask_service& wanted) {
    if (connection_.has_ended()) return;
    const auto request = wanted.request;
    const auto pass_back = [weak = this->weak_from_this(),
                            request](const result<std::string_view>& outcome) {
      if (const auto shell = weak.lock())
        shell->step([&](auto& served) { served.answer(request, outcome, shell->now()); });
    };
    ask(self_, service_of(*wanted.rule), wanted.limit, std::move(wanted.call))
        .then([pass_back](
                  const payload& answer) { pass_back(std::string_view{answer.msgpack.bytes}); },
              [pass_back](const error& failure) { pass_back(fail(failure)); });
  }
  void carry_out(tell_service& wanted) {
    if (connection_.has_ended()) return;
    const auto taken = [weak = this->weak_from_this(), bytes = wanted.bytes] {
      if (const auto shell = weak.lock()) shell->step([&](auto& served) { served.taken(bytes); });
    };
    ask(self_, service_of(*wanted.rule), notification_deadline, std::move(wanted.notification))
        .then(taken, [taken](const error&) { taken(); });
  }
  void carry_out(const cancel_service& gone) { cancel_served(self_, services_, gone.ticket); }
  void carry_out(call_ended& ended) { ended.done(std::move(ended.outcome)); }
  void carry_out(session_began& session) {
    if (!connection_.has_ended()) owner_.on_session(session);
  }
  void carry_out(const notification_came& notification) {
    if (!connection_.has_ended()) owner_.on_notification(notification);
  }
  void carry_out(const notification_refused& refused) {
    if (!connection_.has_ended()) owner_.on_refused(refused);
  }
  void carry_out(const more_refused& more) {
    if (!connection_.has_ended()) owner_.on_more_refused(more.count);
  }
  void carry_out(connection_failed& failed) {
    if (!connection_.has_ended()) owner_.on_failure(failed);
  }

  const service_actor& service_of(const method_rule& rule) const {
    const auto found = services_.find(rule.access.service);
    TROUPE_ASSERT(found != services_.end(), "a request is handed to a service that is there");
    return found->second;
  }

  Self* self_;
  connection_owner& owner_;
  connection wire_;
  service_table services_;
  served_connection connection_;
  std::vector<connection_effect> batch_;  ///< Being carried out; its memory is used again.
  bool is_busy_ = false;
};

}  // namespace troupe
