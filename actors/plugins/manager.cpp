#include <troupe/actors/plugins/manager.hpp>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto answer_deadline = 5s;
constexpr std::size_t max_plugins = 256;

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
        [this](const load_plugin& wanted) { return load(wanted); },
        [this](const unload_plugin& wanted) { return unload(wanted.plugin); },
        [this](no_parameters) { return list(); },
        [this](const stop_plugins& order) { return stop_all(order.deadline); },
        [this](const service_call& call) { return serve(call); },
        [this](const service_notice& notice) {
          log_->warn("plugin.notice_refused method={}", printable_quoted(notice.method, 64));
        },
    };
  }

private:
  using info_promise = caf::typed_response_promise<plugin_info>;

  struct plugin {
    supervisor_actor supervisor;
    std::shared_ptr<const plugin_manifest> manifest;
  };

  caf::result<plugin_info> load(const load_plugin& wanted) {
    if (stopping_) return to_caf(node_stops());
    auto promise = self_->make_response_promise<plugin_info>();
    ask(self_, environment_.launcher, read_deadline, read_package{wanted.package})
        .then(
            [this, promise, wanted](const package_read& package) mutable {
              check(promise, wanted, package.manifest);
            },
            deliver_error(promise));
    return promise;
  }

  /// Refuses a package that wants more than the operator allows, or the name of what belongs to
  /// somebody else: a plugin may execute every command that begins with its name.
  void check(info_promise promise, const load_plugin& wanted,
             const std::shared_ptr<const plugin_manifest>& manifest) {
    if (manifest->permission_level < wanted.level) {  // the order is that of trust
      const std::string asked{name_of(manifest->permission_level)};
      return promise.deliver(
          to_caf({error_code::permission_denied,
                  "the plugin " + manifest->name + " asks for the permission level " + asked +
                      ", and " + std::string{name_of(wanted.level)} +
                      " is the most that it may have; allow it with --level " + asked +
                      " (plugin_level = \"" + asked + "\" in a configuration)",
                  {}}));
    }
    if (plugins_.contains(manifest->name))
      return promise.deliver(to_caf(is_loaded(manifest->name)));
    ask(self_, environment_.dispatcher, names_deadline, list_commands{manifest->name})
        .then(
            [this, promise, wanted, manifest](const command_list& offered) mutable {
              for (const auto& command : offered.commands)
                if (command.name == manifest->name ||
                    command.name.starts_with(manifest->name + '.'))
                  return promise.deliver(
                      to_caf({error_code::already_exists,
                              "the plugin cannot be named " + manifest->name + ": the command " +
                                  command.name + " belongs to somebody else",
                              {}}));
              start(promise, wanted, manifest);
            },
            deliver_error(promise));
  }

  void start(info_promise promise, const load_plugin& wanted,
             const std::shared_ptr<const plugin_manifest>& manifest) {
    if (stopping_)
      return promise.deliver(to_caf(node_stops()));  // the stop came while the package was read
    if (plugins_.contains(manifest->name))
      return promise.deliver(to_caf(is_loaded(manifest->name)));
    if (plugins_.size() >= max_plugins)
      return promise.deliver(
          to_caf({error_code::limit_exceeded,
                  "at most " + std::to_string(max_plugins) + " plugins can be loaded",
                  {}}));
    if (auto policy = make_policy(*manifest, wanted.grants); !policy)
      return promise.deliver(to_caf(policy.error()));
    auto supervisor =
        spawn_supervisor(self_->system(), {manifest, wanted.package, wanted.grants, environment_});
    plugins_[manifest->name] = {supervisor, manifest};
    ends_.watch(self_, supervisor,
                [this, plugin_name = manifest->name,
                 which = supervisor.address()](const caf::error&) { forget(plugin_name, which); });
    ask(self_, supervisor, manifest->deadlines.start + order_slack, plugin_order::start)
        .then(
            [this, promise, supervisor]() mutable {
              ask(self_, supervisor, answer_deadline, no_parameters{})
                  .then([promise](plugin_info& info) mutable { promise.deliver(std::move(info)); },
                        deliver_error(promise));
            },
            [this, promise, supervisor, plugin_name = manifest->name](const error& why) mutable {
              // A plugin that could not be started leaves nothing behind.
              ask(self_, supervisor, answer_deadline, plugin_order::stop)
                  .then(
                      [this, promise, why, plugin_name, which = supervisor.address()]() mutable {
                        forget(plugin_name, which);
                        promise.deliver(to_caf(why));
                      },
                      [promise, why](const error&) mutable { promise.deliver(to_caf(why)); });
            });
  }

  static error is_loaded(const std::string& plugin_name) {
    return {error_code::already_exists,
            "the plugin " + plugin_name + " is loaded already; unload it first",
            {}};
  }
  static error node_stops() { return {error_code::unavailable, "the node is stopping", {}}; }

  /// A supervisor that has stopped ends a moment later, and its name may be in use again by then.
  void forget(const std::string& plugin_name, const caf::actor_addr& which) {
    const auto found = plugins_.find(plugin_name);
    if (found != plugins_.end() && found->second.supervisor.address() == which)
      plugins_.erase(found);
  }

  caf::result<void> unload(const std::string& wanted) {
    const auto found = find(wanted);
    if (!found) return to_caf(found.error());
    auto promise = self_->make_response_promise<void>();
    ask(self_, (*found)->supervisor, (*found)->manifest->deadlines.stop * 2 + order_slack,
        plugin_order::stop)
        .then(
            [this, promise, wanted, which = (*found)->supervisor.address()]() mutable {
              forget(wanted, which);
              promise.deliver();
            },
            deliver_error(promise));
    return promise;
  }

  caf::result<void> stop_all(std::chrono::milliseconds deadline) {
    stopping_ = true;
    auto promise = self_->make_response_promise<void>();
    const auto open = std::make_shared<std::size_t>(plugins_.size() + 1);
    const auto blocked = std::make_shared<std::string>();
    auto one_less = [this, promise, open, blocked]() mutable {
      if (--*open > 0) return;
      if (blocked->empty())
        promise.deliver();
      else
        promise.deliver(to_caf({error_code::deadline_exceeded, "still running: " + *blocked, {}}));
      self_->quit();
    };
    for (const auto& [plugin_name, each] : plugins_)
      ask(self_, each.supervisor, deadline, plugin_order::stop)
          .then([one_less]() mutable { one_less(); },
                [one_less, blocked, plugin_name = plugin_name](const error&) mutable {
                  *blocked += (blocked->empty() ? "" : ", ") + plugin_name;
                  one_less();
                });
    one_less();
    return promise;
  }

  caf::result<plugin_list> list() {
    auto promise = self_->make_response_promise<plugin_list>();
    collect([promise](plugin_list all) mutable { promise.deliver(std::move(all)); });
    return promise;
  }

  /// Asks every supervisor; one that does not answer in time is shown with its name and the
  /// problem.
  template <class Done>
  void collect(Done done) {
    const auto all = std::make_shared<std::map<std::string, plugin_info>>();
    const auto open = std::make_shared<std::size_t>(plugins_.size() + 1);
    auto add = [all, open, done](plugin_info info) mutable {
      if (!info.name.empty()) (*all)[info.name] = std::move(info);
      if (--*open > 0) return;
      plugin_list sorted;
      for (auto& [plugin_name, each] : *all) sorted.plugins.push_back(std::move(each));
      done(std::move(sorted));
    };
    for (const auto& [plugin_name, each] : plugins_)
      ask(self_, each.supervisor, answer_deadline, no_parameters{})
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

  caf::result<payload> serve(const service_call& call) {
    auto promise = self_->make_response_promise<payload>();
    if (call.method == "plugin.load") {
      with<load_plugin>(promise, call, [&](const load_plugin& wanted) {
        ask(self_, interface{self_}, load_deadline, wanted)
            .then(deliver_encoded<plugin_info>(promise), deliver_error(promise));
      });
    } else if (call.method == "plugin.unload") {
      with<unload_plugin>(promise, call, [&](const unload_plugin& wanted) {
        ask(self_, interface{self_}, call.deadline, wanted)
            .then(deliver_done(promise), deliver_error(promise));
      });
    } else if (call.method == "plugin.list") {
      collect(deliver_encoded<plugin_list>(promise));
    } else if (call.method == "plugin.grant" || call.method == "plugin.revoke") {
      const auto what =
          call.method == "plugin.grant" ? alter_grant::kind::grant : alter_grant::kind::revoke;
      with<change_grant>(promise, call, [&](const change_grant& wanted) {
        for_plugin(promise, wanted.plugin, [&](const plugin& found) {
          ask(self_, found.supervisor, answer_deadline, alter_grant{what, wanted.capability})
              .then(deliver_done(promise), deliver_error(promise));
        });
      });
    } else if (call.method == "plugin.check") {
      with<check_permission>(promise, call, [&](const check_permission& wanted) {
        for_plugin(promise, wanted.plugin, [&](const plugin&) {
          ask(self_, environment_.launcher, answer_deadline,
              check_operation{wanted.plugin, wanted.operation})
              .then(deliver_encoded<permission_decision>(promise), deliver_error(promise));
        });
      });
    } else if (call.method == "plugin.usage") {
      with<get_usage>(promise, call, [&](const get_usage& wanted) {
        for_plugin(promise, wanted.plugin, [&](const plugin&) {
          ask(self_, environment_.launcher, answer_deadline, track_plugin{wanted.plugin})
              .then(deliver_encoded<resource_usage>(promise), deliver_error(promise));
        });
      });
    } else {
      promise.deliver(
          to_caf({error_code::not_found, "the plugin manager does not serve " + call.method, {}}));
    }
    return promise;
  }

  /// Goes on with the decoded parameters, or answers with what is wrong with them.
  template <class Request, class Next>
  void with(payload_promise& promise, const service_call& call, Next&& next) {
    const auto wanted = decode_checked<Request>(call.params.bytes);
    if (wanted)
      next(*wanted);
    else
      promise.deliver(to_caf(wanted.error()));
  }

  template <class Next>
  void for_plugin(payload_promise& promise, const std::string& wanted, Next&& next) {
    const auto found = find(wanted);
    if (found)
      next(**found);
    else
      promise.deliver(to_caf(found.error()));
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

}  // namespace troupe
