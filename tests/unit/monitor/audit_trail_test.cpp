#include <doctest/doctest.h>

#include <string>

#include <troupe/actors/monitor/audit_trail.hpp>

using namespace troupe;

namespace {

audit_record record(std::uint64_t time, std::string event, std::string principal) {
  return {.time_ms = time,
          .event = std::move(event),
          .principal = std::move(principal),
          .subject = "log",
          .rule = "not granted",
          .trace = {}};
}

}  // namespace

TEST_CASE("the audit trail keeps the newest records and finds them newest first") {
  audit_trail trail{3};
  for (std::uint64_t time = 1; time <= 5; ++time)
    trail.add(record(time, "plugin.denied", time % 2 ? "odd" : "even"));
  const auto all = trail.search({}).records;
  REQUIRE(all.size() == 3);
  CHECK(all[0].time_ms == 5);
  CHECK(all[2].time_ms == 3);
  CHECK(trail.search({.limit = 2}).records.size() == 2);
  const auto even = trail.search({.principal = "even"}).records;
  REQUIRE(even.size() == 1);
  CHECK(even[0].time_ms == 4);
  CHECK(trail.search({.event = "plugin.granted"}).records.empty());
  CHECK(trail.search({.limit = 0}).records.empty());
}

TEST_CASE("a search of the audit trail finds at most a thousand records") {
  audit_trail trail{2000};
  for (std::uint64_t time = 1; time <= 1500; ++time) trail.add(record(time, "e", "p"));
  CHECK(trail.search({.limit = 5000}).records.size() == audit_trail::max_results);
}

TEST_CASE("the audit trail cuts long texts between characters and repairs broken ones") {
  auto given = record(0, "e", "p");
  given.subject = std::string(audit_trail::max_text_bytes - 4, 'x') + "éé";
  given.rule = "\xff";
  const auto kept = audit_trail::admit(given, 77);
  CHECK(kept.time_ms == 77);
  CHECK(kept.subject == given.subject);
  CHECK(kept.rule == "?");
  given.subject += "é";
  CHECK(audit_trail::admit(given, 77).subject ==
        std::string(audit_trail::max_text_bytes - 4, 'x') + "…");
  given.time_ms = 5;
  CHECK(audit_trail::admit(given, 77).time_ms == 5);
}
