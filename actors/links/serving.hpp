#pragma once

#include <algorithm>
#include <chrono>
#include <string>
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

/// A request that came over a link, on its way to the service of its method.
struct routed_request {
  route to;
  request_serial request;
  std::string params;
  rpc::envelope beside;
  std::chrono::steady_clock::time_point came;

  /// What to ask the service, which has the time that is left. Takes the parameters.
  service_call call(principal_ptr caller, std::uint64_t ticket,
                    std::chrono::steady_clock::time_point at) {
    const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(at - came);
    const auto left = std::max(beside.deadline - waited, std::chrono::milliseconds{1});
    return {std::move(caller),   std::string{to.rule->name},
            {std::move(params)}, left,
            beside.trace,        ticket};
  }
};

/// Of one link's, which with the longest answers there can be bounds them to 128 MiB.
inline constexpr std::size_t max_reads_at_once = 16;

/// Withdraws what this actor has asked for in a `service_call` with that ticket.
template <class Self>
void withdraw_call(Self* self, const service_table& services, std::uint64_t ticket) {
  if (const auto found = services.find(service::commands); found != services.end())
    tell(self, caf::actor_cast<withdrawal_sink>(found->second), withdraw_request{ticket});
}

// -- continuations of `ask`: what to do with another actor's answer -------------------------------

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
