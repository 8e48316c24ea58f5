#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <troupe/actors/monitor/audit_file.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::size_t plenty = std::size_t{1} << 20;

audit_record record(std::uint64_t number) {
  return {.time_ms = number,
          .event = "plugin.denied",
          .principal = "notes",
          .subject = "context.read:/a \"b\"\n",
          .rule = "not granted",
          .trace = {uuid{{1, 2, 3}}}};
}

std::vector<std::uint64_t> times_in(const std::vector<audit_record>& records) {
  std::vector<std::uint64_t> times;
  for (const auto& each : records) times.push_back(each.time_ms);
  return times;
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void append_text(const std::filesystem::path& file, std::string_view text) {
  std::ofstream{file, std::ios::binary | std::ios::app} << text;
}

}  // namespace

TEST_CASE("a record is one line of JSON that is read back") {
  const auto line = to_json_line(record(7));
  CHECK(line == R"({"event":"plugin.denied","principal":"notes","rule":"not granted",)"
                R"("subject":"context.read:/a \"b\"\n","time_ms":7,)"
                R"("trace":"01020300-0000-0000-0000-000000000000"})");
  CHECK(parse_json_line(line).value() == record(7));
  auto untraced = record(8);
  untraced.trace = {};
  CHECK(parse_json_line(to_json_line(untraced)).value() == untraced);
}

TEST_CASE("a record with words in another encoding is kept nevertheless") {
  auto odd = record(1);
  odd.subject = "caf\xe9";
  CHECK(parse_json_line(to_json_line(odd))->subject == "caf?");
}

TEST_CASE("a line that is no record is refused") {
  CHECK(parse_json_line("{").error().code == error_code::invalid_argument);
  CHECK(parse_json_line("{}").error().code == error_code::corrupt_data);
  CHECK(parse_json_line(R"({"time_ms":"soon"})").error().message == "an audit line has no time");
  CHECK(parse_json_line("[]").error().code == error_code::corrupt_data);
  CHECK(parse_json_line(R"({"time_ms":1,"event":2})")->event == "");
}

TEST_CASE("records are loaded in the order in which they were appended") {
  const temporary_directory directory;
  audit_file file{directory.path(), plenty};
  for (std::uint64_t i = 1; i <= 5; ++i) REQUIRE(file.append(record(i)));
  const audit_file later{directory.path(), plenty};
  CHECK(times_in(later.load(100)) == std::vector<std::uint64_t>{1, 2, 3, 4, 5});
  CHECK(times_in(later.load(2)) == std::vector<std::uint64_t>{4, 5});
  CHECK(later.load(0).empty());
  CHECK(later.load(100)[0] == record(1));
}

TEST_CASE("a record is in the file when append returns") {
  const temporary_directory directory;
  audit_file file{directory.path(), plenty};
  REQUIRE(file.append(record(1)));
  CHECK(content_of(directory.path() / "audit.jsonl") == to_json_line(record(1)) + "\n");
}

TEST_CASE("nothing is loaded where there is nothing") {
  const temporary_directory directory;
  CHECK(audit_file{directory.path(), plenty}.load(100).empty());
}

