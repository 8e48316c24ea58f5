// The exchange of a replica with its peers: carries sync sessions' messages over links and their
// actions to engine and store.

#include <algorithm>

#include <troupe/actors/context/replica_state.hpp>
#include <troupe/actors/links/serving.hpp>

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr auto link_deadline = 5s;
constexpr auto log_deadline = 30s;
constexpr std::size_t max_early = 64;
constexpr std::ptrdiff_t max_early_of_one = 16;
constexpr std::size_t max_early_bytes = std::size_t{16} << 20;

using sync_messages = message_types<sync_hello, sync_push, sync_ack, sync_heads, sync_pull>;

}  // namespace

void replica_state::meet(const peer_up& up) {
  const auto id = up.link.id();
  const sync_identity self{setup_.identity.cluster, setup_.identity.node,
                           engine_.own_incarnation().incarnation, strategies_hash(engine_.rule())};
  peers_[id] = {up.link, up.node, up.name, std::make_unique<sync_session>(self, up.node, view_)};
  ends_.watch(self_, up.link, [this, id](const caf::error&) { lose(id); });
  refresh_view();
  carry_out(id, peers_[id].session->start(steady_ms()));
  for_each_session([](sync_session& session) { return session.links_changed(); });
  for (auto& [link, notification] : std::exchange(early_, {}))
    if (link == id)
      hear(link, notification);
    else
      early_.emplace_back(link, std::move(notification));
}

void replica_state::lose(caf::actor_id link) {
  if (peers_.erase(link) == 0) return;
  refresh_view();
  for_each_session([](sync_session& session) { return session.links_changed(); });
}

void replica_state::hear(caf::actor_id link, const service_notification& notification) {
  const auto found = peers_.find(link);
  if (found == peers_.end()) {
    const auto of_this_link = [link](const auto& kept) { return kept.first == link; };
    if (std::ranges::count_if(early_, of_this_link) >= max_early_of_one)
      return;  // the exchange begins anew with a new link
    early_.emplace_back(link, notification);
    std::size_t bytes = 0;
    for (const auto& [from, kept] : early_) bytes += kept.params.bytes.size();
    for (; early_.size() > max_early || bytes > max_early_bytes; early_.pop_front())
      bytes -= early_.front().second.params.bytes.size();
    return;
  }
  refresh_view();
  const auto heard = hear_notification(sync_messages{}, notification, [&](auto message) {
    carry_out(found->first, found->second.session->receive(sync_message{std::move(message)}));
  });
  if (!heard) carry_out(found->first, {close_session{heard.error()}});
}

void replica_state::carry_out(caf::actor_id link, sync_session::actions actions) {
  for (auto& action : actions) {
    const auto found = peers_.find(link);
    if (found == peers_.end()) return;
    if (auto* message = std::get_if<send_message>(&action)) {
      send(found->second, message->message);
    } else if (auto* wanted = std::get_if<read_log>(&action)) {
      read_for(link, *wanted);
    } else if (auto* records = std::get_if<apply_records>(&action)) {
      apply(link, std::move(*records));
    } else if (auto* mismatch = std::get_if<report_mismatch>(&action)) {
      log_->error("context.strategies_differ peer={} ours={:016x} theirs={:016x}",
                  to_string(found->second.node), mismatch->ours, mismatch->theirs);
    } else if (auto* roots = std::get_if<report_roots>(&action)) {
      log_->error("context.roots_differ peer={} ours={} theirs={}", to_string(found->second.node),
                  to_string(roots->ours), to_string(roots->theirs));
    } else {
      const auto& reason = std::get<close_session>(action).reason;
      log_->warn("context.sync_ended peer={} reason={}", to_string(found->second.node),
                 printable_quoted(reason.message));
      tell(self_, found->second.link, close_link{reason.message});
      lose(link);
      return;
    }
  }
}

void replica_state::send(peer& to, const sync_message& message) {
  auto notification = std::visit([](const auto& each) { return to_notification(each); }, message);
  // What a link refuses, because its other side does not read, would be missed: the session starts
  // anew with a new link.
  ask(self_, to.link, link_deadline, std::move(notification))
      .then([] {}, [this, link = to.link](
                       const error& why) { tell(self_, link, close_link{why.message}); });
}

