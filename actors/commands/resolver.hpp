#pragma once

#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/commands/registry.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/text/spelling.hpp>

namespace troupe {

/// The first step of a command: finds it by name.
class resolver {
public:
  /// @param known must outlive this object.
  explicit resolver(const registry& known) : known_(known) {}

  /// The command with this name, never null. Valid until it is removed. O(1), no allocation.
  ///
  /// Fails with `not_found` and up to three names of similar spelling, in O(commands). Suggests
  /// only commands for which `may_see(const registered_command&)` is true: an error must not reveal
  /// commands that the caller may not run. The detail is the map `{suggestions: [name...]}`.
  template <class Predicate>
  result<const registered_command*> resolve(std::string_view name, Predicate&& may_see) const {
    if (const registered_command* found = known_.find(name)) return found;
    return fail(unknown(name, may_see));
  }

  /// As above for callers that want to know of a command instead of running it: a command that the
  /// caller may not see is `not_found` as well.
  template <class Predicate>
  result<const registered_command*> look_up(std::string_view name, Predicate&& may_see) const {
    if (const registered_command* found = known_.find(name); found != nullptr && may_see(*found))
      return found;
    return fail(unknown(name, may_see));
  }

  /// As `resolve`, for a caller that may see every command.
  result<const registered_command*> resolve(std::string_view name) const {
    return resolve(name, [](const registered_command&) { return true; });
  }

private:
  template <class Predicate>
  error unknown(std::string_view name, Predicate&& may_see) const {
    auto visible = known_.commands() |
                   std::views::filter([&](const auto& entry) { return may_see(*entry.second); });
    return not_found(name, nearest(name, visible | std::views::keys));
  }
  static error not_found(std::string_view name, const std::vector<std::string>& suggestions);

  const registry& known_;
};

}  // namespace troupe
