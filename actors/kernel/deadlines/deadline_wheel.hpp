#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <troupe/messages/assert.hpp>

namespace troupe {

/// Names one deadline of a `deadline_wheel`.
struct deadline_token {
  std::uint32_t place = 0;
  std::uint64_t serial = 0;  ///< 0 names no deadline.
};

/// Keeps deadlines, each with a `T`, and says which have passed.
///
/// A hierarchical timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987)
/// with one level per bit of the clock. A deadline is in the level of the highest bit in which it
/// differs from the time that the wheel has reached. When the time reaches that bit, the level is
/// emptied into those below it (the radix heap of Ahuja, Mehlhorn, Orlin and Tarjan, 1990). A
/// deadline moves down at most once per bit, so `add`, `cancel` and `expire` take O(1) time each,
/// amortised; `expire` sorts what it returns.
///
/// Memory is proportional to the most deadlines that were open at once. Pure: the time is an
/// argument, and never before the epoch of its clock.
template <class T>
class deadline_wheel {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Adds a deadline. One that has passed already is returned by the next `expire`.
  deadline_token add(time_point deadline, T what) {
    const auto place = take_place();
    auto& made = entries_[place];
    made.deadline = ticks_of(deadline);
    made.serial = ++last_serial_;
    made.what = std::move(what);
    insert(place);
    ++open_;
    return {place, made.serial};
  }

  /// Removes a deadline. @returns false when it has expired or has been cancelled.
  bool cancel(deadline_token which) {
    if (which.place >= entries_.size() || entries_[which.place].serial != which.serial ||
        which.serial == 0)
      return false;
    remove(which.place);
    free_place(which.place);
    return true;
  }

  /// Removes the deadlines at or before `now` and returns what they stand for, earliest first;
  /// equal ones in the order in which they were added.
  /// @param now Not before that of earlier calls.
  std::vector<T> expire(time_point now) {
    const auto target = std::max(ticks_of(now), reached_);
    const auto top = level_of(target);
    reached_ = target;
    std::vector<std::uint32_t> due;
    for (auto levels = occupied_ & through(top); levels != 0; levels &= levels - 1)
      lower(static_cast<std::size_t>(std::countr_zero(levels)), due);
    std::sort(due.begin(), due.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::pair{entries_[a].deadline, entries_[a].serial} <
             std::pair{entries_[b].deadline, entries_[b].serial};
    });
    std::vector<T> expired;
    expired.reserve(due.size());
    for (const auto place : due) {
      expired.push_back(std::move(entries_[place].what));
      free_place(place);
    }
    return expired;
  }

  /// The earliest deadline. O(size of the lowest level in use).
  std::optional<time_point> next() const {
    if (occupied_ == 0) return std::nullopt;
    const auto level = static_cast<std::size_t>(std::countr_zero(occupied_));
    auto earliest = ~std::uint64_t{0};
    for (auto at = first_[level]; at != none; at = entries_[at].after)
      earliest = std::min(earliest, entries_[at].deadline);
    return time_point{time_point::duration{static_cast<std::int64_t>(earliest)}};
  }

  /// How many deadlines are open.
  std::size_t size() const noexcept { return open_; }

private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  static constexpr std::size_t level_count = 64;
  static constexpr std::size_t kept_when_empty = 1024;  ///< Places.

  struct entry {
    std::uint64_t deadline = 0;
    std::uint64_t serial = 0;  ///< 0 while the place is free.
    std::uint32_t before = none;
    std::uint32_t after = none;  ///< Of a free place: the next free one.
    std::uint8_t level = 0;
    T what{};
  };

  static std::uint64_t ticks_of(time_point at) {
    const auto ticks = at.time_since_epoch().count();
    TROUPE_ASSERT(ticks >= 0, "the time is not before the epoch of its clock");
    return static_cast<std::uint64_t>(ticks);
  }

  /// 0 for what is due.
  std::size_t level_of(std::uint64_t ticks) const noexcept {
    return ticks <= reached_ ? 0 : static_cast<std::size_t>(std::bit_width(ticks ^ reached_));
  }

  static std::uint64_t through(std::size_t level) noexcept {
    return level + 1 == level_count ? ~std::uint64_t{0} : (std::uint64_t{1} << (level + 1)) - 1;
  }

  std::uint32_t take_place() {
    if (free_ == none) {
      entries_.emplace_back();
      return static_cast<std::uint32_t>(entries_.size() - 1);
    }
    return std::exchange(free_, entries_[free_].after);
  }

  void free_place(std::uint32_t place) {
    auto& left = entries_[place];
    left.serial = 0;
    left.what = T{};
    left.after = std::exchange(free_, place);
    if (--open_ > 0 || entries_.size() <= kept_when_empty) return;
    entries_ = {};
    free_ = none;
  }

  void insert(std::uint32_t place) {
    auto& added = entries_[place];
    added.level = static_cast<std::uint8_t>(level_of(added.deadline));
    auto& first = first_[added.level];
    added.before = none;
    added.after = first;
    if (first != none) entries_[first].before = place;
    first = place;
    occupied_ |= std::uint64_t{1} << added.level;
  }

  void remove(std::uint32_t place) {
    const auto& removed = entries_[place];
    if (removed.after != none) entries_[removed.after].before = removed.before;
    if (removed.before != none)
      entries_[removed.before].after = removed.after;
    else if ((first_[removed.level] = removed.after) == none)
      occupied_ &= ~(std::uint64_t{1} << removed.level);
  }

  /// Empties a level: what is due into `due`, the rest into lower levels.
  void lower(std::size_t level, std::vector<std::uint32_t>& due) {
    occupied_ &= ~(std::uint64_t{1} << level);
    for (auto at = std::exchange(first_[level], none); at != none;) {
      const auto place = std::exchange(at, entries_[at].after);
      if (entries_[place].deadline <= reached_)
        due.push_back(place);
      else
        insert(place);
    }
  }

  static constexpr std::array<std::uint32_t, level_count> no_entries() {
    std::array<std::uint32_t, level_count> all{};
    all.fill(none);
    return all;
  }

  std::vector<entry> entries_;  ///< Open ones and free places.
  std::array<std::uint32_t, level_count> first_ = no_entries();
  std::uint64_t occupied_ = 0;  ///< One bit for each level that is not empty.
  std::uint64_t reached_ = 0;
  std::uint64_t last_serial_ = 0;
  std::uint32_t free_ = none;
  std::size_t open_ = 0;
};

}  // namespace troupe
