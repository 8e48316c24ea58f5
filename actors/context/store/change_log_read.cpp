// Reading what was appended: for peers, and at a start.

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include <troupe/actors/context/store/change_log.hpp>
#include <troupe/actors/context/store/log_rows.hpp>
#include <troupe/actors/context/store/row_check.hpp>

namespace troupe {

namespace {

constexpr auto no_end = std::numeric_limits<std::int64_t>::max();  // of sequence numbers

/// Joins batches of one incarnation that follow each other and are small.
result<std::vector<shared_batch>> joined(std::vector<shared_batch> batches) {
  const auto is_small = [](const shared_batch& each) {
    return each->bytes().size() < change_batch::compress_above;
  };
  std::vector<shared_batch> made;
  for (auto at = batches.begin(); at != batches.end();) {
    auto last = (*at)->first() - 1;
    const auto end = std::find_if_not(at, batches.end(), [&](const shared_batch& each) {
      const bool follows = each->source() == (*at)->source() && each->first() <= last + 1;
      last = each->last();
      return follows && is_small(each);
    });
    if (end - at < 2) {
      made.push_back(std::move(*at++));
      continue;
    }
    std::vector<change_record> records;
    for (; at != end; ++at) {
      auto more = (*at)->records();
      if (!more) return fail(std::move(more.error()));
      for (auto& each : *more)
        if (records.empty() || each.dot.seq > records.back().dot.seq)
          records.push_back(std::move(each));
    }
    std::ranges::move(make_batches(records), std::back_inserter(made));
  }
  return made;
}

}  // namespace

/// The batch of a row of `number, origin, incarnation, first, last, batch, hash`, checked.
result<shared_batch> change_log::batch_of(const SQLite::Statement& at) {
  const auto number = at.getColumn(0).getInt64();
  const auto name = "log row " + std::to_string(number);
  const auto source = source_of(at, name);
  if (!source) return fail(source.error());
  const auto column = at.getColumn(5);
  auto batch = change_batch::read(std::string{bytes_of(column)});
  const auto first = static_cast<std::uint64_t>(at.getColumn(3).getInt64()),
             last = static_cast<std::uint64_t>(at.getColumn(4).getInt64());
  const bool is_sound = batch && at.getColumn(6).getInt64() == hash_of(number, **batch);
  if (!is_sound) return damaged_row(name, wrong_hash);
  if ((*batch)->source() != *source || (*batch)->first() != first || (*batch)->last() != last)
    return damaged_row(name, "it holds other changes than it says");
  return batch;
}

/// The number of the row that holds this change of a run, or of the first one behind it.
std::optional<std::int64_t> change_log::number_of(std::int64_t run, std::uint64_t seq) {
  const scoped_reset after{number_};
  number_.bind(1, run);
  number_.bind(2, static_cast<std::int64_t>(std::min<std::uint64_t>(seq, no_end)));
  if (!number_.executeStep()) return std::nullopt;
  return number_.getColumn(0).getInt64();
}

/// The rows among which those of a range are. What came back of an ended incarnation when a disk
/// had been set back may lie behind them: a peer asks for that again.
result<std::optional<change_log::rows>> change_log::rows_of(const log_range& range) {
  std::optional<rows> found;
  const auto add = [&](std::int64_t run, std::uint64_t first, std::uint64_t last) {
    const auto begin = number_of(run, first);
    if (!begin) return;
    const auto end = number_of(run, last).value_or(no_end);
    if (!found) found = rows{*begin, end};
    found = rows{std::min(found->first, *begin), std::max(found->last, end)};
  };
  const auto& [origin, incarnation, seq] = range.first;
  const bool is_one = range.last.incarnation == incarnation;
  const auto begun = find_run({origin, incarnation});
  if (!begun) return fail(begun.error());
  const auto upto = is_one ? std::min(range.last.seq, begun->last) : begun->last;
  if (begun->number > 0 && seq <= upto) add(begun->number, seq, upto);
  if (is_one) return found;

  const scoped_reset after{runs_from_};
  bind_blob(runs_from_, 1, id_bytes(origin));
  runs_from_.bind(2, static_cast<std::int64_t>(incarnation));
  runs_from_.bind(3, static_cast<std::int64_t>(range.last.incarnation));
  if (!runs_from_.executeStep() || runs_from_.getColumn(0).isNull()) return found;
  // Runs are numbered in the order in which they came into the log.
  const auto last =
      find_run({origin, static_cast<std::uint64_t>(runs_from_.getColumn(2).getInt64())});
  if (!last) return fail(last.error());
  add(runs_from_.getColumn(0).getInt64(), 1, 1);
  add(last->number, 1, last->last);
  const auto latest = runs_from_.getColumn(1).getInt64();
  add(latest, 1, latest == last->number ? last->last : 1);
  return found;
}

result<std::vector<shared_batch>> change_log::read_rows(std::span<const log_range> wanted,
                                                        std::size_t max_bytes) {
  std::vector<shared_batch> batches;
  std::multimap<node_id, log_range> open;
  rows all{no_end, 0};
  for (const auto& each : wanted) {
    const auto found = rows_of(each);
    if (!found) return fail(found.error());
    if (!*found) continue;
    open.emplace(each.first.origin, each);
    all = {std::min(all.first, (*found)->first), std::max(all.last, (*found)->last)};
  }
  const scoped_reset after{rows_};
  rows_.bind(1, all.first);
  rows_.bind(2, all.last);
  for (std::size_t bytes = 0; rows_.executeStep();) {
    const auto source =
        source_of(rows_, "log row " + std::to_string(rows_.getColumn(0).getInt64()));
    if (!source) return fail(source.error());
    const auto first = static_cast<std::uint64_t>(rows_.getColumn(3).getInt64()),
               last = static_cast<std::uint64_t>(rows_.getColumn(4).getInt64());
    const auto [begin, end] = open.equal_range(source->origin);
    const bool is_wanted = std::any_of(
        begin, end, [&](const auto& each) { return each.second.overlaps(*source, first, last); });
    if (!is_wanted) continue;
    const scoped_reset after_batch{batch_};
    batch_.bind(1, rows_.getColumn(0).getInt64());
    if (!batch_.executeStep()) continue;
    auto batch = batch_of(batch_);
    if (!batch) return fail(std::move(batch.error()));
    bytes += (*batch)->bytes().size();
    if (!batches.empty() && bytes > max_bytes) break;
    batches.push_back(std::move(*batch));
  }
  return batches;
}

result<std::vector<shared_batch>> change_log::read(std::span<const log_range> wanted,
                                                   std::size_t max_bytes) {
  return without_exceptions(database_.getFilename(), [&]() -> result<std::vector<shared_batch>> {
    auto rows = read_rows(wanted, max_bytes);
    if (!rows) return rows;
    return joined(std::move(*rows));
  });
}

result<change_log::checked_rows> change_log::check_rows(std::int64_t from, std::size_t most) {
  return without_exceptions(database_.getFilename(), [&]() -> result<checked_rows> {
    checked_rows checked{.next = from, .damaged = {}};
    SQLite::Statement rows{database_,
                           "SELECT number, origin, incarnation, first, last, batch, log.hash FROM "
                           "log LEFT JOIN runs USING (run) WHERE number >= ? ORDER BY number LIMIT "
                           "?"};
    rows.bind(1, from);
    rows.bind(2, static_cast<std::int64_t>(most));
    std::size_t count = 0;
    while (rows.executeStep()) {
      ++count;
      const auto number = rows.getColumn(0).getInt64();
      checked.next = number + 1;
      if (batch_of(rows)) continue;
      checked.damaged = number;
      return checked;
    }
    checked.is_end = count < most;
    return checked;
  });
}

void change_log::visit(const std::function<void(const change_record&)>& take) {
  // What is behind a page that cannot be read is left out, as a row that cannot be read is.
  static_cast<void>(without_exceptions(database_.getFilename(), [&]() -> result<void> {
    SQLite::Statement rows{database_,
                           "SELECT number, origin, incarnation, first, last, batch, log.hash FROM "
                           "log LEFT JOIN runs USING (run) ORDER BY number"};
    while (rows.executeStep()) {
      const auto batch = batch_of(rows);
      const auto records = batch ? (*batch)->records() : fail(batch.error());
      if (!records) continue;
      for (const auto& each : *records) take(each);
    }
    return {};
  }));
}

result<void> change_log::replay(processed_changes done,
                                const std::function<result<void>(change_record&&)>& take) {
  return without_exceptions(database_.getFilename(), [&]() -> result<void> {
    const auto from = first_beyond(done);
    if (!from) return fail(from.error());
    SQLite::Statement rows{database_,
                           "SELECT number, origin, incarnation, first, last, batch, log.hash FROM "
                           "log LEFT JOIN runs USING (run) WHERE number >= ? ORDER BY number"};
    rows.bind(1, static_cast<std::int64_t>(*from));
    while (rows.executeStep()) {
      const auto batch = batch_of(rows);
      if (!batch) return fail(batch.error());
      const auto& source = (*batch)->source();
      const dot end{source.origin, source.incarnation, (*batch)->last()};
      if (done.covers(end)) continue;
      auto records = (*batch)->records();
      if (!records)
        return damaged_row("log row " + std::to_string(rows.getColumn(0).getInt64()),
                           records.error().message);
      for (auto& each : *records)
        if (!done.covers(each.dot))
          if (auto taken = take(std::move(each)); !taken) return taken;
      done.raise(end);
    }
    return {};
  });
}

}  // namespace troupe
