#pragma once

#include <cstdint>

namespace troupe {

/// How often a store is checked, and how fast.
struct scrub_pace {
  std::uint64_t first_after_ms = 60'000;                     ///< After the start.
  std::uint64_t every_ms = std::uint64_t{24} * 3600 * 1000;  ///< From the end of one to the next.
  std::uint64_t again_ms = 60'000;                           ///< After a step that has failed.
  std::uint64_t step_ms = 100;                               ///< From one step to the next.
  std::uint64_t files_every_ms = 10'000;                     ///< Looks whether they are there.
};

/// Decides when the next part of the store is checked for damage, and when only whether its files
/// are there: a node that nobody writes to notices otherwise a day later that they are gone. One
/// step at a time. Pure.
class scrub_schedule {
public:
  explicit scrub_schedule(scrub_pace pace) noexcept : pace_(pace) {}

  enum class work { none, files, part };
  /// What is to begin now. Unless it is nothing, call `stepped` then.
  work begins(std::uint64_t now_ms) noexcept;
  /// Damage was met elsewhere: the next step begins at once, unless one is under way, or the latest
  /// one has failed.
  void make_due(std::uint64_t now_ms) noexcept;
  enum class outcome { goes_on, done, failed };
  /// The step is over. @returns what it was.
  work stepped(outcome how, std::uint64_t now_ms) noexcept;

private:
  scrub_pace pace_;
  bool is_set_ = false;
  std::uint64_t next_ms_ = 0, next_files_ms_ = 0;
  work under_way_ = work::none;
  bool has_failed_ = false;  ///< The latest part.
};

}  // namespace troupe
