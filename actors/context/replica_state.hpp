#pragma once

#include <deque>
#include <map>
#include <memory>

#include <troupe/actors/context/commit_queue.hpp>
#include <troupe/actors/context/context_reader.hpp>
#include <troupe/actors/context/log_quota.hpp>
#include <troupe/actors/context/replica.hpp>
#include <troupe/actors/context/sync/sync_session.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/reply_to.hpp>
#include <troupe/actors/kernel/shell.hpp>

namespace troupe {

/// The state behind `replica_actor`. Writes and reads are in replica.cpp, the exchange with peers
/// in replica_sync.cpp.
class replica_state {
public:
  using interface = replica_actor;
  static constexpr const char* name = "replica";

  replica_state(interface::pointer self, replica_setup setup);

  interface::behavior_type make_behavior();

private:
  struct received_push {
    std::uint64_t position;  ///< What `commit_queue::durable` must reach.
    std::uint64_t batch;
  };
  struct peer {
    link_actor link;
    node_id node;
    std::string name;
    std::unique_ptr<sync_session> session;
    /// Pushes whose changes are not durable yet, oldest first. As many as the session lets wait.
    std::deque<received_push> uncommitted{};
  };
  struct watcher {
    path prefix;
    context_watcher to;
    std::size_t unanswered = 0;  ///< Changes.
  };

  // -- writing and reading ------------------------------------------------------------------------
  value_found find(const path& where) const;
  void write(const write_values& wanted, reply_to<values_written> to);
  std::optional<error> first_refused(const write_values& wanted) const;
  void announce(applied_change change);
  void watch(const watch_context& wanted);
  void tell_watchers();
  void list(const list_values& wanted, reply_to<value_page> to);
  void verify(const verify_values& wanted, reply_to<values_verified> to);
  result<context_reader_actor> start_reader();
  caf::result<payload> serve(service_call& call);
  static write_values write_of(const service_call& asked, enum durability when);
  caf::result<payload> serve_single(write_values wanted);

  // -- durability ---------------------------------------------------------------------------------
  void commit();
  void committed(const std::vector<encoded_record>& batch);
  std::uint64_t stored() const noexcept { return queue_.durable() + unlogged_; }
  void checkpoint_when_due();
  void checkpoint(std::shared_ptr<const engine_state> state, std::uint64_t upto,
                  std::function<void(const result<void>&)> done);
  caf::result<void> settle();

  // -- peers --------------------------------------------------------------------------------------
  void meet(const peer_up& up);
  void lose(caf::actor_id link);
  void hear(caf::actor_id link, const service_notification& notification);
  void carry_out(caf::actor_id link, sync_session::actions actions);
  void send(peer& to, const sync_message& message);
  void apply(caf::actor_id link, apply_records wanted);
  void tell_problem(const dot& id, const apply_outcome& outcome);
  void acknowledge(caf::actor_id link);
  std::uint64_t steady_ms() const;
  void read_for(caf::actor_id link, const read_log& wanted);
  void refresh_view();
  std::vector<caf::actor_id> links() const;
  void tell_what_was_not_logged();
  void for_each_session(const std::function<sync_session::actions(sync_session&)>& step);

  interface::pointer self_;
  replica_setup setup_;
  context_engine engine_;
  commit_queue queue_;
  sync_view view_;
  std::map<caf::actor_id, peer> peers_;
  std::map<caf::actor_id, watcher> watchers_;
  std::vector<std::shared_ptr<const change_record>>
      news_;  ///< What this message changed, until watchers are told.
  /// What links said before the mesh introduced them; few, as the introduction is under way. The
  /// oldest go first.
  std::deque<std::pair<caf::actor_id, service_notification>> early_;
  watch_list ends_;
  std::shared_ptr<spdlog::logger> log_;
  // Of the changes that the store has and of those that no log holds: how many the latest
  // checkpoint has, and the latest try.
  std::uint64_t unlogged_ = 0;  ///< Replayed at the start, or put in quarantine since.
  std::uint64_t checkpointed_ = 0, checkpoint_tried_ = 0;
  bool checkpointing_ = false;
  std::size_t readers_ = 0;
  log_quota conflicts_, refusals_, alarms_;
  std::uint64_t next_second_ms_ = 0;
  bool disk_refused_ = false;
};

}  // namespace troupe
