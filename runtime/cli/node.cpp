#include <troupe/runtime/cli/app.hpp>

#include <poll.h>
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include <troupe/actors/context/store/store.hpp>
#include <troupe/messages/context_upkeep.hpp>
#include <troupe/messages/node.hpp>

namespace troupe::cli {

namespace {

result<void> print_info(app_state& app, client& node) {
  auto info = node.call(get_node_info{}, app.deadline);
  if (!info) return fail(std::move(info.error()));
  if (app.json) return print_json(to_value(*info)), result<void>{};
  const auto row = [](const char* label, const std::string& text) {
    std::printf("%-12s %s\n", label, safe_text(text).c_str());
  };
  row("name", info->name);
  row("id", to_string(info->id));
  row("version", info->version);
  row("incarnation", std::to_string(info->incarnation));
  row("process", std::to_string(info->process));
  row("up", show_milliseconds(info->uptime_ms));
  row("data", info->data_dir);
  row("listens",
      info->listens.empty() ? "no (start with --listen HOST:PORT to be reachable)" : info->listens);
  row("sandbox", info->sandbox);
  row("entries", show_count(info->entries));
  row("conflicts", show_count(info->conflicts));
  row("members", show_count(info->members));
  row("root hash", to_string(info->root_hash));
  for (const auto& each : info->problems) row("problem", each);
  return {};
}

result<void> print_peers(app_state& app, client& node) {
  auto list = node.call(list_peers{}, app.deadline);
  if (!list) return fail(std::move(list.error()));
  if (app.json) return print_json(to_value(list->peers)), result<void>{};
  table peers{{"NAME", "ADDRESS", "STATE", "ID", "PROBLEM"}};
  for (const auto& each : list->peers)
    peers.add({safe_text(each.name.empty() ? "-" : each.name),
               each.address.empty() ? "-" : safe_text(each.address),
               each.connected ? "connected" : "away", each.id.is_nil() ? "-" : to_string(each.id),
               safe_text(each.problem)});
  peers.print("no other nodes are known");
  return {};
}

void print_members(app_state& app, const member_list& list) {
  if (app.json) return print_json(to_value(list));
  table members{{"MEMBER", "STATE", "LEASE"}};
  for (const auto& each : list.members) {
    const bool is_away = each.away_ms > 0;
    members.add({to_string(each.node),
                 each.is_self ? "this node"
                 : is_away    ? "away for " + show_milliseconds(each.away_ms)
                              : "here",
                 each.lease_has_ended ? "has ended"
                 : each.lease_ms > 0  ? "ends in " + show_milliseconds(each.lease_ms)
                                      : "-"});
  }
  for (const auto& each : list.forgotten)
    members.add(
        {to_string(each.node), "forgotten " + show_time(each.forgotten_ms), safe_text(each.why)});
  members.print("there are no members");
}

result<void> print_members(app_state& app, client& node) {
  auto list = node.call(list_members{}, app.deadline);
  if (!list) return fail(std::move(list.error()));
  return print_members(app, *list), result<void>{};
}

result<void> forget(app_state& app, client& node, const std::string& which) {
  const auto id = parse_uuid(which);
  if (!id)
    return fail(error_code::invalid_argument,
                "'" + which + "' is not the id of a node; 'troupe node members' lists them");
  auto list = node.call(forget_member{{*id}}, app.deadline);
  if (!list) return fail(std::move(list.error()));
  if (app.json) return print_members(app, *list), result<void>{};
  const bool is_member_no_more = std::ranges::any_of(
      list->forgotten, [&](const forgotten_member& each) { return each.node.id == *id; });
  confirm(app, is_member_no_more
                   ? "the cluster goes on without node " + which
                   : "the cluster gives up what node " + which +
                         " has begun; until that is done, 'troupe node info' says for "
                         "whom it waits");
  return {};
}

/// Whether a node that answers an order to stop with this stops all the same: not everything is on
/// its disk, or its links have ended already.
bool stops_all_the_same(const error& why) {
  return why.code == error_code::storage_failure || why.code == error_code::unavailable;
}

}  // namespace

void add_node(CLI::App& parent, app_state& app) {
  auto* group = parent.add_subcommand("node", "The node and the other nodes that it knows");
  group->require_subcommand(1);
  add_client_command(*group, app, "info", "Describes the node and its state")->callback([&app] {
    with_node(app, [&app](client& node) { return print_info(app, node); });
  });
  add_client_command(*group, app, "peers", "Lists the other nodes")->callback([&app] {
    with_node(app, [&app](client& node) { return print_peers(app, node); });
  });
  add_client_command(*group, app, "members",
                     "Lists the nodes that keep the cluster's data, and who is away")
      ->callback(
          [&app] { with_node(app, [&app](client& node) { return print_members(app, node); }); });
  auto* forgetting =
      add_client_command(*group, app, "forget", "Lets the cluster go on without a member");
  const auto which = std::make_shared<std::string>();
  forgetting->add_option("NODE", *which, "The id of a member, or of a node that 'node info' names")
      ->required();
  forgetting->callback(
      [&app, which] { with_node(app, [&](client& node) { return forget(app, node, *which); }); });
  add_client_command(*group, app, "stop", "Stops the node, and waits until it has")
      ->callback([&app] {
        with_node(app, [&app](client& node) -> result<void> {
          const auto give_up = std::chrono::steady_clock::now() + app.deadline;
          const auto asked = node.call(stop_node{}, app.deadline);
          if (!asked && !stops_all_the_same(asked.error())) return asked;
          while (context_store::is_in_use(app.data_dir)) {
            if (std::chrono::steady_clock::now() >= give_up)
              return fail(error_code::deadline_exceeded,
                          "the node is stopping, but has not stopped yet");
            ::poll(nullptr, 0, 10);
          }
          if (!asked && asked.error().code == error_code::storage_failure)
            return fail(asked.error().code, "the node has stopped, but " + asked.error().message);
          confirm(app, "the node has stopped");
          return {};
        });
      });
}

}  // namespace troupe::cli
