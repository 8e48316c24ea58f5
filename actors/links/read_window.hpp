#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include <troupe/messages/assert.hpp>

namespace troupe {

/// Bounds how many requests with large answers the services work on at once for one link: answers
/// are made faster than they are sent, and what has been answered and not yet been taken by the
/// link is bounded by nothing else. The others wait, first come, first served; how many may is for
/// the caller to bound. Every operation is O(1).
template <class Request>
class read_window {
public:
  /// @param at_once at least 1.
  explicit read_window(std::size_t at_once) : at_once_(at_once) {}

  /// Takes a request in. @returns it when it can be handed on now; otherwise it waits until `leave`
  /// returns it.
  std::optional<Request> enter(Request request) {
    if (under_way_ == at_once_) {
      waiting_.push_back(std::move(request));
      return std::nullopt;
    }
    ++under_way_;
    return request;
  }

  /// One that was handed on has been answered. @returns the one to hand on in its place.
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
