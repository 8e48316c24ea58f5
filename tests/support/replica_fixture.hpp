#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include <troupe/actors/context/replica.hpp>
#include <troupe/tests/support/actor_fixture.hpp>
#include <troupe/tests/support/context_fixture.hpp>

namespace troupe::test {

/// A store keeper that keeps all in memory, and refuses or hesitates when the test says so.
class fake_store {
public:
  explicit fake_store(virtual_system& system) : system_(system) {
    keeper_ = system.own(
        store_keeper_actor{system.caf().spawn([disk = disk_](store_keeper_actor::pointer self) {
          return store_keeper_actor::behavior_type{
              [self, disk](const append_records& wanted) {
                auto promise = self->make_response_promise<void>();
                disk->waiting.push_back({wanted, promise});
                if (!disk->held) disk->write_all();
                return promise;
              },
              [disk](const read_records& wanted) { return disk->read(wanted); },
              [disk](const write_checkpoint& wanted) -> caf::result<void> {
                if (disk->checkpoints_refused)
                  return to_caf({error_code::storage_failure, "no room for a checkpoint", {}});
                disk->checkpoints.push_back(wanted.state);
                return {};
              }};
        })});
  }

  const store_keeper_actor& keeper() const { return keeper_; }
  const std::vector<encoded_record>& log() const { return disk_->log; }
  const std::vector<std::shared_ptr<const engine_state>>& checkpoints() const {
    return disk_->checkpoints;
  }
  /// Commits so far.
  std::size_t commits() const { return disk_->commits; }

  /// Lets appends wait until `proceed`.
  void hold() { disk_->held = true; }
  void proceed() {
    disk_->held = false;
    leave_turn(keeper_);
    disk_->write_all();
    system_.run();
  }
  /// Refuses changes until `accept`.
  void refuse() { disk_->refusal = error{error_code::storage_failure, "the disk is full", {}}; }
  void accept() { disk_->refusal.reset(); }
  void refuse_checkpoints() { disk_->checkpoints_refused = true; }
  void accept_checkpoints() { disk_->checkpoints_refused = false; }
  /// How many changes each commit had.
  const std::vector<std::size_t>& batches() const { return disk_->batches; }
  /// Forgets what is in the log, as a log that does not reach back so far.
  void make_log_unreadable() { disk_->unreadable = true; }

private:
  struct disk {
    std::vector<encoded_record> log;
    std::vector<std::shared_ptr<const engine_state>> checkpoints;
    std::size_t commits = 0;
    std::vector<std::size_t> batches;
    std::optional<error> refusal;
    bool held = false;
    bool unreadable = false;
    bool checkpoints_refused = false;
    std::deque<std::pair<append_records, caf::typed_response_promise<void>>> waiting;

    void write_all() {
      for (auto& [wanted, promise] : std::exchange(waiting, {})) {
        if (refusal) {
          promise.deliver(to_caf(*refusal));
          continue;
        }
        log.insert(log.end(), wanted.records->begin(), wanted.records->end());
        ++commits;
        batches.push_back(wanted.records->size());
        promise.deliver();
      }
    }
    caf::result<records_read> read(const read_records& wanted) const {
      if (unreadable) return to_caf({error_code::corrupt_data, "a row of the log is damaged", {}});
      records_read found;
      std::size_t bytes = 0;
      for (const auto& each : log) {
        if (incarnation_id{each.dot.origin, each.dot.incarnation} != wanted.incarnation ||
            each.dot.seq < wanted.first)
          continue;
        if (!found.records.empty() && bytes + each.bytes.size() > wanted.max_bytes) break;
        bytes += each.bytes.size();
        found.records.push_back(each);
      }
      return found;
    }
  };

  virtual_system& system_;
  std::shared_ptr<disk> disk_ = std::make_shared<disk>();
  store_keeper_actor keeper_;
};

/// A replica of one node, on a store of its own, with wall time that follows the virtual time.
class replica_fixture {
public:
  /// @param n see `node`.
  /// @param replayed changes of earlier incarnations that no checkpoint holds.
  replica_fixture(virtual_system& in, unsigned n, std::uint64_t checkpoint_every = 20'000,
                  cluster_id cluster = {}, std::uint64_t replayed = 0)
      : system(in),
        id(node(n)),
        store(in),
        actor(in.own(spawn_replica(
            in.caf(),
            {.engine = context_engine{id, 1},
             .identity = {cluster, id},
             .store = store.keeper(),
             .log = log.target(),
             .clock =
                 [&in, offset = wall_offset_ms] {
                   const auto now = in.caf().clock().now().time_since_epoch();
                   return noon + static_cast<std::uint64_t>(*offset) +
                          static_cast<std::uint64_t>(
                              std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
                 },
             .checkpoint_every = checkpoint_every,
             .replayed = replayed}))) {
    system.run();
  }

  virtual_system& system;
  node_id id;
  std::shared_ptr<std::int64_t> wall_offset_ms =
      std::make_shared<std::int64_t>(0);  ///< Of wall time from virtual time.
  recorded_log log;
  fake_store store;
  replica_actor actor;

  answer<values_written> write(std::string_view where, value given,
                               durability level = durability::durable) {
    auto asked =
        system.ask<values_written>(actor, write_values{.entries = {{path{where}, std::move(given)}},
                                                       .durability = level,
                                                       .principal = "tester"});
    system.run();
    return asked;
  }
  answer<values_written> erase(std::string_view where) {
    auto asked = system.ask<values_written>(actor, write_values{.entries = {{path{where}, {}}},
                                                                .what = operation::erase,
                                                                .principal = "tester"});
    system.run();
    return asked;
  }
  /// What readers see, or nothing.
  std::optional<value> read(std::string_view where) {
    auto found = system.demand<value_found>(actor, get_value{path{where}}).value();
    if (!found.found) return std::nullopt;
    return found.value;
  }
  values_verified verify() {
    return system.demand<values_verified>(actor, verify_values{}).value();
  }
  /// The decoded answer to a request over a link.
  template <class T, class Params>
  result<T> serve(std::string method, const Params& params) {
    auto got = system.demand<payload>(actor, call_of(std::move(method), params));
    if (!got) return fail(got.error());
    return decode_checked<T>(got->msgpack.bytes);
  }
  /// Introduces a peer that can be reached over this link.
  void meet(const link_actor& link, const node_id& peer) {
    tell(actor, peer_up{link, peer, "peer", 1});
  }
};

/// One replica in virtual time.
class one_replica {
public:
  using strings = std::vector<std::string>;

