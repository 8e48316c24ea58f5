#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <caf/io/abstract_broker.hpp>
#include <caf/io/scribe.hpp>

#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/link_session.hpp>

namespace troupe {

/// The bytes of one connection inside a broker: moves what a `link_session` wants to send to CAF's
/// buffers in batches, and pauses reading while the session wants it.
class stream {
public:
  /// How much is read at once.
  static constexpr std::size_t read_bytes = 32 * 1024;

  /// @param broker Must own the connection before anything else is called, and outlive this object.
  stream(caf::io::abstract_broker* broker, caf::io::connection_handle connection)
      : broker_(broker), connection_(connection) {}

  /// Starts to read.
  void start() {
    broker_->configure_read(connection_, caf::io::receive_policy::at_most(read_bytes));
    await_turn();
  }

  /// Call before anything that may produce output: tells the session what the other side has not
  /// taken. CAF shows what waits to be written, not what it is just writing.
  void refresh(link_session& session) {
    session.set_unsent(open() ? broker_->wr_buf(connection_).size() : 0);
  }

  /// Call after it: sends, and pauses or resumes reading.
  void flush(link_session& session) {
    if (!open()) return session.output().clear();
    if (auto& output = session.output(); !output.empty()) {
      broker_->write(connection_, output.size(), output.data());
      broker_->flush(connection_);
      output.clear();
    }
    refresh(session);
    if (session.reading_paused() == paused_ || !*turned_) return;
    paused_ = !paused_;
    if (paused_)
      broker_->halt(connection_);
    else
      broker_->trigger(connection_);
    await_turn();
  }

  /// While true, `flush` must be called again soon: reading is paused, and only `flush` resumes it.
  bool paused() const noexcept { return paused_; }

  /// Closes. Of what has been written, what the operating system takes at once is still sent.
  void close() { close_later(*broker_, connection_); }

  bool open() const { return broker_->valid(connection_); }

private:
  /// Of two changes in one turn of CAF's I/O loop the loop would see neither, while the connection
  /// believes in both. So the next one waits for the turn to end.
  void await_turn() {
    turned_ = std::make_shared<bool>(false);
    broker_->backend().post([turned = turned_] { *turned = true; });
  }

  caf::io::abstract_broker* broker_;
  caf::io::connection_handle connection_;
  bool paused_ = false;
  std::shared_ptr<bool> turned_ =
      std::make_shared<bool>(true);  ///< Touched by the I/O thread only.
};

}  // namespace troupe
