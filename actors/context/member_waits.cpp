#include <troupe/actors/context/member_waits.hpp>

#include <algorithm>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

std::size_t member_waits::others_for(durability level, const members& known) noexcept {
  return level == durability::majority ? known.count() / 2 : known.count() - 1;
}

namespace {

std::optional<member_waits::wait> take(std::deque<member_waits::wait>& from,
                                       std::deque<member_waits::wait>::iterator at) {
  std::optional<member_waits::wait> taken{std::move(*at)};
  from.erase(at);
  return taken;
}

}  // namespace

std::optional<member_waits::wait> member_waits::next(const members& known,
                                                     const processed_changes& mine) {
  if (known.are_too_many()) return std::nullopt;
  for (auto* waiting : {&majority_, &all_}) {
    if (waiting->empty()) continue;
    const auto& first = waiting->front();
    const auto reached =
        known.committed_by(others_for(first.level, known), incarnation_of(first.last), mine);
    if (reached >= first.last.seq) return take(*waiting, waiting->begin());
  }
  const auto is_served = [&](const wait& each) {
    return known.count_with(each.last, each.rests_on, mine) >= others_for(each.level, known);
  };
  const auto served = std::ranges::find_if(resting_, is_served);
  return served == resting_.end() ? std::nullopt : take(resting_, served);
}

std::optional<member_waits::wait> member_waits::expired(std::uint64_t now_ms) {
  for (auto* waiting : {&majority_, &all_, &resting_}) {
    const auto late = std::ranges::find_if(
        *waiting, [now_ms](const wait& each) { return each.deadline_ms <= now_ms; });
    if (late != waiting->end()) return take(*waiting, late);
  }
  return std::nullopt;
}

}  // namespace troupe
