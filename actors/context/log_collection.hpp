#pragma once

#include <map>
#include <memory>

#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/actors/context/sync/members.hpp>
#include <troupe/actors/context/sync_ids.hpp>

namespace troupe {

/// Decides when changes may leave the log: once a checkpoint has them and all members have said
/// that they are on their disks. (The stable cut, of Wuu and Bernstein, "Efficient Solutions to the
/// Replicated Log and Dictionary Problems", 1984.) A member that is away holds the log back.
///
/// One checkpoint at a time is waited for, however many are written meanwhile, so writers who never
/// pause do not starve it. Pure.
class log_collection {
public:
  /// A checkpoint with these changes was there at the start.
  void found(const processed_changes& changes);
  /// A checkpoint with these changes is being written.
  void saving(checkpoint_id id, const processed_changes& changes);
  /// It is written, or has failed.
  void saved(checkpoint_id id, bool written);

  /// What may leave the log now, or null. Then call `collected`.
  std::shared_ptr<const processed_changes> next(const members& known,
                                                const processed_changes& mine);
  /// The log was asked. @param more whether there is more to do at once.
  void collected(bool more);

private:
  std::map<checkpoint_id, std::shared_ptr<const processed_changes>> saving_;
  std::shared_ptr<const processed_changes> latest_;   ///< Of the latest checkpoint, until awaited.
  std::shared_ptr<const processed_changes> awaited_;  ///< All members are to have these.
  bool under_way_ = false;
};

}  // namespace troupe
