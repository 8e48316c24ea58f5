#include <troupe/actors/context/state/processed_changes.hpp>

#include <algorithm>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

namespace {

/// Whether this can number an incarnation or a change.
bool is_number(std::uint64_t n) noexcept { return n > 0 && n < std::uint64_t{1} << 63; }

}  // namespace

// -- what is there --------------------------------------------------------------------------------

std::optional<std::uint64_t> processed_changes::end_of(
    const incarnation_id& source) const noexcept {
  const auto of_node = ended_.find(source.origin);
  if (of_node == ended_.end()) return std::nullopt;
  const auto found = of_node->second.ends.find(source.incarnation);
  return found == of_node->second.ends.end() ? std::nullopt : std::optional{found->second};
}

std::uint64_t processed_changes::at(const incarnation_id& source) const noexcept {
  const auto open = seq_at(vector_, source);
  return open > 0 ? open : end_of(source).value_or(0);
}

bool processed_changes::covers(const dot& id) const noexcept {
  const auto source = incarnation_of(id);
  return id.seq <= at(source) || has_forgotten(source);
}

bool processed_changes::covers(const version_vector& other) const noexcept {
  return std::ranges::all_of(other.entries(), [this](const version_entry& each) {
    return covers(dot{each.origin, each.incarnation, each.seq});
  });
}

std::uint64_t processed_changes::forgotten_of(const node_id& origin) const noexcept {
  const auto of_node = ended_.find(origin);
  return of_node == ended_.end() ? 0 : of_node->second.forgotten;
}

bool processed_changes::has_forgotten(const incarnation_id& source) const noexcept {
  return source.incarnation <= forgotten_of(source.origin) && at(source) == 0 &&
         !emptied_.contains(source) && source.incarnation > 0 && !is_held(source);
}

bool processed_changes::has_ended(const incarnation_id& source) const noexcept {
  return seq_at(vector_, source) == 0 && (end_of(source) || has_forgotten(source));
}

bool processed_changes::is_held(const incarnation_id& source) const noexcept {
  if (source == running_) return true;
  const auto found = held_.find(source.origin);
  return found != held_.end() && found->second == source.incarnation;
}

version_vector processed_changes::latest() const {
  auto entries = vector_.entries();
  for (const auto& [origin, history] : ended_) {
    // Of one that is forgotten nobody knows the number of its changes: there is one at least.
    version_entry last{origin, history.forgotten, 1};
    if (!history.ends.empty() && history.ends.rbegin()->first > last.incarnation) {
      last.incarnation = history.ends.rbegin()->first;
      last.seq = history.ends.rbegin()->second;
    }
    const auto open = vector_.of(origin);
    if (open.empty() || open.back().incarnation < last.incarnation) entries.push_back(last);
  }
  return version_vector{std::move(entries)};
}

// -- changing -------------------------------------------------------------------------------------

void processed_changes::raise(const dot& last) {
  const auto source = incarnation_of(last);
  if (seq_at(vector_, source) > 0) return vector_.raise(last.origin, last.incarnation, last.seq);
  if (covers(last)) return;
  if (end_of(source)) {
    const auto of_node = ended_.find(source.origin);
    auto& [forgotten, ends] = of_node->second;
    ends.erase(source.incarnation);
    --remembered_;
    if (ends.empty() && forgotten == 0) ended_.erase(of_node);
  }
  emptied_.erase(source);
  vector_.raise(last.origin, last.incarnation, last.seq);
}

void processed_changes::lower(const std::vector<dot>& firsts) {
  auto entries = vector_.entries();
  for (auto& each : entries) {
    const auto first = std::ranges::lower_bound(firsts, dot{each.origin, each.incarnation, 0});
    if (first == firsts.end() || incarnation_of(*first) != incarnation_of(each)) continue;
    each.seq = std::min(each.seq, first->seq - 1);
    if (each.seq == 0) emptied_.insert(incarnation_of(each));
  }
  vector_ = version_vector{std::move(entries)};
}

