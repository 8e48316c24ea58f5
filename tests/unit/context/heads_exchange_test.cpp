#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <random>
#include <utility>
#include <vector>

#include <troupe/actors/context/sync/heads_exchange.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

version_vector vector_of(std::vector<version_entry> entries) {
  return version_vector{std::move(entries)};
}

/// Heads of a replica that has `seq` changes of each of 20 nodes.
sync_heads heads_at(std::uint64_t seq) {
  std::vector<version_entry> all;
  for (unsigned n = 1; n <= 20; ++n) all.push_back({node(n), 1, seq});
  sync_heads heads;
  heads.vector = heads.base = heads.stable = version_vector{all};
  heads.links = {node(2), node(3)};
  heads.declined = {{node(7), 1}};
  heads.reports = {{node(4), 1, heads.vector, heads.stable, 5}};
  return heads;
}

/// The content, without what the exchange adds.
sync_heads content(sync_heads heads) {
  heads.number = heads.heard = 0;
  std::ranges::sort(heads.reports, {}, &member_report::node);
  return heads;
}

/// Two sides whose heads arrive.
struct both_sides {
  heads_exchange a{1000}, b{1000};

  /// A says this, and then B something, so that A knows that B has it.
  sync_heads say(const sync_heads& heads) {
    auto sent = a.shorten(heads);
    const auto heard = b.complete(sent);
    REQUIRE(heard);
    REQUIRE(*heard);
    CHECK(content(**heard) == content(heads));
    REQUIRE(a.complete(b.shorten({})));
    return sent;
  }
};

}  // namespace

TEST_CASE("the first heads are whole, and later ones have only what has changed") {
  both_sides sides;
  auto heads = heads_at(5);
  const auto first = sides.say(heads);
  CHECK(first.since == 0);
  CHECK(first.vector == heads.vector);
  heads.vector.raise(node(3), 1, 9);
  const auto second = sides.say(heads);
  CHECK(second.since == first.number);
  CHECK(second.vector == vector_of({{node(3), 1, 9}}));
  CHECK(second.base.entries().empty());
  CHECK(second.reports.empty());
  CHECK(second.same_links);
  CHECK(second.links.empty());
  CHECK(encode(second).size() * 10 < encode(first).size());
}

TEST_CASE("what has gone, and what has become less, arrives") {
  both_sides sides;
  auto heads = heads_at(5);
  sides.say(heads);
  heads.vector = vector_of({{node(1), 1, 3}, {node(2), 2, 1}, {node(3), 1, 5}});
  heads.base = {};
  heads.stable = vector_of({{node(9), 4, 4}});
  heads.links = {};
  heads.declined = {{node(8), 1}};
  heads.reports = {{node(5), 1, heads.vector, {}, 0}};
  const auto sent = sides.say(heads);
  CHECK(sent.since > 0);
  CHECK(sent.reports_gone == std::vector<node_id>{node(4)});
  sides.say(heads_at(6));
}

TEST_CASE("a report of which only the time of absence is another one comes without its vectors") {
  both_sides sides;
  auto heads = heads_at(5);
  sides.say(heads);
  heads.reports[0].away_ms += 1000;
  const auto sent = sides.say(heads);
  REQUIRE(sent.reports.size() == 1);
  CHECK(sent.reports[0].vector.entries().empty());
  heads.reports[0].incarnation = 2;
  heads.reports[0].vector = heads.reports[0].stable = {};
  sides.say(heads);
}

TEST_CASE("that a member is being restored arrives, and that it is so no more") {
  both_sides sides;
  auto heads = heads_at(5);
  sides.say(heads);
  heads.reports[0].restoring = true;
  CHECK(sides.say(heads).reports.size() == 1);
  heads.reports[0].away_ms += 1000;
  sides.say(heads);
  heads.reports[0].restoring = false;
  sides.say(heads);
}

TEST_CASE("heads of which the peer does not say that it has them are no base") {
  heads_exchange a{1000}, b{1000};
  for (std::uint64_t seq = 1; seq < 30; ++seq) {
    const auto sent = a.shorten(heads_at(seq));
    CHECK(sent.since == 0);
    REQUIRE(b.complete(sent));
  }
}

