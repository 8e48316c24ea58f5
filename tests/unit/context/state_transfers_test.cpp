#include <doctest/doctest.h>

#include <troupe/actors/context/state_transfers.hpp>

#include <troupe/tests/support/fixtures/state_transfer_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr peer_id peer{1}, other{2};
constexpr std::uint64_t start = 1'000'000;
constexpr auto offer_lasts = state_transfers::offer_lasts_ms;
constexpr auto ask_again = state_transfers::ask_again_ms;
constexpr auto give_up = state_transfers::give_up_ms;

sync_range question(std::uint64_t transfer) {
  sync_range asked;
  asked.transfer = transfer;
  asked.ask = 1;
  return asked;
}

/// A peer is given a state.
void give(state_transfers& transfers, peer_id to, std::uint64_t transfer) {
  transfers.want_offer(to, question(transfer));
  const auto offer = transfers.offer(to, state_with(counted_tree(10)), start);
  CHECK(offer.transfer == transfer);
  CHECK(offer.ask == 1);
  CHECK_FALSE(offer.processed.bytes.empty());
}

/// A transfer from the peer that has taken `answers` answers.
void begin_with(state_transfers& transfers, const state_offer& offer, int answers) {
  transfers.begin(peer, transfer_purpose::join, {}, {}, start);
  auto* pull = transfers.from(peer);
  REQUIRE(pull);
  for (int i = 0; i < answers; ++i) {
    auto answer = answer_to(pull->question(), offer);
    answer.transfer = pull->question().transfer;
    REQUIRE(pull->take(answer));
    transfers.answered({}, start);
  }
}

/// How many entries the next transfer starts with.
std::size_t kept(state_transfers& transfers) {
  REQUIRE_FALSE(transfers.is_taking());
  transfers.begin(other, transfer_purpose::join, {}, {}, start);
  return transfers.from(other)->tree().size();
}

}  // namespace

TEST_CASE("one state at a time is made ready for a peer, whatever it asks for") {
  state_transfers transfers;
  CHECK(transfers.want_offer(peer, question(1)));
  CHECK_FALSE(transfers.want_offer(peer, question(1)));
  CHECK(transfers.want_offer(other, question(1)));
  CHECK_FALSE(transfers.want_offer(peer, question(2)));
  CHECK_FALSE(transfers.offered(peer, 2, start));
  CHECK(transfers.offer(peer, state_with(counted_tree(1)), start).transfer == 2);
  CHECK(transfers.offered(peer, 2, start));
}

TEST_CASE("a state is offered to one peer under one number") {
  state_transfers transfers;
  give(transfers, peer, 3);
  const auto* offered = transfers.offered(peer, 3, start);
  REQUIRE(offered);
  CHECK(offered->transfer() == 3);
  CHECK_FALSE(transfers.offered(peer, 2, start));
  CHECK_FALSE(transfers.offered(peer, 4, start));
  CHECK_FALSE(transfers.offered(other, 3, start));
}

TEST_CASE("a new transfer of a peer takes the place of the one before") {
  state_transfers transfers;
  give(transfers, peer, 3);
  CHECK(transfers.want_offer(peer, question(4)));
  CHECK_FALSE(transfers.offered(peer, 3, start));
  give(transfers, peer, 4);
  CHECK(transfers.offered(peer, 4, start));
}

TEST_CASE("a state that nobody asks for anything is let go") {
  state_transfers transfers;
  give(transfers, peer, 3);
  transfers.tick(start + offer_lasts);
  CHECK(transfers.offered(peer, 3, start + offer_lasts));  // That is a question.
  transfers.tick(start + 2 * offer_lasts);
  CHECK(transfers.offered(peer, 3, start + offer_lasts));
  transfers.tick(start + 2 * offer_lasts + 1);
  CHECK_FALSE(transfers.offered(peer, 3, start + 2 * offer_lasts + 1));
  CHECK(transfers.want_offer(peer, question(3)));
}

TEST_CASE("a state that waits for the disk does not lapse") {
  state_transfers transfers;
  CHECK(transfers.want_offer(peer, question(3)));
  transfers.tick(start + 10 * offer_lasts);
  CHECK_FALSE(transfers.want_offer(peer, question(3)));
}

