#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/tests/support/fixtures/cluster_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Why a node cannot be forgotten.
void check_refused(const manager_fixture& f, unsigned who, error_code code,
                   std::string_view words) {
  const auto refused = f.manager.forgetting(node(who), "a test");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == code);
  CHECK_MESSAGE(refused.error().message.find(words) != std::string::npos, refused.error().message);
}

const cluster_member* find(const member_list& list, unsigned who) {
  for (const auto& each : list.members)
    if (each.node == node(who)) return &each;
  return nullptr;
}

bool is_forgotten(const manager_fixture& f, unsigned who) {
  return f.manager.known_members().forgotten().contains(node(who));
}

}  // namespace

// -- forgetting a member --------------------------------------------------------------------------

TEST_CASE("a node that cannot be forgotten is named with the reason") {
  cluster_fixture f;
  check_refused(f, 1, error_code::invalid_argument, "cannot forget itself");
  check_refused(f, 9, error_code::not_found, "no member");
  check_refused(f, 2, error_code::failed_precondition, "is connected");
  CHECK(f.manager.forgetting(node(3), "a test"));
  f.hear(2, sync_heads{f.manager.committed().vector(), {}, 0, {node(3)}, {}});
  check_refused(f, 3, error_code::failed_precondition, "is connected with node");
  f.hear_farewell(3);
  check_refused(f, 3, error_code::already_exists, "forgotten already");
}

TEST_CASE("a member that is away is forgotten by a write in the place of its value") {
  cluster_fixture f;
  const auto wanted = f.manager.forgetting(node(3), "its disk has burnt");
  REQUIRE(wanted);
  CHECK(wanted->principal == system_principal);
  REQUIRE(wanted->entries.size() == 1);
  CHECK(wanted->entries[0].path == members::place_of(node(3)));
  f.after([&] { f.manager.write(context_request{500}, *wanted, f.now); });
  CHECK_FALSE(f.manager.known_members().has(node(3)));
  const auto list = f.manager.list_members();
  REQUIRE(list.forgotten.size() == 1);
  CHECK(list.forgotten[0] == forgotten_member{node(3), f.now.wall_ms, "its disk has burnt"});
  CHECK_FALSE(find(list, 3));
  f.store_all();
  CHECK(f.manager.known_members().count() == 2);
}

// -- how long members are away --------------------------------------------------------------------

