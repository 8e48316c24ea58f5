// One replica on a store that the test controls. In virtual time.

#include <doctest/doctest.h>

#include <troupe/messages/rpc.hpp>
#include <troupe/tests/support/replica_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture {
public:
  virtual_system system;
  replica_fixture replica{system, 1};

  std::vector<std::string> stored() const {
    std::vector<std::string> all;
    for (const auto& each : replica.store.log())
      all.push_back(decode_checked<change_record>(each.bytes).value().path.text());
    return all;
  }
};

using strings = std::vector<std::string>;

}  // namespace

// -- durability -----------------------------------------------------------------------------------

TEST_CASE_FIXTURE(
    fixture, "a durable write is acknowledged only when the store has it, and can be read before") {
  replica.store.hold();
  auto written = replica.write("/a", 1);
  CHECK_FALSE(written.ready());
  CHECK(replica.read("/a") == value{1});
  replica.store.proceed();
  REQUIRE(written.ready());
  CHECK(written.value().ids.size() == 1);
  CHECK(stored() == strings{"/a"});
}

TEST_CASE_FIXTURE(fixture, "a write to memory is acknowledged at once, and stored all the same") {
  replica.store.hold();
  auto written = replica.write("/a", 1, durability::memory);
  CHECK(written.ready());
  CHECK(stored().empty());
  replica.store.proceed();
  CHECK(stored() == strings{"/a"});
}

TEST_CASE_FIXTURE(fixture, "writes that come while the disk is busy are one commit") {
  replica.store.hold();
  std::vector<answer<values_written>> all;
  for (int i = 0; i < 50; ++i) all.push_back(replica.write("/n/" + std::to_string(i), i));
  replica.store.proceed();
  for (const auto& each : all) CHECK(each.ready());
  CHECK(replica.store.commits() == 2);
  CHECK(stored().size() == 50);
}

TEST_CASE_FIXTURE(fixture, "a write that the disk refuses is not acknowledged, and tried again") {
  replica.store.refuse();
  auto written = replica.write("/a", 1);
  REQUIRE(written.ready());
  CHECK(written.code() == error_code::storage_failure);
  CHECK(written.problem().find("the disk is full") != std::string::npos);
  CHECK(replica.log.count("context.disk_refused") == 1);
}

TEST_CASE_FIXTURE(fixture, "while the disk refuses, writes are refused and reads go on") {
  REQUIRE(replica.write("/before", 1).get());
  replica.store.refuse();
  REQUIRE_FALSE(replica.write("/a", 1).get());
  auto second = replica.write("/b", 2);
  REQUIRE(second.ready());
  CHECK(second.code() == error_code::storage_failure);
  CHECK(replica.write("/c", 3, durability::memory).code() == error_code::storage_failure);
  CHECK_FALSE(replica.read("/b"));
  CHECK(replica.read("/before") == value{1});
  CHECK(replica.read("/a") == value{1});
}

TEST_CASE_FIXTURE(fixture,
                  "when the disk takes writes again nothing is lost, and writes are taken again") {
  replica.store.refuse();
  REQUIRE_FALSE(replica.write("/a", 1).get());
  system.pass(1s);
  CHECK(stored().empty());
  replica.store.accept();
  system.pass(150ms);
  CHECK(stored() == strings{"/a"});
  CHECK(replica.log.count("context.disk_refused") == 1);
  CHECK(replica.log.count("context.disk_recovered") == 1);
  CHECK(replica.write("/b", 2).get());
  CHECK(stored() == strings{"/a", "/b"});
}

TEST_CASE_FIXTURE(fixture, "a replica ends with its store") {
  caf::anon_send_exit(replica.store.keeper(), caf::exit_reason::kill);
  system.run();
  CHECK(system.demand<value_found>(replica.actor, get_value{path{"/a"}}).error().code ==
        error_code::unavailable);
}

// -- checkpoints ----------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "a settled replica has stored and checkpointed everything") {
  replica.write("/a", 1);
  replica.write("/b", 2);
  REQUIRE(system.demand<void>(replica.actor, settle_context{}));
  REQUIRE(replica.store.checkpoints().size() == 1);
  CHECK(replica.store.checkpoints().front()->tree.hash() == replica.verify().hash);
  CHECK(replica.store.checkpoints().front()->vector == replica.verify().vector);
}

