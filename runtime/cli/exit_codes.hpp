#pragma once

#include <troupe/messages/error.hpp>

namespace troupe::cli {

/// The exit codes of `troupe`. Part of its interface: scripts rely on these numbers.
enum exit_code : int {
  success = 0,
  failed = 1,       ///< The request failed: a command's own error, an unmet condition, or a defect.
  usage = 2,        ///< Wrong arguments, configuration, file or path. Nothing was changed.
  not_found = 3,    ///< The named thing does not exist.
  denied = 4,       ///< Not permitted.
  unavailable = 5,  ///< No node answers, a plugin has ended, or an address is in use.
  timeout = 6,      ///< No answer in time, or cancelled.
  refused = 7,      ///< A bound was reached; try again later.
  damaged = 8,  ///< The disk, the data on it or the output failed, or `verify` found a difference.
  interrupted = 130,  ///< Ctrl-C.
};

/// The exit code of an error code.
constexpr exit_code exit_code_of(error_code code) noexcept {
  switch (code) {
    case error_code::none: return success;
    case error_code::invalid_argument:
    case error_code::already_exists:
    case error_code::version_mismatch: return usage;
    case error_code::not_found: return not_found;
    case error_code::permission_denied: return denied;
    case error_code::unavailable:
    case error_code::plugin_crashed: return unavailable;
    case error_code::deadline_exceeded:
    case error_code::cancelled: return timeout;
    case error_code::overloaded:
    case error_code::limit_exceeded: return refused;
    case error_code::storage_failure:
    case error_code::corrupt_data: return damaged;
    case error_code::failed_precondition:
    case error_code::handler_failed:
    case error_code::protocol_violation:
    case error_code::internal: return failed;
  }
  return failed;
}

}  // namespace troupe::cli
