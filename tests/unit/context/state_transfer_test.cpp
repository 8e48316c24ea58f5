#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <random>
#include <string>
#include <vector>

#include <troupe/tests/support/fixtures/state_transfer_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// A tree of this many entries, some of which have the same path.
context_tree random_tree(unsigned seed, std::size_t count) {
  std::mt19937 random{seed};
  context_tree tree;
  for (std::size_t i = 0; i < count; ++i)
    tree.put(path{random_path(random, 5)}, random_siblings(random).all());
  return tree;
}

/// A value that does not get smaller by compression.
held_siblings noise(unsigned seed, std::size_t bytes) {
  std::mt19937 random{seed};
  std::string text(bytes, ' ');
  for (auto& each : text) each = static_cast<char>('!' + random() % 90);
  return held_siblings{{put({node(1), 1, seed + 1}, "/x", text)}};
}

}  // namespace

TEST_CASE("an empty node takes a whole state") {
  const auto tree = random_tree(1, 9000);
  REQUIRE(tree.size() > 3000);
  const auto state = state_with(tree);
  const state_offer offer{1, state};
  state_pull pull{{}, 1, {}, plenty};
  CHECK_FALSE(pull.is_done());
  const auto costs = run(pull, offer);
  check_pulled(pull, *state);
  CHECK(costs.entries == tree.size());
  CHECK(pull.received() == tree.size());
  CHECK(costs.bytes > 0);
}

TEST_CASE("an empty state takes the place of what a node has") {
  const auto state = state_with({});
  state_pull pull{counted_tree(300), 1, {}, plenty};
  const auto costs = run(pull, {1, state});
  check_pulled(pull, *state);
  CHECK(costs.questions == 2);
  CHECK(pull.received() == 0);
}

TEST_CASE("of equal trees no entry is sent") {
  const auto state = state_with(counted_tree(3000));
  state_pull pull{state->tree, 1, {}, plenty};
  const auto costs = run(pull, {1, state});
  check_pulled(pull, *state);
  CHECK(costs.questions == 2);
  CHECK(costs.entries == 0);
  CHECK(pull.question().wanted.empty());
  CHECK(pull.question().ask == 2);
}