TEST_CASE_FIXTURE(fixture, "a replica that is settled already needs no checkpoint") {
  REQUIRE(system.demand<void>(replica.actor, settle_context{}));
  CHECK(replica.store.checkpoints().empty());
  replica.write("/a", 1);
  REQUIRE(system.demand<void>(replica.actor, settle_context{}));
  REQUIRE(system.demand<void>(replica.actor, settle_context{}));
  CHECK(replica.store.checkpoints().size() == 1);
}

TEST_CASE_FIXTURE(fixture, "settling waits for what is being written, and checkpoints that too") {
  replica.store.hold();
  auto written = replica.write("/a", 1);
  auto settled = system.ask<void>(replica.actor, settle_context{});
  system.run();
  CHECK_FALSE(settled.ready());
  replica.store.proceed();
  REQUIRE(settled.ready());
  CHECK(settled.get());
  REQUIRE(replica.store.checkpoints().size() == 1);
  CHECK(replica.store.checkpoints().front()->tree.size() == 1);
}

TEST_CASE_FIXTURE(fixture, "settling fails when the disk refuses") {
  replica.store.refuse();
  replica.write("/a", 1);
  CHECK(system.demand<void>(replica.actor, settle_context{}).error().code ==
        error_code::storage_failure);
}

TEST_CASE("a checkpoint is written after so many changes") {
  virtual_system system;
  replica_fixture replica{system, 1, 10};
  for (int i = 0; i < 9; ++i) replica.write("/n/" + std::to_string(i), i);
  system.pass(200ms);
  CHECK(replica.store.checkpoints().empty());
  replica.write("/n/9", 9);
  system.pass(200ms);
  REQUIRE(replica.store.checkpoints().size() == 1);
  CHECK(replica.store.checkpoints().front()->tree.size() == 10);
  for (int i = 0; i < 10; ++i) replica.write("/n/" + std::to_string(i), i + 1);
  system.pass(200ms);
  CHECK(replica.store.checkpoints().size() == 2);
}

TEST_CASE("a checkpoint that fails is logged, and tried again with the next changes") {
  virtual_system system;
  replica_fixture replica{system, 1, 2};
  replica.store.refuse_checkpoints();
  replica.write("/a", 1);
  replica.write("/b", 2);
  system.pass(1s);
  CHECK(replica.log.count("context.checkpoint_failed") == 1);
  replica.store.accept_checkpoints();
  replica.write("/c", 3);
  system.pass(1s);
  CHECK(replica.store.checkpoints().empty());
  replica.write("/d", 4);
  system.pass(1s);
  REQUIRE(replica.store.checkpoints().size() == 1);
  CHECK(replica.store.checkpoints().front()->tree.size() == 4);
}

TEST_CASE("checkpoints are written while writers never pause") {
  virtual_system system;
  replica_fixture replica{system, 1, 50};
  // Two writers, each of which writes again as soon as it is answered: whenever a commit is done,
  // the next waits.
  int left = 400;
  std::vector<caf::actor> writers;
  for (int writer = 0; writer < 2; ++writer)
    writers.push_back(system.own(system.caf().spawn(
        [&left, writer, to = replica.actor](caf::event_based_actor* self) -> caf::behavior {
          return {[self, &left, writer, to](tick) {
            if (left-- <= 0) return;
            const write_values wanted{.entries = {{path{"/w/" + std::to_string(left)}, writer}},
                                      .principal = "tester"};
            self->request(to, 60s, wanted)
                .then([self](const values_written&) { tell(self, self, tick::fast); },
                      [](const caf::error& why) { FAIL(from_caf(why).message); });
          }};
        })));
  replica.store.hold();
  for (const auto& writer : writers) tell(writer, tick::fast);
  system.run();
  replica.store.proceed();
  CHECK(replica.store.log().size() == 400);
  CHECK(replica.store.checkpoints().size() >= 6);
  for (const auto& each : replica.store.checkpoints())
    CHECK(each->vector.at(replica.id, 1) == each->tree.size());
  CHECK(replica.store.checkpoints().front()->tree.size() < 100);
}

