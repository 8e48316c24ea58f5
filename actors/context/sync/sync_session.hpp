#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <troupe/actors/context/sync/push_batch.hpp>
#include <troupe/messages/sync.hpp>

namespace troupe {

/// Bounds and pace of a sync session.
struct sync_limits {
  std::size_t max_in_flight_bytes = std::size_t{512}
                                    << 10;  ///< Pushed and not acknowledged; one push always fits.
  std::size_t max_in_flight_batches = 64;
  std::size_t max_queued_bytes =
      std::size_t{1} << 20;  ///< Committed and not pushed yet; beyond, they are read from the log.
  std::size_t max_incarnations =
      std::size_t{1} << 17;  ///< That the peer may know of; more than any replica takes.
  std::uint64_t heads_every_ms = 1000;
};

/// The other side: what its link has authenticated, or what the replica knows of itself.
struct sync_identity {
  cluster_id cluster;
  node_id node;
  std::uint64_t incarnation = 0;
  std::uint64_t strategies = 0;  ///< `strategies_hash`.
};

/// What a session reads of the replica whenever it speaks. It outlives the sessions.
class sync_view {
public:
  /// What the store has committed: a change is never pushed before.
  virtual const version_vector& committed() const = 0;
  /// Hash of what is committed; all-zero, which says nothing, while changes wait for the disk.
  virtual state_hash root() const = 0;
  /// False while the disk does not keep up. What is pushed then is dropped, and sent again.
  virtual bool takes_pushes() const = 0;
  /// Nodes that this one is connected with; sorted.
  virtual const std::vector<node_id>& links() const = 0;
  /// `context_engine::declined`
  virtual std::vector<incarnation_id> declined() const = 0;
  /// `context_engine::missing`
  virtual std::vector<dot_range> missing() const = 0;

protected:
  ~sync_view() = default;
};

// -- what a session asks the replica to do --------------------------------------------------------

/// Send this to the peer.
struct send_message {
  sync_message message;
};
/// Read changes of one run from the log, from `first` on, up to `max_bytes` (at least one), and
/// hand them to `log_read`.
struct read_log {
  incarnation_id run;
  std::uint64_t first = 0;
  std::size_t max_bytes = 0;
};
/// Apply these in order, commit what was applied, then call `processed(batch)`.
struct apply_records {
  std::uint64_t batch = 0;
  std::vector<change_record> records;
};
/// The nodes resolve conflicts by different rules and show different values for equal siblings. An
/// operator must know.
struct report_mismatch {
  std::uint64_t ours = 0, theirs = 0;
};
/// Both have committed the same changes, and do not hold the same: one of them is damaged, or holds
/// something in quarantine. Told once in a session. An operator must know.
struct report_roots {
  state_hash ours, theirs;
};
/// The session is over; close the link.
struct close_session {
  error reason;
};
using sync_action = std::variant<send_message, read_log, apply_records, report_mismatch,
                                 report_roots, close_session>;

/// One side of the synchronisation between two replicas, without their engine, log and link: events
/// come in by its calls, what to do comes out as actions, in order.
///
/// Each side tells what it has (`sync_hello`, then `sync_heads` each second) and pushes what the
/// other lacks: changes as they are committed, older ones from the log. Pushes are numbered and
/// acknowledged; only so many bytes may be unacknowledged. A peer that does not keep up loses its
/// queue, is told the heads, and gets the rest from the log at its own pace. Pushes that a peer
/// shows no sign of for two seconds are taken for lost and sent again, but not while its heads say
/// that it is busy: a disk that refuses or hesitates is not flooded.
///
/// Who pushes what: a change that the peer can have from its origin directly, because the two are
/// connected, is left to the origin, or every node of a full mesh would send every change to every
/// other. What the peer still lacks a second or two after it was committed here, as its heads tell,
/// is pushed whoever made it. So changes also cross where two nodes are not connected, and what was
/// lost on the way is repaired by the same rule. Heads that come in between, as links come and go,
/// hurry nothing.
///
/// Pure and deterministic; belongs to the replica actor.
class sync_session {
public:
  using actions = std::vector<sync_action>;

  /// @param self this replica. @param peer who the link says is on the other side. @param view see
  /// `sync_view`; must outlive the session.
  sync_session(const sync_identity& self, node_id peer, const sync_view& view,
               sync_limits limits = {});

