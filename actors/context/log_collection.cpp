#include <troupe/actors/context/log_collection.hpp>

#include <utility>

#include <troupe/messages/assert.hpp>

namespace troupe {

void log_collection::found(const processed_changes& changes) {
  latest_ = std::make_shared<const processed_changes>(changes);
}

void log_collection::saving(checkpoint_id id, const processed_changes& changes) {
  saving_.emplace(id, std::make_shared<const processed_changes>(changes));
}

void log_collection::saved(checkpoint_id id, bool written) {
  auto found = saving_.extract(id);
  TROUPE_ASSERT(!found.empty(), "a checkpoint that ends was begun, and ends once");
  if (written) latest_ = std::move(found.mapped());
}

std::shared_ptr<const processed_changes> log_collection::next(const members& known,
                                                              const processed_changes& mine) {
  if (under_way_) return nullptr;
  if (!awaited_) awaited_ = std::exchange(latest_, nullptr);
  if (!awaited_ || !known.all_have(awaited_->vector(), mine)) return nullptr;
  under_way_ = true;
  return awaited_;
}

void log_collection::collected(bool more) {
  under_way_ = false;
  if (!more) awaited_ = nullptr;
}

}  // namespace troupe