void replica_state::apply(caf::actor_id link, apply_records wanted) {
  const auto now = setup_.clock();
  for (auto& record : wanted.records) {
    const auto dot = record.dot;
    const auto isolated_before = engine_.quarantine().size();
    auto outcome = engine_.apply(std::move(record), now);
    unlogged_ += engine_.quarantine().size() - isolated_before;
    for (auto& change : outcome.applied) {
      queue_.add(encode_record(change.record));
      announce(std::move(change));
    }
    if (outcome.seen_instead && !watchers_.empty())
      news_.push_back(std::make_shared<const change_record>(std::move(*outcome.seen_instead)));
    if (outcome.status == apply_status::malformed) {
      carry_out(link, {close_session{std::move(*outcome.problem)}});
      return commit();
    }
    if (outcome.problem) tell_problem(dot, outcome);
  }
  refresh_view();
  if (const auto found = peers_.find(link); found != peers_.end())
    found->second.uncommitted.push_back({queue_.added(), wanted.batch});
  acknowledge(link);
  commit();
}

void replica_state::tell_problem(const dot& id, const apply_outcome& outcome) {
  if (!(outcome.alarm ? alarms_ : refusals_).take()) return;
  const auto* event = !outcome.alarm                                      ? "change_refused"
                      : outcome.problem->code == error_code::corrupt_data ? "equivocation"
                                                                          : "identity_claimed";
  log_->log(outcome.alarm ? spdlog::level::critical : spdlog::level::warn,
            "context.{} dot={} reason={}", event, to_string(id),
            printable_quoted(outcome.problem->message));
}

/// Acknowledges the pushes of a peer that are durable by now.
void replica_state::acknowledge(caf::actor_id link) {
  for (auto found = peers_.find(link); found != peers_.end(); found = peers_.find(link)) {
    auto& uncommitted = found->second.uncommitted;
    if (uncommitted.empty() || uncommitted.front().position > queue_.durable()) return;
    const auto batch = uncommitted.front().batch;
    uncommitted.pop_front();
    carry_out(link, found->second.session->processed(batch));
  }
}

void replica_state::read_for(caf::actor_id link, const read_log& wanted) {
  const auto deliver = [this, link](std::vector<encoded_record> records) {
    if (const auto found = peers_.find(link); found != peers_.end())
      carry_out(link, found->second.session->log_read(std::move(records)));
  };
  ask(self_, setup_.store, log_deadline, read_records{wanted.run, wanted.first, wanted.max_bytes})
      .then([deliver](records_read& read) { deliver(std::move(read.records)); },
            [this, deliver](const error& why) {
              log_->error("context.log_unreadable reason={}", printable_quoted(why.message));
              deliver({});
            });
}

void replica_state::refresh_view() {
  view_.root = queue_.is_idle() ? engine_.root_hash() : state_hash{};
  view_.takes_pushes = !queue_.is_full();
  view_.declined = engine_.declined();
  view_.missing = engine_.missing();
  view_.links.clear();
  for (const auto& [id, each] : peers_) view_.links.push_back(each.node);
  std::sort(view_.links.begin(), view_.links.end());
}

std::vector<caf::actor_id> replica_state::links() const {
  std::vector<caf::actor_id> all;
  for (const auto& [id, each] : peers_) all.push_back(id);
  return all;
}

/// Time that never goes back, for what repeats itself.
std::uint64_t replica_state::steady_ms() const {
  const auto since = self_->clock().now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

void replica_state::tell_what_was_not_logged() {
  const auto now = steady_ms();
  if (now < next_second_ms_) return;
  next_second_ms_ = now + 1000;
  if (const auto more = conflicts_.next_second()) log_->info("context.conflicts more={}", more);
  if (const auto more = refusals_.next_second())
    log_->warn("context.changes_refused more={}", more);
  if (const auto more = alarms_.next_second()) log_->critical("context.alarms more={}", more);
}

void replica_state::for_each_session(
    const std::function<sync_session::actions(sync_session&)>& step) {
  for (const auto link : links())
    if (const auto found = peers_.find(link); found != peers_.end())
      carry_out(link, step(*found->second.session));
}

}  // namespace troupe
