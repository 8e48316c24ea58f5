#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

/// The files that a process may still use after it has restricted itself with Landlock. Everything
/// else is refused, and so are TCP (from ABI 4) and signals and abstract unix sockets that reach
/// outside (from ABI 6). Paths that do not exist are skipped.
struct landlock_rules {
  std::vector<std::string> executable;  ///< Read, list and execute below these.
  std::vector<std::string> readable;    ///< Read and list below these.
  std::vector<std::string> writable;    ///< Read, list, write, make and remove below these.
  std::vector<std::string> devices;     ///< Read and write these files.
};

/// The version of Landlock that this kernel offers; 0 when it has none or has it turned off.
int landlock_abi() noexcept;

/// Restricts the calling thread, and everything it executes, for good. Uses as much of the rules as
/// `abi` understands. Needs `no_new_privs`. Returns 0, or the errno of the call that failed.
int enforce_landlock(const landlock_rules& rules, int abi);

}  // namespace troupe
