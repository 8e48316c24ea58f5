#include <troupe/actors/context/store/salvage.hpp>

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/store/change_log.hpp>
#include <troupe/actors/context/store/checkpoint_rows.hpp>
#include <troupe/actors/context/store/checkpoint_table.hpp>
#include <troupe/actors/context/store/damaged_store.hpp>
#include <troupe/actors/context/store/identity_file.hpp>
#include <troupe/actors/context/store/meta_table.hpp>
#include <troupe/actors/context/store/sqlite.hpp>

namespace troupe {

namespace {

/// Chooses the changes of a log that a start can replay: an engine says so. Of a transaction, all
/// or none are chosen.
class replayable_changes {
public:
  /// @param begin The state that the start begins with.
  replayable_changes(const node_id& node, engine_state begin)
      : engine_(node, UINT64_MAX, std::move(begin)) {}

  /// @returns what can be appended now, in order: a batch, its first changes, or earlier ones that
  /// waited for it.
  std::vector<shared_batch> take(const shared_batch& batch) {
    const auto records = batch->records();
    const auto& source = batch->source();
    auto& open = open_[source];
    const bool is_alone = open.records.empty();
    bool fits = records.has_value();
    for (std::size_t at = 0; fits && at < records->size(); ++at) {
      const auto& record = (*records)[at];
      fits = engine_.replay(record, 0).has_value();
      if (!fits) break;
      open.records.push_back(record);
      if (!engine_.has_open(source)) open.complete = open.records.size();
    }
    if (!fits) ++refused_;
    auto chosen = take_lost(source);
    const bool is_complete = open.complete == open.records.size();
    if (fits && !is_complete) return chosen;
    std::ranges::move(fits && is_alone ? std::vector{batch} : complete_of(open),
                      std::back_inserter(chosen));
    open_.erase(source);
    return chosen;
  }
  /// What is left at the end. Then `refused` counts all.
  std::vector<shared_batch> take_rest() {
    std::vector<shared_batch> all;
    for (const auto& [source, open] : open_)
      std::ranges::move(complete_of(open), std::back_inserter(all));
    refused_ += open_.size();
    open_.clear();
    return all;
  }
  /// Batches, or ends of them, that were not chosen.
  std::uint64_t refused() const noexcept { return refused_; }

private:
  /// What this batch says to be lost counts for nothing, and what comes later may follow it. So all
  /// of it that there is is chosen, before the batch. @param source of the batch.
  std::vector<shared_batch> take_lost(const incarnation_id& source) {
    std::vector<shared_batch> all;
    for (auto at = open_.begin(); at != open_.end();) {
      auto& [other, open] = *at;
      if (other == source || engine_.has_open(other)) {
        ++at;
        continue;
      }
      open.complete = open.records.size();
      std::ranges::move(complete_of(open), std::back_inserter(all));
      at = open_.erase(at);
    }
    return all;
  }

  /// Changes of one incarnation.
  struct waiting {
    std::vector<change_record> records;
    std::size_t complete = 0;  ///< The first ones that are no part of a transaction that is open.
  };
  static std::vector<shared_batch> complete_of(const waiting& open) {
    if (open.complete == 0) return {};
    return make_batches(std::span{open.records}.first(open.complete));
  }

  context_engine engine_;
  std::map<incarnation_id, waiting> open_;
  std::uint64_t refused_ = 0;
};

/// Fills the new database from the damaged one.
class salvage {
public:
  salvage(damaged_store& from, SQLite::Database& into, const node_id& node)
      : from_(from),
        into_(into),
        node_(node),
        meta_(into),
        log_(into, meta_),
        checkpoints_(into, meta_) {}

