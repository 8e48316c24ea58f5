#include <troupe/actors/links/methods.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <troupe/messages/spelling.hpp>
#include <troupe/messages/utf8.hpp>

namespace troupe {

namespace {

constexpr method_callers clients{.client = true};
constexpr method_callers plugins_only{.plugin = true};
constexpr method_callers peers{.peer = true};
constexpr method_callers clients_and_plugins{.client = true, .plugin = true};

constexpr std::array<method_rule, 33> table{{
    {"audit.search", service::audit, clients, "", resource_scope::none, "",
     "the newest audit records", method_kind::request, true},
    {"command.describe", service::commands, clients_and_plugins, "", resource_scope::none, "",
     "one command in full"},
    {"command.execute", service::commands, clients_and_plugins, "command.execute",
     resource_scope::exact, "command", "runs a command"},
    {"command.list", service::commands, clients_and_plugins, "", resource_scope::none, "",
     "the commands", method_kind::request, true},
    {"context.delete", service::context, clients_and_plugins, "context.write",
     resource_scope::exact, "path", "deletes a value"},
    {"context.explain", service::context, clients_and_plugins, "context.read",
     resource_scope::exact, "path", "the writes that compete for a path and which one wins",
     method_kind::request, true},
    {"context.get", service::context, clients_and_plugins, "context.read", resource_scope::exact,
     "path", "one value", method_kind::request, true},
    {"context.import", service::context, clients, "", resource_scope::none, "",
     "writes many values"},
    {"context.list", service::context, clients_and_plugins, "context.read", resource_scope::subtree,
     "prefix", "the values below a path, page by page", method_kind::request, true},
    {"context.set", service::context, clients_and_plugins, "context.write", resource_scope::exact,
     "path", "writes a value"},
    {"context.verify", service::context, clients, "", resource_scope::none, "",
     "recomputes and compares hashes"},
    {"log", service::link, plugins_only, "", resource_scope::none, "", "a line for the log",
     method_kind::notice},
    {"metrics.get", service::commands, clients, "", resource_scope::none, "",
     "the performance of commands"},
    {"metrics.reset", service::commands, clients, "", resource_scope::none, "",
     "starts the measurements anew"},
    {"node.info", service::node, clients, "", resource_scope::none, "", "what this node is"},
    {"node.peers", service::mesh, clients, "", resource_scope::none, "",
     "the nodes that this node knows"},
    {"node.stop", service::node, clients, "", resource_scope::none, "", "stops this node"},
    {"peers.known", service::mesh, peers, "", resource_scope::none, "", "where nodes listen",
     method_kind::notice},
    {"ping",
     service::link,
     {true, true, true},
     "",
     resource_scope::none,
     "",
     "nothing; tells that one is there"},
    {"plugin.check", service::plugins, clients, "", resource_scope::none, "",
     "whether a plugin may do something now"},
    {"plugin.grant", service::plugins, clients, "", resource_scope::none, "",
     "gives a plugin a capability"},
    {"plugin.list", service::plugins, clients, "", resource_scope::none, "", "the plugins"},
    {"plugin.load", service::plugins, clients, "", resource_scope::none, "",
     "starts the plugin of a directory"},
    {"plugin.revoke", service::plugins, clients, "", resource_scope::none, "",
     "takes a capability from a plugin"},
    {"plugin.unload", service::plugins, clients, "", resource_scope::none, "", "stops a plugin"},
    {"plugin.usage", service::plugins, clients, "", resource_scope::none, "", "what a plugin uses"},
    {"session.closed", service::link, peers, "", resource_scope::none, "",
     "why the other side closes", method_kind::notice},
    {"session.open",
     service::link,
     {true, true, true},
     "",
     resource_scope::none,
     "",
     "the first request"},
    {"sync.ack", service::context, peers, "", resource_scope::none, "", "how far the peer has come",
     method_kind::notice},
    {"sync.heads", service::context, peers, "", resource_scope::none, "", "vector and root hash",
     method_kind::notice},
    {"sync.hello", service::context, peers, "", resource_scope::none, "",
     "the first word between replicas", method_kind::notice},
    {"sync.pull", service::context, peers, "", resource_scope::none, "", "asks for missing changes",
     method_kind::notice},
    {"sync.push", service::context, peers, "", resource_scope::none, "", "a batch of changes",
     method_kind::notice},
}};

static_assert(std::is_sorted(table.begin(), table.end(),
                             [](const method_rule& a, const method_rule& b) {
                               return a.name < b.name;
                             }));

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
    case principal_kind::client: return rule.callers.client;
    case principal_kind::plugin: return rule.callers.plugin;
    case principal_kind::peer: return rule.callers.peer;
  }
  return false;
}

}  // namespace troupe
