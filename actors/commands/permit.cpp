#include <troupe/actors/commands/permit.hpp>

#include <string_view>

#include <fmt/format.h>

#include <troupe/actors/commands/validation/argument_problem.hpp>

namespace troupe {

namespace {

/// Why this principal needs no capability, or an empty text when it needs one.
std::string_view trust_in(const principal& who) noexcept {
  switch (who.kind) {
    case principal_kind::host: return "the host may run every command";
    case principal_kind::system: return "the node itself may run every command";
    case principal_kind::client:
      return who.same_user ? "a client of the same user may run every command" : "";
    case principal_kind::plugin:
    case principal_kind::peer: return "";
  }
  return "";
}

std::string in_words(const operation_request& needs) {
  const auto verb = name_of(needs.verb);
  return needs.resource.empty() ? std::string{verb} : fmt::format("{}:{}", verb, needs.resource);
}

}  // namespace

result<permit> permit::make(principal_ptr who) {
  permit made{std::move(who)};
  if (!trust_in(*made.who_).empty()) return made;
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

const capability* permit::find_held(const operation_request& needs) const noexcept {
  for (const capability& each : held_)
    if (each.verb() == needs.verb && each.covers(needs.resource)) return &each;
  return nullptr;
}

bool permit::allows(const registered_command& command) const noexcept {
  if (!trust_in(*who_).empty()) return true;
  return find_refusal(command.needs) == nullptr && find_held(command.needs) != nullptr;
}

permission_decision permit::decide(const registered_command& command) const {
  if (const auto trust = trust_in(*who_); !trust.empty()) return {true, std::string{trust}};
  if (const refusal* refused = find_refusal(command.needs)) return {false, refused->rule};
  if (const capability* held = find_held(command.needs)) return {true, held->text()};
  return {false, "no capability covers the command"};
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
