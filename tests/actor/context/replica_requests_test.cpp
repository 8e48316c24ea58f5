// A replica's answers to requests, within the node and over links. In virtual time.

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <troupe/tests/support/fixtures/replica_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

// -- what is written ------------------------------------------------------------------------------

TEST_CASE_FIXTURE(one_replica, "values are erased, and what is not there cannot be") {
  replica.write("/a", 1);
  CHECK(replica.erase("/a").get());
  CHECK_FALSE(replica.read("/a"));
  CHECK(replica.erase("/a").code() == error_code::not_found);
}

TEST_CASE_FIXTURE(one_replica, "entries that hold their value already can be passed over") {
  replica.write("/a", 1);
  const auto outcome = system.demand<values_written>(
      replica.actor, write_values{.entries = {{path{"/a"}, 1}, {path{"/b"}, 2}},
                                  .principal = "tester",
                                  .skip_unchanged = true});
  CHECK(outcome->ids.size() == 1);
  CHECK(outcome->unchanged == 1);
  CHECK(stored() == strings{"/a", "/b"});
}

TEST_CASE_FIXTURE(one_replica,
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

TEST_CASE_FIXTURE(one_replica, "entries can be checked without being written") {
  const auto check = [&](std::vector<context_entry> entries) {
    return replica.serve<values_imported>(
        "context.import", import_values{.entries = std::move(entries), .only_check = true});
  };
  CHECK(check({{path{"/a"}, 1}, {path{"/b"}, 2}}) == values_imported{0, 0});
  CHECK(check({{path{"/_sys/x"}, 2}}).error().code == error_code::permission_denied);
  CHECK_FALSE(replica.read("/a"));
  CHECK(stored().empty());
}

TEST_CASE_FIXTURE(one_replica, "a link writes and deletes on the condition of a version") {
  const auto version = [&] {
    return *replica.serve<value_found>("context.get", get_value{path{"/a"}, true}).value().version;
  };
  const auto none = version();
  const auto set = [&](int given, const value_version& expected) {
    return replica.serve<change_accepted>(
        "context.set", set_value{path{"/a"}, given, durability::memory, expected});
  };
  const auto erase = [&](const value_version& expected) {
    return replica.serve<change_accepted>("context.delete",
                                          erase_value{path{"/a"}, durability::memory, expected});
  };
  CHECK(set(1, none));
  CHECK(set(2, none).error().code == error_code::failed_precondition);
  CHECK(erase(none).error().code == error_code::failed_precondition);
  CHECK(replica.read("/a") == value{1});
  CHECK(erase(version()));
  CHECK_FALSE(replica.serve<value_found>("context.get", get_value{path{"/a"}}).value().version);
}

TEST_CASE_FIXTURE(one_replica, "a single refused entry is answered with the refusal itself") {
  const auto outcome = replica.write("/_sys/x", 1);
  CHECK(outcome.code() == error_code::permission_denied);
  CHECK(outcome.problem().find("entry 1") == std::string::npos);
}

TEST_CASE_FIXTURE(one_replica, "a snapshot stays as it is while the replica goes on") {
  replica.write("/a", 1);
  const auto before = system.demand<snapshot_taken>(replica.actor, take_snapshot{}).value();
  replica.write("/b", 2);
  CHECK(before.tree.size() == 1);
  CHECK(before.tree.hash() != replica.verify().hash);
}

TEST_CASE_FIXTURE(one_replica,
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

TEST_CASE_FIXTURE(one_replica, "values behind many erased ones are listed all the same") {
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

TEST_CASE_FIXTURE(one_replica, "two verifications run at once, and the next is refused") {
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

TEST_CASE_FIXTURE(one_replica, "values are set, read, explained, listed and deleted over links") {
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

TEST_CASE_FIXTURE(one_replica, "an import writes what is new and counts what was not") {
  import_values wanted;
  for (int i = 0; i < 20; ++i) wanted.entries.push_back({path{"/in/" + std::to_string(i)}, i});
  CHECK(replica.serve<values_imported>("context.import", wanted).value() == values_imported{20, 0});
  wanted.entries[3].value = "changed";
  CHECK(replica.serve<values_imported>("context.import", wanted).value() == values_imported{1, 19});
  CHECK(replica.store.commits() == 2);
}

TEST_CASE_FIXTURE(one_replica, "a list over links is read page by page") {
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

TEST_CASE_FIXTURE(one_replica, "malformed parameters and unknown methods are refused") {
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
