#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <troupe/actors/context/store/salvage.hpp>
#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>
#include <troupe/tests/support/whole_file.hpp>

using namespace troupe;
using namespace troupe::test;

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t page_bytes = 4096;

/// A change of one of 150 paths. Each change of a path overwrites the one before.
change_record change_at(unsigned origin, std::uint64_t seq) {
  const auto where = "/n" + std::to_string(origin) + "/" + std::to_string(seq % 150);
  return put({node(origin), 1, seq}, where,
             std::to_string(origin) + ":" + std::to_string(seq) + std::string(seq % 90, '.'));
}

/// A store of two nodes' changes: 1 to 300 of each are in the checkpoint, 400 are logged.
struct written_store {
  temporary_directory where;
  std::map<std::string, std::set<std::uint64_t>> written;  ///< Contents, by path.
  processed_changes everything;

  explicit written_store(bool is_collected) {
    auto store = must_open(where, {.history_changes = 100});
    REQUIRE(store.begin_incarnation(41));
    context_engine engine{node(50), 1};
    for (std::uint64_t seq = 1; seq <= 400; seq += 2) {
      std::vector<change_record> records;
      for (const unsigned origin : {2U, 3U})
        for (const auto each : {seq, seq + 1}) records.push_back(change_at(origin, each));
      REQUIRE(append(store, records));
      for (const auto& each : records) {
        written[std::string{each.path.text()}].insert(content_hash(each));
        if (seq < 300) engine.apply(each, noon);
      }
      if (seq == 299) REQUIRE(store.checkpoint(engine.state()));
    }
    if (is_collected) REQUIRE(store.collect(engine.processed(), 1000));
    everything = *store.logged();
  }
  /// A copy whose file has garbage in it. @returns whether that is pages of the file itself, in the
  /// wrong place: rows may be gone then without a trace.
  bool copy_damaged(const temporary_directory& to, std::mt19937& random) const {
    for (const auto* name : {"context.db", "context.id"})
      fs::copy_file(where.path() / name, to.path() / name);
    const auto bytes = read_file(to.path() / "context.db");
    std::fstream file{to.path() / "context.db", std::ios::binary | std::ios::in | std::ios::out};
    const auto kind = random() % 4;
    for (auto places = 1 + random() % 4; places > 0; --places) {
      auto at = random() % bytes.size();
      auto length = std::min<std::uint64_t>(bytes.size() - at, 1 + random() % 64);
      if (kind == 0 || random() % 2 == 0) {  // whole pages
        at -= at % page_bytes;
        length = std::min<std::uint64_t>(bytes.size() - at, page_bytes * (1 + random() % 3));
      }
      std::string garbage(length, '\0');
      if (kind > 1) std::ranges::generate(garbage, [&] { return static_cast<char>(random()); });
      if (kind == 0) {  // written to the wrong place
        const auto from = random() % (bytes.size() / page_bytes) * page_bytes;
        garbage = bytes.substr(from, length);
      }
      file.seekp(static_cast<std::streamoff>(at)).write(garbage.data(), std::ssize(garbage));
    }
    REQUIRE(file.flush());
    return kind == 0;
  }
  /// Whether all of these are what was written to their paths.
  bool has_written(const context_tree& tree) const {
    bool all = true;
    tree.visit_subtree(path{}, [&](const tree_entry& entry) {
      const auto values = written.find(std::string{entry.path()});
      for (const auto& each : entry.siblings())
        all = all && values != written.end() && values->second.contains(each.content);
      return true;
    });
    return all;
  }
};

