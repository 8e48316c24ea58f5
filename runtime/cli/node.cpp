#include <troupe/runtime/cli/app.hpp>

#include <poll.h>
#include <chrono>

#include <troupe/actors/context/store/store.hpp>
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
  row("up", show_duration(std::chrono::milliseconds{info->uptime_ms}));
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
  add_client_command(*group, app, "stop", "Stops the node, and waits until it has")
      ->callback([&app] {
        with_node(app, [&app](client& node) -> result<void> {
          const auto give_up = std::chrono::steady_clock::now() + app.deadline;
          auto asked = node.call(stop_node{}, app.deadline);
          if (!asked) return asked;
          while (context_store::is_in_use(app.data_dir)) {
            if (std::chrono::steady_clock::now() >= give_up)
              return fail(error_code::deadline_exceeded,
                          "the node is stopping, but has not stopped yet");
            ::poll(nullptr, 0, 10);
          }
          confirm(app, "the node has stopped");
          return {};
        });
      });
}

}  // namespace troupe::cli
