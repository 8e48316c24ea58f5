#include <troupe/actors/context/store/scrub.hpp>

#include <utility>

namespace troupe {

result<scrub_step> scrub::step(checkpoint_table& checkpoints, change_log& log,
                               std::size_t max_rows) {
  return is_in_log_ ? read_log(checkpoints, log, max_rows) : read_entries(checkpoints, max_rows);
}

result<scrub_step> scrub::read_entries(checkpoint_table& checkpoints, std::size_t max_rows) {
  const auto checked = checkpoints.check_rows(next_block_, max_rows);
  if (!checked) return fail(checked.error());
  scrub_step done{.mended = checked->mended};
  next_block_ = checked->next;
  if (!checked->is_end) return done;
  const auto added = checkpoints.add_missing_rows();
  if (!added) return fail(added.error());
  done.mended += *added;
  next_block_ = first_block;
  is_in_log_ = true;
  return done;
}

result<scrub_step> scrub::read_log(checkpoint_table& checkpoints, change_log& log,
                                   std::size_t max_rows) {
  const auto checked = log.check_rows(next_row_, max_rows);
  if (!checked) return fail(checked.error());
  scrub_step done{.is_done = checked->is_end};
  next_row_ = checked->next;
  const auto needed_from = static_cast<std::int64_t>(checkpoints.replay_from());
  if (checked->damaged && *checked->damaged >= needed_from) done.needs_checkpoint = true;
  if (checked->damaged && *checked->damaged < needed_from) {
    const auto given_up = log.give_up(checkpoints.processed(), checkpoints.replay_from());
    if (!given_up) return fail(given_up.error());
    done.has_given_up_log = *given_up;
    done.mended = 1;
  }
  if (!done.is_done) return done;
  if (auto sound = log.check_runs(); !sound) return fail(std::move(sound.error()));
  if (auto sound = checkpoints.check_meta(); !sound) return fail(std::move(sound.error()));
  is_in_log_ = false;
  next_row_ = 1;
  return done;
}

}  // namespace troupe
