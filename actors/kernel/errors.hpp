#pragma once

#include <exception>
#include <string>

#include <caf/error.hpp>
#include <caf/result.hpp>

#include <troupe/actors/kernel/type_ids.hpp>
#include <troupe/messages/error.hpp>

namespace troupe {

/// The form in which an error crosses between actors.
caf::error to_caf(error failure);

/// The error that an actor answered. CAF's own failures get the code with the same meaning: a
/// request timeout is `deadline_exceeded`, a receiver that is down `unavailable`.
error from_caf(const caf::error& failure);

/// The error of an actor whose handler threw this, which is a defect of the handler.
error from_exception(const std::exception_ptr& thrown);

/// Why an actor has ended, in words. No error means that it ended by itself.
std::string end_reason(const caf::error& reason);

/// Returns the value or the error of `outcome` from a handler.
template <class T>
caf::result<T> reply(result<T>&& outcome) {
  if (outcome) {
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return std::move(*outcome);
  }
  return to_caf(std::move(outcome.error()));
}

}  // namespace troupe
