#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include <troupe/actors/context/store/wal_check.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>
#include <troupe/tests/support/whole_file.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::size_t header_bytes = 32, frame_header_bytes = 24, page_bytes = 4096;
constexpr std::size_t frame_bytes = frame_header_bytes + page_bytes;

/// A frame of a write-ahead file: the place of its first byte, and its commit, from 1 on.
struct frame {
  std::size_t at = 0, commit = 0;
  bool ends_commit = false;
};

/// The files that a store leaves when its process is killed.
class crashed_store {
public:
  /// Each commit has a change with a value of a few pages, so it has several frames.
  /// @param older commits of an older generation, over which those of the current one are written.
  explicit crashed_store(std::uint64_t commits, std::uint64_t older = 0) {
    temporary_directory live;
    auto store = must_open(live);
    append_rows(store, 1, older);
    if (older > 0) {
      SQLite::Database other{(live.path() / "context.db").string(), SQLite::OPEN_READWRITE};
      REQUIRE(other.execAndGet("PRAGMA wal_checkpoint(RESTART)").getInt() == 0);
    }
    append_rows(store, older + 1, older + commits);
    take(live);
  }

  const std::string& wal() const { return wal_; }
  std::string database() const { return (where_.path() / "context.db").string(); }
  std::size_t commits() const { return frames_.back().commit; }
  /// Those of the current generation.
  const std::vector<frame>& frames() const { return frames_; }
  /// The last frame of a commit.
  const frame& end_of(std::size_t commit) const {
    for (const auto& each : frames_)
      if (each.commit == commit && each.ends_commit) return each;
    FAIL("there is no such commit");
    return frames_.front();
  }

  /// What is found when these are the bytes of the write-ahead file.
  std::optional<wal_damage> find(const std::string& wal) const {
    write_file(database() + "-wal", wal);
    const auto found = find_wal_damage(database());
    REQUIRE_MESSAGE(found, (found ? "" : found.error().message));
    return *found;
  }
  std::optional<wal_damage> find_flipped(std::size_t at) const { return find(flipped(at)); }
  std::string flipped(std::size_t at) const {
    auto wal = wal_;
    wal.at(at) = static_cast<char>(wal[at] ^ 0x10);
    return wal;
  }
  /// How many rows SQLite finds in the log. Changes the files of a copy.
  std::int64_t rows(const std::string& wal) const {
    temporary_directory copy;
    const auto file = (copy.path() / "context.db").string();
    std::filesystem::copy_file(database(), file);
    write_file(file + "-wal", wal);
    SQLite::Database opened{file, SQLite::OPEN_READWRITE};
    return opened.execAndGet("SELECT count(*) FROM log").getInt64();
  }

private:
  static void append_rows(context_store& store, std::uint64_t first, std::uint64_t last) {
    std::mt19937 random{1};
    for (auto seq = first; seq <= last; ++seq) {
      std::string text(9'000, ' ');
      for (auto& each : text) each = static_cast<char>('0' + random() % 75);
      REQUIRE(append(store, {put({node(2), 1, seq}, "/a", text)}));
    }
  }
  /// Copies the files of a store that is open.
  void take(const temporary_directory& live) {
    write_file(database(), read_file(live.path() / "context.db"));
    wal_ = read_file(live.path() / "context.db-wal");
    write_file(database() + "-wal", wal_);
    std::size_t commit = 1;
    for (auto at = header_bytes; at + frame_bytes <= wal_.size(); at += frame_bytes) {
      if (wal_.substr(at + 8, 8) != wal_.substr(16, 8)) break;  // of an older generation
      const bool ends = wal_.substr(at + 4, 4) != std::string(4, '\0');
      frames_.push_back({at, commit, ends});
      commit += ends ? 1 : 0;
    }
    REQUIRE(frames_.size() > 8);
    REQUIRE(frames_.back().ends_commit);
  }

  temporary_directory where_;
  std::string wal_;
  std::vector<frame> frames_;
};

}  // namespace

// -- no damage ------------------------------------------------------------------------------------

TEST_CASE("a write-ahead file that is sound, empty or missing is not damaged") {
  const crashed_store crashed{4};
  CHECK_FALSE(crashed.find(crashed.wal()));
  CHECK_FALSE(crashed.find(""));
  std::filesystem::remove(crashed.database() + "-wal");
  const auto found = find_wal_damage(crashed.database());
  REQUIRE(found);
  CHECK_FALSE(*found);
}

TEST_CASE("a write-ahead file is sound without its database too") {
  const crashed_store crashed{4};
  std::filesystem::remove(crashed.database());
  CHECK_FALSE(crashed.find(crashed.wal()));
  CHECK(crashed.find_flipped(crashed.end_of(2).at + 1000));
}

TEST_CASE("a commit that was cut off anywhere is not damage") {
  const crashed_store crashed{4};
  for (const std::size_t end : {1, 31, 32, 33}) CHECK_FALSE(crashed.find(std::string(end, 'x')));
  for (const std::size_t end : {0, 1, 16, 31, 32, 33})
    CHECK_FALSE(crashed.find(crashed.wal().substr(0, end)));
  for (const auto& each : crashed.frames())
    for (const auto inside : std::vector<std::size_t>{0, 4, 23, 24, 2000, frame_bytes - 1}) {
      CAPTURE(each.at);
      CAPTURE(inside);
      CHECK_FALSE(crashed.find(crashed.wal().substr(0, each.at + inside)));
    }
}

