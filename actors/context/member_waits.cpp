#include <troupe/actors/context/member_waits.hpp>

#include <algorithm>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

std::size_t member_waits::others_for(durability level, const members& known) noexcept {
  return level == durability::majority ? known.count() / 2 : known.count() - 1;
}

std::optional<member_waits::wait> member_waits::next(const members& known) {
  if (known.are_too_many()) return std::nullopt;
  for (auto* waiting : {&majority_, &all_}) {
    if (waiting->empty()) continue;
    const auto& first = waiting->front();
    const auto reached =
        known.committed_by(others_for(first.level, known), incarnation_of(first.last));
    if (reached < first.last.seq) continue;
    std::optional<wait> served{std::move(waiting->front())};
    waiting->pop_front();
    return served;
  }
  return std::nullopt;
}

std::optional<member_waits::wait> member_waits::expired(std::uint64_t now_ms) {
  for (auto* waiting : {&majority_, &all_}) {
    const auto late = std::ranges::find_if(
        *waiting, [now_ms](const wait& each) { return each.deadline_ms <= now_ms; });
    if (late == waiting->end()) continue;
    std::optional<wait> ended{std::move(*late)};
    waiting->erase(late);
    return ended;
  }
  return std::nullopt;
}

}  // namespace troupe
