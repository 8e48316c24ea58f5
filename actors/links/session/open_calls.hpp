#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <troupe/messages/error.hpp>

namespace troupe {

/// Gets the outcome of a call exactly once: the bytes of the result or an error.
using call_completion = std::function<void(result<std::string>)>;

/// When a call without an answer ends. The other side gets `cancel` at the deadline in any case.
enum class call_patience : std::uint8_t {
  until_deadline,  ///< At its deadline. A late answer is dropped.
  until_answer,    ///< When its answer comes or the session ends, however late. It counts as a call
                   ///< in flight until then.
};

/// The calls of one side of a link that wait for an answer.
///
/// A call has a number, which is its id on the wire: the place of the call, and how often that
/// place was used before. This distinguishes a late reply from a reply to the place's present call.
class open_calls {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// What a number has room for.
  static constexpr std::uint32_t most_possible = 1u << 16;

  /// @param most Open at once, at most `most_possible`.
  explicit open_calls(std::uint32_t most);

  std::size_t count() const noexcept { return count_; }
  bool is_full() const noexcept { return count_ >= most_; }
  /// How many have not reached their deadline.
  std::size_t in_time() const noexcept { return count_ - overdue_; }

  /// The number of the next call. Requires room.
  std::uint32_t next_number();
  /// Opens a call under `next_number()`, which is `number`.
  void open(std::uint32_t number, time_point deadline, call_completion&& done,
            call_patience patience);
  /// Whether there is an open call with this number.
  bool is_open(std::uint32_t number) const noexcept;
  /// Closes an open call. @returns its completion, for the caller to call.
  call_completion close(std::uint32_t number);
  /// Marks an open call as cancelled. False when it was marked before, or is not open.
  bool mark_cancelled(std::uint32_t number) noexcept;

  /// Names the open calls whose deadline has passed, each once.
  std::vector<std::uint32_t> take_overdue(time_point now);
  /// Whether a call past its deadline stays open.
  bool waits_for_answer(std::uint32_t number) const noexcept;
  /// The latest deadline of the calls that are in time.
  std::optional<time_point> latest_deadline() const noexcept;
  /// The numbers of all open calls.
  std::vector<std::uint32_t> numbers() const;

  /// A call was closed at its deadline: its reply may still come, once.
  void expect_late_reply() noexcept { ++late_replies_; }
  /// Takes a reply to no open call for one of these. False when none is expected.
  bool take_late_reply() noexcept;

private:
  struct place {
    std::uint32_t uses = 0;
    bool open = false;
    bool overdue = false;
    bool cancelled = false;
    call_patience patience = call_patience::until_deadline;
    time_point deadline;
    call_completion done;
  };

  const place& at(std::uint32_t number) const noexcept;
  place& at(std::uint32_t number) noexcept;

  std::uint32_t most_;
  std::vector<place> places_;
  std::vector<std::uint32_t> free_;
  std::size_t count_ = 0;
  std::size_t overdue_ = 0;
  std::uint64_t late_replies_ = 0;
};

}  // namespace troupe