TEST_CASE("what was replayed at the start counts for the next checkpoint") {
  virtual_system system;
  SUBCASE("when enough has gathered over several runs") {
    replica_fixture replica{system, 1, 10, {}, 9};
    system.pass(200ms);
    CHECK(replica.store.checkpoints().empty());
    replica.write("/a", 1);
    system.pass(200ms);
    CHECK(replica.store.checkpoints().size() == 1);
  }
  SUBCASE("when it is more than enough already") {
    replica_fixture replica{system, 1, 10, {}, 10};
    system.pass(200ms);
    CHECK(replica.store.checkpoints().size() == 1);
    system.pass(1s);
    CHECK(replica.store.checkpoints().size() == 1);
  }
  SUBCASE("at the end, even if nothing was written") {
    replica_fixture replica{system, 1, 10, {}, 1};
    REQUIRE(system.demand<void>(replica.actor, settle_context{}));
    CHECK(replica.store.checkpoints().size() == 1);
  }
}

TEST_CASE_FIXTURE(fixture, "settling fails when the checkpoint does") {
  replica.store.refuse_checkpoints();
  replica.write("/a", 1);
  CHECK(system.demand<void>(replica.actor, settle_context{}).error().message ==
        "no room for a checkpoint");
}

// -- what is written ------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "values are erased, and what is not there cannot be") {
  replica.write("/a", 1);
  CHECK(replica.erase("/a").get());
  CHECK_FALSE(replica.read("/a"));
  CHECK(replica.erase("/a").code() == error_code::not_found);
}

TEST_CASE_FIXTURE(fixture, "entries that hold their value already can be passed over") {
  replica.write("/a", 1);
  const auto outcome = system.demand<values_written>(
      replica.actor, write_values{.entries = {{path{"/a"}, 1}, {path{"/b"}, 2}},
                                  .principal = "tester",
                                  .skip_unchanged = true});
  CHECK(outcome->ids.size() == 1);
  CHECK(outcome->unchanged == 1);
  CHECK(stored() == strings{"/a", "/b"});
}

TEST_CASE_FIXTURE(fixture,
                  "of many entries the one that is refused is named, and nothing is written") {
  const auto outcome = system.demand<values_written>(
      replica.actor,
      write_values{.entries = {{path{"/a"}, 1}, {path{"/_sys/x"}, 2}, {path{"/c"}, 3}},
                   .principal = "tester"});
  CHECK(outcome.error().code == error_code::permission_denied);
  CHECK(outcome.error().message.find("entry 2 of 3, /_sys/x: ") == 0);
  CHECK_FALSE(replica.read("/a"));
  CHECK_FALSE(replica.read("/c"));
  CHECK(stored().empty());
}

TEST_CASE_FIXTURE(fixture, "entries can be checked without being written") {
  const auto check = [&](std::vector<context_entry> entries) {
    return replica.serve<values_imported>(
        "context.import", import_values{.entries = std::move(entries), .only_check = true});
  };
  CHECK(check({{path{"/a"}, 1}, {path{"/b"}, 2}}) == values_imported{0, 0});
  CHECK(check({{path{"/_sys/x"}, 2}}).error().code == error_code::permission_denied);
  CHECK_FALSE(replica.read("/a"));
  CHECK(stored().empty());
}

