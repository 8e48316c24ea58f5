// Transactions of which the rest does not come, see `rest_search` and `lost_transactions`.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <troupe/actors/context/rest_search.hpp>
#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/actors/context/sync_manager.hpp>

namespace troupe {

namespace {

/// Nodes that are spoken of.
constexpr std::size_t max_named = 5;
/// A node that is linked and has sent nothing of a transaction for so long has not just paused.
constexpr std::uint64_t has_paused_ms = 600'000;

}  // namespace

/// Says of a transaction that its rest is sought, or lost, see `rest_search`.
void sync_manager::look_for_rests() {
  const bool may_write = !refusal_to_write() && !queue_.is_full() && queue_.health();
  const bool is_due = engine_.open() > 0 && now_.steady_ms >= next_forget_ms_;
  if (!is_due || leaving_ != leaving::no || !may_write || has_yet_to_meet_members()) return;
  const auto has_link = [this](const node_id& node) { return is_linked(node); };
  auto found = rests_.next(engine_, committed_, members_, has_link, now_);
  if (!found) return;
  write_values wanted{.entries = {}, .principal = std::string{system_principal}};
  wanted.entries.push_back({std::move(found->path), std::move(found->new_value)});
  if (write_all(wanted)) log_lost(wanted.entries.front().path, wanted.entries.front().value);
}

/// Says of a value that was written or has come that a transaction is lost.
void sync_manager::log_lost(const path& where, const value& said) {
  const auto last = lost_transactions::last_at(where);
  if (last && lost_transactions::says_lost(said)) reports_.lost(*last, effects_);
}

/// Whether nothing more comes of an open transaction of a node that is no member: nothing has come
/// for a while, nobody has more of it, and nobody has given it up.
/// @param reported what the members say to have.
bool sync_manager::has_stopped(const dot& last, const version_vector& reported) const {
  const auto source = incarnation_of(last);
  return rests_.is_quiet(source, now_.steady_ms) &&
         seq_at(reported, source) <= engine_.processed().at(source) &&
         !lost_transactions::has_any_of(engine_.tree(), last.origin);
}

/// The place of such a transaction of a node, if there is one. The search then goes on to all
/// others of the node. O(open transactions).
std::optional<path> sync_manager::beginning_of(const node_id& node) const {
  const auto reported = members_.all_reported();
  for (const auto& [first, last] : engine_.open_ends())
    if (last.origin == node && has_stopped(last, reported))
      return lost_transactions::place_of(last);
  return std::nullopt;
}

/// Whether a node is a member, or was one.
bool sync_manager::is_known(const node_id& node) const {
  return members_.has(node) || members_.forgotten().contains(node);
}

/// Whether what a node that is no member has begun is being given up. O(open transactions).
bool sync_manager::gives_up(const node_id& node) const {
  return !is_known(node) && lost_transactions::has_any_of(engine_.tree(), node) &&
         std::ranges::any_of(engine_.open_ends(),
                             [&](const auto& each) { return each.last.origin == node; });
}

/// What an operator is told of such nodes, the first ones if there are many, and for whom that
/// waits. O(open transactions * peers).
std::vector<std::string> sync_manager::giving_up() const {
  std::string away;
  std::size_t count = 0;
  for (const auto& node : members_.nodes())
    if (node != engine_.own_incarnation().origin && !is_linked(node) && ++count <= max_named)
      away += (away.empty() ? "" : ", ") + to_string(node);
  if (count > max_named) away += " and " + std::to_string(count - max_named) + " more";
  std::vector<std::string> all;
  std::optional<node_id> before;
  for (const auto& [first, last] : engine_.open_ends()) {
    const auto& node = last.origin;
    if (std::exchange(before, node) == node || !gives_up(node)) continue;
    all.push_back("what node " + to_string(node) + " has begun is being given up, which waits " +
                  (is_linked(node) ? "while that node has a link"
                   : away.empty()  ? "until all members have said what they have of it"
                                   : "for members that are away: " + away));
    if (all.size() == max_named) break;
  }
  return all;
}

/// Nodes that are no members and have begun transactions of which no more comes; the first ones if
/// there are many. Only an operator knows that they do not go on. O(open transactions * peers).
std::vector<node_id> sync_manager::strangers() const {
  const auto reported = members_.all_reported();
  std::vector<node_id> all;
  for (const auto& [first, last] : engine_.open_ends()) {
    const auto& node = last.origin;
    if (is_known(node) || (!all.empty() && all.back() == node) || !has_stopped(last, reported))
      continue;
    if (is_linked(node) && !rests_.is_quiet(incarnation_of(last), now_.steady_ms, has_paused_ms))
      continue;
    all.push_back(node);
    if (all.size() == max_named) break;
  }
  return all;
}

/// Whether a change says that a transaction is lost before it is known here that the incarnation
/// has ended which has made it: by what its node says in a later one, or because it is forgotten.
/// Then that is still to come, or a node lies. Only a member may say so, or one that was; of a node
/// that is none, also that it is sought, since that lets others give it up.
bool sync_manager::is_premature(const change_record& record) const {
  const auto last = lost_transactions::last_at(record.path);
  if (!last) return false;
  const bool says_lost = lost_transactions::says_lost(record.new_value);
  const auto source = incarnation_of(*last);
  const auto& own = engine_.own_incarnation();
  const bool is_forgotten = members_.forgotten().contains(source.origin);
  const bool is_stranger = source.origin != own.origin && !is_known(source.origin);
  if (!says_lost && !is_stranger) return false;
  const auto& writer = record.dot.origin;
  if (!is_known(writer)) return true;
  if (is_stranger) return false;
  if (source.origin == own.origin) return source.incarnation >= own.incarnation;
  const bool says_so_itself =
      writer == source.origin && record.dot.incarnation > source.incarnation;
  return !is_forgotten && !says_so_itself && !has_later(engine_.vector(), source);
}

/// Notes that nothing is taken of another node because of what it says of a transaction.
void sync_manager::note_held_back(const change_record& record) {
  std::erase_if(held_back_, [&](const held_back_change& each) {
    return engine_.processed().covers(each.dot) ||
           (each.dot.origin == record.dot.origin && each.dot != record.dot);
  });
  if (std::ranges::find(held_back_, record.dot, &held_back_change::dot) != held_back_.end()) return;
  const held_back_change change{record.dot, lost_transactions::last_at(record.path)->origin,
                                lost_transactions::says_lost(record.new_value)};
  if (held_back_.size() == max_named) held_back_.erase(held_back_.begin());
  held_back_.push_back(change);
  reports_.loss_denied(record.dot.origin, change.about, effects_);
}

/// What an operator is told of those, while it is so.
std::vector<std::string> sync_manager::held_back() const {
  std::vector<std::string> all;
  for (const auto& each : held_back_)
    if (!engine_.processed().covers(each.dot)) all.push_back(why_held_back(each));
  return all;
}

std::string sync_manager::why_held_back(const held_back_change& change) const {
  const auto& by = change.dot.origin;
  const auto& about = change.about;
  const auto writer = "node " + to_string(by);
  const auto result = ". So nothing more of " + writer + " is taken";
  const auto says = writer + " says that a transaction of node " + to_string(about) + " is " +
                    (change.says_lost ? "lost" : "being given up") + ", but ";
  const std::string otherwise = "; otherwise a node lies";
  if (!is_known(by)) return says + "is no member here" + result + " until it is one";
  if (about == engine_.own_incarnation().origin)
    return writer + " says that a transaction is lost which this node has made since its start" +
           result +
           ". If an operator has given this node up, stop it, start it again and write a value" +
           otherwise;
  if (!members_.has(about)) return says + "its incarnation is not known to be over" + result;
  if (is_linked(about))
    return says + "that is a member here, and runs" + result +
           ". If an operator has given it up, stop it, start it again and write a value on it" +
           otherwise;
  return says + "that is a member here" + result +
         ". If it does not come back, say 'troupe node forget " + to_string(about) + "'" +
         otherwise;
}

}  // namespace troupe
