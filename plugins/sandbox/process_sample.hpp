#pragma once

#include <cstdint>

#include <sys/types.h>

namespace troupe {

/// What a process and its descendants use, added up from `/proc`. For machines whose control groups
/// cannot be used.
struct process_sample {
  std::uint64_t memory_bytes = 0;      ///< Proportional set size: shared pages count once.
  std::uint64_t cpu_milliseconds = 0;  ///< Of living processes and of children they have reaped.
  std::uint32_t processes = 0;         ///< `root` among them.
};

/// Takes one sample. Processes that end meanwhile are left out. O(processes of the machine).
process_sample sample_process_tree(pid_t root);

}  // namespace troupe
