#include <troupe/actors/context/peer_clocks.hpp>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include <troupe/actors/context/clock_watch.hpp>

namespace troupe {

namespace {

/// The difference, or the largest one that is halved without an overflow.
std::int64_t difference(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max() / 2;
  return a >= b ? static_cast<std::int64_t>(std::min(a - b, most))
                : -static_cast<std::int64_t>(std::min(b - a, most));
}

}  // namespace

void peer_clocks::heard(const node_id& peer, std::uint64_t theirs_ms, event_time now) {
  auto& known = peers_[peer];
  if (!known.ahead_ms.empty() && now.steady_ms < known.next_ms) return;
  known.next_ms = now.steady_ms + sample_every_ms;
  known.ahead_ms.push_back(difference(theirs_ms, now.wall_ms));
  if (known.ahead_ms.size() > compared) known.ahead_ms.pop_front();
}

/// Heads are old when they arrive, so of a peer's times the one furthest ahead is nearest to its
/// clock.
std::int64_t peer_clocks::least_delayed(const known& peer) {
  return *std::ranges::max_element(peer.ahead_ms);
}

std::int64_t peer_clocks::own_ahead_ms(std::int64_t tolerated) const {
  if (peers_.size() < 2) return 0;
  std::vector<std::int64_t> ahead;
  for (const auto& [node, each] : peers_) ahead.push_back(least_delayed(each));
  std::ranges::sort(ahead);
  // More than half of them are at least as far from 0 as one of these.
  if (const auto high = ahead[ahead.size() / 2]; high < -tolerated) return -high;
  if (const auto low = ahead[(ahead.size() - 1) / 2]; low > tolerated) return -low;
  return 0;
}

std::vector<clock_difference> peer_clocks::others() const {
  std::vector<clock_difference> all;
  for (const auto& [node, each] : peers_)
    if (each.differs) all.push_back({node, least_delayed(each) + own_ahead_ms_});
  return all;
}

peer_clocks::news peer_clocks::update(const std::vector<node_id>& linked, std::uint64_t steady_ms) {
  std::erase_if(peers_,
                [&](const auto& each) { return !std::ranges::binary_search(linked, each.first); });
  if (steady_ms >= next_news_ms_) {
    news_.renew();
    next_news_ms_ = steady_ms + news_every_ms;
  }
  news found;
  const auto tolerated = [](bool differs) {
    constexpr auto begins = static_cast<std::int64_t>(clock_watch::tolerated_ms);
    return differs ? begins / 2 : begins;
  };
  own_ahead_ms_ = own_ahead_ms(tolerated(own_ahead_ms_ != 0));
  is_said_ = is_said_ && own_ahead_ms_ != 0;
  if (own_ahead_ms_ != 0 && !is_said_ && news_.admit()) {
    is_said_ = true;
    found.own = own_ahead_ms_;
  }
  for (auto& [node, each] : peers_) {
    const auto ahead = least_delayed(each) + own_ahead_ms_;
    each.differs = std::abs(ahead) > tolerated(each.differs);
    each.is_said = each.is_said && each.differs;
    if (!each.differs || each.is_said || !news_.admit()) continue;
    each.is_said = true;
    found.others.push_back({node, ahead});
  }
  return found;
}

}  // namespace troupe
