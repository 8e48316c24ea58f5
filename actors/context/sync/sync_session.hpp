// The state class has more members than most: a session is one exchange whose two directions share
// what they know of the peer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <troupe/actors/context/state/processed_changes.hpp>
#include <troupe/actors/context/sync/change_batch.hpp>
#include <troupe/actors/context/sync/heads_exchange.hpp>
#include <troupe/actors/context/sync/log_range.hpp>
#include <troupe/actors/context/sync/push_window.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// Bounds and pace of a sync session.
struct sync_limits {
  /// Pushed and not acknowledged. One push always fits.
  std::size_t max_in_flight_bytes = std::size_t{512} << 10;
  std::size_t max_in_flight_batches = 64;
  /// Committed and not pushed yet. Beyond this bound changes are read from the log.
  std::size_t max_queued_bytes = std::size_t{1} << 20;
  /// In the peer's vector. More than any replica takes.
  std::size_t max_incarnations = std::size_t{1} << 17;
  std::uint64_t heads_every_ms = 1000;
};

/// The identity of this replica, or of the other side as its link authenticated it.
struct sync_identity {
  cluster_id cluster;
  node_id node;
  std::uint64_t incarnation = 0;
  std::uint64_t strategies = 0;  ///< `strategies_hash`.
};

/// What a session reads of its replica. Outlives the sessions.
class sync_view {
public:
  /// The changes that the store has committed. A change is never pushed before.
  virtual const processed_changes& committed() const = 0;
  /// Those of them that the log may lack.
  virtual const processed_changes& log_base() const = 0;
  /// Hash of the committed state. All-zero, which means unknown, while changes wait for the disk.
  virtual state_hash root() const = 0;
  /// False while the disk does not keep up. Pushes are dropped then, and the peer sends them again.
  virtual bool takes_pushes() const = 0;
  /// The nodes with a link to this one; sorted.
  virtual const std::vector<node_id>& links() const = 0;
  /// `stable_cut::stable`
  virtual const version_vector& stable() const = 0;
  /// Whether the log may have more than was committed here, because the state is being restored.
  virtual bool is_restoring() const = 0;
  /// What this node's clock shows, in milliseconds since 1970.
  virtual std::uint64_t wall_ms() const = 0;
  /// `context_engine::missing`
  virtual std::vector<dot_range> missing() const = 0;
  /// `members::reports_beside`
  virtual std::vector<member_report> reports_beside(const std::set<node_id>& linked) const = 0;

  /// The changes that say that a node is forgotten; none when it is not.
  virtual version_vector forgetting(const node_id& node) const = 0;
  /// Whether this replica has these changes, which say that it is forgotten, and has begun anew
  /// since.
  virtual bool has_begun_anew(const version_vector& forgotten) const = 0;

protected:
  ~sync_view() = default;
};

// -- what a session asks the replica to do --------------------------------------------------------

/// Send this to the peer.
struct send_message {
  sync_message message;
};
/// Read these changes from the log, in the order in which they were appended: up to `max_bytes`,
/// and at least one batch if there is one. Hand them to `log_read`.
struct read_log {
  std::vector<log_range> wanted;
  std::size_t max_bytes = 0;
};
/// Apply these in order, commit what was applied, then call `processed(push)`.
struct apply_changes {
  struct part {
    shared_batch batch;
    std::vector<change_record> records;  ///< Those of the batch.
  };
  std::uint64_t push = 0;
  std::vector<part> parts;
};
/// The nodes have different conflict strategies, so they show different values for equal siblings.
/// An operator must know.
struct report_mismatch {
  std::uint64_t ours = 0, theirs = 0;
};
/// Both nodes committed the same changes and hold different trees: one is damaged, or has a change
/// in quarantine, or has collected a tombstone that keeps away another write in the other one.
/// Reported with each heads that say so.
struct report_roots {};
/// The peer has changes of an incarnation whose end this node has forgotten, so that it cannot tell
/// which of them are new. Reported once in a session. An operator must know.
struct report_forgotten {
  incarnation_id source;
};
/// The peer's log cannot give what this node lacks: ask for its state.
struct need_state {
  version_vector base;  ///< Of which something is lacking.
};
/// The peer asks for this node's state.
struct give_state {
  sync_range asked;
};
/// The peer answers a question for its state.
struct take_state {
  sync_state answer;
};
/// The session is over; close the link.
struct close_session {
  error reason;
};
/// What the owner of a session has to do, in order.
using session_effect =
    std::variant<send_message, read_log, apply_changes, report_mismatch, report_roots,
                 report_forgotten, need_state, give_state, take_state, close_session>;

