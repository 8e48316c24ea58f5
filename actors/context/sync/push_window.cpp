#include <troupe/actors/context/sync/push_window.hpp>

#include <algorithm>

namespace troupe {

std::uint64_t push_window::add(std::size_t bytes) {
  under_way_.push_back({++latest_, bytes});
  bytes_ += bytes;
  return latest_;
}

bool push_window::acknowledge(std::uint64_t push) noexcept {
  if (push > latest_) return false;
  acknowledged_ = std::max(acknowledged_, push);
  while (!under_way_.empty() && under_way_.front().number <= acknowledged_) {
    bytes_ -= under_way_.front().bytes;
    under_way_.pop_front();
  }
  return true;
}

void push_window::presume_lost() noexcept {
  under_way_.clear();
  bytes_ = 0;
}

}  // namespace troupe
