// A node that was forgotten and has begun anew: it takes the state of a member.

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/lost_transactions.hpp>
#include <troupe/tests/support/fixtures/cluster_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::string_view gone_on = "gone on without this node";
const std::string file = "/data/context.unsent/7.ndjson";

void put_into(context_tree& tree, std::string_view where, std::vector<change_record> records) {
  for (auto& each : records) each.path = path{where};
  std::vector<sibling> all;
  for (const auto& each : records) all.push_back(sibling::of(each, content_hash(each)));
  tree.put(path{where}, all);
}

/// The old state. The others have all that node 2 has written, and nothing of node 8.
context_tree old_entries() {
  const dot sent{node(2), 1, 1}, unsent{node(8), 1, 1};
  context_tree tree;
  put_into(tree, "/sent", {put(sent, "/", 1)});
  put_into(tree, "/both", {put(sent, "/", 1), put(unsent, "/", 2, {}, 5)});
  put_into(tree, "/mine", {put(unsent, "/", "mine")});
  put_into(tree, "/gone", {erase(unsent, "/")});
  const auto counts = [](const dot& id, std::int64_t amount) {
    auto record = put(id, "/", amount);
    record.operation = operation::increment;
    record.counts.bytes =
        pack_counts(std::vector<counter_part>{{{id.origin, id.incarnation}, id.seq, amount}});
    return record;
  };
  put_into(tree, "/counted", {counts(sent, 5)});
  put_into(tree, "/counts", {counts(sent, 5), counts(unsent, 2)});
  put_into(tree, "/_sys/members/8", {put(unsent, "/", 8)});
  put_into(tree, members::place_of(node(1)).text(),
           {put({node(5), 1, 1}, "/", members::farewell(noon, "a test"))});
  return tree;
}

std::shared_ptr<const saved_parts> saved_with(context_tree entries) {
  return std::make_shared<const saved_parts>(
      saved_parts{.entries = std::move(entries),
                  .base = {},
                  .logged = {},
                  .overruled_by = version_vector{{{node(5), 1, 1}}}});
}

/// A manager of node 1, which was forgotten, and one of node 5, which has its state. The test
/// carries what they say about states to each other.
struct anew_fixture {
  manager_fixture anew, giver{{}, false, 5};

  explicit anew_fixture(context_tree entries = old_entries())
      : anew{{.saved = saved_with(std::move(entries))}, true} {}

  /// Node 5 has the first three changes of node 2, and may know that node 1 is forgotten.
  void prepare(bool knows) {
    if (knows) {
      write_values wanted{.entries = {}, .principal = std::string{system_principal}};
      wanted.entries.push_back({members::place_of(node(1)), members::farewell(noon, "a test")});
      giver.after([&] { giver.manager.write(context_request{900}, wanted, giver.now); });
      giver.stored();
    }
    giver.greeted_peer(7, 2);
    std::vector<change_record> records;
    for (std::uint64_t seq = 1; seq <= 3; ++seq)
      records.push_back(put({node(2), 1, seq}, "/n/" + std::to_string(seq), seq));
    giver.push(7, 1, records);
    giver.stored();
  }
  void connect() {
    anew.peer_up(1, 5);
    anew.hear(1, anew.hello(5, giver.manager.committed().vector()));
    giver.greeted_peer(1, 1);
  }
  /// Carries the questions and the answers until there are no more.
  void carry() {
    for (auto asked = anew.sent<sync_range>(1); !asked.empty(); asked = anew.sent<sync_range>(1)) {
      giver.hear(1, asked.back());
      const auto said = giver.sent<sync_state>(1);
      if (said.empty()) return;
      anew.hear(1, said.back());
    }
  }
  /// Takes the state of node 5, which knows.
  void take_state() {
    prepare(true);
    connect();
    anew.tick();
    carry();
    REQUIRE(anew.logged("context.state_joined") == 1);
    REQUIRE(anew.none<append_batch>());
  }
  void kept(result<std::string> where = file) {
    anew.after([&] { anew.manager.kept_aside(where); });
  }
  /// All until the state is stored.
  void restore_state() {
    take_state();
    anew.tick();
    if (!anew.none<keep_aside>()) kept();
    REQUIRE(anew.only<append_batch>().what->adopted);
    anew.stored();
    REQUIRE(anew.logged("context.restored") == 1);
  }
  bool has_problem(std::string_view words) const {
    for (const auto& each : anew.manager.problems())
      if (each.find(words) != std::string::npos) return true;
    return false;
  }
};

}  // namespace

