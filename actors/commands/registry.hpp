#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <troupe/actors/commands/command_index.hpp>
#include <troupe/actors/commands/validator.hpp>
#include <troupe/messages/command.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/plugins/capability.hpp>

namespace troupe {

/// A command that can be run, with everything about it that is worth computing once. Immutable.
struct registered_command {
  command_index index;
  std::shared_ptr<const command_spec> spec;
  operation_request needs;  ///< What a caller must be allowed to do.
  validator arguments;
};

/// The commands that exist now, by name and by index.
class registry {
public:
  /// Commands at once, unless it is told otherwise.
  static constexpr std::size_t default_capacity = 10'000;
  /// The bounds of one specification; what passes them is refused with `limit_exceeded`.
  static constexpr std::size_t max_name_bytes = 128;
  /// Of all texts and defaults of one specification together.
  static constexpr std::size_t max_spec_bytes = 64 * 1024;
  /// Of all specifications together: a list of all of them has to fit into one frame.
  static constexpr std::size_t max_total_bytes = 4 * 1024 * 1024;
  /// Of all specifications together, since matching may take up to 256 KiB for each.
  static constexpr std::size_t max_total_patterns = 4096;
  static constexpr std::uint32_t max_concurrency = 65'536;
  static constexpr std::uint32_t max_queue = 65'536;

  /// @param capacity how many commands there may be; at least 1. @throws std::invalid_argument when
  /// it is 0.
  explicit registry(std::size_t capacity = default_capacity);

  /// Checks the specification and makes the command known. Errors name the command, culprit and
  /// what would be right:
  ///
  /// - `invalid_argument`: a name that is not `[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*`, a timeout outside
  /// 1 ms to 1 day, a
  ///   concurrency of 0, a text that is not UTF-8, a malformed capability or parameter (see
  ///   `validator::make`)
  /// - `limit_exceeded`: a name, specification, concurrency or queue that is too large, or too many
  /// commands, bytes or
  ///   patterns in all
  /// - `already_exists`: the name is taken
  result<command_index> add(command_spec spec, std::vector<custom_check> checks = {});

  /// Forgets a command and returns the index that it had, for the other steps to forget it too.
  result<command_index> remove(std::string_view name);

  /// The command with this name, or nothing. Valid until it is removed. O(1), no allocation.
  const registered_command* find(std::string_view name) const noexcept;
  /// The command of this registration, or nothing when it was removed. O(1).
  const registered_command* find(command_index index) const noexcept;

  /// All specifications in the order of their names. O(n log n).
  std::vector<std::shared_ptr<const command_spec>> list() const;

  /// How many commands there are.
  std::size_t size() const noexcept { return by_name_.size(); }
  /// How many commands there may be.
  std::size_t capacity() const noexcept { return capacity_; }
  /// Every command, in no particular order: `for (const auto& [name, command] :
  /// registry.commands())`.
  const auto& commands() const noexcept { return by_name_; }

private:
  std::uint32_t free_slot();

  std::size_t capacity_;
  std::uint64_t last_serial_ = 0;
  std::size_t bytes_ = 0;
  std::size_t patterns_ = 0;
  std::vector<std::unique_ptr<const registered_command>> slots_;
  std::vector<std::uint32_t> free_;
  std::unordered_map<std::string_view, const registered_command*>
      by_name_;  ///< Keys view into the specifications.
};

}  // namespace troupe
