#include <troupe/actors/context/sync/members.hpp>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

namespace {

constexpr std::string_view forgotten_field = "forgotten_ms";

/// The node whose place this entry is, if it is one.
std::optional<node_id> node_at(const tree_entry& entry) {
  const auto name = std::string_view{entry.path()}.substr(members::directory.size());
  if (name.empty()) return std::nullopt;
  const auto id = parse_uuid(name.substr(1));
  return id ? std::optional{node_id{*id}} : std::nullopt;
}

/// When a node has joined, and in which incarnation, if it has written here that it has.
std::optional<joining_time> joined_at(const node_id& node, const tree_entry& entry) {
  std::optional<joining_time> latest;
  for (const auto& each : entry.siblings()) {
    if (each.operation != operation::put || each.dot.origin != node) continue;
    if (latest && latest->incarnation > each.dot.incarnation) continue;
    const auto since = each.copy_value().find("since_ms");
    const auto ms = since ? since->as_integer() : std::nullopt;
    latest = {ms && *ms >= 0 ? static_cast<std::uint64_t>(*ms) : UINT64_MAX, each.dot.incarnation};
  }
  return latest;
}

/// The changes here with which others have said that the node is forgotten.
version_vector forgetting_at(const tree_entry& entry) {
  std::vector<version_entry> all;
  for (const auto& each : entry.siblings())
    if (each.operation == operation::put && each.copy_value().find(forgotten_field))
      all.push_back({each.dot.origin, each.dot.incarnation, each.dot.seq});
  return version_vector{std::move(all)};
}

/// Whether who says to have `vector` has all of an incarnation that has ended here: it has some of
/// each later one that goes on here. Of these, one ended it, or ended the one that did. Others may
/// know nothing of it: whoever makes up incarnations of a node may name none before them.
bool has_to_end(const version_vector& vector, const incarnation_id& source,
                const processed_changes& mine) {
  if (!mine.has_ended(source)) return false;
  const auto open = mine.vector().of(source.origin);
  const auto later =
      std::ranges::upper_bound(open, source.incarnation, {}, &version_entry::incarnation);
  return later != open.end() && std::all_of(later, open.end(), [&](const version_entry& each) {
           return seq_at(vector, incarnation_of(each)) > 0;
         });
}

/// Adds to a vector. Of incarnations that have ended only what others do not imply is kept.
void join(version_vector& into, const version_vector& more, const processed_changes& mine) {
  for (const auto& each : more.entries()) into.raise(each.origin, each.incarnation, each.seq);
  const auto all = into;
  into.remove_if(
      [&](const version_entry& each) { return has_to_end(all, incarnation_of(each), mine); });
}

/// Whether who says to have `vector` has all that is wanted. Who has a change of an incarnation has
/// those that ended before.
bool has_all(const version_vector& vector, const version_vector& wanted,
             const processed_changes& mine) {
  return std::ranges::all_of(wanted.entries(), [&](const version_entry& each) {
    const auto source = incarnation_of(each);
    return seq_at(vector, source) >= each.seq || has_to_end(vector, source, mine);
  });
}

/// Up to where who says to have `vector` has an incarnation, as far as this is known here.
std::uint64_t reached_with(const version_vector& vector, const incarnation_id& source,
                           const processed_changes& mine) {
  return std::max(seq_at(vector, source), has_to_end(vector, source, mine) ? mine.at(source) : 0);
}

/// Whether this is far longer than what this node knows of, and of no use.
bool is_too_long(const member_report& said, const processed_changes& mine) {
  const auto longest = 2 * mine.vector().entries().size() + 1024;
  return said.vector.entries().size() > longest || said.stable.entries().size() > longest;
}

}  // namespace

path members::place_of(const node_id& node) {
  return path{std::string{directory} + "/" + to_string(node)};
}

value members::joining(std::uint64_t now_ms) {
  return value::map({{"since_ms", value{static_cast<std::int64_t>(now_ms)}}});
}

value members::farewell(std::uint64_t now_ms, std::string_view why) {
  return value::map({{std::string{forgotten_field}, value{static_cast<std::int64_t>(now_ms)}},
                     {"why", value{std::string{why}}}});
}

void members::update(const context_tree& tree) {
  const path top{directory};
  const auto now = tree.subtree(top).hash;
  if (now == seen_) return;
  seen_ = now;
  const auto before = std::exchange(nodes_, {self_});
  since_.clear();
  forgotten_.clear();
  has_joined_ = false;
  tree.visit_subtree(top, [&](const tree_entry& entry) {
    const auto id = node_at(entry);
    if (!id) return true;
    if (const auto since = joined_at(*id, entry)) {
      nodes_.insert(*id);
      since_.emplace(*id, *since);
      has_joined_ = has_joined_ || id == self_;
    } else if (auto said = forgetting_at(entry); !said.entries().empty()) {
      forgotten_.emplace(*id, std::move(said));
    }
    return true;
  });
  if (std::ranges::includes(nodes_, before)) return;
  ++departures_;
  // Who joins again may have less than it said before.
  std::erase_if(reports_, [&](const auto& each) {
    return before.contains(each.first) && !nodes_.contains(each.first);
  });
}