TEST_CASE("heads that were overtaken are not used") {
  heads_exchange a{1000}, b{1000};
  const auto early = a.shorten(heads_at(1));
  const auto late = a.shorten(heads_at(2));
  REQUIRE(*b.complete(late));
  const auto overtaken = b.complete(early);
  REQUIRE(overtaken);
  CHECK(*overtaken == nullptr);
  const auto repeated = b.complete(late);
  REQUIRE(repeated);
  CHECK(*repeated == nullptr);
}

TEST_CASE("heads of their own, without a number, are whole each time") {
  heads_exchange side{1000};
  for (const std::uint64_t seq : {5, 3, 5}) {
    const auto heard = side.complete(heads_at(seq));
    REQUIRE(heard);
    REQUIRE(*heard);
    CHECK((*heard)->vector == heads_at(seq).vector);
  }
}

TEST_CASE("both sides agree whatever is lost, repeated and overtaken") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random{seed};
    heads_exchange sides[2] = {heads_exchange{1000}, heads_exchange{1000}};
    std::deque<std::pair<sync_heads, sync_heads>> ways[2];  // as sent, and what is meant
    for (int step = 0; step < 300; ++step) {
      const auto who = random() % 2;
      if (random() % 2) {
        auto meant = heads_at(1 + random() % 4);
        meant.vector.remove_if([&](const version_entry&) { return random() % 4 == 0; });
        meant.base.remove_if([&](const version_entry&) { return random() % 4 == 0; });
        if (random() % 3 == 0) meant.reports.clear();
        if (random() % 3 == 0) meant.links = {node(9)};
        ways[who].emplace_back(sides[who].shorten(meant), meant);
      } else if (auto& way = ways[who]; !way.empty()) {
        const auto at = way.begin() + static_cast<std::ptrdiff_t>(random() % way.size());
        const auto [sent, meant] = *at;
        if (random() % 4) way.erase(at);
        if (random() % 4 == 0) continue;
        const auto heard = sides[1 - who].complete(sent);
        REQUIRE_MESSAGE(heard, "seed ", seed);
        if (*heard) REQUIRE(content(**heard) == content(meant));
      }
    }
  }
}

TEST_CASE("heads that differ from what was never sent are refused") {
  heads_exchange side{1000};
  auto heads = heads_at(1);
  heads.number = 5;
  heads.since = 4;
  const auto refused = side.complete(heads);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::protocol_violation);
  CHECK(refused.error().message.find("heads 4") != std::string::npos);
}

TEST_CASE("a peer cannot have heard heads that were never sent") {
  heads_exchange side{1000};
  auto heads = heads_at(1);
  heads.heard = 1;
  const auto refused = side.complete(heads);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::protocol_violation);
}

TEST_CASE("heads whose lists are not sorted, or name something twice, are refused") {
  const auto check_refused = [](const sync_heads& heads) {
    heads_exchange side{1000};
    const auto refused = side.complete(heads);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == error_code::protocol_violation);
  };
  sync_heads heads;
  heads.reports = {{node(4), 1, {}, {}, 1}, {node(4), 1, {}, {}, 2}};
  check_refused(heads);
  heads = {};
  heads.reports_gone = {node(5), node(4)};
  check_refused(heads);
  heads = {};
  heads.gone = {{node(5), 1}, {node(5), 1}};
  check_refused(heads);
}

TEST_CASE("small heads that grow large ones are refused at the bound") {
  heads_exchange side{105};  // these have 101 entries
  auto heads = heads_at(1);
  heads.number = 1;
  REQUIRE(side.complete(heads));
  for (auto* grown : {&heads.vector, &heads.base, &heads.stable}) {
    sync_heads more;
    more.number = 2;
    more.since = 1;
    std::vector<version_entry> entries;
    for (unsigned n = 30; n < 36; ++n) entries.push_back({node(n), 1, 1});
    const auto which = grown == &heads.vector ? &sync_heads::vector
                       : grown == &heads.base ? &sync_heads::base
                                              : &sync_heads::stable;
    more.*which = version_vector{entries};
    const auto refused = side.complete(more);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == error_code::limit_exceeded);
  }
}
