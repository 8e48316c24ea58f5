#pragma once

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>
#include <variant>

#include <caf/result.hpp>
#include <caf/typed_response_promise.hpp>

#include <troupe/actors/kernel/errors.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

/// The bytes of an answer, as a link sends them.
template <class Answer>
payload to_payload(const Answer& answer) {
  return payload{{encode(answer)}};
}
inline payload to_payload(value&& answer) { return payload{{std::move(answer).msgpack()}}; }

/// The bytes of an empty answer.
inline payload empty_payload() { return payload{{value{}.msgpack()}}; }

/// An answer that can be sent over a link.
template <class T>
concept link_answer = std::is_void_v<T> || std::same_as<T, value> ||
    (described<T> && !std::same_as<T, payload>);

/// Returns the value or the error of `outcome` from a handler that serves a link.
template <link_answer T>
caf::result<payload> reply_bytes(result<T>&& outcome) {
  if (!outcome) return to_caf(std::move(outcome.error()));
  if constexpr (std::is_void_v<T>)
    return empty_payload();
  else
    return to_payload(std::move(*outcome));
}

/// Returns the value or the error of `outcome` in the form `Form`: `T` for an actor, `payload` for
/// a link.
template <class Form, class T>
caf::result<Form> reply_as(result<T>&& outcome) {
  if constexpr (std::same_as<Form, T>)
    return reply(std::move(outcome));
  else
    return reply_bytes(std::move(outcome));
}

/// Answers one request, in the form that its sender takes:
///
/// - an actor, or a thread of the host, takes a value,
/// - a link takes the bytes,
/// - a function takes the outcome of a request that is part of another one.
///
/// Copies stand for the same request. Call one of them, once. When all are destroyed without a
/// call, CAF answers with an error.
template <class T>
class reply_to {
public:
  using actor_promise = caf::typed_response_promise<T>;
  using link_promise = caf::typed_response_promise<payload>;
  using function = std::function<void(result<T>)>;

  reply_to(actor_promise to) : to_(std::move(to)) {}
  reply_to(link_promise to) requires link_answer<T> : to_(std::move(to)) {}
  reply_to(function to) : to_(std::move(to)) {}

  /// Answers. An error reaches the sender unchanged.
  void operator()(result<T> outcome) {
    if (auto* call = std::get_if<function>(&to_)) return (*call)(std::move(outcome));
    if (!outcome) return fail_with(std::move(outcome.error()));
    if (auto* actor = std::get_if<actor_promise>(&to_)) {
      if constexpr (std::is_void_v<T>)
        actor->deliver();
      else
        actor->deliver(std::move(*outcome));
    } else if constexpr (link_answer<T>) {
      auto& link = std::get<link_promise>(to_);
      if constexpr (std::is_void_v<T>)
        link.deliver(empty_payload());
      else
        link.deliver(to_payload(std::move(*outcome)));
    }
  }

private:
  void fail_with(error why) {
    if (auto* actor = std::get_if<actor_promise>(&to_))
      actor->deliver(to_caf(std::move(why)));
    else if constexpr (link_answer<T>)
      std::get<link_promise>(to_).deliver(to_caf(std::move(why)));
  }

  struct no_link {};
  std::variant<actor_promise, std::conditional_t<link_answer<T>, link_promise, no_link>, function>
      to_;
};

/// Answers later, with a `T` in the form `Form`: `T` for an actor, `payload` for a link. `start`
/// gets the `reply_to`. Return this from the handler.
template <class Form, class T, class Self, class Start>
caf::result<Form> reply_later_as(Self* self, Start&& start) {
  auto promise = self->template make_response_promise<Form>();
  std::forward<Start>(start)(reply_to<T>{promise});
  return promise;
}

/// Answers an actor's request later.
template <class T, class Self, class Start>
caf::result<T> reply_later(Self* self, Start&& start) {
  return reply_later_as<T, T>(self, std::forward<Start>(start));
}

/// Answers a link's request later, with the bytes of a `T`.
template <class T, class Self, class Start>
caf::result<payload> reply_bytes_later(Self* self, Start&& start) {
  return reply_later_as<payload, T>(self, std::forward<Start>(start));
}

/// A continuation of `ask` that passes an error on.
template <class T>
auto pass_error(reply_to<T> to) {
  return [to](const error& why) mutable { to(fail(why)); };
}

/// A continuation of `ask` that passes an answer on.
template <class T>
auto pass_answer(reply_to<T> to) {
  return [to](T& answer) mutable { to(std::move(answer)); };
}
inline auto pass_answer(reply_to<void> to) {
  return [to]() mutable { to({}); };
}

}  // namespace troupe
