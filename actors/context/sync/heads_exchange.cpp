#include <troupe/actors/context/sync/heads_exchange.hpp>

#include <algorithm>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

namespace {

/// So many of each side are kept: heads are sent about once a second, and an answer takes less.
constexpr std::size_t max_kept = 8;

bool has(const version_vector& vector, const version_entry& entry) {
  return std::ranges::binary_search(vector.entries(), entry);
}

/// The entries of `now` that `before` has not, and the incarnations that only `before` has.
version_vector difference(const version_vector& before, const version_vector& now,
                          std::vector<incarnation_id>& gone) {
  std::vector<version_entry> changed;
  for (const auto& each : now.entries())
    if (!has(before, each)) changed.push_back(each);
  for (const auto& each : before.entries())
    if (seq_at(now, incarnation_of(each)) == 0) gone.push_back(incarnation_of(each));
  return version_vector{std::move(changed)};
}

/// The other way round. An entry may also be lower than before.
version_vector applied(const version_vector& before, const version_vector& changed,
                       const std::vector<incarnation_id>& gone) {
  auto all = changed.entries();
  for (const auto& each : before.entries()) {
    const auto source = incarnation_of(each);
    if (seq_at(changed, source) == 0 && !std::ranges::binary_search(gone, source))
      all.push_back(each);
  }
  return version_vector{std::move(all)};
}

// Reports are in the order of their nodes.

const member_report* report_of(const node_id& node, const std::vector<member_report>& among) {
  const auto found = std::ranges::lower_bound(among, node, {}, &member_report::node);
  return found == among.end() || found->node != node ? nullptr : &*found;
}

bool says_the_same(const member_report& a, const member_report& b) {
  return a.incarnation == b.incarnation && a.vector == b.vector && a.stable == b.stable &&
         a.restoring == b.restoring;
}

/// The reports that are new or say something else, and the members of which there is none now.
/// Where only the time of absence is another one, the vectors are left out.
std::vector<member_report> difference(const std::vector<member_report>& before,
                                      const std::vector<member_report>& now,
                                      std::vector<node_id>& gone) {
  std::vector<member_report> changed;
  for (const auto& each : now) {
    const auto* known = report_of(each.node, before);
    if (!known || !says_the_same(*known, each))
      changed.push_back(each);
    else if (known->away_ms != each.away_ms)
      changed.push_back({each.node, each.incarnation, {}, {}, each.away_ms, each.restoring});
  }
  for (const auto& each : before)
    if (!report_of(each.node, now)) gone.push_back(each.node);
  return changed;
}

std::vector<member_report> applied(const std::vector<member_report>& before,
                                   std::vector<member_report> changed,
                                   const std::vector<node_id>& gone) {
  for (auto& each : changed) {
    const auto* known = report_of(each.node, before);
    const bool is_short = each.vector.entries().empty() && each.stable.entries().empty();
    if (known && is_short && known->incarnation == each.incarnation)
      each = {each.node,     each.incarnation, known->vector,
              known->stable, each.away_ms,     each.restoring};
  }
  std::vector<member_report> stay;
  for (const auto& each : before)
    if (!report_of(each.node, changed) && !std::ranges::binary_search(gone, each.node))
      stay.push_back(each);
  std::vector<member_report> all;
  std::ranges::merge(std::move(stay), std::move(changed), std::back_inserter(all), {},
                     &member_report::node, &member_report::node);
  return all;
}

template <class List, class Of = std::identity>
bool is_ascending(const List& list, Of of = {}) {
  return std::ranges::adjacent_find(list, std::ranges::greater_equal{}, of) == list.end();
}

/// Whether the lists of these heads are in order, so that each thing is in them once.
bool is_in_order(const sync_heads& heads) {
  return is_ascending(heads.reports, &member_report::node) && is_ascending(heads.gone) &&
         is_ascending(heads.base_gone) && is_ascending(heads.stable_gone) &&
         is_ascending(heads.reports_gone);
}

std::size_t entries_of(const sync_heads& heads) {
  auto count = heads.vector.entries().size() + heads.base.entries().size() +
               heads.stable.entries().size() + heads.reports.size();
  for (const auto& each : heads.reports)
    count += each.vector.entries().size() + each.stable.entries().size();
  return count;
}

}  // namespace

std::shared_ptr<const sync_heads> heads_exchange::find(const std::deque<numbered>& among,
                                                       std::uint64_t number) {
  const auto found = std::ranges::find(among, number, &numbered::number);
  return found == among.end() ? nullptr : found->whole;
}

void heads_exchange::keep(std::deque<numbered>& among, std::uint64_t number,
                          std::shared_ptr<const sync_heads> whole) {
  among.push_back({number, std::move(whole)});
  if (among.size() > max_kept) among.pop_front();
}

sync_heads heads_exchange::shorten(sync_heads whole) {
  whole.number = ++latest_sent_;
  whole.heard = latest_heard_;
  std::erase_if(sent_, [this](const numbered& each) { return each.number < has_; });
  const auto before = find(sent_, has_);
  const auto kept = std::make_shared<const sync_heads>(std::move(whole));
  keep(sent_, latest_sent_, kept);
  auto shorter = *kept;
  if (!before) return shorter;
  shorter.since = has_;
  shorter.vector = difference(before->vector, kept->vector, shorter.gone);
  shorter.base = difference(before->base, kept->base, shorter.base_gone);
  shorter.stable = difference(before->stable, kept->stable, shorter.stable_gone);
  shorter.reports = difference(before->reports, kept->reports, shorter.reports_gone);
  shorter.same_links = before->links == kept->links;
  if (shorter.same_links) shorter.links.clear();
  shorter.same_declined = before->declined == kept->declined;
  if (shorter.same_declined) shorter.declined.clear();
  return shorter;
}

result<std::shared_ptr<const sync_heads>> heads_exchange::complete(const sync_heads& said) {
  if (said.heard > latest_sent_)
    return fail(error_code::protocol_violation, "the peer has heard heads " +
                                                    std::to_string(said.heard) + "; there were " +
                                                    std::to_string(latest_sent_));
  has_ = std::max(has_, said.heard);
  if (said.number <= latest_heard_ && said.number > 0) return nullptr;
  if (!is_in_order(said))
    return fail(error_code::protocol_violation,
                "the lists in the heads of the peer are not sorted");
  auto whole = std::make_shared<sync_heads>(said);
  std::erase_if(heard_, [&](const numbered& each) { return each.number < said.since; });
  if (said.since > 0) {
    const auto before = find(heard_, said.since);
    if (!before)
      return fail(error_code::protocol_violation, "the heads differ from heads " +
                                                      std::to_string(said.since) +
                                                      ", which this node does not have");
    whole->vector = applied(before->vector, said.vector, said.gone);
    whole->base = applied(before->base, said.base, said.base_gone);
    whole->stable = applied(before->stable, said.stable, said.stable_gone);
    whole->reports = applied(before->reports, said.reports, said.reports_gone);
    if (said.same_links) whole->links = before->links;
    if (said.same_declined) whole->declined = before->declined;
    whole->gone = whole->base_gone = whole->stable_gone = {};
    whole->reports_gone = {};
    whole->since = 0;
    whole->same_links = whole->same_declined = false;
  }
  if (entries_of(*whole) > max_entries_)
    return fail(error_code::limit_exceeded, "the heads of the peer have more than " +
                                                std::to_string(max_entries_) + " entries");
  latest_heard_ = said.number;
  keep(heard_, said.number, whole);
  return std::shared_ptr<const sync_heads>{std::move(whole)};
}

}  // namespace troupe
