#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <troupe/actors/context/commit_queue.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

using namespace troupe;

namespace {

change_record record(std::uint64_t seq) {
  return test::put({test::node(1), 1, seq}, "/a", "record " + std::to_string(seq));
}

const result<void> done{};
const result<void> refused = fail(error_code::storage_failure, "the disk is full");

/// A queue to which records 1, 2, 3 … are added.
struct fixture {
  commit_queue queue;
  std::uint64_t added = 0;

  explicit fixture(commit_limits limits = {}) : queue{limits} {}

  void add(int count = 1) {
    while (count-- > 0) queue.add(std::vector{record(++added)});
  }
  /// Adds this many that belong together.
  void add_group(int count) {
    std::vector<change_record> group;
    while (count-- > 0) group.push_back(record(++added));
    queue.add(std::move(group));
  }
  /// The numbers of the records in the next batch.
  std::vector<std::uint64_t> take() {
    std::vector<std::uint64_t> numbers;
    if (const auto next = queue.take())
      for (const auto& each : next->batches)
        for (auto seq = each->first(); seq <= each->last(); ++seq) numbers.push_back(seq);
    return numbers;
  }
};

using numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("an empty queue has nothing to write") {
  fixture f;
  CHECK(f.queue.is_idle());
  CHECK(f.take().empty());
  CHECK(f.queue.added() == 0);
}

TEST_CASE("all that waits is one batch, in the order in which it came") {
  fixture f;
  f.add(3);
  CHECK_FALSE(f.queue.is_idle());
  CHECK(f.take() == numbers{1, 2, 3});
}

TEST_CASE("a batch has a bound; the rest comes with the next") {
  fixture f{{.max_batch = 2}};
  f.add(5);
  CHECK(f.take() == numbers{1, 2});
  f.queue.end_commit(done);
  CHECK(f.take() == numbers{3, 4});
  f.queue.end_commit(done);
  CHECK(f.take() == numbers{5});
  f.queue.end_commit(done);
  CHECK(f.queue.is_idle());
}

TEST_CASE("one batch is written at a time, while the next gathers") {
  fixture f;
  f.add();
  CHECK(f.take() == numbers{1});
  f.add(2);
  CHECK(f.take().empty());
  CHECK_FALSE(f.queue.is_idle());
  f.queue.end_commit(done);
  CHECK(f.take() == numbers{2, 3});
  CHECK_FALSE(f.queue.is_idle());
}

TEST_CASE("the batch whose outcome is reported is handed back") {
  fixture f;
  f.add(2);
  const auto first = f.queue.take();
  CHECK(f.queue.end_commit(refused) == first);
  const auto again = f.queue.take();
  CHECK(again->batches == first->batches);
  CHECK(again->changes == 2);
  CHECK(f.queue.end_commit(done) == again);
}

TEST_CASE("what the disk refuses is offered again, before what came later") {
  fixture f{{.max_batch = 2}};
  f.add(3);
  CHECK(f.take() == numbers{1, 2});
  f.add();
  f.queue.end_commit(refused);
  CHECK(f.take() == numbers{1, 2});
  f.queue.end_commit(done);
  CHECK(f.take() == numbers{3, 4});
}

TEST_CASE("the health is the latest refusal, until a batch succeeds") {
  fixture f;
  CHECK(f.queue.health());
  f.add();
  f.take();
  f.queue.end_commit(refused);
  CHECK(f.queue.health().error() == refused.error());
  f.take();
  CHECK_FALSE(f.queue.health());
  f.queue.end_commit(done);
  CHECK(f.queue.health());
}

TEST_CASE("a queue is full when N records wait, not counting those being written") {
  fixture f{{.max_batch = 2, .max_waiting = 3}};
  f.add(2);
  CHECK_FALSE(f.queue.is_full());
  f.add();
  CHECK(f.queue.is_full());
  f.take();
  CHECK_FALSE(f.queue.is_full());
  f.queue.end_commit(refused);
  CHECK(f.queue.is_full());
}

TEST_CASE("what was added together is written together, whatever the bound of a batch") {
  fixture f{{.max_batch = 4}};
  f.add(3);
  f.add_group(3);
  f.add_group(6);
  f.add();
  CHECK(f.take() == numbers{1, 2, 3});
  f.queue.end_commit(done);
  CHECK(f.take() == numbers{4, 5, 6});
  f.queue.end_commit(refused);
  CHECK(f.take() == numbers{4, 5, 6});
  f.queue.end_commit(done);
  CHECK(f.take() == numbers{7, 8, 9, 10, 11, 12});
  f.queue.end_commit(done);
  CHECK(f.take() == numbers{13});
  f.add_group(0);
  f.queue.end_commit(done);
  CHECK(f.queue.is_idle());
}

TEST_CASE("a batch is bounded in bytes, and has at least one record") {
  fixture f{{.max_batch_bytes = 2 * record(1).weight()}};
  f.add(5);
  CHECK(f.take() == numbers{1, 2});
  f.queue.end_commit(done);
  fixture tiny{{.max_batch_bytes = 1}};
  tiny.add(2);
  CHECK(tiny.take() == numbers{1});
}

TEST_CASE("a queue is full when N bytes wait, not counting those being written") {
  fixture f{{.max_batch = 1, .max_waiting_bytes = 2 * record(1).weight()}};
  f.add();
  CHECK_FALSE(f.queue.is_full());
  f.add();
  CHECK(f.queue.is_full());
  f.take();
  CHECK_FALSE(f.queue.is_full());
  f.queue.end_commit(refused);
  f.add();
  CHECK(f.queue.is_full());
  f.take();
  f.queue.end_commit(done);
  f.take();
  CHECK_FALSE(f.queue.is_full());
}

TEST_CASE("changes that follow each other become one batch, batches of others stay as they came") {
  fixture f;
  f.add(3);
  const auto foreign = change_batch::of(std::vector{test::put({test::node(2), 1, 5}, "/b", 1),
                                                    test::put({test::node(2), 1, 6}, "/b", 2)});
  f.queue.add(foreign);
  f.add(2);
  const auto next = f.queue.take();
  REQUIRE(next->batches.size() == 3);
  CHECK(next->changes == 7);
  CHECK(next->batches[0]->size() == 3);
  CHECK(next->batches[1] == foreign);
  CHECK(next->batches[2]->first() == 4);
}

TEST_CASE("a queue counts what was added and what of it is durable") {
  fixture f{{.max_batch = 2}};
  f.add(3);
  f.take();
  CHECK(f.queue.added() == 3);
  CHECK(f.queue.durable() == 0);
  f.queue.end_commit(done);
  CHECK(f.queue.added() == 3);
  CHECK(f.queue.durable() == 2);
}
