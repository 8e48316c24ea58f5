#include <troupe/plugins/sandbox/sandbox.hpp>

#include <stdexcept>

namespace troupe {

std::string to_string(const exit_status& status) {
  return status.signal != 0 ? "signal " + std::to_string(status.signal)
                            : "exit status " + std::to_string(status.status);
}

plugin_sandbox::plugin_sandbox(permission_check check) : check_{std::move(check)} {
  if (!check_) throw std::invalid_argument{"a sandbox needs a permission check"};
}

result<permission_decision> plugin_sandbox::check_permission(std::string_view plugin,
                                                             std::string_view operation) const {
  return check_(plugin, operation);
}

}  // namespace troupe