  /// @param known As in `salvage_store`.
  result<salvage_outcome> run(const std::optional<known_checkpoint>& known) {
    const auto incarnation = from_.find<std::uint64_t>(meta_key::incarnation);
    const auto clock_since = from_.find<std::uint64_t>(meta_key::clock_since);
    const auto correction = from_.find<clock_mark>(meta_key::clock_correction);
    auto head = from_.find<checkpoint_head>(meta_key::checkpoint);
    auto base = from_.find<processed_changes>(meta_key::log_base);
    const auto mark = from_.find<salvage_mark>(meta_key::salvaged);
    auto entries = known ? damaged_store::entries{known->state.tree, 0} : from_.read_entries();
    if (known) head.message = head_of(known->state, known->replay_from);
    outcome_.entries = entries.tree.size();
    const auto had = head.message ? head.message->entries : 0;
    outcome_.lost_entries =
        std::max(entries.damaged, had > outcome_.entries ? had - outcome_.entries : 0);
    if (base.is_damaged && head.message) base = {head.message->processed, false};
    auto done = log_.load(1);
    if (done && incarnation.message) done = meta_.put(meta_key::incarnation, *incarnation.message);
    if (done && clock_since.message) done = meta_.put(meta_key::clock_since, *clock_since.message);
    if (done && correction.message)
      done = meta_.put(meta_key::clock_correction, *correction.message);
    if (!done) return fail(std::move(done.error()));
    const bool is_marked = mark.message || (mark.is_damaged && !head.message);
    const bool has_whole_log = !base.is_damaged && !base.message && !is_marked;
    if (head.message && belong_together(*head.message, entries.tree))
      done = keep_checkpoint(std::move(*head.message), std::move(entries.tree),
                             std::move(base.message).value_or(processed_changes{}));
    else if (has_whole_log)
      done = keep_replayable(1, {}, true);
    else
      done = keep_parts(entries.tree, base, mark.message.value_or(salvage_mark{}));
    if (!done) return fail(std::move(done.error()));
    outcome_.changes = log_.changes();
    return outcome_;
  }

private:
  /// Keeps the checkpoint. Keeps the rows that it makes unnecessary, as history, when all of them
  /// can be read.
  result<void> keep_checkpoint(checkpoint_head head, context_tree entries, processed_changes base) {
    const auto needed_from = static_cast<std::int64_t>(head.replay_from);
    bool has_history = true;
    const auto look = [](const shared_batch&) { return result<void>{}; };
    const auto seen = from_.read_log(1, false, look, [&](std::int64_t number) {
      has_history = has_history && number >= needed_from;
    });
    if (!seen) return seen;
    if (!has_history) base = head.processed;
    if (auto based = begin_with(std::move(base)); !based) return based;
    const auto state = state_of(std::move(head), std::move(entries));
    if (auto kept = keep_replayable(has_history ? 1 : needed_from, state); !kept) return kept;
    if (auto based = add_to_base(state.processed); !based) return based;
    const auto replay_from = log_.first_beyond(state.processed);
    if (!replay_from) return fail(replay_from.error());
    return checkpoints_.write(state, *replay_from);
  }

  /// What the checkpoint has and no row, becomes part of the base.
  result<void> add_to_base(const processed_changes& checkpointed) {
    auto base = log_.base();
    for (const auto& each : checkpointed.vector().entries()) {
      const auto last = log_.last_of(incarnation_of(each));
      if (!last) return fail(last.error());
      if (*last < each.seq) base.raise({each.origin, each.incarnation, each.seq});
    }
    return begin_with(std::move(base));
  }

  /// Keeps the rows from a number on that a start from this state can replay.
  /// @param has_all As for `damaged_store::read_log`.
  result<void> keep_replayable(std::int64_t from, engine_state begin, bool has_all = false) {
    const auto had = begin.processed;
    replayable_changes chosen{node_, std::move(begin)};
    const auto append_all = [&](const std::vector<shared_batch>& batches) {
      result<void> done;
      for (auto at = batches.begin(); at != batches.end() && done; ++at)
        done = append_behind(had, *at);
      return done;
    };
    auto done = from_.read_log(
        from, has_all, [&](const shared_batch& batch) { return append_all(chosen.take(batch)); },
        [&](std::int64_t) { ++outcome_.lost_rows; });
    if (done) done = append_all(chosen.take_rest());
    outcome_.lost_rows += chosen.refused();
    // Rows that are gone without a trace of theirs may have left one in the index.
    if (done && outcome_.lost_rows == 0)
      for (const auto& last : from_.indexed())
        if (!had.covers(last) && log_.last_of(incarnation_of(last)).value_or(0) < last.seq)
          ++outcome_.lost_rows;
    return done;
  }

