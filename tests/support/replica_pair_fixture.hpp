#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/strategies.hpp>
#include <troupe/tests/support/replica_fixture.hpp>

namespace troupe::test {

/// Two replicas in virtual time, not connected yet.
class pair_fixture {
public:
  virtual_system system;
  replica_fixture a{system, 1};
  replica_fixture b{system, 2};

  /// Long enough for what was missed to be repaired: two exchanges of heads and what follows from
  /// them.
  void settle() { system.pass(3s); }
  bool equal() {
    return a.verify().hash == b.verify().hash && a.verify().sound && b.verify().sound;
  }
};

inline sync_hello hello_of(const node_id& who) {
  return {.cluster = {},
          .node = who,
          .incarnation = 1,
          .vector = {},
          .root = {},
          .strategies = strategies_hash(last_writer_wins{})};
}

/// A peer of the first replica that the test plays, greeted.
class played_peer {
public:
  played_peer(pair_fixture& in, unsigned n) : in_(in), link_(in.system) {
    in.a.meet(link_.actor(), node(n));
    say_as(link_.actor(), in.a.actor, "sync.hello", encode(hello_of(node(n))));
    in.system.run();
  }
  void push(std::vector<change_record> records) {
    std::vector<encoded_record> encoded;
    for (const auto& each : records) encoded.push_back(encode_record(each));
    say_as(link_.actor(), in_.a.actor, "sync.push",
           encode(push_batch{std::move(encoded)}.to_message(++pushes_)));
    in_.system.run();
  }
  kept_link& link() { return link_; }

private:
  pair_fixture& in_;
  kept_link link_;
  std::uint64_t pushes_ = 0;
};

}  // namespace troupe::test
