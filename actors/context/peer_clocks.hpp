#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include <troupe/actors/context/sync_ids.hpp>
#include <troupe/actors/kernel/rate_window.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/context_upkeep.hpp>

namespace troupe {

/// Compares the clocks of the peers with this node's, by the times that their heads carry. When
/// those of most peers differ from it alike, this node's clock is taken for the wrong one. Who the
/// peers are is not proved, so what they say here moves no clock: it is for operators. One entry
/// for each linked peer. Pure.
class peer_clocks {
public:
  /// So many of a peer's latest heads are compared; the one that was under way for the shortest
  /// time counts. They come once a second, and those that come sooner are left out.
  static constexpr std::size_t compared = 8;
  static constexpr std::uint64_t sample_every_ms = 500;
  /// So many differences are news in this time. Further ones are later, if they last.
  static constexpr std::size_t max_news = 10;
  static constexpr std::uint64_t news_every_ms = 60'000;

  /// What has come to differ since this was asked the last time.
  struct news {
    std::optional<std::int64_t> own;  ///< As `own_ahead_ms`.
    std::vector<clock_difference> others;
  };

  /// Heads of a peer have come. @param theirs_ms its clock.
  void heard(const node_id& peer, std::uint64_t theirs_ms, event_time now);
  /// Forgets the nodes that are none of these. @param linked sorted. @returns what is news; each
  /// difference is news once, and again after it has ended: when it has come down to half of what
  /// begins one. O(peers * log peers).
  news update(const std::vector<node_id>& linked, std::uint64_t steady_ms);

  /// By how much this node's clock is ahead of those of most of at least two peers; less than 0
  /// when it is behind, 0 when it does not differ by more than clocks do, or that is unknown.
  std::int64_t own_ahead_ms() const noexcept { return own_ahead_ms_; }
  /// The other peers whose clocks differ from those of most, or from this node's when that does not
  /// differ; or the one peer when there is but one.
  std::vector<clock_difference> others() const;

private:
  struct known {
    std::deque<std::int64_t> ahead_ms;  ///< By the latest heads, at least one.
    std::uint64_t next_ms = 0;          ///< The next heads to be compared.
    bool differs = false, is_said = false;
  };
  static std::int64_t least_delayed(const known& peer);
  std::int64_t own_ahead_ms(std::int64_t tolerated) const;

  std::map<node_id, known> peers_;
  std::int64_t own_ahead_ms_ = 0;
  bool is_said_ = false;  ///< Of this node's clock.
  rate_window news_{max_news};
  std::uint64_t next_news_ms_ = 0;
};

}  // namespace troupe
