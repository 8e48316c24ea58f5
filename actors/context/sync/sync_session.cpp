#include <troupe/actors/context/sync/sync_session.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

namespace {

/// Pushes of the peer that may wait to be processed. Further ones are dropped. The limits of a
/// sound peer are far lower.
constexpr std::size_t max_processing = 1024;
/// Incarnations that are declined. Of further ones each push is refused.
constexpr std::size_t max_declined = 1024;
/// Incarnations of which is known how far they are sent. Beyond, pulls are not answered.
constexpr std::size_t max_progress = std::size_t{1} << 18;

}  // namespace

sync_session::sync_session(const sync_identity& self, node_id peer, const sync_view& view,
                           sync_limits limits)
    : self_(self),
      peer_(peer),
      view_(view),
      limits_(limits),
      exchange_(4 * limits.max_incarnations),
      window_(limits.max_in_flight_bytes, limits.max_in_flight_batches) {}

// -- events ---------------------------------------------------------------------------------------

sync_session::effects sync_session::start(std::uint64_t now_ms) {
  next_heads_ms_ = now_ms + limits_.heads_every_ms;
  named_ = view_.forgetting(peer_);
  return {send_message{sync_hello{self_.cluster,
                                  self_.node,
                                  self_.incarnation,
                                  view_.committed().vector(),
                                  view_.root(),
                                  self_.strategies,
                                  view_.links(),
                                  {},
                                  named_}}};
}

sync_session::effects sync_session::receive(const sync_message& message) {
  effects out;
  if (phase_ == phase::closed) return out;
  if ((phase_ == phase::waiting) != std::holds_alternative<sync_hello>(message)) {
    close(error_code::protocol_violation,
          "sync.hello must be the first message of a peer and is sent only once", out);
    return out;
  }
  std::visit([&](const auto& each) { on(each, out); }, message);
  return out;
}

sync_session::effects sync_session::processed(std::uint64_t push) {
  effects out;
  const auto done = std::ranges::find(processing_, push, &received_push::push);
  if (phase_ != phase::open || done == processing_.end()) return out;
  processed_ = std::max(processed_, push);
  std::vector<version_entry> come;
  for (const auto& source : done->sources)
    come.push_back({source.origin, source.incarnation, view_.committed().at(source)});
  out.push_back(send_message{sync_ack{push, version_vector{std::move(come)}}});
  processing_.erase(done);
  pull_missing(out);
  return out;
}

void sync_session::decline(const incarnation_id& source) {
  if (declined_.size() < max_declined) declined_.insert(source);
}

sync_session::effects sync_session::links_changed() {
  return phase_ == phase::open ? effects{new_heads()} : effects{};
}

sync_session::effects sync_session::tick(std::uint64_t now_ms) {
  effects out;
  if (phase_ != phase::open || now_ms < next_heads_ms_) return out;
  next_heads_ms_ = now_ms + limits_.heads_every_ms;
  then_ = std::exchange(recently_, present());
  out.push_back(new_heads());
  begin_pulls();
  pull_missing(out);
  look_for_base(out);
  return out;
}

// -- messages -------------------------------------------------------------------------------------

void sync_session::on(const sync_hello& hello, effects& out) {
  if (hello.cluster != self_.cluster)
    return close(error_code::permission_denied,
                 "the peer belongs to cluster " + to_string(hello.cluster) + ", this node to " +
                     to_string(self_.cluster),
                 out);
  if (hello.node == self_.node)
    return close(error_code::already_exists,
                 "the peer has the id of this node: it is a copy of it, or this node itself", out);
  if (!peer_.is_nil() && hello.node != peer_)
    return close(error_code::protocol_violation,
                 "the peer calls itself " + to_string(hello.node) + " and is " + to_string(peer_),
                 out);
  if (!learn(hello.vector, out)) return;
  peer_ = hello.node;
  peer_incarnation_ = hello.incarnation;
  forgotten_ = hello.forgotten;
  phase_ = phase::open;
  their_links_ = {hello.links.begin(), hello.links.end()};
  their_declined_ = {hello.declined.begin(), hello.declined.end()};
  recently_ = present();
  if (hello.strategies != self_.strategies)
    out.push_back(report_mismatch{self_.strategies, hello.strategies});

  // The peer's other links may not be up yet. Decide by the links of this node.
  const auto will_hear_of_it = [&](const node_id& origin) {
    return origin != self_.node && origin != peer_ &&
           std::ranges::binary_search(view_.links(), origin);
  };
  for (const auto& each : view_.committed().vector().entries())
    if (!will_hear_of_it(each.origin)) owe(incarnation_of(each), each.seq);
  behind_ = true;
  push_what_is_owed(out);
}

