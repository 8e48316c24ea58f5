#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <troupe/bench/harness.hpp>

using namespace troupe;
using namespace troupe::bench;

namespace {

/// A side that returns these figures, one for each run, and keeps a diary.
contender side(std::string name, std::vector<double> figures, std::string& diary) {
  return {name,
          [name, figures = std::move(figures), &diary,
           run = std::size_t{0}]() mutable -> result<double> {
            diary += name;
            return figures[run++ % figures.size()];
          }};
}

measurement compared(comparison wanted) {
  harness with{effort::quick};
  REQUIRE(with.compare(wanted).has_value());
  REQUIRE(with.measurements().size() == 1);
  return with.measurements().front();
}

}  // namespace

TEST_CASE("both sides are warmed up once and then run ten times by turns") {
  std::string diary;
  const auto made = compared({.suite = "s",
                              .name = "n",
                              .unit = "u",
                              .ours = side("A", {1}, diary),
                              .beside = side("B", {1}, diary)});
  std::string expected;
  for (int run = 0; run < 11; ++run) expected += "AB";
  CHECK(diary == expected);
  CHECK(made.ours.runs.size() == 10);
  CHECK(made.beside.runs.size() == 10);
}

TEST_CASE("what counts is the ratio of the medians, without the warm-up") {
  std::string diary;
  std::vector<double> ours{1'000'000}, beside{1};
  for (int run = 0; run < 10; ++run)
    ours.push_back(run == 3 ? 9'999 : 60), beside.push_back(run == 7 ? 1 : 100);
  const auto made = compared({.suite = "s",
                              .name = "n",
                              .unit = "u",
                              .ours = side("A", ours, diary),
                              .beside = side("B", beside, diary),
                              .target = 0.6});
  CHECK(made.ours.median == 60);
  CHECK(made.beside.median == 100);
  CHECK(made.ratio == doctest::Approx(0.6));
  CHECK(made.target == 0.6);
  CHECK(made.met());
}

TEST_CASE(
    "a ratio below the target is not met, unless a figure that is enough was named and reached") {
  std::string diary;
  comparison wanted{.suite = "s",
                    .name = "n",
                    .unit = "u",
                    .ours = side("A", {59}, diary),
                    .beside = side("B", {100}, diary),
                    .target = 0.6};
  CHECK_FALSE(compared(wanted).met());
  wanted.sufficient = 60;
  CHECK_FALSE(compared(wanted).met());
  wanted.sufficient = 59;
  const auto made = compared(wanted);
  CHECK(made.met());
  CHECK(made.target == doctest::Approx(0.59));
  wanted.sufficient = 1'000;
  CHECK(compared(wanted).target == 0.6);
}

TEST_CASE("the first wrong result ends the comparison and names its side") {
  std::string diary;
  harness with{effort::full};
  comparison wanted{.suite = "s",
                    .name = "n",
                    .unit = "u",
                    .ours = side("A", {1}, diary),
                    .beside = {"other", []() -> result<double> {
                                 return fail(error_code::corrupt_data, "an answer is wrong");
                               }}};
  const auto done = with.compare(wanted);
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().message == "other: an answer is wrong");
  CHECK(with.measurements().empty());
}

TEST_CASE("median and spread are of the sorted runs, which are kept as they came") {
  const auto made = summarise({4, 1, 3, 2});
  CHECK(made.median == 2.5);
  CHECK(made.spread == doctest::Approx((3.25 - 1.75) / 2.5));
  CHECK(made.runs == std::vector<double>{4, 1, 3, 2});
  CHECK(summarise({7}).median == 7);
  CHECK(summarise({7}).spread == 0);
}

TEST_CASE("a quick measurement makes a quarter of the operations") {
  CHECK(harness{effort::full}.operations(400) == 400);
  CHECK(harness{effort::quick}.operations(400) == 100);
}

TEST_CASE("a figure is shown whole, and with three digits where it is small") {
  CHECK(show_figure(1364424.3) == "1364424");
  CHECK(show_figure(188.4) == "188");
  CHECK(show_figure(27.06) == "27.1");
  CHECK(show_figure(0.72929) == "0.729");
  CHECK(show_figure(1.0) == "1");
}
