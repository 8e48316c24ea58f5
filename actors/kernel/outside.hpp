#pragma once

#include <type_traits>
#include <utility>

#include <caf/scoped_actor.hpp>

#include <troupe/actors/kernel/errors.hpp>
#include <troupe/actors/kernel/timespan.hpp>

// For threads that are not actors: the host's own, and the one that starts and stops a node.

namespace troupe {

/// Asks an actor and blocks the calling thread until the answer comes, at most `deadline` and at
/// most a day. Never call it from an actor. `Answer` is `void` for an empty answer.
template <class Answer, class Handle, class Duration, class Message>
result<Answer> ask_and_wait(caf::actor_system& system, const Handle& to, Duration deadline,
                            Message message) {
  caf::scoped_actor self{system};
  result<Answer> outcome = fail(error_code::internal, "no answer");
  auto pending = self->request(to, bounded_timespan(deadline), std::move(message));
  const auto failed = [&](const caf::error& why) { outcome = fail(from_caf(why)); };
  if constexpr (std::is_void_v<Answer>)
    pending.receive([&] { outcome = {}; }, failed);
  else
    pending.receive([&](Answer& answer) { outcome = std::move(answer); }, failed);
  return outcome;
}

}  // namespace troupe