void processed_changes::add(const change_record& record) {
  raise(record.dot);
  if (record.dot.seq == 1 && !record.after.empty()) end_all(record);
}

/// Ends the incarnations that this change ends, unless they have gone on.
void processed_changes::end_all(const change_record& first) {
  std::vector<version_entry> ending;
  for (const auto& each : first.after)
    if (each.origin == first.dot.origin && each.incarnation < first.dot.incarnation &&
        seq_at(vector_, incarnation_of(each)) == each.seq)
      ending.push_back(each);
  end_these(ending);
}

void processed_changes::end(const incarnation_id& source) {
  const auto seq = seq_at(vector_, source);
  if (seq > 0) end_these({{source.origin, source.incarnation, seq}});
}

/// @param ending sorted entries of the vector.
void processed_changes::end_these(const std::vector<version_entry>& ending) {
  vector_.remove_if(
      [&](const version_entry& each) { return std::ranges::binary_search(ending, each); });
  for (const auto& each : ending) remember(each);
}

/// Whether an incarnation has ended where no change after this one is known.
bool processed_changes::is_over_with(const incarnation_id& source,
                                     std::uint64_t seq) const noexcept {
  return has_ended(source) && (has_forgotten(source) || at(source) >= seq);
}

void processed_changes::join(const processed_changes& other) {
  const auto before = *this;
  const auto has_nothing = [](const processed_changes& of, const incarnation_id& source) {
    return of.at(source) == 0 && !of.has_forgotten(source);
  };
  std::erase_if(emptied_, [&](const auto& each) { return !has_nothing(other, each); });
  for (const auto& [origin, theirs] : other.ended_) {
    auto& [forgotten, ends] = ended_[origin];
    for (const auto& [incarnation, last] : theirs.ends) {
      auto& end = ends[incarnation];
      end = std::max(end, last);
    }
    forgotten = std::max(forgotten, theirs.forgotten);
  }
  auto both = before.vector_.entries();
  const auto& theirs = other.vector_.entries();
  both.insert(both.end(), theirs.begin(), theirs.end());
  const version_vector known{std::move(both)};
  std::vector<version_entry> open;
  for (auto each : known.entries()) {
    const auto source = incarnation_of(each);
    each.seq = std::max({each.seq, before.at(source), other.at(source)});
    if (before.is_over_with(source, each.seq) || other.is_over_with(source, each.seq)) {
      if (is_held(source)) ended_[source.origin].ends[source.incarnation] = each.seq;
      continue;
    }
    open.push_back(each);
    if (const auto of_node = ended_.find(source.origin); of_node != ended_.end())
      of_node->second.ends.erase(source.incarnation);
  }
  vector_ = version_vector{std::move(open)};
  for (const auto& each : other.emptied_)
    if (has_nothing(before, each) && each.incarnation <= forgotten_of(each.origin))
      emptied_.insert(each);
  std::erase_if(ended_, [](const auto& each) {
    return each.second.ends.empty() && each.second.forgotten == 0;
  });
  remembered_ = 0;
  for (auto& [origin, each] : ended_) remembered_ += each.ends.size();
  for (auto& [origin, each] : ended_) forget_down_to(origin, each, max_ended_of_node);
  keep_bound_of_all();
}

/// Remembers where an incarnation has ended, and forgets others beyond the bounds.
void processed_changes::remember(const version_entry& last) {
  auto& of_node = ended_[last.origin];
  of_node.ends.emplace(last.incarnation, last.seq);
  ++remembered_;
  forget_down_to(last.origin, of_node, max_ended_of_node);
  keep_bound_of_all();
}

void processed_changes::keep_bound_of_all() {
  if (remembered_ <= max_ended) return;
  // Many at once, so that it is seldom.
  const auto share = std::max<std::size_t>(max_ended / 2 / ended_.size(), 1);
  for (auto& [origin, each] : ended_) forget_down_to(origin, each, share);
}

