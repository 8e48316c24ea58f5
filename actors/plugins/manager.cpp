#include <troupe/actors/plugins/manager.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/serving.hpp>
#include <troupe/actors/plugins/package_check.hpp>
#include <troupe/actors/plugins/policy/grant_book.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto answer_deadline = 5s;

class manager_state {
public:
  using interface = plugin_manager_actor;
  static constexpr const char* name = "plugin_manager";

  manager_state(interface::pointer self, plugin_environment environment)
      : self_(self),
        environment_(std::move(environment)),
        log_(environment_.log.logger("plugins")) {
    ends_.attach(self_);
  }
  ~manager_state() {
    for (const auto& [plugin_name, each] : plugins_) dismiss(each.supervisor);
  }
  manager_state(const manager_state&) = delete;
  manager_state& operator=(const manager_state&) = delete;

  interface::behavior_type make_behavior() {
    return {
        [this](const load_plugin& wanted) {
          return reply_later<plugin_info>(
              self_, [&](reply_to<plugin_info> to) { load(wanted, std::move(to)); });
        },
        [this](const unload_plugin& wanted) {
          return reply_later<void>(
              self_, [&](reply_to<void> to) { unload(wanted.plugin, std::move(to)); });
        },
        [this](list_plugins) {
          return reply_later<plugin_list>(self_,
                                          [&](reply_to<plugin_list> to) { list(std::move(to)); });
        },
        [this](const stop_plugins& order) {
          return reply_later<void>(
              self_, [&](reply_to<void> to) { stop_all(order.deadline, std::move(to)); });
        },
        [this](service_call& call) { return serve(call); },
        [this](const service_notification& notification) {
          log_->warn("plugin.notification_refused method={}",
                     printable_quoted(notification.method, 64));
        },
    };
  }

private:
  struct plugin {
    supervisor_actor supervisor;
    std::shared_ptr<const plugin_manifest> manifest;
  };

  void load(const load_plugin& wanted, reply_to<plugin_info> to) {
    if (stopping_) return to(fail(node_stops()));
    ask(self_, environment_.launcher, read_deadline, read_package{wanted.package})
        .then([this, to,
               wanted](const package_read& package) { check(to, wanted, package.manifest); },
              pass_error(to));
  }

  void check(reply_to<plugin_info> to, const load_plugin& wanted,
             const std::shared_ptr<const plugin_manifest>& manifest) {
    if (auto checked = check_package(*manifest, wanted.level, names()); !checked)
      return to(fail(std::move(checked.error())));
    ask(self_, environment_.dispatcher, names_deadline, list_commands{manifest->name})
        .then(
            [this, to, wanted, manifest](const command_list& offered) mutable {
              if (auto checked = check_prefix(*manifest, offered); !checked)
                return to(fail(std::move(checked.error())));
              start(to, wanted, manifest);
            },
            pass_error(to));
  }

