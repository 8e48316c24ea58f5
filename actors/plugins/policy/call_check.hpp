#pragma once

#include <string>
#include <string_view>

#include <troupe/actors/links/methods.hpp>
#include <troupe/actors/plugins/policy/permissions.hpp>

namespace troupe {

/// Checks one call of a plugin against its policy, by the method table: which capability the method
/// needs, and for which resource among the parameters. The decision names the operation, except for
/// methods that need no capability. Fails with `invalid_argument` when the parameter that names the
/// resource is malformed, and with `limit_exceeded` when it is longer than any name may be.
/// @param params The bytes of the parameter map.
result<permission_decision> check_call(const permissions& policy, const method_rule& rule,
                                       std::string_view params);

/// Checks whether a plugin may provide, and answer, a command. The decision names the operation.
permission_decision check_provide(const permissions& policy, const std::string& command);

}  // namespace troupe
