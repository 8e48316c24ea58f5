#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <utility>

#include <troupe/actors/commands/permit.hpp>
#include <troupe/actors/commands/registry.hpp>

namespace troupe {

/// A caller and the commands that it ran lately. A cached permission never becomes wrong: permits
/// and commands are immutable, and a command's serial is never used twice.
class known_caller {
public:
  explicit known_caller(permit rights) : rights_(std::move(rights)) {}

  /// O(1) for a command that the caller ran lately, else as `permit::allows`.
  bool may_run(const registered_command& command) {
    auto& found = allowed_[command.index.serial % allowed_.size()];
    if (found == command.index.serial) return true;
    if (!rights_.allows(command)) return false;
    found = command.index.serial;
    return true;
  }
  const permit& rights() const noexcept { return rights_; }

private:
  permit rights_;
  std::array<std::uint64_t, 16> allowed_{};  ///< Serials of commands.
};

/// The permits of recent callers, so that a session's capabilities are compiled once. At most 1,024
/// callers; the cache starts over when it is full.
class caller_cache {
public:
  /// Null when the caller's capabilities are malformed. Valid until the next call.
  known_caller* find(const principal_ptr& caller) {
    if (const auto found = callers_.find(caller.get()); found != callers_.end())
      return &found->second;
    auto made = permit::make(caller);
    if (!made) return nullptr;
    if (callers_.size() >= max_callers) callers_.clear();
    return &callers_.emplace(caller.get(), known_caller{std::move(*made)}).first->second;
  }

private:
  static constexpr std::size_t max_callers = 1024;

  /// A permit keeps its principal alive, so no other principal gets the same address.
  std::unordered_map<const principal*, known_caller> callers_;
};

}  // namespace troupe