void sync_session::on(const sync_push& push, effects& out) {
  if (processing_.size() >= max_processing || !view_.takes_pushes()) return;
  auto apply = read(push);
  if (!apply) return close(apply.error().code, apply.error().message, out);
  received_push received{push.batch, {}};
  std::vector<version_entry> pushed;
  for (const auto& [batch, records] : apply->parts) {
    const auto& source = batch->source();
    pushed.push_back({source.origin, source.incarnation, batch->last()});
    received.sources.insert(source);
  }
  if (!has_reached(version_vector{std::move(pushed)}, out))
    return;  // the peer has committed what it pushes
  processing_.push_back(std::move(received));
  out.push_back(std::move(*apply));
}

/// The changes of a push, within a bound of memory.
result<apply_changes> sync_session::read(const sync_push& push) const {
  if (push.changes.empty())
    return fail(error_code::protocol_violation, "sync.push must carry changes");
  apply_changes apply{push.batch, {}};
  auto room = change_batch::max_weight;
  for (const auto& each : push.changes) {
    auto batch = change_batch::read(each.bytes);
    if (!batch) return fail(std::move(batch.error()));
    auto records = (*batch)->records(room);
    if (!records) return fail(std::move(records.error()));
    for (const auto& record : *records) room -= record.weight();
    apply.parts.push_back({std::move(*batch), std::move(*records)});
  }
  return apply;
}

void sync_session::on(const sync_ack& ack, effects& out) {
  if (learn(ack.vector, out) && release(ack.batch, out)) push_what_is_owed(out);
}

void sync_session::on(const sync_heads& said, effects& out) {
  auto completed = exchange_.complete(said);
  if (!completed) return close(completed.error().code, std::move(completed.error().message), out);
  if (!*completed) return;  // later ones have come
  their_heads_ = std::move(*completed);
  const auto& heads = *their_heads_;
  if (!learn(heads.vector, out) || !release(heads.batch, out)) return;
  their_links_ = {heads.links.begin(), heads.links.end()};
  their_declined_ = {heads.declined.begin(), heads.declined.end()};

  compare_roots(heads, out);
  notice_forgotten(heads.vector, out);
  their_base_ = heads.base;

  const bool no_progress = !heads.busy && !window_.empty() &&
                           window_.acknowledged() == then_.acknowledged &&
                           window_.oldest() <= then_.pushed;
  if (window_.empty() || no_progress) presume_lost_what_is_unacknowledged();
  for (const auto& each : then_.committed.entries())
    if (each.seq > peer_has(incarnation_of(each))) owe(incarnation_of(each), each.seq);
  behind_ = true;
  push_what_is_owed(out);
}

void sync_session::on(const sync_pull& pull, effects& out) {
  if (pull.ranges.size() > max_pull_ranges)
    return close(error_code::limit_exceeded,
                 "sync.pull asks for " + std::to_string(pull.ranges.size()) + " ranges; at most " +
                     std::to_string(max_pull_ranges) + " are accepted",
                 out);
  not_logged_ = {};
  for (const auto& range : pull.ranges) {
    const auto source = incarnation_of(range);
    if (const auto base = view_.log_base().at(source); base >= range.first && base > 0)
      not_logged_.raise(source.origin, source.incarnation, base);
    const auto last = committed_of(source, range.last);
    const auto first = std::max<std::uint64_t>(range.first, 1);
    if (last < first || progress_.size() >= max_progress) continue;
    if (range.first == 0) unguessed_[source.origin] = source.incarnation;
    auto& progress = progress_[source];
    progress.sent = first - 1;
    progress.pulled = true;
    owe(source, last);
    behind_ = true;
  }
  push_what_is_owed(out);
}

void sync_session::on(const sync_range& asked, effects& out) { out.push_back(give_state{asked}); }

void sync_session::on(const sync_state& answer, effects& out) { out.push_back(take_state{answer}); }

void sync_session::close(error_code code, std::string why, effects& out) {
  phase_ = phase::closed;
  queue_.clear();
  queued_bytes_ = 0;
  out.push_back(close_session{error{code, std::move(why), {}}});
}

sync_heads sync_session::heads() const {
  auto linked = their_links_;
  linked.insert(peer_);
  sync_heads heads{view_.committed().vector(),
                   view_.root(),
                   processed_,
                   view_.links(),
                   {declined_.begin(), declined_.end()},
                   !processing_.empty() || !view_.takes_pushes(),
                   view_.reports_beside(linked),
                   view_.log_base().latest(),
                   view_.stable()};
  for (const auto& each : not_logged_.entries())
    heads.base.raise(each.origin, each.incarnation, each.seq);
  heads.restoring = view_.is_restoring();
  heads.now_ms = view_.wall_ms();
  return heads;
}

// -- what the peer has ----------------------------------------------------------------------------

/// Closes the session and returns false when the peer knows changes of this incarnation that this
/// node did not make.
bool sync_session::learn(const version_vector& vector, effects& out) {
  const incarnation_id own{self_.node, self_.incarnation};
  if (seq_at(vector, own) > view_.committed().at(own)) {
    close(error_code::already_exists,
          "the peer has changes of this incarnation that this node did not make: another node runs "
          "under its identity",
          out);
    return false;
  }
  return has_reached(vector, out);
}

