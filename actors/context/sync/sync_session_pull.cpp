// What a session asks its peer for.

#include <algorithm>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/sync/sync_session.hpp>

namespace troupe {

namespace {

constexpr unsigned max_silent_heads = 15;  // a change that is gone for good is asked for seldom

}  // namespace

/// Asks the origin itself when it is linked, else any peer; all of them for what the vector of a
/// peer does not tell. A peer of which all is here has nothing more to give. Asks for the same only
/// once between heads, and for all that is before an incarnation, too. Asks for nothing while what
/// comes would be dropped.
void sync_session::pull_missing(effects& out) {
  if (view_.committed().covers(theirs_) || !view_.takes_pushes()) return;
  sync_pull pull;
  for (auto range : view_.missing()) {
    const auto source = incarnation_of(range);
    const bool is_guess = has_later(theirs_, source);
    if (range.first == 0 && (asked_for_rows_ || !is_guess)) range.first = 1;
    if (!is_guess) range.last = std::min(range.last, seq_at(theirs_, source));
    const bool others_turn = !is_guess && range.origin != peer_ &&
                             std::ranges::binary_search(view_.links(), range.origin);
    if (range.first <= range.last && !others_turn) pull.ranges.push_back(range);
  }
  if (pull.ranges.size() > max_pull_ranges) {
    std::ranges::sort(pull.ranges);
    std::ranges::rotate(pull.ranges, std::ranges::upper_bound(pull.ranges, asked_until_));
    pull.ranges.resize(max_pull_ranges);
  }
  if (pull.ranges.empty() || pull.ranges == asked_for_) return;
  if (asked_for_.empty()) {
    was_of_no_use_ = pull.ranges == asked_before_;
    if (was_of_no_use_ && silent_heads_ > 0) return;
    asked_before_ = pull.ranges;
  }
  asked_for_ = pull.ranges;
  asked_for_rows_ = asked_for_rows_ || std::ranges::any_of(pull.ranges, [](const dot_range& each) {
                      return each.first == 0;
                    });
  out.push_back(send_message{std::move(pull)});
}

/// Heads have gone: the same may be asked for again. What had no place in the last pull comes
/// first, so that nobody who never gets an answer keeps out the others. A question that is the same
/// as before was of no use: the next one waits for twice as many heads.
void sync_session::begin_pulls() {
  if (asked_for_.size() == max_pull_ranges) asked_until_ = asked_for_.back();
  if (!asked_for_.empty()) {
    wait_ = was_of_no_use_ ? std::min(2 * wait_ + 1, max_silent_heads) : 0;
    silent_heads_ = wait_;
  } else if (silent_heads_ > 0) {
    --silent_heads_;
  } else {
    asked_before_.clear();
  }
  asked_for_.clear();
  asked_for_rows_ = false;
}

}  // namespace troupe
