#include <troupe/actors/commands/ledger/admission.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

#include <troupe/actors/commands/validation/argument_problem.hpp>
#include <troupe/messages/assert.hpp>
#include <troupe/messages/value.hpp>

namespace troupe {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

/// Bounds the sums below. A longer execution counts as this long.
constexpr nanoseconds longest_duration = std::chrono::hours{24};

/// How long `places` executions take, when `concurrency` of them run at once.
nanoseconds time_for(std::size_t places, nanoseconds usual, std::uint32_t concurrency) noexcept {
  const double time =
      static_cast<double>(usual.count()) * static_cast<double>(places) / concurrency;
  const auto most = static_cast<double>(longest_duration.count());
  return nanoseconds{static_cast<nanoseconds::rep>(std::min(time, most))};
}

milliseconds advised(nanoseconds time) noexcept {
  return std::max(std::chrono::ceil<milliseconds>(time), milliseconds{1});
}

}  // namespace

void admission::add(command_index index, std::uint32_t concurrency, std::uint32_t queue) {
  if (concurrency == 0) throw std::invalid_argument{"a command needs a concurrency of at least 1"};
  if (index.slot >= commands_.size()) commands_.resize(index.slot + std::size_t{1});
  command_state& command = commands_[index.slot];
  if (command.serial != 0)
    throw std::invalid_argument{"the command that has this slot must be removed first"};
  command = command_state{.serial = index.serial, .concurrency = concurrency, .queue_bound = queue};
}

std::vector<queue_ticket> admission::remove(command_index index) {
  command_state* command = find(index);
  if (command == nullptr) return {};
  std::vector<queue_ticket> turned_away;
  for (const auto& [number, deadline] : command->queue) {
    const queue_ticket ticket{number, index.slot};
    by_deadline_.erase({deadline, ticket});
    turned_away.push_back(ticket);
  }
  *command = command_state{};
  return turned_away;
}

admission_verdict admission::offer(command_index index, time_point deadline, time_point now) {
  command_state* command = find(index);
  if (command == nullptr) return rejected{rejection_reason::command_gone};
  if (deadline <= now) return rejected{rejection_reason::deadline_passed};
  if (command->running < command->concurrency) {
    ++command->running;
    return admitted{};
  }
  if (const auto refusal = why_not_wait(*command, deadline, now)) return *refusal;
  const queue_ticket ticket{++last_number_, index.slot};
  command->queue.emplace(ticket.number, deadline);
  by_deadline_.emplace(deadline, ticket);
  return queued{ticket};
}

std::optional<rejected> admission::why_not_wait(const command_state& command, time_point deadline,
                                                time_point now) const {
  const bool queue_full = command.queue.size() >= command.queue_bound;
  if (queue_full || waiting() >= max_waiting_)
    return rejected{queue_full ? rejection_reason::queue_full : rejection_reason::node_full,
                    command.usual_duration
                        ? advised(time_for(1, *command.usual_duration, command.concurrency))
                        : admission::blind_retry};
  if (!command.usual_duration) return std::nullopt;
  const nanoseconds wait =
      time_for(command.queue.size() + 1, *command.usual_duration, command.concurrency);
  if (wait < deadline - now) return std::nullopt;
  return rejected{rejection_reason::deadline_too_near, advised(wait - (deadline - now))};
}

admission_release admission::finished(command_index index, nanoseconds duration, time_point now) {
  command_state* command = find(index);
  if (command == nullptr || command->running == 0) return {};
  duration = std::clamp(duration, nanoseconds{0}, longest_duration);
  command->usual_duration =
      command->usual_duration ? *command->usual_duration + (duration - *command->usual_duration) / 8
                              : duration;
  return release(*command, index.slot, now);
}

admission_release admission::abandoned(command_index index, time_point now) {
  command_state* command = find(index);
  if (command == nullptr || command->running == 0) return {};
  return release(*command, index.slot, now);
}

/// Gives the place to the first request of the queue whose deadline has not passed.
admission_release admission::release(command_state& command, std::uint32_t slot, time_point now) {
  admission_release freed;
  --command.running;
  while (!command.queue.empty() && !freed.run) {
    const auto [number, deadline] = *command.queue.begin();
    const queue_ticket ticket{number, slot};
    leave(command, ticket);
    if (deadline <= now) {
      freed.expired.push_back(ticket);
    } else {
      freed.run = ticket;
      ++command.running;
    }
  }
  return freed;
}

void admission::cancel(queue_ticket ticket) {
  TROUPE_ASSERT(ticket.slot < commands_.size(), "a ticket belongs to a known command");
  leave(commands_[ticket.slot], ticket);
}

void admission::cancel_waiting() noexcept {
  for (auto& command : commands_) command.queue.clear();
  by_deadline_.clear();
}

std::vector<queue_ticket> admission::expire(time_point now) {
  std::vector<queue_ticket> expired;
  while (!by_deadline_.empty() && by_deadline_.begin()->first <= now) {
    const queue_ticket ticket = by_deadline_.begin()->second;
    leave(commands_[ticket.slot], ticket);
    expired.push_back(ticket);
  }
  return expired;
}

void admission::leave(command_state& command, queue_ticket ticket) {
  const auto place = command.queue.find(ticket.number);
  TROUPE_ASSERT(place != command.queue.end(), "a ticket leaves its queue once");
  by_deadline_.erase({place->second, ticket});
  command.queue.erase(place);
}

std::size_t admission::running(command_index index) const noexcept {
  const command_state* command = find(index);
  return command != nullptr ? command->running : 0;
}

std::size_t admission::waiting(command_index index) const noexcept {
  const command_state* command = find(index);
  return command != nullptr ? command->queue.size() : 0;
}

const admission::command_state* admission::find(command_index index) const noexcept {
  if (index.serial == 0 || index.slot >= commands_.size()) return nullptr;
  const command_state& there = commands_[index.slot];
  return there.serial == index.serial ? &there : nullptr;
}

admission::command_state* admission::find(command_index index) noexcept {
  return const_cast<command_state*>(std::as_const(*this).find(index));
}

error to_error(const rejected& verdict, std::string_view command) {
  const auto name = in_quotes(command);
  std::vector<value::member> detail{{"reason", name_of(verdict.reason)}};
  if (verdict.retry_after.count() > 0)
    detail.emplace_back("retry_after_ms", verdict.retry_after.count());
  const auto made = [&](error_code code, std::string message) {
    return error{code, std::move(message), value::map(detail).msgpack()};
  };
  const auto retry = fmt::format("; try again in {} ms", verdict.retry_after.count());
  switch (verdict.reason) {
    case rejection_reason::deadline_passed:
      return made(error_code::deadline_exceeded,
                  fmt::format("the deadline for command {} had passed when it arrived", name));
    case rejection_reason::deadline_too_near:
      return made(
          error_code::overloaded,
          fmt::format("command {} is busy and could not start before its deadline{}", name, retry));
    case rejection_reason::queue_full:
      return made(error_code::overloaded,
                  fmt::format("the queue of command {} is full{}", name, retry));
    case rejection_reason::node_full:
      return made(error_code::overloaded,
                  fmt::format("command {} cannot wait as the node's queue is full{}", name, retry));
    case rejection_reason::command_gone: break;
  }
  return made(error_code::unavailable, fmt::format("command {} was removed", name));
}

}  // namespace troupe