  virtual_system system;
  replica_fixture replica{system, 1};

  /// The paths of the changes in its log.
  strings stored() const {
    strings all;
    for (const auto& each : replica.store.log())
      all.push_back(decode_checked<change_record>(each.bytes).value().path.text());
    return all;
  }
};

/// Says something to a replica as a link does.
inline void say_as(const link_actor& link, const replica_actor& to, std::string method,
                   std::string bytes) {
  const auto caller = std::make_shared<const principal>(
      principal{.name = "peer", .kind = principal_kind::peer, .capabilities = {}});
  caf::actor_cast<caf::strong_actor_ptr>(to)->enqueue(
      caf::actor_cast<caf::strong_actor_ptr>(link), caf::make_message_id(),
      caf::make_message(service_notification{caller, std::move(method), {std::move(bytes)}}),
      nullptr);
}

/// A link whose other side is the test: keeps what it is given.
class kept_link {
public:
  explicit kept_link(virtual_system& system) {
    link_ = system.own(link_actor{system.caf().spawn([heard = heard_](link_actor::pointer self) {
      return link_actor::behavior_type{
          [](const call_remote&) -> caf::result<payload> {
            return to_caf({error_code::not_found, "nobody calls", {}});
          },
          [heard](const notify_remote& notification) -> caf::result<void> {
            if (heard->refuses)
              return to_caf({error_code::overloaded, "the other side does not read", {}});
            heard->notifications.push_back(notification);
            return {};
          },
          [self, heard](const close_link& close) {
            heard->closed = close.reason;
            self->quit();
          }};
    })});
  }

  const link_actor& actor() const { return link_; }
  /// The notifications with this method.
  template <class T>
  std::vector<T> said(std::string_view method) const {
    std::vector<T> all;
    for (const auto& each : heard_->notifications)
      if (each.method == method) all.push_back(decode_checked<T>(each.params.bytes).value());
    return all;
  }
  void refuse() { heard_->refuses = true; }
  /// Why the replica closed it, if it did.
  const std::optional<std::string>& closed() const { return heard_->closed; }

private:
  struct memory {
    std::vector<notify_remote> notifications;
    std::optional<std::string> closed;
    bool refuses = false;
  };

  std::shared_ptr<memory> heard_ = std::make_shared<memory>();
  link_actor link_;
};

/// Connects two replicas: what one notifies arrives at the other. Cut at the end.
class fake_wire {
public:
  fake_wire(replica_fixture& a, replica_fixture& b) : system_(a.system) {
    auto ends = std::make_shared<std::pair<link_actor, link_actor>>();
    ends->first = make_end(b.actor, [ends] { return ends->second; });
    ends->second = make_end(a.actor, [ends] { return ends->first; });
    ends_ = ends;
    a.meet(ends->first, b.id);
    b.meet(ends->second, a.id);
    system_.run();
  }
  ~fake_wire() { cut(); }
  fake_wire(const fake_wire&) = delete;
  fake_wire& operator=(const fake_wire&) = delete;

  void cut() {
    if (!ends_) return;
    for (auto* end : {&ends_->first, &ends_->second}) {
      caf::anon_send_exit(*end, caf::exit_reason::user_shutdown);
      *end = nullptr;
    }
    ends_.reset();
    system_.run();
  }

private:
  /// One end: passes what its replica says on to the other replica, in the name of the other end.
  template <class OtherEnd>
  link_actor make_end(replica_actor to, OtherEnd other) {
    return system_.own(link_actor{system_.caf().spawn([to, other](link_actor::pointer self) {
      return link_actor::behavior_type{
          [](const call_remote&) -> caf::result<payload> {
            return to_caf({error_code::not_found, "nobody calls", {}});
          },
          [to, other](const notify_remote& notification) {
            if (const auto from = other())
              say_as(from, to, notification.method, notification.params.bytes);
          },
          [self, other](const close_link&) {
            if (const auto there = other())
              caf::anon_send_exit(there, caf::exit_reason::user_shutdown);
            self->quit();
          }};
    })});
  }

  virtual_system& system_;
  std::shared_ptr<std::pair<link_actor, link_actor>> ends_;
};

}  // namespace troupe::test
