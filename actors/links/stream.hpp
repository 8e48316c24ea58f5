#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <caf/io/abstract_broker.hpp>
#include <caf/io/scribe.hpp>

#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/session/link_session.hpp>

namespace troupe {

/// The bytes of one connection inside a broker: writes in batches, and pauses reading.
class stream {
public:
  /// The most that is read at once.
  static constexpr std::size_t read_bytes = 32 * 1024;

  /// @param broker Must own the connection before any other function is called, and outlive this
  /// object.
  stream(caf::io::abstract_broker* broker, caf::io::connection_handle connection)
      : broker_(broker), connection_(connection) {}

  /// Starts to read.
  void start() {
    broker_->configure_read(connection_, caf::io::receive_policy::at_most(read_bytes));
    await_turn();
  }

  /// The bytes that wait to be written. CAF does not show those that it is writing at the moment.
  std::size_t unsent() const { return open() ? broker_->wr_buf(connection_).size() : 0; }

  /// Sends the bytes and clears them.
  void send(std::string& bytes) {
    if (!bytes.empty() && open()) {
      broker_->write(connection_, bytes.size(), bytes.data());
      broker_->flush(connection_);
    }
    bytes.clear();
  }

  /// Pauses or resumes reading, unless this turn of CAF's I/O loop forbids it; see `await_turn`.
  void set_paused(bool wanted) {
    if (wanted == paused_ || !*turned_ || !open()) return;
    paused_ = wanted;
    if (paused_)
      broker_->halt(connection_);
    else
      broker_->trigger(connection_);
    await_turn();
  }

  /// While true, `set_paused` must be called again soon: only that resumes reading.
  bool paused() const noexcept { return paused_; }

  /// Closes. Of what has been written, what the operating system takes at once is still sent.
  void close() {
    if (!std::exchange(closed_, true)) close_later(*broker_, connection_);
  }

  bool open() const { return !closed_ && broker_->valid(connection_); }

  /// For an owner of a bare `link_session`: call it before anything that may produce output.
  void refresh(link_session& session) { session.set_unsent(unsent()); }
  /// The same, to be called afterwards.
  void flush(link_session& session) {
    send(session.output());
    refresh(session);
    set_paused(session.reading_paused());
  }

private:
  /// CAF's I/O loop would see neither of two changes in one turn, but the connection would take
  /// both as done. So the next change waits for the turn to end.
  void await_turn() {
    turned_ = std::make_shared<bool>(false);
    broker_->backend().post([turned = turned_] { *turned = true; });
  }

  caf::io::abstract_broker* broker_;
  caf::io::connection_handle connection_;
  bool paused_ = false;
  bool closed_ = false;  ///< From then on the handle may name another connection of the broker.
  /// Touched by the I/O thread only.
  std::shared_ptr<bool> turned_ = std::make_shared<bool>(true);
};

}  // namespace troupe
