#pragma once

#include <string>
#include <vector>

#include <troupe/actors/commands/registry.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/principal.hpp>
#include <troupe/plugins/capability.hpp>

namespace troupe {

/// The second step of a command: may this caller run it? Made once for a session and immutable. A
/// session whose capabilities change gets a new one.
///
/// The host, the node itself and clients of the same user may run every command. Any other caller
/// needs a capability that covers what the command needs. A denial that covers it wins over every
/// capability.
class permit {
public:
  /// The error names the principal and the capability that is malformed. @param who is not null.
  static result<permit> make(principal_ptr who);

  /// Whether the caller may run the command. O(capabilities and denials), no allocation.
  bool allows(const registered_command& command) const noexcept;

  /// The `permission_denied` error for a command that this permit does not allow. The detail is the
  /// map `{principal, command, needs}`.
  error denial(const registered_command& command) const;

  const principal& who() const noexcept { return *who_; }

private:
  struct refusal {
    capability what;
    std::string rule;  ///< In words.
  };

  const refusal* find_refusal(const operation_request& needs) const noexcept;
  bool holds(const operation_request& needs) const noexcept;

  explicit permit(principal_ptr who) : who_(std::move(who)) {}

  principal_ptr who_;
  std::vector<capability> held_;
  std::vector<refusal> refused_;
};

}  // namespace troupe
