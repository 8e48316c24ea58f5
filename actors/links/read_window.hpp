#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include <troupe/messages/assert.hpp>

namespace troupe {

/// Bounds how many requests with large answers are served at once for one link. Services make
/// answers faster than a link sends them, and nothing else bounds the answers in between. Further
/// requests wait, first come, first served; the caller bounds their number. Every operation is
/// O(1).
template <class Request>
class read_window {
public:
  /// @param at_once At least 1.
  explicit read_window(std::size_t at_once) : at_once_(at_once) {}

  /// Takes a request in. @returns it when it can be served now. Otherwise it waits until `leave`
  /// returns it.
  std::optional<Request> enter(Request request) {
    if (under_way_ == at_once_) {
      waiting_.push_back(std::move(request));
      return std::nullopt;
    }
    ++under_way_;
    return request;
  }

  /// A request has been served. @returns the one to serve in its place.
  std::optional<Request> leave() {
    TROUPE_ASSERT(under_way_ > 0, "a request leaves the window once");
    if (waiting_.empty()) {
      --under_way_;
      return std::nullopt;
    }
    std::optional<Request> next{std::move(waiting_.front())};
    waiting_.pop_front();
    return next;
  }

private:
  std::size_t at_once_;
  std::size_t under_way_ = 0;
  std::deque<Request> waiting_;
};

}  // namespace troupe