/// What comes out of a damaged store can be used as any store.
void check_salvaged(const written_store& from, const temporary_directory& where,
                    const salvage_outcome& saved, bool is_misplaced = false) {
  REQUIRE(store_files{where.path().native()}.take_salvaged());
  engine_state state;
  {
    auto store = must_open(where);
    CHECK(store.identity() == ours);
    CHECK(store.needs_state() == saved.needs_state);
    const auto there = store.logged();
    REQUIRE_MESSAGE(there, (there ? "" : there.error().message));
    CHECK(from.everything.covers(there->vector()));
    if (saved.needs_state) {
      const auto parts = store.load_salvaged();
      REQUIRE_MESSAGE(parts, (parts ? "" : parts.error().message));
      CHECK(parts->entries.size() == saved.entries);
      CHECK(from.has_written(parts->entries));
      return;
    }
    const auto engine = restore(store, 1);
    REQUIRE_MESSAGE(engine, (engine ? "" : engine.error().message));
    CHECK(engine->buffered() == 0);
    CHECK(engine->open() == 0);
    state = engine->state();
    CHECK(from.has_written(state.tree));
    if (saved.is_whole() && !is_misplaced) CHECK(state.processed == from.everything);
    const auto done = store.checkpoint(state);
    REQUIRE_MESSAGE(done, (done ? "" : done.error().message));
  }
  auto store = must_open(where);
  const auto again = restore(store, 1);
  REQUIRE_MESSAGE(again, (again ? "" : again.error().message));
  CHECK(again->root_hash() == state.tree.hash());
  CHECK(again->processed() == state.processed);
}

unsigned seeds() {
  const auto* wanted = std::getenv("TROUPE_SEEDS");
  return wanted ? static_cast<unsigned>(std::strtoul(wanted, nullptr, 10)) : 40;
}

result<salvage_outcome> salvage(const temporary_directory& where) {
  return salvage_store(store_files{where.path().native()});
}

}  // namespace

// -- pages ----------------------------------------------------------------------------------------

TEST_CASE("whatever was overwritten, what is salvaged can be used and was written once") {
  bool is_collected = false;
  SUBCASE("the log lacks nothing") {}
  SUBCASE("the log was collected") { is_collected = true; }
  const written_store from{is_collected};
  unsigned saved_whole = 0, saved_parts = 0;
  for (unsigned seed = 1; seed <= seeds(); ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    temporary_directory where;
    const bool is_misplaced = from.copy_damaged(where, random);
    const auto saved = salvage(where);
    if (!saved) {
      CHECK_FALSE(saved.error().message.empty());
      CHECK(saved.error().code != error_code::internal);
      continue;
    }
    check_salvaged(from, where, *saved, is_misplaced);
    ++(saved->is_whole() ? saved_whole : saved_parts);
  }
  CHECK(saved_whole > 0);
  CHECK(saved_parts > 0);
}

TEST_CASE("the damaged files stay as they are until the salvaged ones take their place") {
  const written_store from{true};
  std::mt19937 random{5};
  temporary_directory where;
  from.copy_damaged(where, random);
  const auto before = read_file(where.path() / "context.db");
  REQUIRE(salvage(where));
  CHECK(read_file(where.path() / "context.db") == before);
}

TEST_CASE("a file that is all garbage gives the node of the file beside it, and nothing else") {
  const written_store from{true};
  const auto file = from.where.path() / "context.db";
  const auto size = fs::file_size(file);
  std::ofstream{file, std::ios::binary | std::ios::trunc} << std::string(size, 'g');
  SUBCASE("which is there") {
    const auto saved = salvage(from.where);
    REQUIRE_MESSAGE(saved, (saved ? "" : saved.error().message));
    CHECK(saved->needs_state);
    CHECK(saved->entries == 0);
    check_salvaged(from, from.where, *saved);
  }
  SUBCASE("unless that is gone too") {
    fs::remove(from.where.path() / "context.id");
    check_error(salvage(from.where), error_code::corrupt_data, "not even the node");
  }
}

