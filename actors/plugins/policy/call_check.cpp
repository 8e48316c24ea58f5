#include <troupe/actors/plugins/policy/call_check.hpp>

#include <troupe/actors/commands/registry.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/msgpack/msgpack_reader.hpp>

namespace troupe {

namespace {

/// The last string under this key: the decoder of the parameters takes the last one too.
result<std::string> find_text(std::string_view params, std::string_view key) {
  msgpack_reader in{params};
  std::optional<std::string> found;
  for (auto left = in.read_map().value_or(0); left > 0; --left) {
    const auto name = in.read_string();
    if (!name)
      return fail(error_code::invalid_argument, "the parameters have a key that is not a string");
    if (*name != key) {
      in.skip();
      continue;
    }
    const auto text = in.read_string();
    if (!text) return fail(error_code::invalid_argument, std::string{key} + " must be a string");
    found = *text;
  }
  return found.value_or("");
}

}  // namespace

result<permission_decision> check_call(const permissions& policy, const method_rule& rule,
                                       std::string_view params) {
  const auto verb = parse_enum<capability_verb>(rule.access.verb);
  if (!verb) return permission_decision{true, "no capability needed", {}};
  auto resource = find_text(params, rule.access.parameter);
  if (!resource) return fail(std::move(resource.error()));
  if (resource_kind_of(*verb) == resource_kind::path) {
    // The replica reads the path in the same way, so the checked path is the used one.
    auto parsed = path::parse(*resource);
    if (!parsed) return fail(std::move(parsed.error()));
    resource = parsed->text();
  } else if (resource->size() > registry::max_name_bytes) {
    // No such command exists, and a refused name is logged and recorded in full.
    return fail(error_code::limit_exceeded,
                std::string{rule.access.parameter} + " has " + std::to_string(resource->size()) +
                    " bytes; at most " + std::to_string(registry::max_name_bytes) +
                    " are accepted");
  }
  auto decision = rule.access.scope == resource_scope::subtree
                      ? policy.check_subtree(*verb, *resource)
                      : policy.check(*verb, *resource);
  const bool is_root = resource->empty() && resource_kind_of(*verb) == resource_kind::path;
  decision.operation = std::string{rule.access.verb} + ":" + (is_root ? "/" : *resource);
  return decision;
}

permission_decision check_provide(const permissions& policy, const std::string& command) {
  constexpr auto verb = capability_verb::command_provide;
  auto decision = policy.check(verb, command);
  decision.operation = std::string{name_of(verb)} + ":" + command;
  return decision;
}

}  // namespace troupe
