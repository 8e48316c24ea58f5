#include <troupe/actors/context/sync/state_pull.hpp>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <troupe/actors/context/state/record_rules.hpp>
#include <troupe/actors/context/state/tree/path_order.hpp>
#include <troupe/actors/context/sync/packed_entries.hpp>
#include <troupe/actors/context/sync/state_offer.hpp>
#include <troupe/actors/context/sync/tree_ranges.hpp>

namespace troupe {

namespace {

/// Parts of one answer. More than any that keeps the rules.
constexpr std::size_t max_parts = state_offer::max_wanted * state_offer::split_into;

tl::unexpected<error> broken(std::string why) {
  return fail(error_code::protocol_violation, "sync.state breaks the rules: " + std::move(why));
}

bool is_earlier(const tree_range& a, const tree_range& b) noexcept {
  return compare_paths(a.from, b.from) < 0;
}

/// All ranges of an answer, in tree order.
std::vector<tree_range> ranges_in(const sync_state& answer) {
  auto ranges = answer.whole;
  ranges.insert(ranges.end(), answer.parts.begin(), answer.parts.end());
  ranges.insert(ranges.end(), answer.picked.begin(), answer.picked.end());
  for (const auto& each : answer.coded) ranges.push_back(each.range);
  std::ranges::sort(ranges, is_earlier);
  return ranges;
}

bool contains(const tree_range& range, std::string_view where) noexcept {
  return compare_paths(range.from, where) <= 0 &&
         (range.to.empty() || compare_paths(where, range.to) < 0);
}

/// Why no replica has such an entry that has processed this, or nothing.
std::optional<std::string> malformed_entry(const path& where, std::span<const sibling> siblings,
                                           const processed_changes& processed,
                                           const engine_limits& limits) {
  std::set<dot> dots;
  for (const auto& each : siblings) {
    if (each.operation == operation::erase_subtree) return "it holds an erasure of a subtree";
    auto record = each.to_record(where);
    if (each.operation == operation::increment) record.new_value = 0;
    if (auto why = malformed(record, limits)) return why;
    if (!dots.insert(each.dot).second) return "it holds one change twice";
    if (!processed.covers(each.dot)) return "it holds a change that is not part of the state";
  }
  const auto is_not_before = [](const sibling& a, const sibling& b) {
    return !sibling::earlier(a, b);
  };
  if (std::ranges::adjacent_find(siblings, is_not_before) != siblings.end())
    return "its writes are not in order";
  return std::nullopt;
}

}  // namespace

state_pull::state_pull(context_tree own, std::uint64_t transfer, engine_limits limits,
                       std::uint64_t max_bytes, std::optional<context_tree> kept)
    : own_(std::move(own)),
      tree_(kept ? *kept : own_),
      limits_(limits),
      max_bytes_(max_bytes),
      has_unchecked_(kept.has_value()) {
  question_.transfer = transfer;
  question_.ask = 1;
}

result<bool> state_pull::take(const sync_state& answer) {
  if (answer.transfer != question_.transfer || answer.ask != question_.ask || is_done())
    return false;
  const auto ranges =
      answer.whole.size() + answer.parts.size() + answer.coded.size() + answer.picked.size();
  if (ranges > max_parts) return broken("it has too many ranges");
  if (!std::ranges::all_of(ranges_in(answer), is_range))
    return broken("it has what is no range of paths");
  auto taken = answer.processed.bytes.empty() ? take_ranges(answer) : take_offer(answer);
  if (!taken) return fail(std::move(taken.error()));
  ask_next();
  if (is_done() && has_unchecked_)
    if (auto checked = check_unchecked(); !checked) return fail(std::move(checked.error()));
  return true;
}

result<void> state_pull::take_offer(const sync_state& offer) {
  auto processed = decode<processed_changes>(offer.processed.bytes);
  if (!processed) return broken(processed.error().message);
  const bool is_one = offer.parts.size() == 1 && offer.parts[0].from.empty() &&
                      offer.parts[0].to.empty() && offer.whole.empty() && offer.coded.empty() &&
                      offer.picked.empty() && offer.entries.bytes.empty();
  if (!is_one) return broken("an offer has one part, the whole tree");
  processed_ = std::move(*processed);
  if (++offers_ > max_offers) return broken("it offers one state after the other");
  has_unchecked_ = has_unchecked_ || offers_ > 1;
  open_.clear();
  asked_.clear();
  return compare(offer.parts[0]);
}

result<void> state_pull::take_ranges(const sync_state& answer) {
  if (question_.wanted.empty()) return broken("it answers what was not asked");
  if (auto checked = check_tiles(answer); !checked) return checked;
  if (auto taken = take_entries(answer); !taken) return taken;
  for (const auto& each : answer.coded)
    if (auto taken = take_symbols(each); !taken) return taken;
  for (const auto& each : answer.parts) {
    auto* const same = asked(each.from);
    const bool is_put_off = same != nullptr && same->theirs == each;
    if (auto done = is_put_off ? open(std::move(*same)) : compare(each, known_of(each)); !done)
      return done;
  }
  asked_.clear();
  return {};
}

/// The ranges of an answer make up those that were asked for, and add up to what was announced.
result<void> state_pull::check_tiles(const sync_state& answer) const {
  const auto tiles = ranges_in(answer);
  const bool helps = !answer.whole.empty() || !answer.coded.empty() || !answer.picked.empty() ||
                     tiles.size() > asked_.size();
  if (!helps) return broken("it does not go on");
  auto next = tiles.begin();
  for (const auto& [range, difference] : asked_) {
    range_sum left{range.count, range.hash};
    bool fits = true;
    auto from = range.from;
    for (bool is_open = true; is_open; ++next) {
      if (next == tiles.end() || next->from != from)
        return broken("it does not have the ranges that were asked for");
      fits = fits && next->count <= left.count;
      left = {left.count - next->count, subtract(left.hash, next->hash)};
      from = next->to;
      is_open = from != range.to;
    }
    if (!fits || left != range_sum{})
      return broken("its ranges do not add up to what was announced");
  }
  if (next != tiles.end()) return broken("it has ranges that were not asked for");
  return {};
}

result<void> state_pull::take_entries(const sync_state& answer) {
  std::vector<stored_entry> entries;
  if (!answer.entries.bytes.empty()) {
    auto read = unpack_entries(answer.entries.bytes);
    if (!read) return broken("its entries: " + read.error().message);
    bytes_ += read->bytes;
    if (bytes_ > max_bytes_)
      return fail(error_code::limit_exceeded,
                  "the state of the peer has more than " + std::to_string(max_bytes_) + " bytes");
    entries = std::move(read->entries);
  }
  auto filled = answer.whole;
  filled.insert(filled.end(), answer.picked.begin(), answer.picked.end());
  std::ranges::sort(filled, is_earlier);
  auto at = entries.cbegin();
  for (const auto& range : filled) {
    const auto end = std::find_if_not(
        at, entries.cend(), [&](const stored_entry& each) { return contains(range, each.path); });
    const bool is_whole = std::ranges::find(answer.whole, range) != answer.whole.end();
    if (auto done = is_whole ? replace(range, at, end) : mend(range, at, end); !done) return done;
    at = end;
  }
  if (at != entries.cend()) return broken("it has entries that were not asked for");
  received_ += entries.size();
  return {};
}

/// Puts entries of the peer into a tree.
result<void> state_pull::put(entry_iterator first, entry_iterator last, context_tree& into) const {
  for (auto at = first; at != last; ++at) {
    const auto where = path::parse(at->path);
    const auto siblings = siblings_of(at->siblings);
    if (!where || where->text() != at->path || !siblings) return broken("an entry is malformed");
    if (at != first && compare_paths((at - 1)->path, at->path) >= 0)
      return broken("its entries are not in order");
    if (const auto why = malformed_entry(*where, *siblings, processed_, limits_))
      return broken("the entry '" + where->text() + "' is malformed: " + *why);
    into.put(*where, *siblings);
  }
  return {};
}

/// Makes a range equal to what the peer has there: these are all its entries.
result<void> state_pull::replace(const tree_range& range, entry_iterator first,
                                 entry_iterator last) {
  const auto from = path::from_checked(range.from), to = path::from_checked(range.to);
  std::vector<path> gone;
  visit_range(tree_, from, to, [&](const tree_entry& entry) {
    gone.push_back(path::from_checked(std::string{entry.path()}));
    return true;
  });
  for (const auto& each : gone) tree_.erase(each);
  if (auto done = put(first, last, tree_); !done) return done;
  if (sum_of(tree_, from, to) != range_sum{range.count, range.hash})
    return broken("its entries do not add up to what was announced");
  return {};
}

/// Makes a range equal to what the peer has there: these are the entries that this node lacks. When
/// that does not do it, the numbers of two entries were equal: the range is divided.
result<void> state_pull::mend(const tree_range& range, entry_iterator first, entry_iterator last) {
  auto* const of = asked(range.from);
  if (of == nullptr || !of->difference.is_known())
    return broken("it picks entries where none were asked for");
  auto mended = tree_;
  for (const auto& each : of->difference.surplus())
    if (contains(range, each.text())) mended.erase(each);
  if (auto done = put(first, last, mended); !done) return done;
  const auto from = path::from_checked(range.from), to = path::from_checked(range.to);
  if (sum_of(mended, from, to) == range_sum{range.count, range.hash}) {
    tree_ = std::move(mended);
    return {};
  }
  open_range divided{range, {}};
  divided.difference.give_up();
  return open(std::move(divided));
}

result<void> state_pull::take_symbols(const coded_range& coded) {
  auto* const of = asked(coded.range.from);
  if (of == nullptr || of->theirs != coded.range)
    return broken("it has symbols of what was not asked for");
  auto& [range, difference] = *of;
  const auto question = difference.question(range.count, range_of(*of).count);
  const auto is_possible = [&](std::int64_t count) {
    return count >= 0 && static_cast<std::uint64_t>(count) <= range.count;
  };
  if (question.count == 0 || coded.sums.size() != question.count ||
      coded.counts.size() != question.count || !std::ranges::all_of(coded.counts, is_possible))
    return broken("its symbols are not those that were asked for");
  difference.take({question.first, coded.sums, coded.counts}, range, tree_, question_.transfer);
  if (difference.is_known() && !difference.lacks_some()) return mend(range, {}, {});
  return open(std::move(*of));
}

/// The range of the question that begins there, or null.
state_pull::open_range* state_pull::asked(const std::string& from) {
  const auto found = std::ranges::find(
      asked_, from, [](const open_range& each) -> const std::string& { return each.theirs.from; });
  return found == asked_.end() ? nullptr : &*found;
}

/// What is known of a part of a range of the question.
range_difference state_pull::known_of(const tree_range& part) const {
  const auto is_behind = [](const tree_range& one, const open_range& asked) {
    return is_earlier(one, asked.theirs);
  };
  const auto behind = std::upper_bound(asked_.begin(), asked_.end(), part, is_behind);
  return behind == asked_.begin() ? range_difference{}
                                  : std::prev(behind)->difference.of_part(part.count);
}

/// Compares a range of the peer with what is here. @param known of its difference.
result<void> state_pull::compare(const tree_range& theirs, range_difference known) {
  const auto from = path::from_checked(theirs.from), to = path::from_checked(theirs.to);
  if (sum_of(tree_, from, to) == range_sum{theirs.count, theirs.hash}) return {};
  if (theirs.count == 0) return replace(theirs, {}, {});
  return open({theirs, std::move(known)});
}

/// The range has to be asked for, or asked for again.
result<void> state_pull::open(open_range range) {
  if (open_.size() >= max_open)
    return fail(error_code::limit_exceeded, "the state of the peer has too many ranges");
  open_.push_back(std::move(range));
  return {};
}

/// What came in an earlier transfer, or before the latest offer, fits this one, too.
result<void> state_pull::check_unchecked() const {
  std::optional<std::string> wrong;
  context_tree::diff(own_, tree_, [&](const tree_entry*, const tree_entry* theirs) {
    if (!theirs) return true;
    const auto where = path::from_checked(std::string{theirs->path()});
    if (const auto why = malformed_entry(where, theirs->siblings(), processed_, limits_))
      wrong = "the entry '" + where.text() + "' is malformed: " + *why;
    return !wrong;
  });
  return wrong ? broken(std::move(*wrong)) : result<void>{};
}

void state_pull::ask_next() {
  ++question_.ask;
  question_.wanted.clear();
  question_.differences.clear();
  asked_.clear();
  std::uint64_t numbered = 0;  // the peer would put off what is too much for one answer
  while (!open_.empty() && asked_.size() < state_offer::max_wanted) {
    const auto& next = open_.back();
    if (asks_difference(next)) numbered += next.theirs.count;
    if (numbered > state_offer::max_numbered_entries && !asked_.empty()) break;
    asked_.push_back(std::move(open_.back()));
    open_.pop_back();
  }
  std::ranges::sort(asked_, is_earlier, &open_range::theirs);
  for (const auto& each : asked_) {
    auto& ours = question_.wanted.emplace_back(range_of(each));
    question_.differences.push_back(each.difference.question(each.theirs.count, ours.count));
    if (each.difference.wants_all()) ours.count = 0;
  }
  if (std::ranges::none_of(question_.differences, is_asked)) question_.differences.clear();
  question_.done = asked_.empty();
}

/// The range as this node has it.
tree_range state_pull::range_of(const open_range& range) const {
  return range_in(tree_, path::from_checked(range.theirs.from),
                  path::from_checked(range.theirs.to));
}

bool state_pull::asks_difference(const open_range& range) const {
  return is_asked(range.difference.question(range.theirs.count, range_of(range).count));
}

}  // namespace troupe