  /// The link is up: says hello.
  /// @param now_ms time that never goes back, not wall time; also of `tick`.
  actions start(std::uint64_t now_ms);
  /// The peer says something. Anything but a hello first, or anything malformed, ends the session.
  actions receive(const sync_message& message);
  /// The store has committed these, whoever made them. The view already counts them as committed.
  actions committed(const shared_batch& batch);
  /// The answer to `read_log`; empty when the log failed or does not reach back that far.
  actions log_read(std::vector<encoded_record> records);
  /// An `apply_records` is done: all of it applied, waiting or refused, and committed where
  /// applied.
  actions processed(std::uint64_t batch);
  /// The nodes that this one is connected with have changed.
  actions links_changed();
  /// Call a few times a second.
  actions tick(std::uint64_t now_ms);

  bool is_open() const noexcept { return phase_ == phase::open; }
  /// What the peer is known to have.
  const version_vector& peer_vector() const noexcept { return theirs_; }
  std::size_t in_flight_bytes() const noexcept { return in_flight_bytes_; }
  std::size_t queued_bytes() const noexcept { return queued_bytes_; }

private:
  enum class phase { waiting, open, closed };
  struct flight {
    std::uint64_t batch;
    std::size_t bytes;
  };
  struct progress {
    std::uint64_t sent = 0;  ///< Pushed up to here in this session, but perhaps lost.
    std::uint64_t owed = 0;  ///< To be pushed up to here, unless the peer gets it elsewhere first.
  };

  void on(const sync_hello& hello, actions& wishes);
  void on(const sync_push& push, actions& wishes);
  void on(const sync_ack& ack, actions& wishes);
  void on(const sync_heads& heads, actions& wishes);
  void on(const sync_pull& pull, actions& wishes);
  void close(error_code code, std::string why, actions& wishes);

  bool learn(const version_vector& vector, actions& wishes);
  bool has_reached(const version_vector& vector, actions& wishes);
  void compare_roots(const sync_heads& heads, actions& wishes);
  bool release(std::uint64_t batch, actions& wishes);
  void presume_lost_what_is_unacknowledged() noexcept;
  void owe(const incarnation_id& run, std::uint64_t upto);
  bool has_room() const noexcept;
  std::uint64_t reached(const incarnation_id& run) const noexcept;
  bool is_left_to_origin(const node_id& origin) const {
    return origin != self_.node && their_links_.contains(origin);
  }
  void push_what_is_owed(actions& wishes);
  void push_from_queue(actions& wishes);
  void ask_log(actions& wishes);
  void push(const push_batch& batch, actions& wishes);
  void drop_queue() noexcept;
  void pull_missing(actions& wishes);
  sync_heads heads() const;

  sync_identity self_;
  node_id peer_;
  const sync_view& view_;
  sync_limits limits_;
  phase phase_ = phase::waiting;

  // The peer as a receiver.
  version_vector theirs_;
  std::set<node_id> their_links_;
  std::set<incarnation_id> their_declined_;
  std::map<incarnation_id, progress> progress_;
  bool behind_ =
      false;  ///< Something owed may have to come from the log; until then nothing is queued.
  std::optional<incarnation_id> reading_;  ///< The run that the log is being read for.
  std::deque<shared_batch> queue_;
  std::size_t queued_bytes_ = 0;
  std::deque<flight> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  std::uint64_t pushes_ = 0;
  std::uint64_t released_ = 0;  ///< Latest push that the peer has dealt with.

  /// How things stood here at some moment.
  struct standing {
    version_vector committed;
    std::uint64_t pushes = 0, released = 0;
  };
  standing recently_;  ///< At the latest `tick` that sent heads, or at the greeting.
  standing then_;  ///< At the one before, so at least a second ago; nothing in the first second.
  bool roots_reported_ = false;

  // The peer as a sender.
  struct received_push {
    std::uint64_t batch;
    std::set<incarnation_id> runs;
  };
  std::deque<received_push> processing_;
  std::uint64_t processed_ = 0;  ///< Latest push of the peer that was dealt with.
  bool pulled_ = false;          ///< Since heads were last sent.
  std::uint64_t next_heads_ms_ = 0;
};

}  // namespace troupe
