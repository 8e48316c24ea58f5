#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include <troupe/actors/context/store/readable_copy.hpp>
#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>
#include <troupe/tests/support/temporary_directory.hpp>
#include <troupe/tests/support/whole_file.hpp>

using namespace troupe;
using namespace troupe::test;

namespace fs = std::filesystem;

TEST_CASE("a file that can be read is copied as it is, and replaces what was there") {
  temporary_directory where;
  const auto from = where.path() / "from", to = where.path() / "to";
  std::string bytes(200'001, 'x');
  for (std::size_t i = 0; i < bytes.size(); i += 7) bytes[i] = static_cast<char>(i);
  write_file(from, bytes);
  write_file(to, std::string(300'000, 'y'));
  CHECK(copy_readable(from, to) == 0u);
  CHECK(read_file(to) == bytes);
  CHECK((fs::status(to).permissions() & fs::perms::mask) ==
        (fs::perms::owner_read | fs::perms::owner_write));
  write_file(from, "");
  CHECK(copy_readable(from, to) == 0u);
  CHECK(read_file(to).empty());
}

TEST_CASE("a copy that cannot be made says which file is to blame") {
  temporary_directory where;
  const auto from = where.path() / "from", to = where.path() / "missing" / "to";
  check_error(copy_readable(from, to), error_code::storage_failure,
              from.native() + "' cannot be copied");
  write_file(from, "x");
  check_error(copy_readable(from, to), error_code::storage_failure,
              to.native() + "' cannot be written");
  fs::create_directory_symlink(where.path(), where.path() / "link");
  check_error(copy_readable(where.path() / "link", to), error_code::storage_failure,
              "cannot be copied");
}

TEST_CASE("a write-ahead file that can be read stays where it is") {
  temporary_directory where;
  const store_files files{where.path().native()};
  write_file(files.wal(), "some bytes");
  CHECK(files.make_wal_readable() == 0u);
  CHECK(read_file(files.wal()) == "some bytes");
  CHECK_FALSE(fs::exists(files.wal() + ".new"));
  CHECK_FALSE(fs::exists(files.damaged() + "/unreadable-wal"));
}