TEST_CASE("the members are listed with the time that they are away, and what is left of a lease") {
  cluster_fixture f;
  f.tick(30'000);
  const auto list = f.manager.list_members();
  REQUIRE(list.members.size() == 3);
  CHECK(list.members[0] == cluster_member{node(1), true, 0, 0, false});
  CHECK(list.members[1] == cluster_member{node(2), false, 0, 0, false});
  CHECK(list.members[2] == cluster_member{node(3), false, 30'000, 70'000, false});
  CHECK(list.forgotten.empty());
  f.peer_down(2);
  f.tick(2'500);
  CHECK(*find(f.manager.list_members(), 2) == cluster_member{node(2), false, 2'500, 97'500, false});
  f.tick(97'500);
  CHECK(*find(f.manager.list_members(), 2) == cluster_member{node(2), false, 100'000, 0, true});
  CHECK(find(f.manager.list_members(), 3)->lease_ms == 0);
}

TEST_CASE("what a peer says of a member that is away is believed and passed on") {
  cluster_fixture f{4};
  f.link(4);
  f.tick(1000);
  const auto said = [&] {
    for (const auto& heads : f.sent<sync_heads>(4))
      for (const auto& each : heads.reports)
        if (each.node == node(3)) return each.away_ms;
    return std::uint64_t{77};
  };
  auto heads = sync_heads{f.manager.committed().vector(), {}, 0, {}, {}};
  heads.reports.push_back({node(3), 1, {}, {}, 0});
  f.hear(2, heads);
  f.tick(1000);
  CHECK(said() == 0);  // nobody knows
  f.tick(1000);
  CHECK(find(f.manager.list_members(), 3)->away_ms == 3000);
  heads.reports[0].away_ms = 50'000;
  f.hear(2, heads);
  CHECK(find(f.manager.list_members(), 3)->away_ms == 50'000);
  f.tick(1000);
  CHECK(said() == 51'000);
  f.link(3);
  f.tick();
  f.peer_down(3);
  f.tick(1000);
  CHECK(said() == 1000);
}

// -- members that are linked and keep the others waiting
// -------------------------------------------

TEST_CASE("a linked member that keeps the others waiting is told of, once") {
  cluster_fixture f{2, {.leases = {.length_ms = 0}}};
  std::string_view words;
  std::size_t advised = 0;
  SUBCASE("it does not say that it has what is here") {
    advised = 1;
    words = "has not said that it has on its disk what this node has for more than 10 minutes";
  }
  SUBCASE("it says to have what nobody has") {
    words = "says to have changes that have not come here for more than 10 minutes";
    auto more = f.manager.committed().vector();
    more.raise(node(2), 1, 1'000'000);
    f.hear(2, sync_heads{more, {}, 0, {}, {}});
    f.tick(lagging_members::patience_ms);
  }
  f.tick(lagging_members::patience_ms - 1);
  CHECK(f.problems_with("what was erased and what is in the log is kept") == 0);
  f.tick(1);
  CHECK(f.logged("context.member_lags") == 1);
  CHECK(f.problems_with(words) == 1);
  CHECK(f.problems_with("say 'troupe node forget " + to_string(node(2))) == advised);
  f.tick(lagging_members::patience_ms);
  CHECK(f.logged("context.member_lags") == 0);
  f.peer_down(2);
  f.tick(1);
  CHECK(f.problems_with(words) == 0);
}

// -- the end of a lease ---------------------------------------------------------------------------

TEST_CASE("the cluster goes on without a member whose lease has ended") {
  cluster_fixture f;
  f.tick(short_leases.length_ms - 1);
  CHECK(f.logged("context.lease_ended") == 0);
  CHECK_FALSE(is_forgotten(f, 3));
  f.tick(1);
  CHECK(f.logged("context.lease_ended") == 1);
  CHECK(f.only<append_batch>().what->changes == 1);
  CHECK(is_forgotten(f, 3));
  const auto list = f.manager.list_members();
  REQUIRE(list.forgotten.size() == 1);
  CHECK(list.forgotten[0] == forgotten_member{node(3), f.now.wall_ms, "its lease has ended"});
  f.store_all();
  f.has_committed(2);
  f.tick(short_leases.length_ms);
  CHECK(f.logged("context.lease_ended") == 0);
}

TEST_CASE("a lease of no length never ends") {
  cluster_fixture f{3, {.leases = {.length_ms = 0}}};
  f.tick(std::uint64_t{1} << 40);
  CHECK(f.logged("context.lease_ended") == 0);
  CHECK(f.problems_with("has been away") == 0);
}

TEST_CASE("members are forgotten one at a time, the next when those present have committed that") {
  cluster_fixture f{5};
  f.link(3);
  f.tick(short_leases.length_ms);
  REQUIRE(f.logged("context.lease_ended") == 1);
  CHECK(is_forgotten(f, 4));
  CHECK_FALSE(is_forgotten(f, 5));
  f.store_all();
  f.has_committed(2);
  SUBCASE("they have") {
    f.has_committed(3);
    f.tick(4999);
    CHECK_FALSE(is_forgotten(f, 5));
    f.tick(1);
    CHECK(f.logged("context.lease_ended") == 1);
    CHECK(is_forgotten(f, 5));
  }
  SUBCASE("one of them has not") {
    f.tick(5000);
    CHECK_FALSE(is_forgotten(f, 5));
    f.has_committed(3);
    f.tick();
    CHECK(is_forgotten(f, 5));
  }
}

TEST_CASE("nobody is forgotten by a node that cannot write, or does not know all that others do") {
  cluster_fixture f{4};
  SUBCASE("its disk refuses") {
    f.link(4);
    f.write("/a", 1);
    f.refused();
    f.tick(short_leases.length_ms);
    CHECK_FALSE(is_forgotten(f, 3));
    f.store_all();
  }
  SUBCASE("it has not caught up with a peer") {
    f.peer_up(7, 4);
    f.hear(7, f.hello(4, version_vector{{{node(8), 1, 1}}}));
    f.tick(short_leases.length_ms);
    CHECK_FALSE(is_forgotten(f, 3));
    f.push(7, 1, {put({node(8), 1, 1}, "/a", 1)});
    f.store_all();
    f.hear(7, sync_heads{f.manager.committed().vector(), {}, 0, {}, {}});
  }
  f.tick();
  CHECK(is_forgotten(f, 3));
}

TEST_CASE("a forgotten node that is linked and has begun nothing keeps nobody from deciding") {
  cluster_fixture f{4};
  f.hear_farewell(4);
  f.store_all();
  f.has_committed(2);
  f.peer_up(7, 4);
  f.hear(7, f.hello(4, version_vector{{{node(8), 1, 1}}}));
  f.tick(short_leases.length_ms);
  CHECK(is_forgotten(f, 3));
}

TEST_CASE("a node that has just joined lets the others know before it forgets anybody") {
  manager_fixture f{{.leases = {.length_ms = 5'000, .present_ms = 10'000}}, true};
  f.tick(0);
  f.tick(20'000);
  f.greeted_peer(2, 2);
  REQUIRE(f.manager.known_members().has_joined());
  f.push(2, 1, {joining_of(2, 2)});
  f.push(2, 2, {joining_of(3, 3)});
  while (f.manager.committed().vector() != f.manager.engine().vector()) f.stored();
  f.tick(0);
  f.tick(9'999);
  CHECK_FALSE(is_forgotten(f, 3));
  f.tick(1);
  CHECK(is_forgotten(f, 3));
}

TEST_CASE("where too few are here to decide, an operator is told what to do") {
  cluster_fixture f{5, {.leases = {}}};
  constexpr std::uint64_t day_ms = std::uint64_t{24} * 60 * 60 * 1000;
  f.has_committed(2);
  f.tick(7 * day_ms - 1);
  CHECK(f.manager.problems().empty());
  f.tick(day_ms + 1);
  CHECK(f.logged("context.lease_ended") == 0);
  CHECK(f.problems_with("has been away for 8 days") == 3);
  for (const unsigned n : {3, 4, 5})
    CHECK(f.problems_with("'troupe node forget " + to_string(node(n)) + "'") == 1);
  f.link(3);
  f.tick();
  CHECK(f.problems_with(to_string(node(3))) == 0);
}

// -- the links of a forgotten node ----------------------------------------------------------------

TEST_CASE(
    "the link of a node that becomes forgotten is closed, and nothing more is taken from it") {
  cluster_fixture f;
  f.link(3);
  f.hear_farewell(3);
  REQUIRE(is_forgotten(f, 3));
  f.push(3, 1, {put({node(3), 1, 2}, "/late", 1)});
  CHECK_FALSE(f.read("/late"));
  f.tick();
  const auto closed = f.only<close_peer>();
  CHECK(closed.peer == peer_id{3});
  CHECK(closed.reason.find("forgotten") != std::string::npos);
  f.tick();
  CHECK(f.none<close_peer>());
}

TEST_CASE("the state of a peer is not taken that is forgotten meanwhile") {
  cluster_fixture f;
  manager_fixture giver{{}, false, 3};
  giver.greeted_peer(7, 8);
  giver.push(7, 1, {put({node(8), 1, 1}, "/late", 1)});
  giver.stored();
  giver.greeted_peer(1, 1);
  f.link(3);
  auto heads = sync_heads{giver.manager.committed().vector(), {}, 0, {}, {}};
  heads.base = giver.manager.committed().vector();  // its log cannot help
  std::vector<sync_range> asked;
  for (int i = 0; i < 5 && asked.empty(); ++i) {
    f.hear(3, heads);
    f.tick(1000);
    asked = f.sent<sync_range>(3);
  }
  REQUIRE(asked.size() == 1);
  bool is_forgotten_meanwhile = false;
  SUBCASE("it is forgotten") { is_forgotten_meanwhile = true; }
  SUBCASE("it is not") {}
  if (is_forgotten_meanwhile) f.hear_farewell(3);
  for (; !asked.empty(); asked = f.sent<sync_range>(3)) {
    giver.hear(1, asked.back());
    const auto said = giver.sent<sync_state>(1);
    if (said.empty()) break;
    f.hear(3, said.back());
  }
  CHECK(f.read("/late").has_value() == !is_forgotten_meanwhile);
}

TEST_CASE("a forgotten node is told so with a new link, and then what it sends is taken") {
  cluster_fixture f;
  const auto gone = f.hear_farewell(3);
  f.store_all();
  f.peer_up(3, 3);
  const auto hellos = f.sent<sync_hello>(3);
  REQUIRE(hellos.size() == 1);
  const version_vector says_so{{{gone.dot.origin, gone.dot.incarnation, gone.dot.seq}}};
  CHECK(hellos[0].forgotten == says_so);
  f.hear(3, f.hello(3));
  f.tick();
  CHECK(f.none<close_peer>());
  f.push(3, 1, {put({node(3), 1, 2}, "/late", 1)});
  CHECK(f.read("/late") == value{1});
  f.push(3, 2, {joining_of(3, 3, 3, {seen(gone)})});
  CHECK(f.manager.known_members().has(node(3)));
  f.tick();
  CHECK(f.none<close_peer>());
}

TEST_CASE("a peer that is no member, or was never forgotten, is told of nothing") {
  cluster_fixture f;
  f.hear_farewell(3);
  f.peer_up(9, 9);
  REQUIRE(f.sent<sync_hello>(9).size() == 1);
  CHECK(f.sent<sync_hello>(9)[0].forgotten == version_vector{});
}

TEST_CASE("a peer that has forgotten this node gets no state before this node has begun anew") {
  cluster_fixture f;
  version_vector forgotten;
  SUBCASE("it has") { forgotten = version_vector{{{node(8), 1, 1}}}; }
  SUBCASE("it has not") {}
  auto hello = f.hello(3);
  hello.forgotten = forgotten;
  f.peer_up(3, 3);
  f.hear(3, hello);
  std::size_t given = 0;
  for (int i = 0; i < 2; ++i) {
    f.hear(3, sync_range{.transfer = 1, .ask = 1, .wanted = {}, .done = false});
    given += f.sent<sync_state>(3).size();
  }
  CHECK((given > 0) == forgotten.entries().empty());
}

TEST_CASE("two nodes that have forgotten each other exchange nothing, and an operator is told") {
  cluster_fixture f;
  f.hear_farewell(3);
  f.store_all();
  auto hello = f.hello(3);
  std::size_t problems = 0;
  SUBCASE("both have") {
    hello.forgotten = version_vector{{{node(8), 1, 1}}};
    problems = 1;
  }
  SUBCASE("only this one has") {}
  SUBCASE("the other one knows that, and has begun anew") {
    hello.forgotten = version_vector{{{node(8), 1, 1}}};
    hello.vector = f.manager.committed().vector();
  }
  SUBCASE("it has, and the incarnation that said so has ended there") {
    hello.forgotten = version_vector{{{node(8), 1, 1}}};
    hello.vector = f.manager.committed().vector();
    hello.vector.remove_if([](const version_entry& each) { return each.origin == node(2); });
    hello.vector.raise(node(2), 2, 1);
  }
  f.peer_up(3, 3);
  f.hear(3, hello);
  CHECK(f.problems_with("exchange nothing") == problems);
  // Only of one that is apart no state is taken.
  sync_heads lacking{f.manager.committed().vector(), {}, 0, {}, {}};
  if (problems > 0) lacking.vector = {};
  lacking.vector.raise(node(9), 1, 1);
  lacking.base = lacking.vector;
  std::size_t asked = 0;
  f.hear(3, lacking);
  for (int i = 0; i < 10; ++i) {
    f.tick(1000);
    asked += f.sent<sync_range>(3).size();
  }
  CHECK(asked == (problems > 0 ? 0 : 1));
  f.peer_down(3);
  CHECK(f.problems_with("exchange nothing") == 0);
}