/// Closes the session and returns false when the peer knows more incarnations than there can be.
bool sync_session::has_reached(const version_vector& vector, effects& out) {
  if (theirs_.covers(vector)) return true;
  std::vector<version_entry> both;
  both.reserve(theirs_.entries().size() + vector.entries().size());
  std::ranges::merge(theirs_.entries(), vector.entries(), std::back_inserter(both));
  theirs_ = version_vector{std::move(both)};
  forget_ended();
  if (theirs_.entries().size() <= limits_.max_incarnations) return true;
  close(error_code::limit_exceeded,
        "the peer knows of more than " + std::to_string(limits_.max_incarnations) + " incarnations",
        out);
  return false;
}

void sync_session::compare_roots(const sync_heads& heads, effects& out) {
  const bool comparable = heads.root != state_hash{} && view_.root() != state_hash{} &&
                          heads.vector == view_.committed().vector();
  if (!comparable || heads.root == view_.root()) return;
  out.push_back(report_roots{});
}

/// Asks for the peer's state when its log cannot help, and nobody else has helped for a second.
void sync_session::look_for_base(effects& out) {
  const bool lacks = !view_.committed().covers(their_base_);
  if (std::exchange(lacks_base_, lacks) && lacks) out.push_back(need_state{their_base_});
}

/// What the peer lists has not ended there.
void sync_session::notice_forgotten(const version_vector& vector, effects& out) {
  if (forgotten_reported_) return;
  const auto found = std::ranges::find_if(vector.entries(), [this](const version_entry& each) {
    return view_.committed().has_forgotten(incarnation_of(each));
  });
  if (found == vector.entries().end()) return;
  forgotten_reported_ = true;
  out.push_back(report_forgotten{incarnation_of(*found)});
}

bool sync_session::release(std::uint64_t batch, effects& out) {
  if (window_.acknowledge(batch)) return true;
  close(error_code::protocol_violation,
        "the peer acknowledges push " + std::to_string(batch) + "; there were " +
            std::to_string(window_.latest()),
        out);
  return false;
}

void sync_session::presume_lost_what_is_unacknowledged() noexcept {
  window_.presume_lost();
  // What the peer still lacks of what it has pulled, it pulls again.
  unguessed_.clear();
  std::erase_if(progress_, [](const auto& each) { return each.second.pulled; });
  for (auto& [source, progress] : progress_) progress.sent = 0;
}

/// Forgets how far the peer has come with incarnations that have ended on both sides.
void sync_session::forget_ended() {
  const auto is_over = [this](const incarnation_id& source) {
    return has_later(theirs_, source) && view_.committed().has_ended(source) && may_guess(source);
  };
  theirs_.remove_if([&](const version_entry& each) { return is_over(incarnation_of(each)); });
  std::erase_if(progress_, [&](const auto& each) {
    const auto& [source, progress] = each;
    return is_over(source) && !(progress.pulled && progress.sent < progress.owed);
  });
}

/// Whether the entries of later incarnations tell what the peer has of this one. Not when the peer
/// has asked for all that is before.
bool sync_session::may_guess(const incarnation_id& source) const noexcept {
  const auto said = unguessed_.find(source.origin);
  return said == unguessed_.end() || source.incarnation > said->second;
}

/// Whether this node has changes of an incarnation that a later one of its node does not know of.
bool sync_session::goes_on_beside_later(const incarnation_id& source) const noexcept {
  const auto& mine = view_.committed().vector();
  return seq_at(mine, source) > 0 && has_later(mine, source);
}

/// Up to where the peer has an incarnation, as far as known or guessed.
std::uint64_t sync_session::peer_has(const incarnation_id& source) const noexcept {
  if (may_guess(source) && has_later(theirs_, source) && !goes_on_beside_later(source))
    return UINT64_MAX;
  return seq_at(theirs_, source);
}

std::uint64_t sync_session::reached(const incarnation_id& source) const noexcept {
  const auto known = progress_.find(source);
  const bool is_pulled = known != progress_.end() && known->second.pulled;
  auto has = is_pulled ? seq_at(theirs_, source) : peer_has(source);
  // The peer does not say what it has of an incarnation that has ended there. If it lacks what this
  // log lacks, it lacks a part of the base, and asks for the state.
  if (goes_on_beside_later(source)) has = std::max(has, view_.log_base().at(source));
  return known == progress_.end() ? has : std::max(has, known->second.sent);
}

/// Up to where this node has committed an incarnation; at most `upto`.
std::uint64_t sync_session::committed_of(const incarnation_id& source,
                                         std::uint64_t upto) const noexcept {
  const auto& mine = view_.committed();
  return mine.has_forgotten(source) ? upto : std::min(upto, mine.at(source));
}

}  // namespace troupe
