// The audit actor on a real directory.

#include <doctest/doctest.h>

#include <fstream>

#include <troupe/actors/monitor/audit.hpp>
#include <troupe/actors/monitor/audit_file.hpp>
#include <troupe/messages/text/utf8.hpp>
#include <troupe/tests/support/fixtures/actor_fixture.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// The audit trail of one incarnation of a node.
class trail {
public:
  explicit trail(const std::filesystem::path& directory, std::size_t max_in_memory = 1000)
      : audit(system.own(
            spawn_audit(system.caf(), {.directory = directory,
                                       .max_in_memory = max_in_memory,
                                       .log = log.target(),
                                       .clock = [] { return std::uint64_t{12'345}; }}))) {}

  answer<void> add(std::string event, std::string principal, std::string subject = {},
                   std::uint64_t time_ms = 0) {
    return system.ask<void>(audit, audit_record{.time_ms = time_ms,
                                                .event = std::move(event),
                                                .principal = std::move(principal),
                                                .subject = std::move(subject),
                                                .rule = "a rule",
                                                .trace = {}});
  }
  std::vector<audit_record> search(search_audit wanted = {}) {
    return system.ask<audit_list>(audit, wanted).value().records;
  }
  std::vector<std::string> subjects(search_audit wanted = {}) {
    std::vector<std::string> all;
    for (const auto& each : search(wanted)) all.push_back(each.subject);
    return all;
  }

  recorded_log log;
  real_system system;
  audit_actor audit;
};

using strings = std::vector<std::string>;

}  // namespace

TEST_CASE("records are found newest first, stamped with the time when they have none") {
  temporary_directory directory;
  trail here{directory.path()};
  REQUIRE(here.add("plugin.denied", "notes", "first").get());
  REQUIRE(here.add("plugin.granted", "notes", "second", 7).get());
  CHECK(here.subjects() == strings{"second", "first"});
  CHECK(here.search()[0].time_ms == 7);
  CHECK(here.search()[1].time_ms == 12'345);
  CHECK(here.log.contains(
      "audit.plugin.denied principal=\"notes\" subject=\"first\" rule=\"a rule\""));
}

TEST_CASE("a search filters by principal and by event, and by both") {
  temporary_directory directory;
  trail here{directory.path()};
  here.add("denied", "notes", "1").get();
  here.add("granted", "notes", "2").get();
  here.add("denied", "files", "3").get();
  here.add("denied", "notes", "4").get();
  CHECK(here.subjects({.principal = "notes"}) == strings{"4", "2", "1"});
  CHECK(here.subjects({.event = "denied"}) == strings{"4", "3", "1"});
  CHECK(here.subjects({.principal = "notes", .event = "denied"}) == strings{"4", "1"});
  CHECK(here.subjects({.principal = "nobody"}).empty());
}

TEST_CASE("a search is bounded by its limit, which counts what matches, and by a thousand") {
  temporary_directory directory;
  trail here{directory.path(), 1500};
  for (int i = 0; i < 1100; ++i)
    here.add(i % 2 == 0 ? "even" : "odd", "notes", std::to_string(i)).get();
  REQUIRE(eventually([&] { return here.subjects({.limit = 1}) == strings{"1099"}; }));
  CHECK(here.subjects({.event = "even", .limit = 3}) == strings{"1098", "1096", "1094"});
  CHECK(here.subjects({.limit = 0}).empty());
  CHECK(here.search({.limit = 100'000}).size() == 1000);
}

TEST_CASE("only the newest N records are kept in memory") {
  temporary_directory directory;
  trail here{directory.path(), 3};
  for (const char* subject : {"1", "2", "3", "4", "5"}) here.add("event", "notes", subject).get();
  CHECK(here.subjects() == strings{"5", "4", "3"});
}

TEST_CASE("records of an earlier incarnation are found") {
  temporary_directory directory;
  {
    trail before{directory.path()};
    before.add("event", "notes", "1").get();
    before.add("event", "notes", "2").get();
  }
  trail after{directory.path()};
  after.add("event", "notes", "3").get();
  CHECK(after.subjects() == strings{"3", "2", "1"});
}

TEST_CASE("the trail is searched over links") {
  temporary_directory directory;
  trail here{directory.path()};
  here.add("event", "notes", "1").get();
  const auto found =
      here.system.ask<payload>(here.audit, call_of(search_audit{.principal = "notes"}));
  CHECK(decode_checked<audit_list>(found.value().msgpack.bytes)->records.size() == 1);
  const auto malformed = here.system.ask<payload>(
      here.audit,
      service_call{
          the_host(), "audit.search", {value::map({{"limit", "many"}}).msgpack()}, 1s, {}});
  CHECK(malformed.code() == error_code::invalid_argument);
  CHECK(here.system.ask<void>(here.audit, service_notification{the_host(), "audit.search", {}})
            .get());
}

TEST_CASE("a record that cannot be written is refused and logged, and can still be found") {
  temporary_directory directory;
  trail here{directory.path() / "missing"};
  CHECK(here.add("event", "notes", "1").code() == error_code::storage_failure);
  CHECK(here.log.contains("audit.write_failed"));
  CHECK(here.subjects() == strings{"1"});
}

TEST_CASE("control characters in a record cannot forge a log line") {
  temporary_directory directory;
  trail here{directory.path()};
  here.add("event", "no\ntes", "sub\nject").get();
  CHECK(here.log.contains("principal=\"no\\x0ates\" subject=\"sub\\x0aject\""));
}

TEST_CASE("quotes in a record cannot forge a field of a log line") {
  temporary_directory directory;
  trail here{directory.path()};
  here.add("event", "notes", "x\" rule=\"granted").get();
  CHECK(here.log.contains(R"(principal="notes" subject="x\" rule=\"granted" rule="a rule")"));
}

TEST_CASE(
    "a long text is cut between two characters when it is recorded, and when it is read again") {
  temporary_directory directory;
  const std::string long_line = to_json_line({.time_ms = 1,
                                              .event = "event",
                                              .principal = "old",
                                              .subject = std::string(5000, 'x'),
                                              .rule = {},
                                              .trace = {}});
  std::ofstream{directory.path() / "audit.jsonl"} << long_line << '\n';
  trail here{directory.path()};
  std::string smiles;
  for (int i = 0; i < 2000; ++i) smiles += "\U0001F600";
  for (std::size_t shift = 0; shift < 4; ++shift) {
    CAPTURE(shift);
    REQUIRE(here.add("event", std::string(3000, 'p'), std::string(shift, 'x') + smiles).get());
    const auto kept = here.search({.limit = 1}).at(0);
    CHECK(kept.subject.size() <= 1024);
    CHECK(kept.subject.size() > 1016);
    CHECK(is_utf8(kept.subject));
    CHECK(kept.subject.find('?') == std::string::npos);
    CHECK(kept.subject.ends_with("\U0001F600…"));
    CHECK(kept.principal == std::string(1021, 'p') + "…");
  }
  CHECK(here.subjects({.principal = "old"}) == strings{std::string(1021, 'x') + "…"});
  // What fits is kept as it is.
  REQUIRE(here.add("event", "notes", std::string(1024, 'x')).get());
  CHECK(here.search({.limit = 1}).at(0).subject == std::string(1024, 'x'));
}