/// One side of the synchronisation between two replicas, without engine, log and link: calls report
/// events, and the session answers with effects to carry out in order.
///
/// Each side announces what it has (`sync_hello`, then `sync_heads` each second) and pushes what
/// the other lacks: new changes as they are committed, older ones from the log. Pushes are numbered
/// and acknowledged, and the unacknowledged bytes are bounded. A peer that does not keep up loses
/// its queue, gets the heads, and then the rest from the log at its own pace. A push without a sign
/// of progress for two seconds counts as lost and is sent again, unless the peer's heads say that
/// it is busy: a slow or refusing disk is not flooded.
///
/// Which node pushes a change: its origin, when the peer is linked to the origin. Otherwise every
/// node of a full mesh would send every change to every other node. When the peer's heads still
/// lack a change one or two seconds after it was committed here, this node pushes it, whatever its
/// origin. So changes reach nodes that are not linked to their origin, and lost changes are sent
/// again by the same rule. Heads that come in between, because links come and go, do not shorten
/// the wait.
///
/// Who has a change of an incarnation has all of the earlier ones that it ended, so vectors leave
/// those out. What a peer has of one that its vector leaves out is a guess from the other entries;
/// where the guess is wrong, a later change waits at the peer, and the peer pulls.
///
/// To a peer that has forgotten this replica nothing is pushed before this replica has begun anew.
///
/// A log reaches back to its base. What a peer lacks of that is not pushed; the peer sees it in the
/// heads, and asks for the whole state if nobody else has pushed it a second later.
///
/// Pure.
class sync_session {
public:
  static constexpr std::size_t max_pull_ranges = 1024;  ///< Of one pull.

  using effects = std::vector<session_effect>;

  /// @param self this replica. @param peer the node on the other side of the link. @param view must
  /// outlive the session.
  sync_session(const sync_identity& self, node_id peer, const sync_view& view,
               sync_limits limits = {});

  /// The link is up. Sends hello.
  /// @param now_ms here and in `tick`: time that never goes back, not wall time.
  effects start(std::uint64_t now_ms);
  /// A message of the peer. A first message other than hello, and a malformed one, end the session.
  effects receive(const sync_message& message);
  /// The store has committed these changes, of any origin. The view counts them already.
  effects committed(const shared_batch& batch);
  /// The answer to `read_log`. Empty when the log failed or does not reach back so far.
  effects log_read(std::vector<shared_batch> batches);
  /// An `apply_changes` is done: each change is applied and committed, buffered, or refused.
  effects processed(std::uint64_t push);
  /// What the peer sends of this incarnation is of no use. It is told, and sends no more of it.
  void decline(const incarnation_id& source);
  /// The links of this node have changed.
  effects links_changed();
  /// Call a few times a second.
  effects tick(std::uint64_t now_ms);

  /// Whether the peer is to get what this side has: not while it has forgotten this side.
  bool may_push() const { return view_.has_begun_anew(forgotten_); }

  /// Whether the peer says to have a link with this node.
  bool is_peer_linked_with(const node_id& node) const { return their_links_.contains(node); }

  bool is_open() const noexcept { return phase_ == phase::open; }
  /// The node on the other side. Nil when neither the link nor its hello has said it.
  const node_id& peer() const noexcept { return peer_; }
  /// The incarnation in which the peer says what it says. 0 before its hello.
  std::uint64_t peer_incarnation() const noexcept { return peer_incarnation_; }
  /// What this side's hello has named as the changes that say that the peer is forgotten.
  const version_vector& named() const noexcept { return named_; }
  /// What the latest heads of the peer mean, if they are these; else null.
  std::shared_ptr<const sync_heads> whole(const sync_heads& said) const noexcept {
    return their_heads_ && their_heads_->number == said.number ? their_heads_ : nullptr;
  }
  /// The changes that the peer has, as far as known.
  const version_vector& peer_vector() const noexcept { return theirs_; }
  std::size_t in_flight_bytes() const noexcept { return window_.bytes(); }
  std::size_t queued_bytes() const noexcept { return queued_bytes_; }

private:
  enum class phase { waiting, open, closed };
  struct progress {
    std::uint64_t sent = 0;  ///< Pushed up to here in this session, perhaps lost.
    std::uint64_t owed = 0;  ///< To push up to here, unless the peer gets it elsewhere first.
    bool pulled = false;     ///< The peer has said where it stands, so nothing is guessed.
  };
  /// The state of this side at an earlier time.
  struct standing {
    version_vector committed;
    std::uint64_t pushed = 0, acknowledged = 0;  ///< Of `push_window`.
  };

