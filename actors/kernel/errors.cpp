#include <troupe/actors/kernel/errors.hpp>

#include <caf/exit_reason.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace troupe {

namespace {

error from_system_error(caf::sec code, const caf::error& failure) {
  switch (code) {
    case caf::sec::request_timeout: return {error_code::deadline_exceeded, "no answer before the deadline", {}};
    case caf::sec::request_receiver_down:
    case caf::sec::broken_promise: return {error_code::unavailable, "the actor that was asked has ended", {}};
    default: return {error_code::internal, caf::to_string(failure), {}};
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

}  // namespace troupe
