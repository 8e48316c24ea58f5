#include <troupe/actors/links/session/open_calls.hpp>

#include <utility>

#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

constexpr std::uint32_t place_bits = 16;

std::uint32_t number_of(std::uint32_t place, std::uint32_t uses) noexcept {
  return uses << place_bits | place;
}
std::uint32_t place_of(std::uint32_t number) noexcept { return number & ((1u << place_bits) - 1); }

}  // namespace

open_calls::open_calls(std::uint32_t most) : most_(most) {
  static_assert(most_possible == 1u << place_bits);
  TROUPE_ASSERT(most <= most_possible, "every open call has a place");
}

std::uint32_t open_calls::next_number() {
  TROUPE_ASSERT(!is_full(), "a call is numbered when there is room for it");
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(places_.size()));
    places_.emplace_back();
  }
  return number_of(free_.back(), places_[free_.back()].uses);
}

void open_calls::open(std::uint32_t number, time_point deadline, call_completion&& done,
                      call_patience patience) {
  TROUPE_ASSERT(!free_.empty() && free_.back() == place_of(number), "the next call is opened");
  auto& place = places_[free_.back()];
  TROUPE_ASSERT(!place.open, "a free place has no call");
  free_.pop_back();
  place.open = true;
  place.overdue = false;
  place.cancelled = false;
  place.patience = patience;
  place.deadline = deadline;
  place.done = std::move(done);
  ++count_;
}

bool open_calls::is_open(std::uint32_t number) const noexcept {
  const auto place = place_of(number);
  return place < places_.size() && places_[place].open &&
         number_of(place, places_[place].uses) == number;
}

call_completion open_calls::close(std::uint32_t number) {
  TROUPE_ASSERT(is_open(number), "a call is closed once");
  auto& place = at(number);
  place.open = false;
  ++place.uses;
  --count_;
  if (place.overdue) --overdue_;
  free_.push_back(place_of(number));
  return std::exchange(place.done, nullptr);
}

bool open_calls::mark_cancelled(std::uint32_t number) noexcept {
  return is_open(number) && !std::exchange(at(number).cancelled, true);
}

std::vector<std::uint32_t> open_calls::take_overdue(time_point now) {
  std::vector<std::uint32_t> found;
  if (in_time() == 0) return found;
  for (std::uint32_t each = 0; each < places_.size(); ++each) {
    auto& place = places_[each];
    if (!place.open || place.overdue || place.deadline > now) continue;
    place.overdue = true;
    ++overdue_;
    found.push_back(number_of(each, place.uses));
  }
  return found;
}

bool open_calls::waits_for_answer(std::uint32_t number) const noexcept {
  return is_open(number) && at(number).patience == call_patience::until_answer;
}

std::optional<open_calls::time_point> open_calls::latest_deadline() const noexcept {
  std::optional<time_point> latest;
  for (const auto& place : places_)
    if (place.open && !place.overdue && (!latest || place.deadline > *latest))
      latest = place.deadline;
  return latest;
}

std::vector<std::uint32_t> open_calls::numbers() const {
  std::vector<std::uint32_t> all;
  for (std::uint32_t each = 0; each < places_.size(); ++each)
    if (places_[each].open) all.push_back(number_of(each, places_[each].uses));
  return all;
}

bool open_calls::take_late_reply() noexcept {
  if (late_replies_ == 0) return false;
  --late_replies_;
  return true;
}

const open_calls::place& open_calls::at(std::uint32_t number) const noexcept {
  return places_[place_of(number)];
}
open_calls::place& open_calls::at(std::uint32_t number) noexcept {
  return places_[place_of(number)];
}

}  // namespace troupe
