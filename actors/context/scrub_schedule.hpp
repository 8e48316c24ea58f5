#pragma once

#include <cstdint>

namespace troupe {

/// How often a store is checked, and how fast.
struct scrub_pace {
  std::uint64_t first_after_ms = 60'000;                     ///< After the start.
  std::uint64_t every_ms = std::uint64_t{24} * 3600 * 1000;  ///< From the end of one to the next.
  std::uint64_t again_ms = 60'000;                           ///< After a step that has failed.
  std::uint64_t step_ms = 100;                               ///< From one step to the next.
};

/// Decides when the next part of the store is checked for damage. One step at a time. Pure.
class scrub_schedule {
public:
  explicit scrub_schedule(scrub_pace pace) noexcept : pace_(pace) {}

  /// Whether a step is to begin now. Then call `stepped`.
  bool begins(std::uint64_t now_ms) noexcept;
  /// Damage was met elsewhere: the next step begins at once, unless one is under way, or the latest
  /// one has failed.
  void make_due(std::uint64_t now_ms) noexcept;
  enum class outcome { goes_on, done, failed };
  /// The step is over.
  void stepped(outcome how, std::uint64_t now_ms) noexcept;

private:
  scrub_pace pace_;
  bool is_set_ = false;
  std::uint64_t next_ms_ = 0;
  bool is_under_way_ = false, has_failed_ = false;
};

}  // namespace troupe
