#include <troupe/actors/context/checkpoint_schedule.hpp>

#include <algorithm>

#include <troupe/messages/assert.hpp>

namespace troupe {

std::uint64_t checkpoint_schedule::take(std::uint64_t added) noexcept {
  is_wanted_ = false;
  TROUPE_ASSERT(!due_under_way_, "one due checkpoint is under way at a time");
  due_under_way_ = true;
  return tried_ = position(added);
}

checkpoint_id checkpoint_schedule::begin(std::uint64_t position,
                                         std::optional<context_request> settles) {
  const checkpoint_id id{++begun_};
  writing_.emplace(id, writing{position, settles});
  return id;
}

std::optional<context_request> checkpoint_schedule::end(checkpoint_id id, bool written) {
  const auto found = writing_.extract(id);
  TROUPE_ASSERT(!found.empty(), "a checkpoint that ends was begun, and ends once");
  const auto& [position, settles] = found.mapped();
  if (written) written_ = std::max(written_, position);
  if (!settles) due_under_way_ = false;
  return settles;
}

}  // namespace troupe