  void start(reply_to<plugin_info> to, const load_plugin& wanted,
             const std::shared_ptr<const plugin_manifest>& manifest) {
    // Much may have happened while the package was read and checked.
    if (stopping_) return to(fail(node_stops()));
    if (auto checked = check_room(*manifest, names()); !checked)
      return to(fail(std::move(checked.error())));
    auto grants = grant_book::open(manifest, wanted.grants);
    if (!grants) return to(fail(std::move(grants.error())));
    auto supervisor = spawn_supervisor(
        self_->system(), {manifest, wanted.package, std::move(*grants), environment_});
    plugins_[manifest->name] = {supervisor, manifest};
    ends_.watch(self_, supervisor,
                [this, plugin_name = manifest->name, which = supervisor.id()](const caf::error&) {
                  forget(plugin_name, which);
                });
    ask(self_, supervisor, manifest->deadlines.start + order_slack, plugin_order::start)
        .then(
            [this, to, supervisor]() mutable {
              ask(self_, supervisor, answer_deadline, describe_plugin{})
                  .then(pass_answer(to), pass_error(to));
            },
            [this, to, supervisor, plugin_name = manifest->name](const error& why) mutable {
              // A plugin that could not be started leaves nothing behind.
              ask(self_, supervisor, answer_deadline, plugin_order::stop)
                  .then(
                      [this, to, why, plugin_name, which = supervisor.id()]() mutable {
                        forget(plugin_name, which);
                        to(fail(why));
                      },
                      [to, why](const error&) mutable { to(fail(why)); });
            });
  }

  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& [plugin_name, each] : plugins_) all.insert(plugin_name);
    return all;
  }

  static error node_stops() { return {error_code::unavailable, "the node is stopping", {}}; }

  /// A supervisor that has stopped ends a moment later, and its name may be in use again by then.
  void forget(const std::string& plugin_name, caf::actor_id which) {
    const auto found = plugins_.find(plugin_name);
    if (found != plugins_.end() && found->second.supervisor.id() == which) plugins_.erase(found);
  }

  void unload(const std::string& wanted, reply_to<void> to) {
    const auto found = find(wanted);
    if (!found) return to(fail(found.error()));
    ask(self_, (*found)->supervisor, (*found)->manifest->deadlines.stop * 2 + order_slack,
        plugin_order::stop)
        .then(
            [this, to, wanted, which = (*found)->supervisor.id()]() mutable {
              forget(wanted, which);
              to({});
            },
            pass_error(to));
  }

  void stop_all(std::chrono::milliseconds deadline, reply_to<void> to) {
    stopping_ = true;
    const auto open = std::make_shared<std::size_t>(plugins_.size() + 1);
    const auto blocked = std::make_shared<std::string>();
    auto one_less = [this, to, open, blocked]() mutable {
      if (--*open > 0) return;
      if (blocked->empty())
        to({});
      else
        to(fail(error_code::deadline_exceeded, "still running: " + *blocked));
      end_normally(self_);
    };
    for (const auto& [plugin_name, each] : plugins_)
      ask(self_, each.supervisor, deadline, plugin_order::stop)
          .then([one_less]() mutable { one_less(); },
                [one_less, blocked, plugin_name = plugin_name](const error&) mutable {
                  *blocked += (blocked->empty() ? "" : ", ") + plugin_name;
                  one_less();
                });
    one_less();
  }

  /// Asks every supervisor. One that does not answer in time is shown with its name and the
  /// problem.
  void list(reply_to<plugin_list> to) {
    const auto all = std::make_shared<std::map<std::string, plugin_info>>();
    const auto open = std::make_shared<std::size_t>(plugins_.size() + 1);
    auto add = [all, open, to](plugin_info info) mutable {
      if (!info.name.empty()) (*all)[info.name] = std::move(info);
      if (--*open > 0) return;
      plugin_list sorted;
      for (auto& [plugin_name, each] : *all) sorted.plugins.push_back(std::move(each));
      to(std::move(sorted));
    };
    for (const auto& [plugin_name, each] : plugins_)
      ask(self_, each.supervisor, answer_deadline, describe_plugin{})
          .then([add](plugin_info& info) mutable { add(std::move(info)); },
                [add, plugin_name = plugin_name](const error& why) mutable {
                  add({.name = plugin_name, .phase = plugin_phase::failed, .problem = why.message});
                });
    add({});
  }

  result<const plugin*> find(const std::string& wanted) const {
    const auto found = plugins_.find(wanted);
    if (found != plugins_.end()) return &found->second;
    return fail(error_code::not_found, "there is no plugin \"" + wanted +
                                           "\"; `troupe plugin list` shows those there are");
  }

  // -- over links ---------------------------------------------------------------------------------

  caf::result<payload> serve(service_call& call) {
    using served = message_types<load_plugin, unload_plugin, list_plugins, grant_capability,
                                 revoke_capability, check_permission, get_usage>;
    return serve_method(served{}, call, [this]<class Request>(const Request& wanted, auto&) {
      return reply_bytes_later<typename Request::answer>(
          self_, [&](reply_to<typename Request::answer> to) { answer(wanted, std::move(to)); });
    });
  }

  void answer(const load_plugin& wanted, reply_to<plugin_info> to) { load(wanted, std::move(to)); }
  void answer(const unload_plugin& wanted, reply_to<void> to) {
    unload(wanted.plugin, std::move(to));
  }
  void answer(const list_plugins&, reply_to<plugin_list> to) { list(std::move(to)); }
  void answer(const grant_capability& wanted, reply_to<void> to) {
    alter(wanted.plugin, {alter_grant::kind::grant, wanted.capability}, std::move(to));
  }
  void answer(const revoke_capability& wanted, reply_to<void> to) {
    alter(wanted.plugin, {alter_grant::kind::revoke, wanted.capability}, std::move(to));
  }
  void answer(const check_permission& wanted, reply_to<permission_decision> to) {
    const auto found = find(wanted.plugin);
    if (!found) return to(fail(found.error()));
    ask(self_, (*found)->supervisor, answer_deadline * 2, check_operation{wanted.operation})
        .then(pass_answer(to), pass_error(to));
  }
  void answer(const get_usage& wanted, reply_to<resource_usage> to) {
    if (const auto found = find(wanted.plugin); !found) return to(fail(found.error()));
    ask(self_, environment_.launcher, answer_deadline, track_plugin{wanted.plugin})
        .then(pass_answer(to), pass_error(to));
  }

  void alter(const std::string& wanted, const alter_grant& change, reply_to<void> to) {
    const auto found = find(wanted);
    if (!found) return to(fail(found.error()));
    ask(self_, (*found)->supervisor, answer_deadline, change).then(pass_answer(to), pass_error(to));
  }

  interface::pointer self_;
  plugin_environment environment_;
  std::shared_ptr<spdlog::logger> log_;
  watch_list ends_;
  std::map<std::string, plugin> plugins_;
  bool stopping_ = false;
};

}  // namespace

plugin_manager_actor spawn_plugin_manager(caf::actor_system& system,
                                          plugin_environment environment) {
  return spawn_shell<manager_state>(system, std::move(environment));
}

child_spec plugin_manager_child(caf::actor_system& system,
                                std::function<plugin_environment()> environment,
                                on_started<plugin_manager_actor> started) {
  auto made = make_child(
      "plugin_manager",
      [&system, environment = std::move(environment)] {
        return spawn_plugin_manager(system, environment());
      },
      std::move(started));
  made.farewell = farewell<stop_plugins>();
  return made;
}

}  // namespace troupe