  void on(const sync_hello& hello, effects& out);
  void on(const sync_push& push, effects& out);
  void on(const sync_ack& ack, effects& out);
  void on(const sync_heads& said, effects& out);
  void on(const sync_pull& pull, effects& out);
  void on(const sync_range& asked, effects& out);
  void on(const sync_state& answer, effects& out);
  result<apply_changes> read(const sync_push& push) const;
  void close(error_code code, std::string why, effects& out);

  bool learn(const version_vector& vector, effects& out);
  bool has_reached(const version_vector& vector, effects& out);
  void compare_roots(const sync_heads& heads, effects& out);
  void look_for_base(effects& out);
  void notice_forgotten(const version_vector& vector, effects& out);
  bool release(std::uint64_t batch, effects& out);
  void presume_lost_what_is_unacknowledged() noexcept;
  void owe(const incarnation_id& source, std::uint64_t upto);
  standing present() const {
    return {view_.committed().vector(), window_.latest(), window_.acknowledged()};
  }
  bool may_guess(const incarnation_id& source) const noexcept;
  bool goes_on_beside_later(const incarnation_id& source) const noexcept;
  std::uint64_t peer_has(const incarnation_id& source) const noexcept;
  std::uint64_t reached(const incarnation_id& source) const noexcept;
  std::uint64_t committed_of(const incarnation_id& source, std::uint64_t upto) const noexcept;
  dot first_wanted(const incarnation_id& source) const noexcept;
  void forget_ended();
  bool is_left_to_origin(const node_id& origin) const {
    return origin != self_.node && their_links_.contains(origin);
  }
  void push_what_is_owed(effects& out);
  bool take_needed(std::vector<shared_batch>& into);
  void push_from_queue(effects& out);
  void ask_log(effects& out);
  void push(const std::vector<shared_batch>& batches, effects& out);
  void drop_queue() noexcept;
  void pull_missing(effects& out);
  void begin_pulls();
  sync_heads heads() const;
  send_message new_heads() { return {exchange_.shorten(heads())}; }

  sync_identity self_;
  node_id peer_;
  const sync_view& view_;
  sync_limits limits_;
  phase phase_ = phase::waiting;

  // The peer as a receiver.
  std::uint64_t peer_incarnation_ = 0;
  version_vector named_;      ///< To the peer, see `sync_hello::forgotten`.
  version_vector forgotten_;  ///< By the peer, to this side.
  heads_exchange exchange_;
  std::shared_ptr<const sync_heads> their_heads_;  ///< The latest; null before the first.
  version_vector theirs_;
  std::set<node_id> their_links_;
  std::set<incarnation_id> their_declined_;
  std::map<incarnation_id, progress> progress_;
  std::map<node_id, std::uint64_t>
      unguessed_;         ///< Up to this incarnation the peer has what it says.
  bool behind_ = false;   ///< Owed changes may have to come from the log. Nothing is queued then.
  bool reading_ = false;  ///< The log is being read.
  std::deque<shared_batch> queue_;
  std::size_t queued_bytes_ = 0;
  push_window window_;

  standing recently_;  ///< When heads were last sent by `tick`, or at the greeting.
  standing then_;      ///< The time before, so at least a second ago. Empty in the first second.
  bool forgotten_reported_ = false;

  // The peer as a sender.
  struct received_push {
    std::uint64_t push;
    std::set<incarnation_id> sources;
  };
  std::deque<received_push> processing_;
  std::set<incarnation_id> declined_;
  std::uint64_t processed_ = 0;  ///< The latest push of the peer that is done.
  version_vector their_base_;
  /// What the latest pull asks for and the log lacks. The base in the heads has only the latest
  /// incarnations: that says enough, unless a peer has a change of one and lacks some of before.
  version_vector not_logged_;
  bool lacks_base_ = false;              ///< A part of that, a second ago.
  std::vector<dot_range> asked_for_;     ///< By the latest pull since the last heads.
  std::vector<dot_range> asked_before_;  ///< By the first pull since other heads.
  bool was_of_no_use_ = false;           ///< That pull was the same as the one before.
  unsigned wait_ = 0;                    ///< Heads without a pull after one of no use.
  unsigned silent_heads_ = 0;            ///< Of them, how many are still to go.
  dot_range asked_until_;                ///< The last one of a pull that had no place for all.
  bool asked_for_rows_ = false;          ///< Since then: also for all earlier incarnations.
  std::uint64_t next_heads_ms_ = 0;
};

}  // namespace troupe