TEST_CASE_FIXTURE(fixture, "a single refused entry is answered with the refusal itself") {
  const auto outcome = replica.write("/_sys/x", 1);
  CHECK(outcome.code() == error_code::permission_denied);
  CHECK(outcome.problem().find("entry 1") == std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "a snapshot stays as it is while the replica goes on") {
  replica.write("/a", 1);
  const auto before = system.demand<snapshot_taken>(replica.actor, take_snapshot{}).value();
  replica.write("/b", 2);
  CHECK(before.tree.size() == 1);
  CHECK(before.tree.hash() != replica.verify().hash);
}

TEST_CASE_FIXTURE(fixture,
                  "entries that are written together are durable together, however many they are") {
  replica.store.hold();
  for (int i = 0; i < 2; ++i) replica.write("/one/" + std::to_string(i), i, durability::memory);
  write_values many{.entries = {}, .durability = durability::memory, .principal = "tester"};
  for (int i = 0; i < 1'500; ++i) many.entries.push_back({path{"/n/" + std::to_string(i)}, i});
  REQUIRE(system.demand<values_written>(replica.actor, std::move(many)));
  replica.store.proceed();
  system.pass(200ms);
  CHECK(replica.store.batches() == std::vector<std::size_t>{1, 1, 1'500});
}

TEST_CASE_FIXTURE(fixture, "values behind many erased ones are listed all the same") {
  write_values many{.entries = {}, .durability = durability::memory, .principal = "tester"};
  for (int i = 0; i < 60'000; ++i) many.entries.push_back({path{"/n/" + std::to_string(i)}, {}});
  REQUIRE(system.demand<values_written>(replica.actor, many));
  many.what = operation::erase;
  REQUIRE(system.demand<values_written>(replica.actor, std::move(many)));
  replica.write("/z", 1);
  const auto page = system.demand<value_page>(replica.actor, list_values{}).value();
  CHECK(page.entries.size() == 1);
  CHECK(replica.serve<value_page>("context.list", list_values{}).value() == page);
}

TEST_CASE_FIXTURE(fixture, "only so many verify at once, and the next is told to try again") {
  replica.write("/a", 1);
  std::vector<answer<values_verified>> asked;
  for (int i = 0; i < 3; ++i)
    asked.push_back(system.ask<values_verified>(replica.actor, verify_values{}));
  // All three have asked before the first reader has begun.
  system.run();
  std::size_t refused = 0;
  for (const auto& each : asked) {
    REQUIRE(each.ready());
    if (each.code() == error_code::overloaded)
      ++refused;
    else
      CHECK(each.value().sound);
  }
  CHECK(refused == 1);
  CHECK(replica.verify().sound);
}

// -- over links -----------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "values are set, read, explained, listed and deleted over links") {
  const auto accepted = replica.serve<change_accepted>("context.set", set_value{path{"/a"}, "x"});
  REQUIRE(accepted);
  CHECK_FALSE(accepted->id.is_nil());
  CHECK(replica.serve<value_found>("context.get", get_value{path{"/a"}}).value() ==
        value_found{true, "x"});
  CHECK_FALSE(replica.serve<value_found>("context.get", get_value{path{"/b"}})->found);
  const auto explained =
      replica.serve<value_explained>("context.explain", explain_value{path{"/a"}}).value();
  CHECK_FALSE(explained.conflict);
  REQUIRE(explained.writes.size() == 1);
  CHECK(explained.writes[0].principal == "host");
  CHECK(replica.serve<value_page>("context.list", list_values{})->entries.size() == 1);
  CHECK(replica.serve<values_verified>("context.verify", verify_values{})->sound);
  CHECK(replica.serve<change_accepted>("context.delete", erase_value{path{"/a"}}));
  CHECK(replica.serve<change_accepted>("context.delete", erase_value{path{"/a"}}).error().code ==
        error_code::not_found);
}

TEST_CASE_FIXTURE(fixture, "an import writes what is new and tells how much was not") {
  import_values wanted;
  for (int i = 0; i < 20; ++i) wanted.entries.push_back({path{"/in/" + std::to_string(i)}, i});
  CHECK(replica.serve<values_imported>("context.import", wanted).value() == values_imported{20, 0});
  wanted.entries[3].value = "changed";
  CHECK(replica.serve<values_imported>("context.import", wanted).value() == values_imported{1, 19});
  CHECK(replica.store.commits() == 2);
}

TEST_CASE_FIXTURE(fixture, "a list over links is read page by page") {
  import_values wanted;
  for (int i = 100; i < 110; ++i) wanted.entries.push_back({path{"/in/" + std::to_string(i)}, i});
  REQUIRE(replica.serve<values_imported>("context.import", wanted));
  const auto first =
      replica.serve<value_page>("context.list", list_values{path{"/in"}, {}, 6}).value();
  CHECK(first.entries.size() == 6);
  CHECK(first.more);
  const auto second =
      replica
          .serve<value_page>("context.list", list_values{path{"/in"}, first.entries.back().path, 6})
          .value();
  CHECK(second.entries.size() == 4);
  CHECK_FALSE(second.more);
  CHECK(second.entries.front() == context_entry{path{"/in/106"}, 106});
}

TEST_CASE_FIXTURE(fixture, "malformed parameters and unknown methods are refused") {
  const auto raw = [&](std::string method) {
    return system.demand<payload>(
        replica.actor,
        service_call{the_host(),
                     std::move(method),
                     {value::map({{"path", 7}, {"entries", 7}, {"prefix", 7}}).msgpack()},
                     1s,
                     {}});
  };
  for (const char* method : {"context.get", "context.set", "context.delete", "context.list",
                             "context.explain", "context.verify", "context.import"}) {
    CAPTURE(method);
    CHECK(raw(method).error().code == error_code::invalid_argument);
  }
  CHECK(raw("context.dance").error().code == error_code::not_found);
}

// -- watching -------------------------------------------------------------------------------------

namespace {

/// Watches a part of the context, and answers each change, or does not.
class kept_changes {
public:
  kept_changes(fixture& where, std::string_view prefix, bool answers = true) {
    watcher_ = where.system.own(context_watcher{where.system.caf().spawn(
        [seen = seen_, answers](context_watcher::pointer self) -> context_watcher::behavior_type {
          const auto unanswered =
              std::make_shared<std::vector<caf::typed_response_promise<void>>>();
          return {[seen, answers, self,
                   unanswered](const context_changed& changed) -> caf::result<void> {
            for (const auto& change : changed.changes) seen->push_back(change->path.text());
            if (answers) return {};
            unanswered->push_back(self->make_response_promise<void>());
            return unanswered->back();
          }};
        })});
    tell(where.replica.actor, watch_context{path{prefix}, watcher_});
    where.system.run();
  }
  const std::vector<std::string>& paths() const { return *seen_; }
  const context_watcher& actor() const { return watcher_; }

private:
  std::shared_ptr<std::vector<std::string>> seen_ = std::make_shared<std::vector<std::string>>();
  context_watcher watcher_;
};

}  // namespace

TEST_CASE_FIXTURE(
    fixture, "a watcher is told of every change at and below its path, in order, and of no other") {
  replica.write("/app/before", 1);
  kept_changes changes{*this, "/app"};
  replica.write("/app", 1);
  replica.write("/app/x", 2);
  replica.write("/apple", 3);
  replica.write("/other", 4);
  replica.erase("/app/x");
  CHECK(changes.paths() == strings{"/app", "/app/x", "/app/x"});
}

TEST_CASE_FIXTURE(fixture, "a watcher that has ended is forgotten") {
  kept_changes changes{*this, "/app"};
  caf::anon_send_exit(changes.actor(), caf::exit_reason::user_shutdown);
  system.run();
  CHECK(replica.write("/app/x", 1).get());
  CHECK(changes.paths().empty());
}

TEST_CASE_FIXTURE(fixture, "a watcher that does not keep up is ended, not fed changes with gaps") {
  kept_changes lazy{*this, "/n", false};
  write_values many{.entries = {}, .durability = durability::memory, .principal = "tester"};
  for (int i = 0; i < 10'001; ++i) many.entries.push_back({path{"/n/" + std::to_string(i)}, i});
  REQUIRE(system.demand<values_written>(replica.actor, std::move(many)));
  CHECK(lazy.paths().size() == 10'001);  // one message is told whole
  CHECK_FALSE(replica.log.contains("context.watch_ended"));
  REQUIRE(replica.write("/n/next", 1).get());
  CHECK(replica.log.contains("context.watch_ended prefix=\"/n\""));
  kept_changes eager{*this, "/n"};
  replica.write("/n/more", 1);
  CHECK(lazy.paths().size() == 10'001);
  CHECK(eager.paths().size() == 1);
}

TEST_CASE_FIXTURE(fixture, "there is a bound to the number of watchers") {
  std::vector<std::unique_ptr<kept_changes>> all;
  for (int i = 0; i < 1'000; ++i) all.push_back(std::make_unique<kept_changes>(*this, "/x"));
  kept_changes one_more{*this, "/x"};
  replica.write("/x", 1);
  CHECK(all.front()->paths().size() == 1);
  CHECK(all.back()->paths().size() == 1);
  CHECK(one_more.paths().empty());
  CHECK(replica.log.contains("context.watch_refused"));
}