  /// Appends a batch. A damaged row may have held what comes before it; then the checkpoint has
  /// that. @param had what the checkpoint has.
  result<void> append_behind(const processed_changes& had, const shared_batch& batch) {
    const auto& [origin, incarnation] = batch->source();
    const dot before{origin, incarnation, batch->first() - 1};
    const auto last = log_.last_of(batch->source());
    if (!last) return fail(last.error());
    if (*last < before.seq && had.covers(before) && !log_.base().covers(before)) {
      auto base = log_.base();
      base.raise(before);
      if (auto based = begin_with(std::move(base)); !based) return based;
    }
    return log_.append({&batch, 1});
  }

  /// Keeps the entries and the rows that can be read, for a state that comes from elsewhere.
  /// @param mark what the store says where this was done before, or the node is forgotten.
  result<void> keep_parts(const context_tree& entries, const found_message<processed_changes>& base,
                          salvage_mark mark) {
    outcome_.needs_state = true;
    if (auto based = begin_with(base.message.value_or(processed_changes{})); !based) return based;
    auto done = from_.read_log(
        1, false,
        [&](const shared_batch& batch) { return append_if_it_follows(batch, base.is_damaged); },
        [&](std::int64_t) { ++outcome_.lost_rows; });
    mark.knows_base = mark.knows_base && !base.is_damaged;
    return done ? checkpoints_.write_salvaged(entries, mark) : done;
  }

  /// @param guesses whether what comes before the first row of an incarnation is taken to be what
  /// the log lacked.
  result<void> append_if_it_follows(const shared_batch& batch, bool guesses) {
    const auto last = log_.last_of(batch->source());
    if (!last) return fail(last.error());
    if (guesses && *last == 0 && batch->first() > 1) {
      auto base = log_.base();
      base.raise({batch->source().origin, batch->source().incarnation, batch->first() - 1});
      if (auto based = begin_with(std::move(base)); !based) return based;
    }
    auto done = log_.append({&batch, 1});
    const bool has_gap = !done && done.error().code == error_code::internal;
    if (!has_gap) return done;
    ++outcome_.lost_rows;
    return {};
  }

  result<void> begin_with(processed_changes base) {
    auto stored = transact(into_, [&] { return log_.store_base(base); });
    if (stored) log_.take_base(std::move(base));
    return stored;
  }

  damaged_store& from_;
  SQLite::Database& into_;
  node_id node_;
  meta_table meta_;
  change_log log_;
  checkpoint_table checkpoints_;
  salvage_outcome outcome_;
};

}  // namespace

result<salvage_outcome> salvage_store(const store_files& files,
                                      std::optional<known_checkpoint> known) {
  auto saved = without_exceptions(files.database(), [&]() -> result<salvage_outcome> {
    if (auto begun = files.begin_salvage(); !begun) return fail(std::move(begun.error()));
    damaged_store from{files.database()};
    if (auto format = from.check_format();
        !format && format.error().code != error_code::corrupt_data)
      return fail(std::move(format.error()));
    auto identity = from.find<store_identity>(meta_key::identity).message;
    if (!identity) identity = identity_file{files.directory()}.read();
    if (!identity)
      return fail(error_code::corrupt_data,
                  "'" + files.database() +
                      "' is damaged, and not even the node that it belongs to can be read; put a "
                      "backup in its place, or begin anew in another data directory");
    SQLite::Database into{files.salvaged_database(), SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX};
    if (const auto made = prepare_schema(into, *identity); !made) return fail(made.error());
    auto outcome = salvage{from, into, identity->node}.run(known);
    if (!outcome) return outcome;
    if (auto whole = empty_wal(into); !whole) return fail(std::move(whole.error()));
    return outcome;
  });
  // What was not finished would only take room, perhaps the last there is.
  if (!saved) files.drop_salvage();
  return saved;
}

}  // namespace troupe