TEST_CASE("a state that a peer needs no more is let go") {
  state_transfers transfers;
  give(transfers, peer, 3);
  give(transfers, other, 3);
  transfers.withdraw(peer);
  CHECK_FALSE(transfers.offered(peer, 3, start));
  CHECK(transfers.offered(other, 3, start));
  transfers.withdraw(peer);
}

TEST_CASE("one state at a time is taken, of one peer") {
  state_transfers transfers;
  CHECK_FALSE(transfers.is_taking());
  CHECK_FALSE(transfers.from(peer));
  const auto question = transfers.begin(peer, transfer_purpose::join, {}, {}, start);
  CHECK(question.transfer == 1);
  CHECK(question.ask == 1);
  CHECK(transfers.is_taking());
  CHECK(transfers.from(peer));
  CHECK_FALSE(transfers.from(other));
  transfers.end(true, start);
  CHECK_FALSE(transfers.is_taking());
  CHECK_FALSE(transfers.from(peer));
  CHECK(transfers.begin(other, transfer_purpose::join, {}, {}, start).transfer == 2);
}

TEST_CASE("a transfer begins with the tree of the node itself") {
  state_transfers transfers;
  const auto like = counted_tree(12);
  transfers.begin(peer, transfer_purpose::join, like, {}, start);
  CHECK(transfers.from(peer)->tree().hash() == like.hash());
}

TEST_CASE("a question without an answer is asked again, and not before") {
  state_transfers transfers;
  begin_with(transfers, offer_of(counted_tree(10)), 1);
  CHECK_FALSE(transfers.tick(start + ask_again));
  const auto again = transfers.tick(start + ask_again + 1);
  REQUIRE(again);
  CHECK(again->peer == peer);
  CHECK(*again->question == transfers.from(peer)->question());
  CHECK(again->question->ask == 2);
  CHECK_FALSE(transfers.tick(start + 2 * ask_again + 1));
  CHECK(transfers.tick(start + 2 * ask_again + 2));
  transfers.answered({}, start + 3 * ask_again);
  CHECK_FALSE(transfers.tick(start + 4 * ask_again));
  CHECK(transfers.tick(start + 4 * ask_again + 1));
}

TEST_CASE("a transfer without an answer for long is over, and what had come is kept") {
  state_transfers transfers;
  begin_with(transfers, offer_of(counted_tree(10)), 2);
  transfers.tick(start + give_up);
  CHECK(transfers.is_taking());
  const auto over = transfers.tick(start + give_up + 1);
  REQUIRE(over);
  CHECK(over->peer == peer);
  CHECK_FALSE(over->question);
  CHECK_FALSE(transfers.is_taking());
  CHECK(kept(transfers) == 10);
}

TEST_CASE("each answer gives a transfer more time") {
  state_transfers transfers;
  begin_with(transfers, offer_of(counted_tree(10)), 1);
  transfers.answered({}, start + give_up);
  transfers.tick(start + 2 * give_up);
  CHECK(transfers.is_taking());
  transfers.tick(start + 2 * give_up + 1);
  CHECK_FALSE(transfers.is_taking());
}

TEST_CASE("a transfer takes so long at most, however often an answer comes") {
  constexpr auto at_most = state_transfers::takes_at_most_ms;
  const auto offer = offer_of(counted_tree(10));
  state_transfers transfers;
  begin_with(transfers, offer, 2);
  for (auto now = start + give_up; now < start + at_most; now += give_up)
    transfers.answered({}, now);
  transfers.answered({}, start + at_most);
  transfers.tick(start + at_most);
  REQUIRE(transfers.is_taking());
  const auto over = transfers.tick(start + at_most + 1);
  REQUIRE(over);
  CHECK_FALSE(over->question);
  CHECK(kept(transfers) == 10);
}

TEST_CASE("a link that is gone ends giving and taking") {
  state_transfers transfers;
  give(transfers, peer, 3);
  give(transfers, other, 3);
  begin_with(transfers, offer_of(counted_tree(10)), 2);
  transfers.forget(other, start);
  CHECK_FALSE(transfers.offered(other, 3, start));
  CHECK(transfers.offered(peer, 3, start));
  CHECK(transfers.is_taking());
  transfers.forget(peer, start);
  CHECK_FALSE(transfers.offered(peer, 3, start));
  CHECK_FALSE(transfers.is_taking());
  CHECK(kept(transfers) == 10);
}

