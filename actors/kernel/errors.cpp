#include <troupe/actors/kernel/errors.hpp>

#include <caf/exit_reason.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace troupe {

namespace {

error from_system_error(caf::sec code, const caf::error& failure) {
  switch (code) {
    case caf::sec::request_timeout:
      return {error_code::deadline_exceeded, "no answer before the deadline", {}};
    case caf::sec::request_receiver_down:
    case caf::sec::broken_promise:
      return {error_code::unavailable, "the actor that was asked has ended", {}};
    default: return {error_code::internal, caf::to_string(failure), {}};
  }
}

std::string from_exit_reason(caf::exit_reason reason) {
  switch (reason) {
    case caf::exit_reason::normal: return "it ended by itself";
    case caf::exit_reason::kill: return "it was killed";
    case caf::exit_reason::user_shutdown: return "it was asked to end";
    default: return "it ended: " + caf::to_string(reason);
  }
}

}  // namespace

caf::error to_caf(error failure) {
  const auto code = failure.code;
  return caf::error{code, caf::make_message(std::move(failure.message), std::move(failure.detail))};
}

error from_caf(const caf::error& failure) {
  if (!failure) return {error_code::none, {}, {}};
  if (failure.category() == caf::type_id_v<error_code>) {
    error back{static_cast<error_code>(failure.code()), {}, {}};
    if (failure.context().match_elements<std::string, std::string>()) {
      back.message = failure.context().get_as<std::string>(0);
      back.detail = failure.context().get_as<std::string>(1);
    }
    return back;
  }
  if (failure.category() == caf::type_id_v<caf::sec>)
    return from_system_error(static_cast<caf::sec>(failure.code()), failure);
  if (failure.category() == caf::type_id_v<caf::exit_reason>)
    return {error_code::unavailable, "the actor that was asked has ended", {}};
  return {error_code::internal, caf::to_string(failure), {}};
}

error from_exception(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& what) {
    return {error_code::internal, std::string{"a handler threw: "} + what.what(), {}};
  } catch (...) {
    return {error_code::internal, "a handler threw something other than an exception", {}};
  }
}

std::string end_reason(const caf::error& reason) {
  if (!reason) return from_exit_reason(caf::exit_reason::normal);
  if (reason.category() == caf::type_id_v<caf::exit_reason>)
    return from_exit_reason(static_cast<caf::exit_reason>(reason.code()));
  return from_caf(reason).message;
}

}  // namespace troupe
