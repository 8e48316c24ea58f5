#pragma once

#include <string>
#include <string_view>

#include <troupe/actors/links/methods.hpp>
#include <troupe/actors/plugins/permissions.hpp>

namespace troupe {

/// What became of a plugin's call at the door.
struct call_decision {
  bool allowed = false;
  std::string operation;  ///< What the plugin wanted, as `verb:resource`; empty for methods that
                          ///< need no capability.
  std::string rule;       ///< What decided.
};

/// Checks one call of a plugin against its policy, by the method table: which capability the method
/// needs, and for which resource among the parameters. @param params The bytes of the parameter
/// map. Fails with `invalid_argument` when the parameter that names the resource is malformed, and
/// with `limit_exceeded` when it is longer than any name may be.
result<call_decision> check_call(const permissions& policy, const method_rule& rule,
                                 std::string_view params);

}  // namespace troupe
