#include <doctest/doctest.h>

#include <string>
#include <variant>
#include <vector>

#include <troupe/actors/context/watcher_book.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

struct fixture {
  watcher_book book;

  explicit fixture(watch_limits limits = {}) : book{limits} {}

  void note(std::string_view where) { book.note(put({node(1), 1, ++made}, where, 1)); }
  /// Each line is a watcher, and the paths that it receives or "ended".
  std::vector<std::string> publish() {
    std::vector<sync_effect> effects;
    book.publish(effects);
    std::vector<std::string> lines;
    for (const auto& each : effects) {
      if (const auto* told = std::get_if<tell_watcher>(&each)) {
        lines.push_back(std::to_string(static_cast<std::uint64_t>(told->watcher)));
        for (const auto& change : told->changes) lines.back() += " " + change->path.text();
      }
      if (const auto* end = std::get_if<end_watcher>(&each))
        lines.push_back(std::to_string(static_cast<std::uint64_t>(end->watcher)) + " ended");
    }
    return lines;
  }

  std::uint64_t made = 0;
};

using lines = std::vector<std::string>;

}  // namespace

TEST_CASE("each watcher gets its part of the news once, in order") {
  fixture f;
  f.note("/early");
  f.book.add(watcher_id{1}, path{});
  f.book.add(watcher_id{2}, path{"/a"});
  f.note("/a/x");
  f.note("/ab");
  f.note("/a");
  CHECK(f.publish() == lines{"1 /a/x /ab /a", "2 /a/x /a"});
  CHECK(f.publish().empty());
}

TEST_CASE("a watcher may change its path") {
  fixture f;
  f.book.add(watcher_id{1}, path{"/a"});
  f.book.add(watcher_id{1}, path{"/b"});
  f.note("/a");
  f.note("/b");
  CHECK(f.publish() == lines{"1 /b"});
  CHECK(f.book.size() == 1);
}

TEST_CASE("the number of watchers is bounded") {
  fixture f{{.max_watchers = 1}};
  CHECK(f.book.add(watcher_id{1}, path{}));
  CHECK_FALSE(f.book.add(watcher_id{2}, path{}));
  CHECK(f.book.add(watcher_id{1}, path{"/a"}));
  f.book.remove(watcher_id{1});
  CHECK(f.book.add(watcher_id{2}, path{}));
}

TEST_CASE("a watcher too far behind is ended before it would miss a change; others go on") {
  fixture f{{.max_unanswered = 2}};
  f.book.add(watcher_id{1}, path{});
  f.book.add(watcher_id{2}, path{});
  for (int i = 0; i < 3; ++i) f.note("/a");
  CHECK(f.publish() == lines{"1 /a /a /a", "2 /a /a /a"});  // one event is delivered whole
  f.book.answered(watcher_id{2}, 3);
  f.note("/b");
  CHECK(f.publish() == lines{"1 ended", "2 /b"});
  f.book.answered(watcher_id{1}, 3);  // too late
  f.note("/c");
  CHECK(f.publish() == lines{"2 /c"});
}

TEST_CASE("when all watchers are ended each of them gets the reason, and no news after that") {
  fixture f;
  f.book.add(watcher_id{1}, path{});
  f.book.add(watcher_id{2}, path{"/a"});
  std::vector<sync_effect> effects;
  f.book.end_all({error_code::unavailable, "later", {}}, effects);
  REQUIRE(effects.size() == 2);
  for (std::uint64_t n = 1; n <= 2; ++n) {
    const auto* ended = std::get_if<end_watcher>(&effects[n - 1]);
    REQUIRE(ended);
    CHECK(ended->watcher == watcher_id{n});
    CHECK(ended->reason.code == error_code::unavailable);
    CHECK(ended->reason.message == "later");
  }
  CHECK(f.book.size() == 0);
  f.note("/a");
  CHECK(f.publish().empty());
}
