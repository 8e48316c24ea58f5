#include <troupe/actors/context/peer_clocks.hpp>

#include <algorithm>
#include <limits>
#include <utility>

#include <troupe/actors/context/clock_watch.hpp>

namespace troupe {

namespace {

constexpr auto tolerated = static_cast<std::int64_t>(clock_watch::tolerated_ms);

/// The difference, or the largest one that is halved without an overflow.
std::int64_t difference(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max() / 2;
  return a >= b ? static_cast<std::int64_t>(std::min(a - b, most))
                : -static_cast<std::int64_t>(std::min(b - a, most));
}

}  // namespace

void peer_clocks::heard(const node_id& peer, std::uint64_t theirs_ms, std::uint64_t now_ms) {
  auto& latest = peers_[peer].ahead_ms;
  latest.push_back(difference(theirs_ms, now_ms));
  if (latest.size() > compared) latest.pop_front();
}

/// Heads are old when they arrive, so of a peer's times the one furthest ahead is nearest to its
/// clock.
std::int64_t peer_clocks::least_delayed(const known& peer) {
  return *std::ranges::max_element(peer.ahead_ms);
}

std::int64_t peer_clocks::own_ahead_ms() const {
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
  const auto own = own_ahead_ms();
  std::vector<clock_difference> all;
  for (const auto& [node, each] : peers_) {
    const auto ahead = least_delayed(each);
    const auto from_most = ahead + own;
    if (from_most < -tolerated || from_most > tolerated) all.push_back({node, ahead});
  }
  return all;
}

peer_clocks::news peer_clocks::update(const std::vector<node_id>& linked) {
  std::erase_if(peers_,
                [&](const auto& each) { return !std::ranges::binary_search(linked, each.first); });
  news found;
  const auto own = own_ahead_ms();
  const bool was_said = std::exchange(is_said_, own != 0);
  if (is_said_ && !was_said) found.own = own;
  const auto differ = others();
  for (auto& [node, each] : peers_) {
    const auto now = std::ranges::find(differ, node, &clock_difference::node);
    const bool was_said_of = std::exchange(each.is_said, now != differ.end());
    if (each.is_said && !was_said_of) found.others.push_back(*now);
  }
  return found;
}

}  // namespace troupe
