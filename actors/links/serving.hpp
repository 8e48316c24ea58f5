#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <troupe/actors/kernel/errors.hpp>
#include <troupe/actors/kernel/local_types.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/overloaded.hpp>
#include <troupe/actors/kernel/reply_to.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

// What every actor that serves methods over links does with requests and answers.

namespace troupe {

namespace detail {

/// Decodes the message and lets `serve` answer it. `serve` returns the answer, a result with it, or
/// a `caf::result<payload>` when it answers later.
template <class Message, class Serve>
caf::result<payload> serve_as(service_call& call, Serve& serve) {
  auto wanted = decode_checked<Message>(call.params.bytes);
  if (!wanted) return to_caf(std::move(wanted.error()));
  if constexpr (std::is_void_v<decltype(serve(*wanted, call))>) {
    serve(*wanted, call);
    return empty_payload();
  } else {
    auto outcome = serve(*wanted, call);
    using returned = decltype(outcome);
    if constexpr (std::is_same_v<returned, caf::result<payload>>) {
      return outcome;
    } else if constexpr (std::is_same_v<returned, typename Message::answer>) {
      return to_payload(std::move(outcome));
    } else {
      static_assert(std::is_same_v<returned, result<typename Message::answer>>);
      return reply_bytes(std::move(outcome));
    }
  }
}

}  // namespace detail

/// Serves a request that came over a link: finds the message type of its method among `Messages`,
/// decodes it and calls `serve(message, call)`. A method of another type is `not_found`.
template <class... Messages, class Serve>
caf::result<payload> serve_method(message_types<Messages...>, service_call& call, Serve&& serve) {
  std::optional<caf::result<payload>> outcome;
  const auto serve_it = [&]<class Message>(std::type_identity<Message>) {
    outcome.emplace(detail::serve_as<Message>(call, serve));
  };
  if (visit_method(message_types<Messages...>{}, call.method, serve_it)) return std::move(*outcome);
  return to_caf({error_code::not_found, "this service has no method " + call.method, {}});
}

/// Decodes a notification that came over a link as one of `Messages` and calls `hear(message)`.
/// Fails for a malformed one, and with `not_found` for a method of another type.
template <class... Messages, class Hear>
result<void> hear_notification(message_types<Messages...>, const service_notification& came,
                               Hear&& hear) {
  result<void> outcome;
  const auto hear_it = [&]<class Message>(std::type_identity<Message>) {
    auto read = decode_checked<Message>(came.params.bytes);
    if (read)
      hear(std::move(*read));
    else
      outcome = fail(std::move(read.error()));
  };
  if (visit_method(message_types<Messages...>{}, came.method, hear_it)) return outcome;
  return fail(error_code::not_found, "this service hears no notification " + came.method);
}

/// Names a notification of this side to a link.
template <notification_message Message>
notify_remote to_notification(const Message& message) {
  return {std::string{Message::method}, {encode(message)}};
}

/// Cancels what this actor has asked for in a `service_call` with that ticket.
template <class Self>
void cancel_served(Self* self, const service_table& services, std::uint64_t ticket) {
  if (const auto found = services.find(service::commands); found != services.end())
    tell(self, unchecked<cancel_sink>(found->second), cancel_request{ticket});
}

}  // namespace troupe
