#include <troupe/actors/kernel/supervision/stop_shares.hpp>

#include <algorithm>

namespace troupe {

stop_shares::duration stop_shares::share(time_point now, duration most) const {
  const duration left = stop_by_ - now;
  return std::max<duration>(std::min(left / 2, most), least);
}

std::chrono::milliseconds stop_shares::announced(duration share) {
  constexpr std::chrono::milliseconds reserve_at_most{250};
  return std::chrono::floor<std::chrono::milliseconds>(
      share - std::min<duration>(share / 4, reserve_at_most));
}

}  // namespace troupe
