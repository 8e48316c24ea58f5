#pragma once

#include <utility>

#include <caf/typed_response_promise.hpp>

#include <troupe/actors/kernel/errors.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/messages/codec.hpp>
#include <troupe/messages/link.hpp>

// What every actor that serves methods over links does with requests and answers.

namespace troupe {

using payload_promise = caf::typed_response_promise<payload>;

/// The bytes of an answer.
template <class Answer>
payload to_payload(const Answer& answer) {
  return payload{{encode(answer)}};
}

/// The bytes of the answer to a request that has nothing to say but that it was done.
inline payload done_payload() { return payload{{value{}.msgpack()}}; }

/// Answers a request at once: decodes it, calls `make`, encodes what it returns.
template <class Request, class Make>
caf::result<payload> serve_with(const service_call& call, Make&& make) {
  const auto wanted = decode_checked<Request>(call.params.bytes);
  if (!wanted) return to_caf(wanted.error());
  auto made = std::forward<Make>(make)(*wanted);
  if (!made) return to_caf(std::move(made.error()));
  return to_payload(*made);
}

/// Withdraws what this actor has asked for in a `service_call` with that ticket.
template <class Self>
void withdraw_call(Self* self, const service_table& services, std::uint64_t ticket) {
  if (const auto found = services.find(service::commands); found != services.end())
    tell(self, caf::actor_cast<withdrawal_sink>(found->second), withdraw_request{ticket});
}

// -- continuations of `ask`: what to do with another actor's answer ------------------------------------------------------

template <class Answer>
auto deliver_encoded(payload_promise promise) {
  return [promise](const Answer& answer) mutable { promise.deliver(to_payload(answer)); };
}

inline auto deliver_done(payload_promise promise) {
  return [promise]() mutable { promise.deliver(done_payload()); };
}

template <class Promise>
auto deliver_error(Promise promise) {
  return [promise](const error& why) mutable { promise.deliver(to_caf(why)); };
}

}  // namespace troupe
