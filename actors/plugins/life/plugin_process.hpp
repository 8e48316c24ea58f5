#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <troupe/plugins/sandbox/sandbox.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// A plugin's process runs.
struct plugin_launched {
  std::shared_ptr<unique_fd> socket;  ///< This side's end of the connection.
  std::uint64_t process = 0;          ///< For logs and descriptions.
  std::vector<sandbox_layer> layers;
};

/// Nothing of a plugin's process is left.
struct plugin_ended {
  std::optional<exit_status> status;  ///< Empty when it was ended by force, or was not there.
  std::string last_output = {};       ///< The end of what it printed, fit for a line.
};

}  // namespace troupe
