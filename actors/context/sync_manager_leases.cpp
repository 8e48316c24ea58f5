// Members that are away: how long the cluster waits for them, and what a node does without which it
// has gone on. That one may still have changes that do not know what was deleted meanwhile. So it
// pushes nothing to who has forgotten it, and begins anew when it learns of that: with the state of
// a member, in a new incarnation. What others did not have is kept in a file.

#include <algorithm>
#include <string>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/actors/context/sync_manager.hpp>

namespace troupe {

namespace {

constexpr std::uint64_t try_again_ms = 5'000;
constexpr std::string_view lease_ended = "its lease has ended";

std::string days_of(std::uint64_t milliseconds) {
  const auto hours = milliseconds / 3'600'000;
  if (hours >= 48) return std::to_string(hours / 24) + " days";
  return hours > 0 ? std::to_string(hours) + " hours"
                   : std::to_string(milliseconds / 60'000) + " minutes";
}

std::string describe(const member_lag& lag) {
  const std::string lacks = "has not said that it has on its disk what this node has";
  const std::string claims = "says to have changes that have not come here";
  return "member " + to_string(lag.node) + ", which has a link, " + (lag.lacks ? lacks : "") +
         (lag.lacks && lag.claims ? ", and " : "") + (lag.claims ? claims : "") +
         " for more than " + days_of(lagging_members::patience_ms);
}

}  // namespace

// -- members that are away ------------------------------------------------------------------------

std::vector<member_report> sync_manager::reports_beside(const std::set<node_id>& linked) const {
  auto all = members_.reports_beside(linked);
  for (auto& each : all) each.away_ms = leases_.report_ms(each.node, now_.steady_ms);
  return all;
}

member_list sync_manager::list_members() const {
  member_list list;
  const auto& self = engine_.own_incarnation().origin;
  const auto length = leases_.limits().length_ms;
  for (const auto& node : members_.nodes()) {
    const bool is_here = node == self || is_linked(node);
    const auto away = is_here ? 0 : leases_.away_ms(node, now_.steady_ms);
    const bool has_ended = !is_here && length > 0 && away >= length;
    const auto left = is_here || length <= away ? 0 : length - away;
    list.members.push_back({node, node == self, away, left, has_ended});
  }
  for (const auto& [node, said] : members_.forgotten()) {
    const auto seen = engine_.view(members::place_of(node));
    const auto field = [&](std::string_view name) {
      return seen ? seen->find(name) : std::nullopt;
    };
    const auto when = field("forgotten_ms");
    const auto why = field("why");
    const auto since = when ? when->as_integer().value_or(0) : 0;
    list.forgotten.push_back({node, static_cast<std::uint64_t>(std::max<std::int64_t>(since, 0)),
                              why ? std::string{why->as_string().value_or("")} : std::string{}});
  }
  return list;
}

result<write_values> sync_manager::forgetting(const node_id& node, std::string_view why) const {
  if (node == engine_.own_incarnation().origin)
    return fail(error_code::invalid_argument,
                "a node cannot forget itself; ask another member to forget it");
  if (members_.forgotten().contains(node))
    return fail(error_code::already_exists, "node " + to_string(node) + " is forgotten already");
  const bool is_member = members_.has(node);
  auto begun = is_member ? std::nullopt : beginning_of(node);
  if (!is_member && !begun && gives_up(node))
    return fail(error_code::already_exists,
                "what node " + to_string(node) +
                    " has begun is being given up already; see 'troupe node info'");
  if (!is_member && !begun)
    return fail(error_code::not_found, "node " + to_string(node) +
                                           " is no member of the cluster; see 'troupe node "
                                           "members'");
  if (!is_member && !members_.has_joined())
    return fail(error_code::failed_precondition,
                "this node is no member of the cluster itself yet; ask another one, or wait until "
                "it is: see 'troupe node members'");
  if (std::ranges::binary_search(peers_.nodes(), node))
    return fail(error_code::failed_precondition,
                "node " + to_string(node) +
                    " is connected; only a member that is away can be forgotten: stop it first");
  if (const auto other = linked_with(node))
    return fail(error_code::failed_precondition,
                "node " + to_string(node) + " is connected with node " + to_string(*other) +
                    "; only a member that is away can be forgotten: stop it first");
  write_values wanted{.entries = {}, .principal = std::string{system_principal}};
  if (is_member)
    wanted.entries.push_back({members::place_of(node), members::farewell(now_.wall_ms, why)});
  else
    wanted.entries.push_back({std::move(*begun), lost_transactions::sought(now_.wall_ms)});
  return wanted;
}

/// A peer that is heeded and says to have a link with a node.
std::optional<node_id> sync_manager::linked_with(const node_id& node) const {
  std::optional<node_id> found;
  peers_.for_each([&](peer_id peer, const sync_session& session) {
    const auto& between = peers_.node(peer);
    if (session.is_open() && session.is_peer_linked_with(node) && is_heeded(between))
      found = between;
  });
  return found;
}

/// Whether this node, or a peer of it, has a link with a node.
bool sync_manager::is_linked(const node_id& node) const {
  return std::ranges::binary_search(peers_.nodes(), node) || linked_with(node);
}

/// Goes on without members whose lease has ended, where it is this node that decides.
void sync_manager::end_leases() {
  leases_.update(members_, peers_.nodes(), now_.steady_ms);
  for (const auto& each : lagging_.update(members_, peers_.nodes(), committed_, now_.steady_ms))
    log(log_severity::warning, "context.member_lags", {{"reason", describe(each)}});
  const auto& self = engine_.own_incarnation().origin;
  const bool may_write = !refusal_to_write() && !queue_.is_full() && queue_.health();
  if (now_.steady_ms < next_forget_ms_ || !may_write || !is_current()) return;
  const auto late = leases_.ended(members_, self, now_.steady_ms);
  const auto gone = std::ranges::find_if(late, [&](const node_id& each) {
    return leases_.decides(members_, self, each, committed_, now_);
  });
  if (gone == late.end()) return;
  next_forget_ms_ = now_.steady_ms + try_again_ms;
  // One at a time: the others are to have committed that before the next.
  const auto& node = *gone;
  const auto wanted = forgetting(node, lease_ended);
  if (!wanted || !write_all(*wanted)) return;
  log(log_severity::warning, "context.lease_ended",
      {{"node", to_string(node)}, {"away_ms", leases_.away_ms(node, now_.steady_ms)}});
}

std::vector<std::string> sync_manager::lease_problems() const {
  std::vector<std::string> all;
  for (const auto& node : leases_.ended(members_, engine_.own_incarnation().origin, now_.steady_ms))
    all.push_back("member " + to_string(node) + " has been away for " +
                  days_of(leases_.away_ms(node, now_.steady_ms)) +
                  ", and what it may need is kept until it is back; if it does not come back, say "
                  "'troupe node forget " +
                  to_string(node) + "'");
  for (const auto& each : lagging_.all(members_, committed_))
    all.push_back(
        describe(each) + ", so what was erased and what is in the log is kept; " +
        (each.lacks ? "see 'troupe node info' of that node; if that does not end, stop it and say "
                      "'troupe node forget " +
                          to_string(each.node) + "'"
                    : "this node has yet to catch up, or that one says what is not so"));
  for (const auto& node : apart())
    all.push_back("node " + to_string(node) +
                  " has forgotten this node, and this node has forgotten it, so they exchange "
                  "nothing; keep the one whose state is wanted, and start the other one with a new "
                  "data directory");
  for (const auto& node : strangers())
    all.push_back(
        "node " + to_string(node) + " is no member, has " + (is_linked(node) ? "a" : "no") +
        " link, and has sent a transaction in part only, so later changes stay in the "
        "log; if " +
        (is_linked(node) ? "no more of it comes, stop that node and" : "it does not come back,") +
        " say 'troupe node forget " + to_string(node) + "'");
  for (auto& told : giving_up()) all.push_back(std::move(told));
  for (auto& told : held_back()) all.push_back(std::move(told));
  if (leaving_ != leaving::no)
    all.push_back(why_overruled() + ", so it is about to take the state of another member" +
                  (unleft_ ? ", but cannot yet: " + unleft_->message : std::string{}));
  if (!unsent_.empty())
    all.push_back(
        "this node had to take the state of another member; what only this node had is in '" +
        unsent_ + "': write anew what still matters of it");
  return all;
}

// -- being forgotten ------------------------------------------------------------------------------

/// Whether others have forgotten this node, and it has not taken their state yet.
bool sync_manager::is_forgotten() const {
  return !may_rejoin_ && members_.forgotten().contains(engine_.own_incarnation().origin);
}

/// The changes which say that the state of this node is to be taken from others: that it is
/// forgotten, or that a transaction is lost which counts here.
version_vector sync_manager::overruled_by() const {
  auto all =
      is_forgotten() ? members_.forgetting(engine_.own_incarnation().origin) : version_vector{};
  for (const auto& each : engine_.overruled_by().entries())
    all.raise(each.origin, each.incarnation, each.seq);
  return all;
}

bool sync_manager::is_overruled() const {
  return is_forgotten() || !engine_.overruled_by().entries().empty();
}

/// What people are told of that. O(members) while a state is taken.
std::string sync_manager::why_overruled() const {
  const auto& self = engine_.own_incarnation().origin;
  members before{self};
  if (restoring_) before.update(restoring_->entries());
  const bool is_gone = restoring_ ? before.forgotten().contains(self) : is_forgotten();
  return is_gone ? "the cluster has gone on without this node"
                 : "the cluster has given up a transaction that this node has";
}

version_vector sync_manager::forgetting(const node_id& node) const {
  return members_.forgetting(node);
}

bool sync_manager::has_begun_anew(const version_vector& forgotten) const {
  if (forgotten.entries().empty()) return true;
  return leaving_ == leaving::no && !restoring_ && !is_overruled() && committed_.covers(forgotten);
}

/// Whether a peer is forgotten here since it was told where this node stands. Nothing is taken from
/// it before it is told that, with a new link.
bool sync_manager::is_kept_out(peer_id peer) const { return kept_out_.contains(peer); }

/// Whether this node and a peer have forgotten each other, so that they give each other nothing.
/// One that has the changes which say so has begun anew since.
bool sync_manager::is_apart(peer_id peer) const {
  const auto& node = peers_.node(peer);
  const auto* session = peers_.find(peer);
  return members_.forgotten().contains(node) && !session->may_push() &&
         !may_cover(session->peer_vector(), members_.forgetting(node));
}

/// The linked nodes with which this is so: neither can begin anew.
std::vector<node_id> sync_manager::apart() const {
  std::vector<node_id> all;
  if (leaving_ == leaving::no)
    peers_.for_each([&](peer_id peer, const sync_session&) {
      if (is_apart(peer)) all.push_back(peers_.node(peer));
    });
  return all;
}

void sync_manager::close_links_of_forgotten() {
  peers_.for_each([&](peer_id peer, sync_session&) {
    if (!is_kept_out(peer)) return;
    effects_.push_back(close_peer{peer, "this node has forgotten the peer"});
    forget(peer);
  });
}

void sync_manager::begin_to_leave() {
  if (leaving_ != leaving::no || restoring_ || !is_overruled()) return;
  leaving_ = leaving::waiting;
  log(log_severity::warning, "context.overruled", {{"reason", why_overruled()}});
}

/// Ends all links, and once everything is on the disk, has the store begin anew.
void sync_manager::leave() {
  if (leaving_ == leaving::waiting && !is_overruled()) leaving_ = leaving::no;
  if (leaving_ == leaving::no) return;
  close_links();
  const bool is_due = leaving_ == leaving::waiting && now_.steady_ms >= next_leave_ms_ &&
                      queue_.is_idle() && queue_.health();
  if (!is_due) return;
  leaving_ = leaving::asked;
  effects_.push_back(
      begin_anew{std::make_shared<const engine_state>(engine_.state()), overruled_by()});
}

/// Has the peers learn from a new hello where this node stands.
void sync_manager::close_links() {
  peers_.for_each([&](peer_id peer, sync_session&) {
    effects_.push_back(close_peer{peer, "this node takes a new state"});
    forget(peer);
  });
}

void sync_manager::set_aside_failed(const error& why) {
  leaving_ = leaving::waiting;
  next_leave_ms_ = now_.steady_ms + try_again_ms;
  if (!unleft_)
    log(log_severity::error, "context.set_aside_failed", {{"reason", foreign_text{why.message}}});
  unleft_ = why;
}

void sync_manager::retire() {
  const error why{error_code::unavailable,
                  why_overruled() +
                      ", so it takes the state of another member now; whether others have the "
                      "change is unknown",
                  {}};
  while (auto ended = member_waits_.expired(UINT64_MAX))
    effects_.push_back(answer_write{ended->request, fail(why)});
  while (!settles_.empty()) answer(settles_.begin()->first, {});
  watchers_.end_all({error_code::unavailable,
                     "the node takes the state of another member; watch again when it has it",
                     {}},
                    effects_);
}

/// The state of a member is joined. What only the old state had is kept before that is stored in
/// its place.
void sync_manager::keep_what_was_not_sent() {
  auto entries = restoring_->unsent(engine_.processed(), engine_.tree());
  if (entries.empty()) {
    restoring_->kept_aside();
    return save_restored();
  }
  restoring_->keeping_aside();
  effects_.push_back(keep_aside{std::move(entries)});
}

void sync_manager::kept_aside(const result<std::string>& where) {
  if (!restoring_) return;
  if (!where) {
    restoring_->read_failed(now_.steady_ms);
    return log(log_severity::error, "context.unsent_not_kept",
               {{"reason", foreign_text{where.error().message}}});
  }
  unsent_ = *where;
  log(log_severity::warning, "context.unsent_kept", {{"file", foreign_text{*where}}});
  restoring_->kept_aside();
  save_restored();
  go_on();
}

}  // namespace troupe
