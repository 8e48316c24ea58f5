#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/plugins/policy/permissions.hpp>
#include <troupe/messages/principal.hpp>
#include <troupe/plugins/manifest.hpp>

namespace troupe {

/// What a grant or a revocation has changed, for the audit trail.
struct grant_change {
  std::string event;  ///< `plugin.granted` or `plugin.revoked`.
  std::string rule;   ///< By whose word, and from when on.
};

/// The files of the host that a plugin sees in its sandbox.
struct visible_files {
  std::vector<std::filesystem::path>
      required;                              ///< Trees that the manifest asks for: have to exist.
  std::vector<std::filesystem::path> files;  ///< Shown where they are regular files.
  std::vector<std::filesystem::path> trees;  ///< Granted beside the manifest: shown if possible.
};

/// What one plugin may do at this moment, and how the operator changes that. The plugin's one
/// policy is here; everything that others need of it is made from it with each change:
///
/// - `context`, for the sandbox, for descriptions, and for the plugin itself,
/// - `caller`, in whose name the plugin's requests go on,
/// - `snapshot`, immutable, for questions about what the plugin may do.
///
/// A change counts from the plugin's next message on. One that fails changes nothing. Pure.
class grant_book {
public:
  /// @param grants What the operator grants of what the manifest requests; empty grants all of it.
  /// Fails with `invalid_argument` when a grant is malformed or not enforced by this build, with
  /// `limit_exceeded` when there are too many.
  static result<grant_book> open(std::shared_ptr<const plugin_manifest> manifest,
                                 const std::vector<std::string>& grants);

  /// Gives a capability, requested or not. A denial of the same text is lifted. Fails as `open`.
  result<grant_change> grant(std::string_view capability);
  /// Takes a capability away. What a wider grant, a default or the level gives of it is denied.
  result<grant_change> revoke(std::string_view capability);

  const permissions& policy() const noexcept { return *policy_; }
  /// The policy as it is now. Later changes make a new one.
  std::shared_ptr<const permissions> snapshot() const noexcept { return policy_; }
  const security_context& context() const noexcept { return context_; }
  const principal_ptr& caller() const noexcept { return caller_; }
  /// From the next launch on: files are shown to a process when it starts.
  visible_files visible() const;

private:
  grant_book(std::shared_ptr<const plugin_manifest> manifest, permissions policy);
  void publish(permissions policy);

  std::shared_ptr<const plugin_manifest> manifest_;
  std::shared_ptr<const permissions> policy_;
  security_context context_;
  principal_ptr caller_;
};

}  // namespace troupe
