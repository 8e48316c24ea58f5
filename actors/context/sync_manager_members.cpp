// The members of the cluster: joining them, what they have, and the writes that wait for them.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include <troupe/actors/context/sync_manager.hpp>

namespace troupe {

/// Why a write cannot wait for members.
std::optional<error> sync_manager::refusal_of_members(const write_values& wanted) const {
  if (wanted.durability <= durability::durable) return std::nullopt;
  if (members_.are_too_many())
    return error{error_code::limit_exceeded,
                 "the cluster has more than " + std::to_string(members::max_known) +
                     " members, so nobody can tell what enough of them have; ask for 'durable'",
                 {}};
  if (member_waits_.size() >= max_member_waits_)
    return error{error_code::overloaded, "too many writes wait for other members; try again", {}};
  return std::nullopt;
}

/// Makes this node a member, unless it is one. What cannot be written now is tried again later.
void sync_manager::join() {
  if (!joins_ || restoring_ || members_.has_joined() || (is_forgotten() && !may_rejoin_) ||
      queue_.is_full() || !queue_.health())
    return;
  write_values wanted{.entries = {}, .principal = std::string{system_principal}};
  wanted.entries.push_back(
      {members::place_of(engine_.own_incarnation().origin), members::joining(now_.wall_ms)});
  if (!write_all(wanted)) return;
  may_rejoin_ = false;
  next_forget_ms_ = now_.steady_ms + leases_.limits().present_ms;  // the others are to know first
  go_on();
  log(log_severity::info, "context.joined", {{"members", members_.count()}});
}

/// Reads the members from the state, where that may have something new. Nothing more is taken over
/// a link from a node that is forgotten since, or has begun anew since: see `rest_search`.
void sync_manager::update_members() {
  if (!std::exchange(members_changed_, false)) return;
  std::map<peer_id, std::uint64_t> joined_in;
  peers_.for_each([&](peer_id peer, const sync_session& session) {
    joined_in.emplace(peer, members_.joined_in(session.peer()));
  });
  members_.update(engine_.tree());
  peers_.for_each([&](peer_id peer, const sync_session& session) {
    const auto& node = session.peer();
    const auto now = members_.joined_in(node);
    // Of a link that is not open yet nobody knows of which incarnation it is.
    const bool has_begun_anew =
        now > joined_in.at(peer) && !(session.is_open() && session.peer_incarnation() >= now);
    if (has_begun_anew || !session.named().covers(members_.forgetting(node)))
      kept_out_.insert(peer);
  });
}

/// Keeps what a peer says that it and others have committed.
void sync_manager::learn(peer_id from, const sync_message& said) {
  const auto* session = peers_.find(from);
  if (!session || !session->is_open()) return;
  const auto& node = peers_.node(from);
  const auto* hello = std::get_if<sync_hello>(&said);
  const auto* said_heads = std::get_if<sync_heads>(&said);
  const auto whole = said_heads ? session->whole(*said_heads) : nullptr;
  const auto* heads = whole.get();
  const auto* ack = std::get_if<sync_ack>(&said);
  if (hello)  // whether it is being restored, its heads say
    members_.report({.node = node,
                     .incarnation = session->peer_incarnation(),
                     .vector = hello->vector,
                     .restoring = true});
  if (heads) {
    members_.report({.node = node,
                     .incarnation = session->peer_incarnation(),
                     .vector = heads->vector,
                     .stable = heads->stable,
                     .restoring = heads->restoring});
  }
  if (heads && is_heeded(node)) {
    if (heads->now_ms > 0) peer_clocks_.heard(node, heads->now_ms, now_);
    for (const auto& each : heads->reports) {
      leases_.heard(each.node, each.away_ms, now_.steady_ms);
      if (!std::ranges::binary_search(peers_.nodes(), each.node))
        members_.pass_on(each, committed_);
    }
  }
  if (ack) members_.add(node, ack->vector, committed_);
  if (hello) behind_[from] = hello->vector;
  if (hello) hold({node, session->peer_incarnation()});
  if (const auto behind = behind_.find(from);
      behind != behind_.end() && behind->second && committed_.covers(*behind->second))
    behind_.erase(behind);
  if (heads && heads->root == root() && heads->vector == committed_.vector()) differ_.erase(from);
  if (hello) join();
  has_met_members_ = has_met_members_ || (members_.has_joined() && is_current());
  serve_member_waits();
}

/// A node has said itself that it runs: no others have its incarnation forgotten here. Held are
/// those of members and of linked nodes.
void sync_manager::hold(const incarnation_id& running) {
  spoken_[running.origin] = running.incarnation;
  std::erase_if(spoken_, [this](const auto& each) {
    return !members_.has(each.first) && !std::ranges::binary_search(peers_.nodes(), each.first);
  });
  engine_.hold(spoken_);
  committed_.hold(spoken_);
}

/// Whether this node knows who the members are, perhaps but for those that have just joined.
bool sync_manager::knows_members() const { return has_met_members_ && members_.count() > 1; }

/// Whether it counts what a node says of others, and that it has more than this node. Who is no
/// member may say so for ever and give nothing: it is heeded only by who has yet to learn who the
/// members are.
bool sync_manager::is_heeded(const node_id& node) const {
  return members_.has(node) || !knows_members();
}

/// Whether this node has just met others, and does not know yet who the members are.
bool sync_manager::has_yet_to_meet_members() const { return !knows_members() && !is_current(); }

void sync_manager::serve_member_waits() {
  if (has_yet_to_meet_members()) return;
  while (auto served = member_waits_.next(members_, committed_))
    effects_.push_back(answer_write{served->request, std::move(served->written)});
}

void sync_manager::expire_member_waits() {
  while (auto late = member_waits_.expired(now_.steady_ms)) {
    if (has_yet_to_meet_members()) {
      effects_.push_back(answer_write{
          late->request, fail(error_code::deadline_exceeded,
                              "the change is on the disk of this node; whether enough other "
                              "members have it is unknown: this node has yet to learn from its "
                              "peers who they are")});
      continue;
    }
    const auto needed = member_waits::others_for(late->level, members_);
    effects_.push_back(answer_write{
        late->request,
        fail(error_code::deadline_exceeded,
             "the change is on the disk of this node; whether enough other members have it is "
             "unknown: " +
                 std::to_string(members_.count_with(late->last, late->rests_on, committed_)) +
                 " of the " + std::to_string(needed) +
                 " that are needed have confirmed it in time")});
  }
}

/// Answers the writes that the disk has not taken in time.
void sync_manager::expire_disk_waits() {
  for (const auto& late : waiting_.expired(now_.steady_ms))
    effects_.push_back(answer_write{
        late.request,
        fail(error_code::deadline_exceeded,
             "the disk of this node has not answered in time; the change is taken, and "
             "whether it gets to the disk is unknown")});
}

}  // namespace troupe
