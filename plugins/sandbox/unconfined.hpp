#pragma once

#include <functional>
#include <map>
#include <string>

#include <troupe/plugins/sandbox/process_handle.hpp>
#include <troupe/plugins/sandbox/sandbox.hpp>

namespace troupe {

/// The sandbox `none`: plugins run as ordinary processes of the host's user. **They can do whatever
/// the host can.** No limit of their spec is enforced. For development, where an operator has
/// chosen it by name.
///
/// The descriptors, the environment and the working directory are as in a real sandbox, but the
/// package stays at its own path. `destroy` ends the program and its process group. Processes that
/// have left the group stay, and outlive a host that is killed.
class unconfined final : public plugin_sandbox {
public:
  using plugin_sandbox::plugin_sandbox;
  /// Ends every plugin, without grace.
  ~unconfined() override;

  std::string_view name() const noexcept override { return "none"; }
  result<sandboxed_process> create(const sandbox_spec& spec) override;
  result<void> request_stop(std::string_view plugin) override;
  result<std::optional<exit_status>> poll_exit(std::string_view plugin) override;
  result<std::optional<exit_status>> destroy(std::string_view plugin,
                                             std::chrono::milliseconds grace) override;
  result<resource_usage> track_resources(std::string_view plugin) override;
  /// Nothing is limited: always fine.
  result<void> check_limits(std::string_view) override { return {}; }
  /// There is nothing to find: always 0.
  result<std::size_t> remove_leftovers() override { return std::size_t{0}; }

private:
  result<process_handle*> find(std::string_view plugin);

  std::map<std::string, process_handle, std::less<>> processes_;
};

}  // namespace troupe
