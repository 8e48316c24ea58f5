#pragma once

#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/commands/registry.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/spelling.hpp>

namespace troupe {

/// The first step of a command: which one is meant?
class resolver {
public:
  /// @param known must outlive this object.
  explicit resolver(const registry& known) : known_(known) {}

  /// The command with this name. Valid until it is removed; never null. O(1), no allocation.
  ///
  /// Otherwise `not_found` with at most three names that are nearest by spelling, among those commands for which
  /// `may_see(const registered_command&)` is true: an error must not tell a caller of commands that it may not run. The
  /// detail is the map `{suggestions: [name...]}`. O(commands) then.
  template <class Predicate>
  result<const registered_command*> resolve(std::string_view name, Predicate&& may_see) const {
    if (const registered_command* found = known_.find(name)) return found;
    auto visible = known_.commands() | std::views::filter([&](const auto& entry) { return may_see(*entry.second); });
    return fail(unknown(name, nearest(name, visible | std::views::keys)));
  }

  /// As above for a caller that may see every command.
  result<const registered_command*> resolve(std::string_view name) const {
    return resolve(name, [](const registered_command&) { return true; });
  }

private:
  static error unknown(std::string_view name, const std::vector<std::string>& suggestions);

  const registry& known_;
};

}  // namespace troupe
