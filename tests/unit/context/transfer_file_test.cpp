#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <troupe/actors/context/store/transfer_file.hpp>
#include <troupe/actors/context/sync/packed_entries.hpp>
#include <troupe/tests/support/fixtures/tree_fixture.hpp>
#include <troupe/tests/support/temporary_directory.hpp>
#include <troupe/tests/support/whole_file.hpp>

using namespace troupe;
using namespace troupe::test;

namespace fs = std::filesystem;

namespace {

struct kept_file {
  temporary_directory where;
  std::string name = (where.path() / "context.transfer").native();
  transfer_file file{name};

  bool exists() const { return fs::exists(fs::symlink_status(name)); }
  void append(const std::vector<std::string>& frames) {
    std::vector<binary> all;
    for (const auto& each : frames) all.push_back({each});
    const auto done = file.append(all);
    REQUIRE_MESSAGE(done, (done ? "" : done.error().message));
  }
  std::vector<std::string> read() {
    std::vector<std::string> found;
    const auto bytes =
        file.read([&](std::string_view frame) { return found.emplace_back(frame), true; });
    REQUIRE_MESSAGE(bytes, (bytes ? "" : bytes.error().message));
    CHECK(*bytes == (exists() ? fs::file_size(name) : 0));
    return found;
  }
  void put(const std::string& bytes) { std::ofstream{name, std::ios::binary} << bytes; }
};

using strings = std::vector<std::string>;

}  // namespace

TEST_CASE("frames are read as they were appended, by several writers in turn") {
  kept_file f;
  CHECK(f.read().empty());
  f.append({"one", ""});
  f.append({std::string(100'000, 'x')});
  CHECK(f.read() == strings{"one", "", std::string(100'000, 'x')});
  f.append({"more"});
  CHECK(f.read().size() == 4);
  struct stat found {};
  REQUIRE(::stat(f.name.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
}

TEST_CASE("a file that is damaged or cut off anywhere gives what comes before, and goes on") {
  kept_file f;
  f.append({"first", "second", "third"});
  const auto whole = read_file(f.name);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const bool cut : {true, false}) {
      auto bytes = whole;
      if (cut)
        bytes.resize(at);
      else
        bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
      f.put(bytes);
      auto found = f.read();
      REQUIRE(found.size() < 3);
      REQUIRE(std::equal(found.begin(), found.end(), strings{"first", "second", "third"}.begin()));
      f.append({"again"});
      found.push_back("again");
      REQUIRE(f.read() == found);
    }
  }
}

TEST_CASE("a frame that is not taken is removed with what comes after it") {
  kept_file f;
  f.append({"a", "b", "c"});
  REQUIRE(f.file.read([](std::string_view frame) { return frame != "b"; }));
  CHECK(f.read() == strings{"a"});
  REQUIRE(f.file.read([](std::string_view) { return false; }));
  CHECK_FALSE(f.exists());
}

TEST_CASE("a file of another format is removed, whatever lengths it claims") {
  kept_file f;
  f.put("troupe transfer 9\n" + std::string(100, '\xff'));
  CHECK(f.read().empty());
  CHECK_FALSE(f.exists());
  f.put("troupe transfer 1\n" + std::string(100, '\xff'));
  CHECK(f.read().empty());
  CHECK_FALSE(f.exists());
}

TEST_CASE("what cannot be written or read is an error that names the file") {
  kept_file f;
  fs::create_directory(f.name);
  const std::vector<binary> frames{{"x"}};
  const auto appended = f.file.append(frames);
  REQUIRE_FALSE(appended);
  CHECK(appended.error().code == error_code::storage_failure);
  CHECK(appended.error().message.find("transfer' cannot be written: ") != std::string::npos);
  const auto read = f.file.read([](std::string_view) { return true; });
  REQUIRE_FALSE(read);
  CHECK(read.error().message.find("cannot be read: ") != std::string::npos);
  CHECK(f.file.remove().error().message.find("cannot be removed: ") != std::string::npos);
  CHECK_FALSE(f.file.load({}));
}

TEST_CASE("nothing is written through a link that somebody has left there") {
  kept_file f;
  const auto other = f.where.path() / "other";
  fs::create_symlink(other, f.name);
  CHECK_FALSE(f.file.append(std::vector<binary>{{"x"}}));
  CHECK_FALSE(fs::exists(other));
  CHECK(f.file.remove());
}

TEST_CASE("a start finds what has come, and a file without news for it goes") {
  kept_file f;
  const stored_entry entry{"/a", store(siblings_for(1, 1).all())};
  CHECK_FALSE(*f.file.load({}));
  REQUIRE(f.file.carry_out({false, {{pack_entries({entry})}}}));
  context_tree own;
  own.put(path{"/own"}, siblings_for(1, 2).all());
  const auto found = f.file.load(own);
  REQUIRE(found);
  REQUIRE(*found);
  CHECK((*found)->entries == 1);
  CHECK((*found)->bytes == fs::file_size(f.name));
  CHECK((*found)->tree.size() == 2);
  const auto again = f.file.load((*found)->tree);
  REQUIRE(again);
  CHECK_FALSE(*again);
  CHECK_FALSE(f.exists());
  REQUIRE(f.file.carry_out({true, {{pack_entries({entry})}}}));
  REQUIRE(f.file.carry_out({true, {}}));
  CHECK_FALSE(f.exists());
}
