// How the command line writes figures for people.

#include <doctest/doctest.h>

#include <troupe/runtime/cli/show.hpp>

using namespace troupe::cli;
using namespace std::chrono_literals;

TEST_CASE(
    "a duration is written with three digits and its unit, from a minute on with its two largest "
    "units") {
  CHECK(show_duration(0ns) == "0 ns");
  CHECK(show_milliseconds(2000) == "2 s");
  CHECK(show_milliseconds(UINT64_MAX) == "106751 d 23 h");
  CHECK(show_duration(1234ns) == "1.23 µs");
  CHECK(show_duration(12'345us) == "12.3 ms");
  CHECK(show_duration(2s) == "2 s");
  CHECK(show_duration(59'900ms) == "59.9 s");
  CHECK(show_duration(1min) == "1 min 0 s");
  CHECK(show_duration(2270s) == "37 min 50 s");
  CHECK(show_duration(3600s) == "1 h 0 min");
  CHECK(show_duration(25h + 59min) == "1 d 1 h");
}