// -- before ---------------------------------------------------------------------------------------

TEST_CASE("a node that begins anew without being forgotten says what was given up") {
  context_tree entries;
  put_into(entries, "/mine", {put({node(8), 1, 1}, "/", "mine")});
  anew_fixture f{std::move(entries)};
  f.anew.write("/a", 1);
  const auto refused = f.anew.only<answer_write>().outcome;
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("given up a transaction") != std::string::npos);
  const auto unread = f.anew.manager.refusal_to_read(false);
  REQUIRE(unread);
  CHECK(unread->message.find("given up a transaction") != std::string::npos);
  CHECK(f.has_problem("given up a transaction"));
  CHECK_FALSE(f.has_problem(gone_on));
}

TEST_CASE("a node that begins anew refuses reads and writes, and says that it was forgotten") {
  anew_fixture f;
  f.anew.write("/a", 1);
  const auto refused = f.anew.only<answer_write>().outcome;
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::unavailable);
  CHECK(refused.error().message.find(gone_on) != std::string::npos);
  const auto unread = f.anew.manager.refusal_to_read(false);
  REQUIRE(unread);
  CHECK(unread->code == error_code::unavailable);
  CHECK(unread->message.find(gone_on) != std::string::npos);
  CHECK(unread->message.find("damaged") == std::string::npos);
  CHECK(f.has_problem(gone_on));
  CHECK_FALSE(f.has_problem("damaged"));
  CHECK_FALSE(f.anew.manager.refusal_to_read(true));
  CHECK(f.anew.read("/mine") == value{"mine"});
}

TEST_CASE("a node that begins anew takes no pushes, and asks its peers to wait") {
  anew_fixture f;
  f.anew.greeted_peer(1, 4);
  f.anew.push(1, 1, {put({node(2), 1, 1}, "/pushed", 1)});
  CHECK(f.anew.none<append_batch>());
  CHECK(f.anew.sent<sync_ack>(1).empty());
  CHECK(f.anew.manager.engine().processed() == processed_changes{});
  f.anew.tick(1000);
  const auto heads = f.anew.sent<sync_heads>(1);
  REQUIRE(heads.size() == 1);
  CHECK(heads[0].busy);
  CHECK(heads[0].vector == version_vector{});
  CHECK(f.anew.sent<sync_ack>(1).empty());
}

// -- whose state is taken -------------------------------------------------------------------------

TEST_CASE("the state of a member that knows of the forgetting is taken at once") {
  anew_fixture f;
  f.prepare(true);
  f.connect();
  f.anew.tick();
  CHECK(f.anew.sent<sync_range>(1).size() == 1);
}