TEST_CASE("frames of an older generation behind the end are not damage") {
  const crashed_store crashed{4, 12};
  REQUIRE(crashed.wal().size() > header_bytes + frame_bytes * (crashed.frames().size() + 8));
  CHECK_FALSE(crashed.find(crashed.wal()));
  // Also when the last commit of the current one was cut off in the middle.
  const auto& last = crashed.frames().back();
  CHECK_FALSE(crashed.find_flipped(last.at + 1000));
  auto older = crashed.wal();
  const auto next = last.at + frame_bytes;
  older.replace(last.at, frame_bytes, older.substr(next, frame_bytes));
  CHECK_FALSE(crashed.find(older));
}

TEST_CASE("garbage is not taken for commits") {
  const crashed_store crashed{4};
  std::mt19937 random{7};
  for (int n = 0; n < 20; ++n) {
    std::string garbage(random() % 100'000, ' ');
    for (auto& each : garbage) each = static_cast<char>(random());
    CAPTURE(n);
    CHECK_FALSE(crashed.find(garbage));
    // Behind a sound beginning.
    CHECK_FALSE(crashed.find(crashed.wal() + garbage));
    CHECK_FALSE(crashed.find(crashed.wal().substr(0, crashed.end_of(2).at + 100) + garbage));
  }
}

// -- damage ---------------------------------------------------------------------------------------

TEST_CASE("damage is found in each frame that commits follow, and SQLite does lose those") {
  const crashed_store crashed{6};
  const auto all_rows = crashed.rows(crashed.wal());
  REQUIRE(all_rows == 6);
  std::uint64_t number = 0;
  for (const auto& each : crashed.frames()) {
    ++number;
    for (const auto inside : std::vector<std::size_t>{1, 17, 1000, frame_bytes - 1}) {
      CAPTURE(number);
      CAPTURE(inside);
      const auto found = crashed.find_flipped(each.at + inside);
      const auto behind = crashed.commits() - each.commit;
      if (each.ends_commit && behind == 0) {
        CHECK_FALSE(found);  // as after a power cut
        continue;
      }
      REQUIRE(found);
      CHECK(found->frame == number);
      CHECK(found->commits == (each.ends_commit ? behind : behind + 1));
      CHECK(found->is_certain == (behind > 0));
    }
  }
  for (std::size_t commit = crashed.commits() - 3; commit <= crashed.commits(); ++commit) {
    const auto wal = crashed.flipped(crashed.end_of(commit).at + 1000);
    const auto lost = crashed.commits() - commit + 1;
    CHECK(crashed.rows(wal) == all_rows - static_cast<std::int64_t>(lost));
  }
}

TEST_CASE("a frame that looks like one of an older generation is damage when commits follow") {
  const crashed_store crashed{6};
  for (const std::size_t salt : {8, 15}) {
    const auto found = crashed.find_flipped(crashed.end_of(3).at + salt);
    REQUIRE(found);
    CHECK(found->commits == crashed.commits() - 3);
    CHECK(found->is_certain);
  }
}

TEST_CASE("a block of zeros in the place of frames is damage when commits follow") {
  const crashed_store crashed{6};
  auto wal = crashed.wal();
  wal.replace(crashed.end_of(2).at, frame_bytes, frame_bytes, '\0');
  const auto found = crashed.find(wal);
  REQUIRE(found);
  CHECK(found->commits == crashed.commits() - 2);
  CHECK(found->is_certain);
}

TEST_CASE("a power cut may leave the end of its one commit and not the beginning") {
  const crashed_store crashed{4};
  auto wal = crashed.wal();
  const auto begin = crashed.end_of(crashed.commits() - 1).at + frame_bytes;
  REQUIRE(begin < crashed.frames().back().at);
  wal.replace(begin, 512, 512, '\0');
  const auto found = crashed.find(wal);
  REQUIRE(found);
  CHECK(found->commits == 1);
  CHECK_FALSE(found->is_certain);
}

TEST_CASE("with a damaged header all commits are lost") {
  const crashed_store crashed{4};
  for (std::size_t at = 0; at < header_bytes; ++at) {
    CAPTURE(at);
    const auto found = crashed.find_flipped(at);
    REQUIRE(found);
    CHECK(found->frame == 0);
    CHECK(found->commits == crashed.commits());
    CHECK(found->is_certain);
  }
  CHECK(crashed.rows(crashed.flipped(20)) == 0);  // SQLite sees none of them
}

TEST_CASE("with a damaged header the frames of an older generation are not counted") {
  const crashed_store crashed{4, 12};
  for (const std::size_t at : {16, 20, 24}) {
    const auto found = crashed.find_flipped(at);
    REQUIRE(found);
    CHECK(found->commits == crashed.commits());
  }
}

TEST_CASE("a header whose block is all zeros is damage when commits follow") {
  const crashed_store crashed{4};
  auto wal = crashed.wal();
  wal.replace(0, 512, 512, '\0');
  const auto found = crashed.find(wal);
  REQUIRE(found);
  CHECK(found->is_certain);
}

TEST_CASE("a write-ahead file that cannot be read is an error") {
  temporary_directory where;
  const auto database = (where.path() / "context.db").string();
  std::filesystem::create_directory(database + "-wal");
  check_error(find_wal_damage(database), error_code::storage_failure, "cannot be read");
}