std::uint64_t members::since_ms(const node_id& node) const {
  const auto found = since_.find(node);
  return found == since_.end() ? UINT64_MAX : found->second.ms;
}

std::uint64_t members::joined_in(const node_id& node) const {
  const auto found = since_.find(node);
  return found == since_.end() ? 0 : found->second.incarnation;
}

version_vector members::forgetting(const node_id& node) const {
  const auto found = forgotten_.find(node);
  return found == forgotten_.end() ? version_vector{} : found->second;
}

void members::keep(member_report said, std::uint64_t heard) {
  const auto node = said.node;
  if (node == self_) return;
  auto committed = said.vector;
  reports_.insert_or_assign(node, knowledge{std::move(said), std::move(committed), heard});
}

void members::report(member_report said) {
  const auto known = reports_.find(said.node);
  const auto incarnation = said.incarnation;
  if (known == reports_.end() || known->second.heard <= incarnation)
    keep(std::move(said), incarnation);
}

void members::unlinked(const node_id& node) {
  if (!nodes_.contains(node)) reports_.erase(node);
}

void members::pass_on(const member_report& said, const processed_changes& mine) {
  if (!nodes_.contains(said.node) || is_too_long(said, mine)) return;
  const auto found = reports_.find(said.node);
  if (found == reports_.end() || found->second.whole.incarnation < said.incarnation)
    return keep(said, found == reports_.end() ? 0 : found->second.heard);
  auto& [whole, committed, heard] = found->second;
  if (whole.incarnation != said.incarnation) return;
  // Of two reports of one incarnation the later one has all that the other one has.
  if (has_all(said.vector, whole.vector, mine)) whole = said;
  join(committed, said.vector, mine);
}

void members::add(const node_id& node, const version_vector& more, const processed_changes& mine) {
  if (const auto known = reports_.find(node); known != reports_.end())
    join(known->second.committed, more, mine);
}

std::vector<member_report> members::reports_beside(const std::set<node_id>& linked) const {
  std::vector<member_report> all;
  for (const auto& [node, said] : reports_)
    if (nodes_.contains(node) && !linked.contains(node)) all.push_back(said.whole);
  return all;
}

std::uint64_t members::committed_by(std::size_t wanted, const incarnation_id& source,
                                    const processed_changes& mine) const {
  if (wanted == 0) return UINT64_MAX;
  std::vector<std::uint64_t> reached;
  for (const auto& [node, said] : reports_)
    if (nodes_.contains(node)) reached.push_back(reached_with(said.committed, source, mine));
  if (reached.size() < wanted) return 0;
  std::ranges::sort(reached, std::greater{});
  return reached[wanted - 1];
}

/// Whether something is so for what each other member has said.
template <class Holds>
bool members::holds_for_all(const Holds& holds) const {
  if (are_too_many()) return false;
  return std::ranges::all_of(nodes_, [&](const node_id& node) {
    if (node == self_) return true;
    const auto known = reports_.find(node);
    return known != reports_.end() && holds(known->second.whole);
  });
}

bool members::all_have(const version_vector& wanted, const processed_changes& mine) const {
  return holds_for_all(
      [&](const member_report& said) { return has_all(said.vector, wanted, mine); });
}

bool members::all_lack(const dot& id) const {
  return holds_for_all([&](const member_report& said) {
    const auto has = seq_at(said.vector, incarnation_of(id));
    return has > 0 && has < id.seq && !said.restoring;
  });
}

bool members::has_committed(const node_id& node, const version_vector& wanted,
                            const processed_changes& mine) const {
  const auto known = reports_.find(node);
  return known != reports_.end() && has_all(known->second.whole.vector, wanted, mine);
}

bool members::all_know_stable(const version_vector& wanted, const processed_changes& mine) const {
  return holds_for_all(
      [&](const member_report& said) { return has_all(said.stable, wanted, mine); });
}

version_vector members::all_reported() const {
  std::vector<version_entry> all;
  for (const auto& [node, said] : reports_)
    if (nodes_.contains(node))
      all.insert(all.end(), said.whole.vector.entries().begin(), said.whole.vector.entries().end());
  return version_vector{std::move(all)};
}

std::size_t members::count_with(const dot& id, const version_vector& others,
                                const processed_changes& mine) const {
  return static_cast<std::size_t>(std::ranges::count_if(reports_, [&](const auto& each) {
    const auto& committed = each.second.committed;
    return nodes_.contains(each.first) &&
           reached_with(committed, incarnation_of(id), mine) >= id.seq &&
           has_all(committed, others, mine);
  }));
}

}  // namespace troupe
