#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <troupe/actors/context/acknowledgements.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

using namespace troupe;

namespace {

using strings = std::vector<std::string>;

std::string name_of(const acknowledgements::waiter& who) {
  if (const auto* write = std::get_if<waiting_write>(&who))
    return "write " + std::to_string(static_cast<std::uint64_t>(write->request));
  if (const auto* push = std::get_if<waiting_push>(&who))
    return "push " + std::to_string(push->batch);
  return std::get<waiting_checkpoint>(who).settles ? "settle" : "checkpoint";
}

/// A queue of changes, and what waits for them.
struct fixture {
  commit_queue queue;
  acknowledgements waiting;
  std::uint64_t added = 0;

  explicit fixture(commit_limits limits = {}) : queue{limits} {}

  void add(int count = 1) {
    while (count-- > 0) queue.add(std::vector{test::put({test::node(1), 1, ++added}, "/a", 1)});
  }
  void wait(acknowledgements::waiter who) { waiting.add(queue.added(), std::move(who)); }
  void write(std::uint64_t number) { wait(waiting_write{context_request{number}, {}}); }
  void push(std::uint64_t batch, unsigned peer = 1) { wait(waiting_push{peer_id{peer}, batch}); }
  void checkpoint() { wait(waiting_checkpoint{nullptr, 0}); }
  void settle() { wait(waiting_checkpoint{nullptr, 0, context_request{99}}); }

  /// Stores the next batch. @returns the waiters that are served.
  strings store() {
    queue.take();
    queue.end_commit({});
    return served();
  }
  strings served() {
    strings names;
    while (auto ready = waiting.next(queue.durable())) names.push_back(name_of(*ready));
    return names;
  }
  /// Refuses the next batch. @returns the waiters that the refusal ends.
  strings refuse() {
    queue.take();
    queue.end_commit(fail(error_code::storage_failure, "the disk is full"));
    strings names;
    for (const auto& each : waiting.refuse()) names.push_back(name_of(each));
    return names;
  }
};

}  // namespace

TEST_CASE("with nothing to store no waiter waits") {
  fixture f;
  f.write(1);
  f.push(2);
  CHECK(f.served() == strings{"write 1", "push 2"});
  CHECK(f.waiting.empty());
}

TEST_CASE("a waiter is served when everything added before is durable, and no earlier") {
  fixture f{{.max_batch = 2}};
  f.add();
  f.write(1);
  f.add(2);
  f.write(3);
  f.push(3);
  f.queue.take();
  CHECK(f.served().empty());
  f.add();
  f.write(4);
  f.queue.end_commit({});
  CHECK(f.served() == strings{"write 1"});
  CHECK(f.store() == strings{"write 3", "push 3", "write 4"});
}

TEST_CASE("a waiter that comes while the last batch is written waits for it") {
  fixture f;
  f.add();
  f.queue.take();
  f.write(1);
  CHECK(f.served().empty());
  f.queue.end_commit({});
  CHECK(f.served() == strings{"write 1"});
}

TEST_CASE("a refusal ends what requests wait for; due checkpoints and pushes wait on") {
  fixture f;
  f.add();
  f.write(1);
  f.push(1);
  f.checkpoint();
  f.add();
  f.settle();
  f.write(2);
  CHECK(f.refuse() == strings{"write 1", "settle", "write 2"});
  CHECK(f.store() == strings{"push 1", "checkpoint"});
}

TEST_CASE("a served waiter may add and wait again at once") {
  fixture f;
  f.add();
  f.write(1);
  f.queue.take();
  f.queue.end_commit({});
  strings names;
  while (auto ready = f.waiting.next(f.queue.durable())) {
    names.push_back(name_of(*ready));
    f.add();
    f.write(2);
  }
  CHECK(names == strings{"write 1"});
  CHECK(f.store() == strings{"write 2"});
}

TEST_CASE("the pushes of a peer that is gone are forgotten, those of others are not") {
  fixture f;
  f.add();
  f.push(1, 1);
  f.push(2, 2);
  f.write(3);
  f.waiting.forget(peer_id{1});
  CHECK(f.store() == strings{"push 2", "write 3"});
}