TEST_CASE("the state of a member that does not know of it is taken after a while") {
  anew_fixture f;
  f.prepare(false);
  f.connect();
  f.anew.tick();
  CHECK(f.anew.sent<sync_range>(1).empty());
  SUBCASE("nobody else comes") {
    f.anew.tick(9'999);
    CHECK(f.anew.sent<sync_range>(1).empty());
    f.anew.tick(1);
    CHECK(f.anew.sent<sync_range>(1).size() == 1);
  }
  SUBCASE("another one comes that knows") {
    f.anew.peer_up(2, 6);
    f.anew.hear(2, f.anew.hello(6, version_vector{{{node(5), 1, 1}}}));
    f.anew.tick();
    CHECK(f.anew.sent<sync_range>(1).empty());
    CHECK(f.anew.sent<sync_range>(2).size() == 1);
  }
  SUBCASE("it learns of it") {
    auto known = f.giver.manager.committed().vector();
    known.raise(node(5), 1, 1);
    f.anew.hear(1, sync_heads{known, {}, 0, {}, {}});
    f.anew.tick();
    CHECK(f.anew.sent<sync_range>(1).size() == 1);
  }
}

TEST_CASE("a member that does not know of it is not asked sooner because its log has a base") {
  anew_fixture f;
  f.prepare(false);
  f.connect();
  auto heads = sync_heads{f.giver.manager.committed().vector(), {}, 0, {}, {}};
  heads.base = f.giver.manager.committed().vector();
  f.anew.tick();
  for (int i = 0; i < 9; ++i) {
    f.anew.hear(1, heads);
    f.anew.tick(1000);
    CHECK(f.anew.sent<sync_range>(1).empty());
  }
}

TEST_CASE("a state in which nobody is a member is not taken") {
  anew_fixture f;
  f.prepare(false);
  f.connect();
  f.anew.tick();
  f.anew.tick(10'000);
  REQUIRE(f.anew.sent<sync_range>(1).size() == 1);
  f.carry();
  CHECK(f.anew.logged("context.state_joined") == 0);
  CHECK(f.anew.manager.engine().processed() == processed_changes{});
  f.anew.tick(4'999);
  CHECK(f.anew.none<keep_aside>());
  CHECK(f.anew.sent<sync_range>(1).empty());
  f.anew.tick(1);
  CHECK(f.anew.sent<sync_range>(1).size() == 1);  // it may have become one
}

TEST_CASE("a node that begins anew gives no state") {
  anew_fixture f;
  f.anew.greeted_peer(1, 5);
  f.anew.hear(1, sync_range{.transfer = 1, .ask = 1, .wanted = {}, .done = false});
  CHECK(f.anew.sent<sync_state>(1).empty());
}

// -- what the others do not have ------------------------------------------------------------------

TEST_CASE("what is of a lost transaction is kept aside though the others count it") {
  anew_fixture f;
  write_values wanted{.entries = {}, .principal = std::string{system_principal}};
  wanted.entries.push_back(
      {lost_transactions::place_of({node(2), 1, 2}), lost_transactions::lost(1, noon)});
  f.giver.after([&] { f.giver.manager.write(context_request{901}, wanted, f.giver.now); });
  f.giver.stored();
  f.take_state();
  f.anew.tick();
  const auto kept = f.anew.only<keep_aside>().entries;
  REQUIRE(kept.find(path{"/sent"}));
  CHECK(kept.find(path{"/sent"})->siblings()[0].copy_value() == value{1});
}

TEST_CASE("what the others do not have is kept aside before the state is stored") {
  anew_fixture f;
  f.take_state();
  f.anew.tick();
  CHECK(f.anew.none<append_batch>());
  const auto kept = f.anew.only<keep_aside>().entries;
  CHECK(kept.size() == 4);
  REQUIRE(kept.find(path{"/mine"}));
  REQUIRE(kept.find(path{"/gone"}));
  CHECK(kept.find(path{"/gone"})->siblings()[0].is_tombstone());
  const auto both = kept.find(path{"/both"});
  REQUIRE(both);
  REQUIRE(both->siblings().size() == 1);
  CHECK(both->siblings()[0].copy_value() == value{2});
  // What a counter adds up to was read there, so all of it is kept.
  CHECK_FALSE(kept.find(path{"/counted"}));
  const auto counter = kept.find(path{"/counts"});
  REQUIRE(counter);
  CHECK(counter->siblings().size() == 2);
  f.anew.tick(1000);
  CHECK(f.anew.none<keep_aside>());  // it is under way
  CHECK(f.anew.none<append_batch>());
  const auto heads = f.anew.sent<sync_heads>(1);
  REQUIRE(heads.size() == 1);
  CHECK(heads[0].vector == version_vector{});
  CHECK(heads[0].root == state_hash{});
  CHECK(f.anew.manager.refusal_to_read(false));

  f.kept();
  CHECK(f.anew.logged("context.unsent_kept") == 1);
  CHECK(f.anew.logged("context.state_rebuilt") == 1);
  const auto adopted = f.anew.only<append_batch>().what->adopted;
  REQUIRE(adopted);
  CHECK(adopted->foreign == f.giver.manager.committed());
  CHECK(adopted->log_keeps == f.giver.manager.committed());
  CHECK(adopted->state.tree.hash() == f.giver.manager.engine().tree().hash());
  CHECK_FALSE(f.anew.manager.engine().view(path{"/mine"}));
  CHECK(f.has_problem(file));
}

TEST_CASE("what could not be kept aside is kept later, and nothing is stored before") {
  anew_fixture f;
  f.take_state();
  f.anew.tick();
  const auto first = f.anew.only<keep_aside>().entries;
  f.kept(fail(error_code::storage_failure, "the disk is full"));
  CHECK(f.anew.logged("context.unsent_not_kept") == 1);
  CHECK(f.anew.none<append_batch>());
  f.anew.tick(4999);
  CHECK(f.anew.none<keep_aside>());
  CHECK(f.anew.none<append_batch>());
  f.anew.tick(1);
  CHECK(f.anew.only<keep_aside>().entries.hash() == first.hash());
  CHECK(f.anew.none<append_batch>());
  f.kept();
  CHECK(f.anew.only<append_batch>().what->adopted);
}

TEST_CASE("where the others have all of it nothing is kept aside") {
  context_tree entries;
  put_into(entries, "/sent", {put({node(2), 1, 1}, "/", 1)});
  put_into(entries, "/_sys/members/8", {put({node(8), 1, 1}, "/", 8)});
  anew_fixture f{std::move(entries)};
  f.take_state();
  f.anew.tick();
  CHECK(f.anew.none<keep_aside>());
  CHECK(f.anew.only<append_batch>().what->adopted);
  f.anew.stored();
  CHECK(f.anew.logged("context.restored") == 1);
  CHECK_FALSE(f.has_problem("what only this node had"));
}

// -- after ----------------------------------------------------------------------------------------

TEST_CASE("a node that has the state of the others joins them again, with new links") {
  anew_fixture f;
  f.take_state();
  f.anew.tick();
  f.kept();
  CHECK(f.anew.logged("context.restored") == 0);
  CHECK(f.anew.logged("context.joined") == 0);
  CHECK(f.anew.none<close_peer>());
  f.anew.stored();
  CHECK(f.anew.logged("context.restored") == 1);
  CHECK(f.anew.only<close_peer>().peer == peer_id{1});
  CHECK(f.anew.logged("context.overruled") == 0);
  CHECK(f.anew.logged("context.joined") == 1);
  CHECK(f.anew.manager.known_members().has_joined());
  CHECK(f.anew.manager.known_members().forgotten().empty());
  CHECK_FALSE(f.anew.manager.refusal_to_read(false));
  CHECK(f.anew.read("/n/3") == value{3});
  CHECK_FALSE(f.anew.read("/mine"));
  CHECK(f.anew.manager.log_base() == f.giver.manager.committed());
  CHECK(f.has_problem(file));                             // for as long as it runs
  CHECK(f.anew.only<append_batch>().what->changes == 1);  // its own value
  f.anew.stored();
  f.anew.tick();
  CHECK(f.anew.none<begin_anew>());
  f.anew.write("/a", 1);
  f.anew.stored();
  CHECK(f.anew.only<answer_write>().outcome);
}

TEST_CASE("a node that is back pushes to those that have forgotten it before") {
  anew_fixture f;
  f.restore_state();
  f.anew.stored();
  auto hello = f.anew.hello(5, f.giver.manager.committed().vector());
  hello.forgotten = version_vector{{{node(5), 1, 1}}};
  f.anew.peer_up(3, 5);
  f.anew.hear(3, hello);
  CHECK(f.anew.only<read_peer_log>().peer == peer_id{3});
}

TEST_CASE("a node that is forgotten once more begins anew once more") {
  anew_fixture f;
  f.restore_state();
  f.anew.stored();
  f.anew.greeted_peer(3, 5);
  const auto standing = standing_at(f.anew.manager.engine(), members::place_of(node(1)));
  f.anew.push(3, 1, {farewell_of(1, 5, 2, standing)});
  CHECK(f.anew.logged("context.overruled") == 1);
  f.anew.stored();
  f.anew.tick();
  CHECK(f.anew.only<begin_anew>().overruled_by == version_vector{{{node(5), 1, 2}}});
}
