#include <troupe/actors/commands/permit.hpp>

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include <troupe/actors/commands/validation/argument_problem.hpp>

namespace troupe {

namespace {

/// Whether this principal needs no capability.
bool is_trusted(const principal& who) noexcept {
  switch (who.kind) {
    case principal_kind::host:
    case principal_kind::system: return true;
    case principal_kind::client: return who.same_user;
    case principal_kind::plugin:
    case principal_kind::peer: return false;
  }
  return false;
}

std::string in_words(const operation_request& needs) {
  const auto verb = name_of(needs.verb);
  return needs.resource.empty() ? std::string{verb} : fmt::format("{}:{}", verb, needs.resource);
}

}  // namespace

result<permit> permit::make(principal_ptr who) {
  permit made{std::move(who)};
  if (is_trusted(*made.who_)) return made;
  const auto malformed = [&](const error& why) {
    return fail(why.code, fmt::format("{} {}: {}", name_of(made.who_->kind),
                                      in_quotes(made.who_->name), why.message));
  };
  made.held_.reserve(made.who_->capabilities.size());
  for (const std::string& text : made.who_->capabilities) {
    auto held = capability::parse(text);
    if (!held) return malformed(held.error());
    made.held_.push_back(*std::move(held));
  }
  made.refused_.reserve(made.who_->denied.size());
  for (const std::string& text : made.who_->denied) {
    auto denied = capability::parse(text);
    if (!denied) return malformed(denied.error());
    made.refused_.push_back({*std::move(denied), "denied by " + text});
  }
  return made;
}

const permit::refusal* permit::find_refusal(const operation_request& needs) const noexcept {
  for (const refusal& each : refused_)
    if (each.what.verb() == needs.verb && each.what.covers(needs.resource)) return &each;
  return nullptr;
}

bool permit::holds(const operation_request& needs) const noexcept {
  return std::ranges::any_of(held_, [&](const capability& each) {
    return each.verb() == needs.verb && each.covers(needs.resource);
  });
}

bool permit::allows(const registered_command& command) const noexcept {
  if (is_trusted(*who_)) return true;
  return find_refusal(command.needs) == nullptr && holds(command.needs);
}

error permit::denial(const registered_command& command) const {
  const std::string needs = in_words(command.needs);
  const refusal* refused = find_refusal(command.needs);
  const std::string reason = refused != nullptr ? fmt::format("{} is {}", needs, refused->rule)
                                                : fmt::format("it lacks the capability {}", needs);
  return error{
      error_code::permission_denied,
      fmt::format("{} {} may not run {}: {}", name_of(who_->kind), in_quotes(who_->name),
                  in_quotes(command.spec->name), reason),
      value::map({{"principal", who_->name}, {"command", command.spec->name}, {"needs", needs}})
          .msgpack()};
}

}  // namespace troupe