TEST_CASE("of a transfer that is of no use nothing is kept") {
  state_transfers transfers;
  begin_with(transfers, offer_of(counted_tree(10)), 2);
  transfers.end(false, start);
  CHECK_FALSE(transfers.is_taking());
  CHECK(kept(transfers) == 0);
}

TEST_CASE("what was kept can be dropped") {
  state_transfers transfers;
  begin_with(transfers, offer_of(counted_tree(10)), 2);
  transfers.end(true, start);
  transfers.drop_kept();
  CHECK(kept(transfers) == 0);
}

TEST_CASE("what was kept is kept by a transfer in which nothing comes") {
  state_transfers transfers;
  begin_with(transfers, offer_of(counted_tree(10)), 2);
  transfers.forget(peer, start);
  REQUIRE(kept(transfers) == 10);  // This begins the next one.
  transfers.forget(other, start);
  CHECK(kept(transfers) == 10);
}

TEST_CASE("what was kept is used once") {
  state_transfers transfers;
  begin_with(transfers, offer_of(counted_tree(10)), 2);
  transfers.end(true, start);
  REQUIRE(kept(transfers) == 10);
  transfers.end(false, start);
  CHECK(kept(transfers) == 0);
}

TEST_CASE("nothing is kept of a transfer that had just begun") {
  state_transfers transfers;
  transfers.begin(peer, transfer_purpose::join, counted_tree(5), {}, start);
  transfers.end(true, start);
  CHECK(kept(transfers) == 0);
}

TEST_CASE("no transfer begins before it is known what an earlier life has kept") {
  state_transfers transfers;
  CHECK_FALSE(transfers.may_begin());
  transfers.found({{counted_tree(5), 5, 100}});
  CHECK(transfers.may_begin());
  transfers.begin(peer, transfer_purpose::join, counted_tree(1), {}, start);
  CHECK_FALSE(transfers.may_begin());
  CHECK(transfers.from(peer)->tree().size() == 5);
  CHECK_FALSE(transfers.journal().next());
}

TEST_CASE("what an earlier life has kept is let go with its file when it is not needed for long") {
  state_transfers transfers;
  transfers.found({{counted_tree(5), 5, 100}});
  transfers.tick(start);
  transfers.tick(start + state_transfers::takes_at_most_ms);
  CHECK_FALSE(transfers.journal().next());
  transfers.tick(start + state_transfers::takes_at_most_ms + 1);
  CHECK(transfers.journal().next()->begins_anew);
  CHECK(kept(transfers) == 0);
}

TEST_CASE("what comes of a state is kept for the next start, and of a comparison nothing is") {
  const binary entries{"entries"};
  state_transfers transfers{1};
  transfers.begin(peer, transfer_purpose::compare, {}, {}, start);
  transfers.answered(entries, start);
  transfers.end(false, start);
  CHECK_FALSE(transfers.journal().next());
  transfers.begin(peer, transfer_purpose::join, {}, {}, start);
  transfers.answered(entries, start);
  CHECK(transfers.journal().next()->frames == std::vector<binary>{entries});
  transfers.journal().done(true);
  // The state before it is stored meanwhile.
  transfers.stored();
  CHECK_FALSE(transfers.journal().next());
  SUBCASE("until it is not wanted for long") {
    auto* pull = transfers.from(peer);
    const auto offer = offer_of(counted_tree(10));
    for (int i = 0; i < 2; ++i) {
      auto answer = answer_to(pull->question(), offer);
      answer.transfer = pull->question().transfer;
      REQUIRE(pull->take(answer));
    }
    transfers.end(true, start);
    transfers.stored();  // of an earlier transfer
    CHECK_FALSE(transfers.journal().next());
    transfers.tick(start + state_transfers::takes_at_most_ms + 1);
  }
  SUBCASE("until it is of no use") { transfers.end(false, start); }
  SUBCASE("until it is stored") {
    transfers.end(true, start);
    CHECK_FALSE(transfers.journal().next());
    transfers.stored();
  }
  CHECK(transfers.journal().next()->begins_anew);
}
