#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include <caf/io/abstract_broker.hpp>
#include <caf/io/connection_handle.hpp>
#include <caf/io/doorman.hpp>
#include <caf/io/network/multiplexer.hpp>
#include <caf/io/scribe.hpp>
#include <caf/io/system_messages.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/plugins/unique_fd.hpp>

// Connections and listening sockets of actors inside CAF's I/O loop.

namespace troupe {

namespace detail {

/// One turn of closing; see `close_later`.
template <class Servant>
void end_connection(caf::io::network::multiplexer& loop, Servant servant, int turn) {
  constexpr int last_turn = 16;  // each turn sends as much as the socket's buffer has room for
  loop.post([&loop, servant = std::move(servant), turn] {
    if (turn == 0) servant->graceful_shutdown();
    if (turn < last_turn)
      end_connection(loop, servant, turn + 1);
    else
      ::shutdown(static_cast<int>(servant->hdl().id()),
                 SHUT_RDWR);  // CAF's handles are the descriptors themselves
  });
}

}  // namespace detail

/// Closes a connection or a listening socket within the next turns of CAF's I/O loop. Unsent bytes
/// are still sent as far as the operating system takes them in these turns. Call it on the I/O
/// thread.
///
/// The close waits for the next turn because CAF cancels out opening and closing in one turn, and
/// then keeps the socket open for ever. It does not rely on `graceful_shutdown` alone because CAF
/// then waits without a bound for a reader of the unsent bytes, even when the actor system ends.
template <class Handle>
void close_later(caf::io::abstract_broker& broker, Handle handle) {
  auto servant = broker.take(handle);
  if (!servant) return;
  servant->set_parent(nullptr);  // no more events
  if constexpr (std::is_same_v<Handle, caf::io::accept_handle>)
    broker.backend().post(
        [servant] { servant->halt(); });  // duplicates of the socket may go on listening
  else
    detail::end_connection(broker.backend(), std::move(servant), 0);
}

/// One connection of an actor inside CAF's I/O loop.
class connection {
public:
  /// @param broker Owns the connection before anything else is called, and outlives this object.
  connection(caf::io::abstract_broker* broker, caf::io::connection_handle handle)
      : broker_(broker), handle_(handle) {}

  /// Starts to read. Each event has at most `at_once` bytes.
  void start_reading(std::size_t at_once) {
    broker_->configure_read(handle_, caf::io::receive_policy::at_most(at_once));
    await_turn();
  }

  /// Pauses reading. Has no effect in a turn of the I/O loop in which reading was started, paused
  /// or resumed: call it again later. See `reading_paused`.
  void pause_reading() {
    if (paused_ || !open() || !*turned_) return;
    paused_ = true;
    broker_->halt(handle_);
    await_turn();
  }

  /// Resumes reading, under the same condition.
  void resume_reading() {
    if (!paused_ || !open() || !*turned_) return;
    paused_ = false;
    broker_->trigger(handle_);
    await_turn();
  }

  bool reading_paused() const noexcept { return paused_; }

  /// Sends these bytes. What the other side does not take is buffered. @returns `unsent`.
  std::size_t send(std::string_view bytes) {
    if (!open()) return 0;
    auto& buffer = broker_->wr_buf(handle_);
    const auto* const first = reinterpret_cast<const caf::byte*>(bytes.data());
    buffer.insert(buffer.end(), first, first + bytes.size());
    broker_->flush(handle_);
    return buffer.size();
  }

  /// The bytes that wait to be written. CAF does not count those that it is writing just now.
  std::size_t unsent() const { return open() ? broker_->wr_buf(handle_).size() : 0; }

  /// Closes, once. Unsent bytes are still sent as far as the operating system takes them at once.
  void close() {
    if (!std::exchange(closed_, true)) close_later(*broker_, handle_);
  }

  /// False after `close`: the handle is a descriptor, which may then be another connection's.
  bool open() const { return !closed_ && broker_->valid(handle_); }

private:
  /// The I/O loop sees neither of two changes in one turn, while the connection believes in both.
  /// So the next change waits for the end of the turn.
  void await_turn() {
    turned_ = std::make_shared<bool>(false);
    broker_->backend().post([turned = turned_] { *turned = true; });
  }

  caf::io::abstract_broker* broker_;
  caf::io::connection_handle handle_;
  bool paused_ = false;
  bool closed_ = false;
  std::shared_ptr<bool> turned_ =
      std::make_shared<bool>(true);  ///< Touched by the I/O thread only.
};

/// Takes a connected socket over. The actor receives its events from now on.
template <class Self>
connection adopt_connection(Self* self, unique_fd socket) {
  return {self, self->add_scribe(socket.release())};
}

/// Takes a listening socket over. The actor receives `new_connection_msg` for each connection, and
/// `acceptor_closed_msg` when the socket closes or is none.
template <class Self>
void listen_on(Self* self, unique_fd socket) {
  // CAF ends the program when it gets an invalid descriptor.
  if (socket)
    self->add_doorman(socket.release());
  else
    tell(self, self, caf::io::acceptor_closed_msg{});
}

/// The bytes of an event.
inline std::string_view bytes_of(const caf::io::new_data_msg& event) {
  return {reinterpret_cast<const char*>(event.buf.data()), event.buf.size()};
}

/// The descriptor of a connection. CAF's handles are the descriptors themselves.
inline int descriptor_of(caf::io::connection_handle handle) {
  return static_cast<int>(handle.id());
}

}  // namespace troupe
