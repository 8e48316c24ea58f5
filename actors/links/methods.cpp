#include <troupe/actors/links/methods.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <troupe/messages/audit.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/execution.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/messages/node.hpp>
#include <troupe/messages/plugin_requests.hpp>
#include <troupe/messages/text/spelling.hpp>
#include <troupe/messages/text/utf8.hpp>
#include <troupe/messages/wire/plugin_protocol.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

namespace {

/// Every message that a node serves over links.
using served_messages =
    message_types<cancel_call, describe_command, erase_value, execute_request, check_permission,
                  explain_value, get_metrics, get_node_info, get_usage, get_value, grant_capability,
                  import_values, list_commands, list_peers, list_plugins, list_values, load_plugin,
                  log_line, peers_known, ping, reset_metrics, revoke_capability, search_audit,
                  session_closed, session_open, set_value, stop_node, sync_ack, sync_heads,
                  sync_hello, sync_pull, sync_push, unload_plugin, verify_values>;

template <class... Messages>
constexpr auto rows_of(message_types<Messages...>) {
  std::array<method_rule, sizeof...(Messages)> rows{rule_of<Messages>()...};
  std::ranges::sort(rows, {}, &method_rule::name);
  return rows;
}

constexpr auto table = rows_of(served_messages{});

static_assert(std::ranges::adjacent_find(table, {}, &method_rule::name) == table.end(),
              "two messages have the same method");

}  // namespace

std::span<const method_rule> all_methods() noexcept { return table; }

result<const method_rule*> find_method(std::string_view name) {
  const auto found = std::lower_bound(
      table.begin(), table.end(), name,
      [](const method_rule& rule, std::string_view wanted) { return rule.name < wanted; });
  if (found != table.end() && found->name == name) return &*found;
  std::vector<std::string_view> names;
  for (const auto& rule : table) names.push_back(rule.name);
  return fail(error_code::not_found,
              "there is no method \"" + std::string{utf8_prefix(name, 64)} + "\"" +
                  did_you_mean(nearest(name, names, typo_allowance(name), 1)));
}

bool may_call(const method_rule& rule, principal_kind kind) noexcept {
  switch (kind) {
    case principal_kind::host:
    case principal_kind::system: return true;
    case principal_kind::client: return rule.access.callers.client;
    case principal_kind::plugin: return rule.access.callers.plugin;
    case principal_kind::peer: return rule.access.callers.peer;
  }
  return false;
}

result<const method_rule*> find_route(service_set served, principal_kind caller,
                                      std::string_view method, method_kind kind) {
  const auto rule = find_method(method);
  if (!rule) return rule;
  if ((*rule)->name == session_open::method)
    return fail(error_code::protocol_violation, "the session is open already");
  if (!may_call(**rule, caller))
    return fail(error_code::permission_denied,
                "a " + std::string{name_of(caller)} + " may not call " + std::string{method});
  if ((*rule)->kind != kind)
    return fail(error_code::protocol_violation,
                std::string{method} + (kind == method_kind::request
                                           ? " is a notification, which has no answer"
                                           : " is a request, and needs an id"));
  if (!served.contains((*rule)->access.service))
    return fail(error_code::unavailable, "this node does not serve " + std::string{method});
  return rule;
}

}  // namespace troupe
