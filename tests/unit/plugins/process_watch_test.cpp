// When the launcher looks at processes and ends them.

#include <doctest/doctest.h>

#include <troupe/actors/plugins/life/process_watch.hpp>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using duty = process_watch::duty;
using seen = process_watch::seen;

class fixture {
public:
  duty see(seen what = seen::running, const char* plugin = "notes") {
    return watch.observe(plugin, what, now);
  }
  bool end(std::chrono::milliseconds patience, std::chrono::milliseconds grace) {
    return watch.end("notes", patience, grace, now);
  }

  process_watch::time_point now{};
  process_watch watch;
};

}  // namespace

// -- the end --------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "an exit is reported once") {
  watch.add("notes", now);
  CHECK(see() == duty::nothing);
  CHECK(see(seen::exited) == duty::report_exit);
  CHECK(see(seen::exited) == duty::nothing);
  CHECK(end(0ms, 0ms));
  CHECK(see(seen::exited) == duty::reap);
  watch.remove("notes");
  CHECK(watch.is_empty());
}

TEST_CASE_FIXTURE(fixture, "there is nothing to end without a process") {
  CHECK_FALSE(end(0ms, 0ms));
  watch.add("notes", now);
  watch.remove("notes");
  CHECK_FALSE(end(0ms, 0ms));
}

TEST_CASE_FIXTURE(fixture, "a process gets patience, is asked once, gets grace, and is reaped") {
  watch.add("notes", now);
  REQUIRE(end(30ms, 100ms));
  CHECK(see() == duty::nothing);
  now += 29ms;
  CHECK(see() == duty::nothing);
  now += 1ms;
  CHECK(see() == duty::ask_to_end);
  CHECK(see() == duty::nothing);
  now += 99ms;
  CHECK(see() == duty::nothing);
  now += 1ms;
  CHECK(see() == duty::reap);
}

TEST_CASE_FIXTURE(fixture, "without grace a process is not asked") {
  watch.add("notes", now);
  REQUIRE(end(30ms, 0ms));
  CHECK(see() == duty::nothing);
  now += 30ms;
  CHECK(see() == duty::reap);
}

TEST_CASE_FIXTURE(fixture, "an exit within patience or grace is the end, and not reported") {
  watch.add("notes", now);
  REQUIRE(end(10s, 10s));
  now += 1s;
  CHECK(see(seen::exited) == duty::reap);
}

TEST_CASE_FIXTURE(fixture, "a second order does not give more time") {
  watch.add("notes", now);
  REQUIRE(end(0ms, 1s));
  CHECK(see() == duty::ask_to_end);
  REQUIRE(end(10s, 10s));
  now += 1s;
  CHECK(see() == duty::reap);
}

TEST_CASE_FIXTURE(
    fixture, "what could not be ended keeps its place until the next order, which tries again") {
  watch.add("notes", now);
  REQUIRE(end(0ms, 0ms));
  CHECK(see() == duty::reap);
  watch.end_failed("notes");
  CHECK_FALSE(watch.is_empty());
  now += 1h;
  CHECK(see() == duty::nothing);
  CHECK(see(seen::exited) == duty::nothing);  // no news
  REQUIRE(end(0ms, 0ms));
  CHECK(see() == duty::reap);
}

// -- the limits -----------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "each plugin is looked at once a second, and one at a time") {
  watch.add("files", now);
  watch.add("notes", now + 1ms);
  CHECK_FALSE(watch.next_sample(now));
  now += 999ms;
  CHECK_FALSE(watch.next_sample(now));
  now += 2ms;
  CHECK(watch.next_sample(now) == "files");
  CHECK(watch.next_sample(now) == "notes");
  CHECK_FALSE(watch.next_sample(now));
  now += 1s;
  CHECK(watch.next_sample(now) == "files");
  CHECK(watch.next_sample(now) == "notes");
}

TEST_CASE_FIXTURE(fixture, "what uses too much is reported once, and not looked at any more") {
  watch.add("notes", now);
  now += 1s;
  REQUIRE(watch.next_sample(now) == "notes");
  CHECK(watch.report_excess("notes"));
  CHECK_FALSE(watch.report_excess("notes"));
  now += 1s;
  CHECK_FALSE(watch.next_sample(now));
}

TEST_CASE_FIXTURE(fixture, "what has ended, or is being ended, is not looked at") {
  watch.add("files", now);
  watch.add("notes", now);
  CHECK(see(seen::exited, "files") == duty::report_exit);
  REQUIRE(end(10s, 10s));
  now += 1s;
  CHECK_FALSE(watch.next_sample(now));
  CHECK_FALSE(watch.next_sample(now));
}

// -- verified packages ----------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "a launch stands until its plugin is ended or launched anew") {
  const auto number = watch.begin_verification("notes");
  CHECK(watch.finish_verification("notes", number));
  CHECK_FALSE(watch.finish_verification("notes", number));
  const auto ended = watch.begin_verification("notes");
  CHECK_FALSE(end(0ms, 0ms));
  CHECK_FALSE(watch.finish_verification("notes", ended));
  const auto first = watch.begin_verification("notes"), second = watch.begin_verification("notes");
  CHECK_FALSE(watch.finish_verification("notes", first));
  CHECK(watch.finish_verification("notes", second));
}
