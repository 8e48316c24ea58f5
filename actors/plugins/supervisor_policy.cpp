// What a plugin may do, what of that it sees when it starts, and how both change.

#include <algorithm>

#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/plugins/supervisor_state.hpp>
#include <troupe/messages/plugin_protocol.hpp>

namespace troupe {

namespace {

/// The place that a capability for files shows in the sandbox, when the policy allows all of it.
struct visible_place {
  std::string path;
  bool is_tree =
      false;  ///< With all that is below it. Otherwise it is to be shown only if it is a file.
};
std::optional<visible_place> find_visible(const permissions& policy, const capability& given) {
  if (given.verb() != capability_verb::fs_read) return std::nullopt;
  visible_place place{.path = std::string{given.pattern()}};
  place.is_tree = place.path.ends_with("/**");
  if (place.is_tree) place.path.resize(place.path.size() - 3);
  if (place.path.find('*') != std::string::npos) return std::nullopt;
  if (place.is_tree)
    return policy.check_subtree(given.verb(), place.path).allowed ? std::optional{place}
                                                                  : std::nullopt;
  // To show a directory is to show all that is below it, which its own name does not grant. A file
  // may be one of the sandbox's own.
  for (const char* own : {"/proc/", "/dev/", "/sys/", "/plugin/"})
    if (place.path.starts_with(own)) return std::nullopt;
  return policy.check(given.verb(), place.path).allowed ? std::optional{place} : std::nullopt;
}

}  // namespace

result<permissions> make_policy(const plugin_manifest& manifest,
                                const std::vector<std::string>& grants) {
  permissions policy{manifest.name, manifest.permission_level};
  for (const auto& asked : manifest.capabilities) {
    if (auto added = policy.request(asked.capability); !added) return fail(added.error());
    if (!grants.empty()) continue;
    if (auto added = policy.grant(asked.capability); !added) return fail(added.error());
  }
  for (const auto& text : grants) {
    auto granted = capability::parse(text);
    if (!granted) return fail(std::move(granted.error()));
    if (auto added = policy.grant(std::move(*granted)); !added) return fail(added.error());
  }
  for (const auto& denied : manifest.denied)
    if (auto added = policy.deny(denied); !added) return fail(added.error());
  return policy;
}

launch_plugin supervisor_state::describe_launch() const {
  const auto& manifest = *setup_.manifest;
  launch_plugin wanted{.spec = {.plugin = manifest.name,
                                .package = setup_.package,
                                .entry = manifest.entry,
                                .resource_limits = manifest.resource_limits,
                                .readable = {},
                                .environment = {},
                                .start_deadline = manifest.deadlines.start},
                       .watcher = caf::actor_cast<exit_watcher>(self_),
                       .manifest = setup_.manifest,
                       .files = {},
                       .trees = {}};
  if (!setup_.environment.python_sdk.empty()) {
    wanted.spec.readable.push_back(setup_.environment.python_sdk);
    wanted.spec.environment["PYTHONPATH"] = setup_.environment.python_sdk.native();
  }
  const auto is_in_manifest = [&](const std::string& text) {
    return std::ranges::any_of(manifest.capabilities,
                               [&](const auto& asked) { return asked.capability.text() == text; });
  };
  // A system plugin may read everything, and sees what it asked for. What its manifest asks for has
  // to be there; what it was granted beside that is shown when it can be.
  for (const auto& text :
       policy_.level() == permission_level::system ? policy_.requested() : effective_)
    if (const auto place = find_visible(policy_, capability{text}))
      (!place->is_tree        ? wanted.files
       : is_in_manifest(text) ? wanted.spec.readable
                              : wanted.trees)
          .emplace_back(place->path);
  return wanted;
}

result<void> supervisor_state::alter(const alter_grant& change) {
  auto subject = capability::parse(change.text);
  if (!subject) return fail(std::move(subject.error()));
  // Files are shown to a process when it starts.
  const std::string rule =
      subject->verb() == capability_verb::fs_read ? "operator, from its next start on" : "operator";
  auto changed = policy_;  // all of it or nothing
  if (change.what == alter_grant::kind::grant) {
    if (auto asked = changed.request(*subject); !asked) return asked;
    if (auto granted = changed.grant(*subject); !granted) return granted;
    (void)changed.allow(*subject);  // a denial of the same text, if there is one, is lifted
    audit("plugin.granted", change.text, rule);
  } else {
    // What more than the grant of the same text gives is taken away by a denial.
    if (!changed.revoke(*subject) || changed.gives_some_of(*subject))
      if (auto denied = changed.deny(*subject); !denied) return denied;
    audit("plugin.revoked", change.text, rule);
  }
  policy_ = std::move(changed);
  publish_policy();
  retract_denied();
  if (run_ && run_->opened) {
    (void)run_->session.notify(grants_changed::method,
                               encode(grants_changed{effective_}));  // a courtesy
    flush();
  }
  return {};
}

/// A command that the plugin may no longer provide is offered again at its next start at the
/// earliest.
void supervisor_state::retract_denied() {
  const auto denied =
      std::stable_partition(commands_.begin(), commands_.end(), [this](const std::string& command) {
        return policy_.check(capability_verb::command_provide, command).allowed;
      });
  if (denied == commands_.end()) return;
  tell(self_, setup_.environment.dispatcher,
       retract_commands{{denied, commands_.end()}, self_->id()});
  commands_.erase(denied, commands_.end());
}

void supervisor_state::publish_policy() {
  effective_ = policy_.effective();
  // The supervisor has checked every call before it goes on, but not what the command that is
  // called needs beside that.
  auto capabilities =
      policy_.level() == permission_level::system
          ? std::vector<std::string>{"command.execute:**", "context.read:/**", "context.write:/**"}
          : effective_;
  principal_ = std::make_shared<const principal>(principal{.name = plugin(),
                                                           .kind = principal_kind::plugin,
                                                           .capabilities = std::move(capabilities),
                                                           .denied = policy_.denied()});
  tell(self_, setup_.environment.launcher,
       policy_changed{plugin(), std::make_shared<const permissions>(policy_)});
}

}  // namespace troupe
