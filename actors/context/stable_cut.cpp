#include <troupe/actors/context/stable_cut.hpp>

#include <utility>

namespace troupe {

std::uint64_t stable_cut::step(context_engine& engine, const processed_changes& committed,
                               const members& known, bool is_current, std::uint64_t now_ms) {
  if (!stable_)
    stable_ = engine.stable() ? engine.stable() : std::make_shared<const processed_changes>();
  mark(engine, committed, known, is_current, now_ms);
  return sweep(engine, committed, known);
}

const version_vector& stable_cut::stable() const noexcept {
  static const version_vector nothing;
  return stable_ ? stable_->vector() : nothing;
}

void stable_cut::mark(context_engine& engine, const processed_changes& committed,
                      const members& known, bool is_current, std::uint64_t now_ms) {
  if (!mark_) {
    if (now_ms < next_mark_ms_ || !is_current || engine.vector() == stable()) return;
    next_mark_ms_ = now_ms + mark_every_ms;
    mark_ = std::make_shared<const processed_changes>(engine.applied());
    departures_ = known.departures();
    needed_.reset();
    if (mark_->vector() == stable()) return mark_.reset();
  }
  if (known.departures() != departures_) {
    next_mark_ms_ = now_ms;
    return mark_.reset();
  }
  // The members, and what they say to have, may have changed.
  if (now_ms >= next_mark_ms_ + give_up_ms) return mark_.reset();
  const bool is_everywhere =
      committed.covers(mark_->vector()) && known.all_have(mark_->vector(), committed);
  if (!needed_ && is_everywhere) needed_ = known.all_reported();
  if (!needed_ || !engine.applied().covers(*needed_)) return;
  needed_.reset();
  stable_ = std::exchange(mark_, nullptr);
  engine.set_stable(stable_);
}

std::uint64_t stable_cut::sweep(context_engine& engine, const processed_changes& committed,
                                const members& known) {
  if (!swept_ && stable() != done_) swept_ = stable_;
  if (!swept_) return 0;
  if (!known.all_know_stable(swept_->vector(), committed)) return 0;
  if (!at_) at_ = path{};
  const auto before = engine.collected();
  at_ = engine.collect(*swept_, *at_, step_size);
  removed_ += engine.collected() - before;
  if (at_) return 0;
  done_ = swept_->vector();
  swept_.reset();
  return std::exchange(removed_, 0);
}

}  // namespace troupe