TEST_CASE("reading goes on forward where pages are in the wrong place") {
  const written_store from{false};
  const auto file = from.where.path() / "context.db";
  auto bytes = read_file(file);
  std::vector<std::size_t> log_pages;  // leaves with rows that have numbers
  for (auto at = page_bytes; at < bytes.size(); at += page_bytes)
    if (bytes[at] == 0x0d && bytes[at + 4] > 4) log_pages.push_back(at);
  REQUIRE(log_pages.size() > 8);
  // Behind earlier rows comes a page that cannot be read.
  bytes.replace(log_pages[5], page_bytes, bytes.substr(log_pages[3], page_bytes));
  bytes.replace(log_pages[6], page_bytes, page_bytes, 'g');
  std::ofstream{file, std::ios::binary | std::ios::trunc} << bytes;
  const auto saved = salvage(from.where);
  REQUIRE(saved);
  CHECK(saved->is_whole());  // the checkpoint has all of these
  check_salvaged(from, from.where, *saved);
}

// -- rows of the table meta -----------------------------------------------------------------------

TEST_CASE("an identity that is damaged comes from the file beside the store") {
  const written_store from{false};
  tamper(from.where, "UPDATE meta SET hash = 1 WHERE key = 'identity'");
  const auto saved = salvage(from.where);
  REQUIRE(saved);
  CHECK(saved->is_whole());
  check_salvaged(from, from.where, *saved);
}

TEST_CASE("a base of the log that is damaged is taken from the checkpoint") {
  const written_store from{true};
  tamper(from.where, "UPDATE meta SET hash = 1 WHERE key = 'log_base'");
  const auto saved = salvage(from.where);
  REQUIRE(saved);
  CHECK(saved->is_whole());
  check_salvaged(from, from.where, *saved);
}

TEST_CASE("a base that is damaged with the checkpoint is guessed from the rows") {
  const written_store from{true};
  tamper(from.where, "UPDATE meta SET hash = 1 WHERE key IN ('log_base', 'checkpoint')");
  const auto saved = salvage(from.where);
  REQUIRE(saved);
  CHECK(saved->needs_state);
  CHECK(saved->entries == 300);
  CHECK(saved->lost_rows == 0);
  check_salvaged(from, from.where, *saved);
  CHECK(must_open(from.where).logged() == from.everything);
}

TEST_CASE("an incarnation of the log that cannot be told is read from its batches") {
  const written_store from{false};
  SUBCASE("its row is damaged") { tamper(from.where, "UPDATE runs SET hash = 1"); }
  SUBCASE("its row is gone") { tamper(from.where, "DELETE FROM runs WHERE run = 2"); }
  const auto saved = salvage(from.where);
  REQUIRE(saved);
  CHECK(saved->is_whole());
  check_salvaged(from, from.where, *saved);
}

// -- mending a store that runs --------------------------------------------------------------------

TEST_CASE("a damaged row that the checkpoint makes unnecessary goes, with all that are") {
  const written_store from{false};
  tamper(from.where, "UPDATE log SET hash = hash + 1 WHERE number = (SELECT min(number) FROM log)");
  auto store = must_open(from.where);
  check_error(read_log(store, 2, 1), error_code::corrupt_data, "log row");
  CHECK(store.mend_log() == true);
  CHECK(store.logged() == from.everything);
  CHECK(store.log_base().vector().entries().size() == 2);
  const auto rest = logged(store, 2, 1);
  REQUIRE(rest.size() == 100);
  CHECK(rest.front().dot.seq == 301);
  CHECK(store.mend_log() == false);
  CHECK(restore(store, 1)->processed() == from.everything);
}

TEST_CASE("a damaged row that no checkpoint has stays, and is named") {
  temporary_directory where;
  {
    auto store = must_open(where);
    for (std::uint64_t seq = 1; seq <= 3; ++seq) REQUIRE(append(store, changes_of(2, seq, seq)));
  }
  tamper(where, "UPDATE log SET hash = hash + 1 WHERE number = 2");
  auto store = must_open(where);
  CHECK(store.mend_log() == false);
  check_error(read_log(store, 2, 1), error_code::corrupt_data, "log row 2");
  CHECK(store.log_base() == processed_changes{});
  CHECK(logged(store, 2, 3) == changes_of(2, 3, 3));
}
