#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include <troupe/messages/error.hpp>

namespace troupe {

/// Names a request of the other side from its arrival until its owner has answered. Not the id on
/// the wire: the other side may use that again as soon as it got a reply, which may be sooner.
using request_serial = std::uint32_t;

/// The requests of the other side of a link that are worked on. Each gets one reply: from its
/// owner, or early, when it is cancelled or expires. A request with an early reply keeps its place
/// until its owner has answered as well.
class served_requests {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// @param most Worked on at once. @param most_bytes Of their parameters together.
  served_requests(std::uint32_t most, std::size_t most_bytes) noexcept
      : most_(most), most_bytes_(most_bytes) {}

  std::size_t count() const noexcept { return serving_.size(); }
  /// How many the other side waits for.
  std::size_t awaited() const noexcept { return awaited_.size(); }
  /// Whether the other side waits for the reply to this id.
  bool is_awaited(std::uint32_t id) const { return awaited_.contains(id); }

  /// Fails with `overloaded` when there is no room for one more request with parameters of this
  /// size.
  result<void> check_room(std::size_t bytes) const;
  /// Takes a request in, whose id must not be awaited.
  request_serial accept(std::uint32_t id, std::size_t bytes, time_point deadline);
  /// The owner has answered. @returns the id to reply to, unless there was an early reply or there
  /// is no such request.
  std::optional<std::uint32_t> finish(request_serial request);
  /// The other side gets an early reply. @returns the request, if it waits for one.
  std::optional<request_serial> answer_early(std::uint32_t id);
  /// The awaited ids whose deadline has passed.
  std::vector<std::uint32_t> expired(time_point now) const;
  /// Forgets all requests. @returns those that were awaited.
  std::vector<request_serial> clear();

private:
  struct served_request {
    std::uint32_t id = 0;
    std::size_t bytes = 0;
    time_point deadline;
    bool is_answered = false;
  };

  std::uint32_t most_;
  std::size_t most_bytes_;
  std::unordered_map<request_serial, served_request> serving_;
  std::unordered_map<std::uint32_t, request_serial> awaited_;  ///< By their ids on the wire.
  std::size_t bytes_ = 0;
  request_serial last_ = 0;
};

}  // namespace troupe