TEST_CASE("only the owner may read the audit trail") {
  const temporary_directory directory;
  audit_file file{directory.path(), plenty};
  REQUIRE(file.append(record(1)));
  struct stat status {};
  REQUIRE(stat((directory.path() / "audit.jsonl").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("an audit trail that others could read is closed to them when it is opened") {
  const temporary_directory directory;
  const auto current = directory.path() / "audit.jsonl";
  append_text(current, to_json_line(record(1)) + "\n");
  REQUIRE(chmod(current.c_str(), 0644) == 0);
  audit_file file{directory.path(), plenty};
  REQUIRE(file.append(record(2)));
  struct stat status {};
  REQUIRE(stat(current.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("no program that is started inherits the audit trail") {
  const temporary_directory directory;
  audit_file file{directory.path(), plenty};
  REQUIRE(file.append(record(1)));
  std::size_t found = 0;
  for (const auto& each : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    std::error_code gone;
    if (std::filesystem::read_symlink(each.path(), gone) != directory.path() / "audit.jsonl")
      continue;
    ++found;
    CHECK((fcntl(std::stoi(each.path().filename()), F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(found == 1);
}

TEST_CASE("a full file that cannot be renamed is named, does not grow, and is tried again") {
  const temporary_directory directory;
  const auto current = directory.path() / "audit.jsonl";
  const auto in_the_way = directory.path() / "audit.1.jsonl";
  std::filesystem::create_directories(in_the_way / "full");
  const auto line = to_json_line(record(1)).size() + 1;
  audit_file file{directory.path(), 2 * line};
  REQUIRE(file.append(record(1)));
  REQUIRE(file.append(record(2)));
  for (std::uint64_t i = 3; i <= 5; ++i) {
    const auto outcome = file.append(record(i));
    REQUIRE_FALSE(outcome.has_value());
    CHECK(outcome.error().code == error_code::storage_failure);
    CHECK(outcome.error().message.starts_with("the audit file " + current.native() +
                                              " is full and cannot be renamed: "));
    CHECK(content_of(current).size() == 2 * line);
  }
  std::filesystem::remove_all(in_the_way);
  REQUIRE(file.append(record(6)));
  CHECK(times_in(file.load(100)) == std::vector<std::uint64_t>{1, 2, 6});
}

TEST_CASE("a full file makes room for a new one, and the one before it goes") {
  const temporary_directory directory;
  const auto line = to_json_line(record(1)).size() + 1;
  audit_file file{directory.path(), 2 * line};
  for (std::uint64_t i = 1; i <= 5; ++i) REQUIRE(file.append(record(i)));
  CHECK(content_of(directory.path() / "audit.1.jsonl").size() == 2 * line);
  CHECK(times_in(file.load(100)) == std::vector<std::uint64_t>{3, 4, 5});
}

TEST_CASE("a later incarnation goes on where the earlier one filled the file") {
  const temporary_directory directory;
  const auto line = to_json_line(record(1)).size() + 1;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    audit_file file{directory.path(), 2 * line};
    REQUIRE(file.append(record(i)));
  }
  CHECK(times_in(audit_file{directory.path(), plenty}.load(100)) ==
        std::vector<std::uint64_t>{3, 4, 5});
}

TEST_CASE("a torn line is passed over, and the next record does not become part of it") {
  const temporary_directory directory;
  const auto current = directory.path() / "audit.jsonl";
  append_text(current, to_json_line(record(1)) + "\n" + to_json_line(record(2)).substr(0, 40));
  CHECK(times_in(audit_file{directory.path(), plenty}.load(100)) == std::vector<std::uint64_t>{1});
  audit_file file{directory.path(), plenty};
  REQUIRE(file.append(record(3)));
  REQUIRE(file.append(record(4)));
  CHECK(times_in(file.load(100)) == std::vector<std::uint64_t>{1, 3, 4});
}

TEST_CASE("lines that are not ours are passed over") {
  const temporary_directory directory;
  append_text(directory.path() / "audit.jsonl",
              "hello\n\n\xff\n" + to_json_line(record(1)) + "\n{}\n");
  CHECK(times_in(audit_file{directory.path(), plenty}.load(100)) == std::vector<std::uint64_t>{1});
}

TEST_CASE("a file that cannot be opened is named, and tried again") {
  const temporary_directory directory;
  const auto missing = directory.path() / "missing";
  audit_file file{missing, plenty};
  const auto outcome = file.append(record(1));
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == error_code::storage_failure);
  CHECK(outcome.error().message ==
        "the audit file " + (missing / "audit.jsonl").native() + " cannot be opened");
  std::filesystem::create_directory(missing);
  CHECK(file.append(record(2)).has_value());
  CHECK(times_in(file.load(100)) == std::vector<std::uint64_t>{2});
}

TEST_CASE("a file that cannot be written is named, and tried again") {
  const temporary_directory directory;
  const auto current = directory.path() / "audit.jsonl";
  std::filesystem::create_symlink("/dev/full", current);
  audit_file file{directory.path(), plenty};
  const auto outcome = file.append(record(1));
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == error_code::storage_failure);
  CHECK(outcome.error().message == "the audit file " + current.native() + " cannot be written");
  std::filesystem::remove(current);
  CHECK(file.append(record(2)).has_value());
  CHECK(times_in(file.load(100)) == std::vector<std::uint64_t>{2});
}
