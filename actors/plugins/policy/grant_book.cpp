#include <troupe/actors/plugins/policy/grant_book.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace troupe {

namespace {

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

std::string rule_of(const capability& changed) {
  return changed.verb() == capability_verb::fs_read ? "operator, from its next start on"
                                                    : "operator";
}

/// A place of the host that a capability for files shows.
struct visible_place {
  std::string path;
  bool is_tree = false;  ///< Everything below it included. Otherwise it is shown if it is a file.
};

/// The place that a capability shows, when the policy allows all of it.
std::optional<visible_place> find_visible(const permissions& policy, const capability& given) {
  if (given.verb() != capability_verb::fs_read) return std::nullopt;
  visible_place place{.path = std::string{given.pattern()}};
  place.is_tree = place.path.ends_with("/**");
  if (place.is_tree) place.path.resize(place.path.size() - 3);
  if (place.path.find('*') != std::string::npos) return std::nullopt;
  if (place.is_tree)
    return policy.check_subtree(given.verb(), place.path).allowed ? std::optional{place}
                                                                  : std::nullopt;
  // A directory is not shown by its own name, since everything below it would be shown too. These
  // places have files that are the sandbox's own.
  constexpr std::array<std::string_view, 4> sandbox_places{"/proc/", "/dev/", "/sys/", "/plugin/"};
  const bool is_sandbox_place = std::ranges::any_of(
      sandbox_places, [&](std::string_view own) { return place.path.starts_with(own); });
  if (is_sandbox_place || !policy.check(given.verb(), place.path).allowed) return std::nullopt;
  return place;
}

}  // namespace

result<grant_book> grant_book::open(std::shared_ptr<const plugin_manifest> manifest,
                                    const std::vector<std::string>& grants) {
  auto policy = make_policy(*manifest, grants);
  if (!policy) return fail(std::move(policy.error()));
  return grant_book{std::move(manifest), std::move(*policy)};
}

grant_book::grant_book(std::shared_ptr<const plugin_manifest> manifest, permissions policy)
    : manifest_(std::move(manifest)) {
  publish(std::move(policy));
}

result<grant_change> grant_book::grant(std::string_view text) {
  auto given = capability::parse(text);
  if (!given) return fail(std::move(given.error()));
  auto changed = *policy_;
  if (auto asked = changed.request(*given); !asked) return fail(std::move(asked.error()));
  if (auto granted = changed.grant(*given); !granted) return fail(std::move(granted.error()));
  (void)changed.allow(*given);  // fails when there is no such denial
  publish(std::move(changed));
  return grant_change{"plugin.granted", rule_of(*given)};
}

result<grant_change> grant_book::revoke(std::string_view text) {
  auto taken = capability::parse(text);
  if (!taken) return fail(std::move(taken.error()));
  auto changed = *policy_;
  if (!changed.revoke(*taken) || changed.gives_some_of(*taken))
    if (auto denied = changed.deny(*taken); !denied) return fail(std::move(denied.error()));
  publish(std::move(changed));
  return grant_change{"plugin.revoked", rule_of(*taken)};
}

void grant_book::publish(permissions policy) {
  policy_ = std::make_shared<const permissions>(std::move(policy));
  const auto effective = policy_->effective();
  context_ = {.permission_level = policy_->level(),
              .resource_limits = manifest_->resource_limits,
              .allowed_capabilities = {effective.begin(), effective.end()}};
  // The supervisor checks each call. A command that is called may need capabilities of its own,
  // which the dispatcher checks.
  auto capabilities =
      policy_->level() == permission_level::system
          ? std::vector<std::string>{"command.execute:**", "context.read:/**", "context.write:/**"}
          : effective;
  caller_ = std::make_shared<const principal>(principal{.name = manifest_->name,
                                                        .kind = principal_kind::plugin,
                                                        .capabilities = std::move(capabilities),
                                                        .denied = policy_->denied()});
}

visible_files grant_book::visible() const {
  const auto is_in_manifest = [this](const std::string& text) {
    return std::ranges::any_of(manifest_->capabilities,
                               [&](const auto& asked) { return asked.capability.text() == text; });
  };
  // A system plugin may read everything; it sees what it asked for.
  visible_files shown;
  for (const auto& text :
       policy_->level() == permission_level::system ? policy_->requested() : policy_->effective()) {
    const auto place = find_visible(*policy_, capability{text});
    if (!place) continue;
    auto& list = !place->is_tree        ? shown.files
                 : is_in_manifest(text) ? shown.required
                                        : shown.trees;
    list.emplace_back(place->path);
  }
  return shown;
}

}  // namespace troupe
