#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <troupe/actors/commands/command_index.hpp>
#include <troupe/actors/commands/validation/validator.hpp>
#include <troupe/messages/command.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/plugins/capability.hpp>

namespace troupe {

/// A command that can be run, compiled once. Immutable.
struct registered_command {
  command_index index;
  std::shared_ptr<const command_spec> spec;
  operation_request needs;  ///< The operation that a caller must be allowed.
  validator arguments;
};

/// The offered commands, by name and by index.
class registry {
public:
  /// The default capacity.
  static constexpr std::size_t default_capacity = 10'000;
  /// The bounds of one specification. A larger one is refused with `limit_exceeded`.
  static constexpr std::size_t max_name_bytes = 128;
  /// Bounds all texts and defaults of one specification together.
  static constexpr std::size_t max_spec_bytes = 64 * 1024;
  /// Bounds all specifications together: a list of them has to fit into one frame.
  static constexpr std::size_t max_total_bytes = 4 * 1024 * 1024;
  /// Bounds the patterns of all specifications together: matching takes up to 256 KiB for each.
  static constexpr std::size_t max_total_patterns = 4096;
  static constexpr std::uint32_t max_concurrency = 65'536;
  static constexpr std::uint32_t max_queue = 65'536;

  /// @param capacity most commands at once, at least 1. @throws std::invalid_argument when it is 0.
  explicit registry(std::size_t capacity = default_capacity);

  /// Checks the specification and adds the command. Errors name the command, the defect and what is
  /// expected:
  ///
  /// - `invalid_argument`: a name that is not `[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*`, a timeout outside
  ///   1 ms to 1 day, a concurrency of 0, a text that is not UTF-8, a malformed capability or
  ///   parameter (see `validator::make`)
  /// - `limit_exceeded`: a name, specification, concurrency or queue that is too large, or too many
  ///   commands, bytes or patterns in all
  /// - `already_exists`: the name is taken
  result<command_index> add(command_spec spec, std::vector<custom_check> checks = {});

  /// Removes a command and returns its index, so that the other steps can remove it too.
  result<command_index> remove(std::string_view name);

  /// The command with this name, or null. Valid until it is removed. O(1), no allocation.
  const registered_command* find(std::string_view name) const noexcept;
  /// The command of this registration, or null once it was removed. O(1).
  const registered_command* find(command_index index) const noexcept;

  /// All specifications, sorted by name. O(n log n).
  std::vector<std::shared_ptr<const command_spec>> list() const;

  /// The number of commands.
  std::size_t size() const noexcept { return by_name_.size(); }
  /// The most commands at once.
  std::size_t capacity() const noexcept { return capacity_; }
  /// Every command by name, in no particular order.
  const auto& commands() const noexcept { return by_name_; }

private:
  std::uint32_t free_slot();

  std::size_t capacity_;
  std::uint64_t last_serial_ = 0;
  std::size_t bytes_ = 0;
  std::size_t patterns_ = 0;
  std::vector<std::unique_ptr<const registered_command>> slots_;
  std::vector<std::uint32_t> free_;
  /// The keys view into the specifications.
  std::unordered_map<std::string_view, const registered_command*> by_name_;
};

}  // namespace troupe