TEST_CASE("of nearly equal trees hardly more is sent than what differs") {
  const auto theirs = counted_tree(20'000);
  auto mine = theirs;
  for (const std::size_t i : {0, 77, 3111, 3112, 8000, 9999, 12'345, 19'999})
    mine.put(place(i), siblings_for(2, 5).all());
  mine.put(path{"/only/here"}, siblings_for(2, 5).all());
  mine.erase(place(15'000));
  REQUIRE(differences(mine, theirs) == 10);
  const auto state = state_with(theirs);
  state_pull pull{mine, 1, {}, plenty};
  const auto costs = run(pull, {1, state});
  check_pulled(pull, *state);
  CHECK(costs.entries == 9);
  CHECK(costs.questions <= 5);
  CHECK(costs.bytes < 3000);
}

TEST_CASE("of a tree from which something has gone no entry is sent") {
  const auto theirs = counted_tree(5000);
  auto mine = theirs;
  for (std::size_t i = 0; i < 20; ++i)
    mine.put(path{"/more/" + std::to_string(i)}, siblings_for(2, 5).all());
  const auto state = state_with(theirs);
  state_pull pull{mine, 1, {}, plenty};
  const auto costs = run(pull, {1, state});
  check_pulled(pull, *state);
  CHECK(costs.entries == 0);
}

TEST_CASE("whatever two trees are like, the transfer makes them equal and sends few entries") {
  CHECK(rc::check([](unsigned seed) {
    std::mt19937 random{seed};
    context_tree common;
    change_at_random(common, random, random() % 1200);
    auto mine = common, theirs = common;
    change_at_random(mine, random, random() % 2 ? random() % 12 : random() % 600);
    change_at_random(theirs, random, random() % 2 ? random() % 12 : random() % 600);
    const auto differing = differences(mine, theirs);
    const auto state = state_with(theirs);
    state_pull pull{mine, 1, {}, plenty};
    const auto costs = run(pull, {1, state});
    check_pulled(pull, *state);
    // Each range that is sent differs somewhere.
    RC_ASSERT(costs.entries <= differing * state_offer::few_entries);
    RC_ASSERT(pull.received() == costs.entries);
  }));
}

TEST_CASE("however many entries of large trees differ, they become equal at a fair price") {
  const auto theirs = counted_tree(30'000);
  for (const std::size_t every : {1, 2, 5, 20, 100, 3000}) {
    CAPTURE(every);
    auto mine = theirs;
    for (std::size_t i = 0; i < 30'000; i += every) mine.put(place(i), siblings_for(2, 5).all());
    const auto state = state_with(theirs);
    state_pull pull{mine, 1, {}, plenty}, whole{{}, 1, {}, plenty};
    const auto costs = run(pull, {1, state}), all = run(whole, {1, state});
    check_pulled(pull, *state);
    CHECK(costs.entries >= 30'000 / every);
    // What is compared costs less than what is spared, or little.
    CHECK(costs.bytes < all.bytes + all.bytes / 4);
    if (every >= 5) CHECK(costs.entries == 30'000 / every);
  }
}

TEST_CASE("an older node, which knows nothing of symbols, gives and takes a state as before") {
  const auto theirs = counted_tree(5000);
  auto mine = theirs;
  mine.put(place(77), siblings_for(2, 5).all());
  const auto state = state_with(theirs);
  const state_offer offer{1, state};
  state_pull pull{mine, 1, {}, plenty};
  while (!pull.is_done()) {
    auto question = pull.question();
    question.differences.clear();
    REQUIRE(pull.take(answer_to(question, offer)));
  }
  check_pulled(pull, *state);
  CHECK(pull.received() <= state_offer::few_entries);
}

TEST_CASE("many entries that differ come in several answers") {
  context_tree theirs;
  for (unsigned i = 0; i < 3000; ++i) theirs.put(place(i), noise(i, 500).all());
  auto mine = theirs;
  for (unsigned i = 0; i < 3000; i += 4) mine.put(place(i), siblings_for(2, 5).all());
  const auto state = state_with(theirs);
  state_pull pull{mine, 1, {}, plenty};
  const auto costs = run(pull, {1, state});
  check_pulled(pull, *state);
  CHECK(costs.entries == 750);
  CHECK(costs.largest_plain <= 2 * state_offer::max_entry_bytes);
}

TEST_CASE("what is written while a state is given does not change it") {
  const auto before = counted_tree(5000);
  const auto state = state_with(before);
  const state_offer offer{1, state};
  context_tree now = state->tree;
  state_pull pull{{}, 1, {}, plenty};
  for (std::size_t i = 0; !pull.is_done(); ++i) {
    step(pull, offer);
    now.put(place(i * 7), siblings_for(9, 9).all());
    now.erase(place(i * 11 + 1));
  }
  CHECK(pull.tree().hash() == before.hash());
  CHECK(pull.tree().hash() != now.hash());
}

TEST_CASE("a transfer that ended early is resumed, with a newer state as well") {
  context_tree theirs;
  for (unsigned i = 0; i < 1000; ++i) theirs.put(place(i), noise(i, 2000).all());
  state_pull first{{}, 1, {}, plenty};
  const auto before = run(first, offer_of(theirs), 6);
  REQUIRE_FALSE(first.is_done());
  REQUIRE(before.entries > 300);
  REQUIRE(before.entries < 900);
  theirs.put(place(3), siblings_for(9, 9).all());
  theirs.erase(place(700));
  const auto state = state_with(theirs, 20);
  state_pull second{{}, 2, {}, plenty, first.tree()};
  const auto after = run(second, {2, state});
  check_pulled(second, *state);
  CHECK(after.entries <= theirs.size() - before.entries + 3 * state_offer::few_entries);
}

TEST_CASE("what was kept becomes part of a state only as part of what the peer has processed") {
  const auto kept = counted_tree(100);
  // It says that its tree is the same, and not that it has processed any of it.
  const auto forged = std::make_shared<const engine_state>(
      engine_state{kept, processed_changes{version_vector{{{node(2), 4, 2}}}}, {}, {}});
  const state_offer offer{1, forged};
  const auto taken_by = [&](state_pull pull) {
    return pull.take(sent(offer.greeting(pull.question().ask)));
  };
  const auto taken = taken_by({{}, 1, {}, plenty, kept});
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == error_code::protocol_violation);
  CHECK(taken.error().message.find("a change that is not part of the state") != std::string::npos);
  // What is this node's own needs no proof.
  CHECK(taken_by({kept, 1, {}, plenty}));
  CHECK(taken_by({kept, 1, {}, plenty, kept}));
  // Neither does what the peer has processed.
  const state_offer honest{1, state_with(kept)};
  state_pull pull{{}, 1, {}, plenty, kept};
  CHECK(pull.take(sent(honest.greeting(1))));
  check_pulled(pull, *state_with(kept));
}

TEST_CASE("a state that is offered anew in the middle is compared from the beginning") {
  const auto old = counted_tree(8000);
  state_pull pull{{}, 1, {}, plenty};
  run(pull, offer_of(old), 3);
  REQUIRE_FALSE(pull.is_done());
  const auto received = pull.received();
  REQUIRE(received > 0);
  auto tree = old;
  tree.put(place(1), siblings_for(9, 9).all());
  tree.erase(place(7999));
  const auto state = state_with(tree, 30);
  const state_offer fresh{1, state};
  const auto goes_on = pull.take(fresh.greeting(pull.question().ask));
  REQUIRE(goes_on);
  CHECK(*goes_on);
  CHECK(pull.question().wanted.size() == 1);
  run(pull, fresh);
  check_pulled(pull, *state);
  CHECK(pull.received() <= tree.size() + 2 * state_offer::few_entries);
}

TEST_CASE("of a state that is offered anew the ranges that were known before do not count") {
  auto theirs = counted_tree(50'000);
  auto mine = theirs;
  for (std::size_t i = 0; i < 50'000; i += 2) mine.put(place(i), siblings_for(2, 5).all());
  state_pull pull{mine, 1, {}, plenty};
  run(pull, offer_of(theirs), 5);
  REQUIRE(pull.question().wanted.size() == state_offer::max_wanted);
  for (std::size_t i = 0; i < 20'000; i += 90) theirs.put(place(i), siblings_for(3, 6).all());
  const auto state = state_with(theirs, 30);
  const state_offer fresh{1, state};
  REQUIRE(pull.take(fresh.greeting(pull.question().ask)));
  CHECK(pull.question().wanted.size() == 1);
  run(pull, fresh);
  check_pulled(pull, *state);
}

TEST_CASE("an answer to an earlier question or of another transfer is ignored") {
  const auto state = state_with(counted_tree(8000));
  const state_offer offer{1, state};
  state_pull pull{{}, 1, {}, plenty};
  const auto greeting = step(pull, offer);
  const auto entries = step(pull, offer);
  REQUIRE_FALSE(pull.is_done());
  const auto question = pull.question();
  const auto received = pull.received();
  auto of_other = answer_to(question, offer);
  of_other.transfer = 2;
  auto too_early = answer_to(question, offer);
  ++too_early.ask;
  for (const auto& each : {greeting, entries, of_other, too_early}) {
    const auto taken = pull.take(each);
    REQUIRE(taken);
    CHECK_FALSE(*taken);
  }
  CHECK(pull.question() == question);
  CHECK(pull.received() == received);
  run(pull, offer);
  check_pulled(pull, *state);
  const auto late = pull.take(offer.greeting(pull.question().ask));
  REQUIRE(late);
  CHECK_FALSE(*late);
  check_pulled(pull, *state);
}

TEST_CASE("asking the same question again does no harm") {
  const auto state = state_with(counted_tree(2000));
  const state_offer offer{1, state};
  state_pull pull{{}, 1, {}, plenty};
  step(pull, offer);
  CHECK(answer_to(pull.question(), offer) == answer_to(pull.question(), offer));
}

TEST_CASE("an entry as large as values may be goes through") {
  context_tree tree = counted_tree(200);
  for (unsigned i = 0; i < 4; ++i) tree.put(place(40 + i), noise(i, (1 << 20) - 5).all());
  const auto state = state_with(tree);
  state_pull pull{{}, 1, {}, plenty};
  const auto costs = run(pull, {1, state});
  check_pulled(pull, *state);
  CHECK(costs.largest_plain > (1 << 20) - 5);
  CHECK(costs.largest_plain < (1 << 20) + 2 * state_offer::max_entry_bytes);
}

TEST_CASE("an answer has about as many bytes as it may have") {
  context_tree tree;
  for (unsigned i = 0; i < 3000; ++i) tree.put(place(i), noise(i, 500).all());
  const auto state = state_with(tree);
  state_pull pull{{}, 1, {}, plenty};
  const auto costs = run(pull, {1, state});
  check_pulled(pull, *state);
  CHECK(costs.largest_plain >= state_offer::max_entry_bytes / 2);
  CHECK(costs.largest_plain <= 2 * state_offer::max_entry_bytes);
  CHECK(costs.answers <= 3 + 2 * 3000 * 500 / state_offer::max_entry_bytes);
}

TEST_CASE("an entry that does not fit into a message is named") {
  std::vector<change_record> records;
  for (unsigned i = 0; i < 10; ++i) {
    const auto one = noise(i, (1 << 20) - 5);
    records.push_back(put({node(i + 1), 1, 1}, "/x", one.all()[0].copy_value()));
  }
  context_tree tree;
  tree.put(path{"/x"}, held_siblings{records}.all());
  const auto answer = offer_of(tree).answer({1, 2, {{"", "", 0, {}}}});
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == error_code::limit_exceeded);
  CHECK(answer.error().message.find("'/x'") != std::string::npos);
}