/// Forgets the earliest ones that have ended, but for the one that is held.
void processed_changes::forget_down_to(const node_id& origin, history& of_node, std::size_t kept) {
  auto& [forgotten, ends] = of_node;
  for (auto at = ends.begin(); at != ends.end() && ends.size() > kept;) {
    if (is_held({origin, at->first})) {
      ++at;
      continue;
    }
    forgotten = std::max(forgotten, at->first);
    at = ends.erase(at);
    --remembered_;
  }
}

// -- the stored form ------------------------------------------------------------------------------

void write(msgpack_writer& out, const processed_changes& x) {
  out.array(3);
  codec::write(out, x.vector_.entries());
  codec::write(out, std::vector<incarnation_id>(x.emptied_.begin(), x.emptied_.end()));
  out.array(x.ended_.size());
  for (const auto& [origin, history] : x.ended_) {
    out.array(2 + 2 * history.ends.size());
    codec::write(out, origin);
    out.unsigned_integer(history.forgotten);
    std::uint64_t before = 0;
    for (const auto& [incarnation, seq] : history.ends) {
      out.unsigned_integer(incarnation - before);
      out.unsigned_integer(seq);
      before = incarnation;
    }
  }
}

bool read(msgpack_reader& in, processed_changes& x, codec::problem& why) {
  x = {};
  std::vector<version_entry> open;
  std::vector<incarnation_id> emptied;
  if (in.read_array() != 3u || !codec::read(in, open, why) || !codec::read(in, emptied, why))
    return codec::expected(why, "a vector and what has ended");
  x.emptied_ = {emptied.begin(), emptied.end()};
  const auto is_sound = [](const auto& each) {
    return is_number(each.incarnation) && !each.origin.is_nil();
  };
  if (!std::ranges::all_of(open, is_sound) || !std::ranges::all_of(emptied, is_sound) ||
      !std::ranges::all_of(open, is_number, &version_entry::seq))
    return codec::expected(why, "incarnations of nodes and numbers from 1 to 2^63 - 1");
  x.vector_ = version_vector{std::move(open)};
  const auto nodes = in.read_array();
  if (!nodes) return codec::expected(why, "an array of what has ended of each node");
  for (std::uint32_t i = 0; i < *nodes; ++i) {
    const auto length = in.read_array();
    node_id origin;
    if (!length || *length < 2 || *length % 2 != 0 || !codec::read(in, origin, why))
      return codec::expected(why, "a node and pairs of numbers");
    if (origin.is_nil() || x.ended_.contains(origin)) return codec::expected(why, "each node once");
    auto& [forgotten, ends] = x.ended_[origin];
    if (!codec::read(in, forgotten, why)) return false;
    if (forgotten > 0 && !is_number(forgotten)) return codec::expected(why, "numbers below 2^63");
    std::uint64_t incarnation = 0;
    for (std::uint32_t at = 2; at < *length; at += 2) {
      const auto distance = in.read_unsigned(), seq = in.read_unsigned();
      if (!distance || !seq) return codec::expected(why, "pairs of numbers");
      incarnation += *distance;
      if (*distance == 0 || !is_number(incarnation) || !is_number(*seq))
        return codec::expected(why, "pairs of numbers from 1 to 2^63 - 1");
      ends.emplace(incarnation, *seq);
    }
    x.remembered_ += ends.size();
  }
  return true;
}

processed_changes common_part(const processed_changes& changes, const processed_changes& state) {
  std::vector<dot> lacking;
  for (const auto& each : changes.vector().entries())
    if (const auto had = state.at({each.origin, each.incarnation}); had < each.seq)
      lacking.push_back({each.origin, each.incarnation, had + 1});
  auto both = changes;
  both.lower(lacking);
  return both;
}

}  // namespace troupe
