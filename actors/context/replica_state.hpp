#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <troupe/actors/context/queries/context_reader.hpp>
#include <troupe/actors/context/replica.hpp>
#include <troupe/actors/context/sync_manager.hpp>
#include <troupe/actors/kernel/fair_queue.hpp>
#include <troupe/actors/kernel/messaging.hpp>
#include <troupe/actors/kernel/reply_to.hpp>
#include <troupe/actors/kernel/shell.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

/// Where the answers to open requests go.
template <class T>
class awaited_answers {
public:
  void add(context_request request, reply_to<T> to) { open_.emplace(request, std::move(to)); }
  void answer(context_request request, result<T> outcome) {
    auto found = open_.extract(request);
    TROUPE_ASSERT(!found.empty(), "a request is answered once");
    found.mapped()(std::move(outcome));
  }

private:
  std::unordered_map<context_request, reply_to<T>> open_;
};

/// The state behind `replica_actor`: reports events to the sync manager and carries out its
/// effects. Requests and reads are in replica.cpp, effects in replica_effects.cpp.
class replica_state {
public:
  using interface = replica_actor;
  static constexpr const char* name = "replica";

  replica_state(interface::pointer self, replica_setup setup);

  interface::behavior_type make_behavior();

private:
  /// What a peer has said; the link may read on when it is taken.
  struct heard {
    std::string method;
    binary params;
    reply_to<void> taken;
  };
  /// What waits of one peer. More than a link lets wait means that the link has given up waiting.
  static constexpr std::size_t max_heard_bytes = std::size_t{16} << 20;

  // -- requests -----------------------------------------------------------------------------------
  void write(const write_values& wanted, reply_to<values_written> to);
  void settle(const settle_context& wanted, reply_to<void> to);
  void list(const list_values& wanted, reply_to<value_page> to);
  void correct(reply_to<clock_checked> to);
  void verify(const verify_values& wanted, reply_to<values_verified> to);
  result<value_found> find(const get_value& wanted) const;
  result<value_explained> explain(const path& where) const;
  snapshot_taken snapshot() const;
  template <class T, class Message>
  void read_aside(const Message& wanted, reply_to<T> to);
  caf::result<payload> serve(service_call& call);
  caf::result<payload> serve_single(write_values wanted);
  caf::result<payload> serve_clearing();
  caf::result<payload> serve_forgetting(const forget_member& wanted, const service_call& asked);
  void begin_anew_with(const state_set_aside& found);

  // -- events -------------------------------------------------------------------------------------
  event_time now() const;
  void watch(const watch_context& wanted);
  void meet(const peer_up& up);
  caf::result<void> hear(service_notification& said);
  void add_heard(peer_id peer, std::optional<heard> what, std::size_t bytes);
  void hear_next_of_peers();
  void hear_one();
  void give_back();

  // -- effects ------------------------------------------------------------------------------------
  void carry_out_effects();
  void carry_out(append_batch& effect);
  void carry_out(read_peer_log& effect);
  void carry_out(read_own_log& effect);
  void carry_out(save_checkpoint& effect);
  void carry_out(collect_log& effect);
  void carry_out(scrub_store& effect);
  void carry_out(begin_anew& effect);
  void carry_out(keep_aside& effect);
  void carry_out(keep_transfer& effect);
  void carry_out(find_transfer& effect);
  void carry_out(give_back_memory& effect);
  void carry_out(send_to_peer& effect);
  void carry_out(close_peer& effect);
  void carry_out(answer_write& effect);
  void carry_out(answer_settle& effect);
  void carry_out(tell_watcher& effect);
  void carry_out(end_watcher& effect);
  void carry_out(sync_log_line& effect);

  interface::pointer self_;
  store_keeper_actor store_;
  wall_clock clock_;
  std::shared_ptr<spdlog::logger> log_;
  sync_settings settings_;
  std::unique_ptr<sync_manager> manager_;  ///< Another one when the replica begins anew.
  std::uint64_t managers_ = 1;             ///< How many there have been.
  std::vector<sync_effect> effects_;       ///< Of the event under way; kept for its memory.
  std::vector<std::string> problems_;      ///< That the start found.
  bool is_carrying_out_ = false;
  std::uint64_t requests_ = 0;
  int give_backs_left_ = 0;
  awaited_answers<values_written> writes_;
  awaited_answers<void> settles_;
  std::unordered_map<peer_id, link_actor> links_;
  /// What peers have said, in turns, and between what this node's own users ask for. Nothing: the
  /// link has ended.
  fair_queue<peer_id, std::optional<heard>> heard_{max_heard_bytes};
  bool will_hear_ = false;  ///< `hear_next` is on its way.
  std::unordered_map<watcher_id, context_watcher> watchers_;
  watch_list ends_;
};

}  // namespace troupe
