#include <doctest/doctest.h>

#include <troupe/actors/context/store/disk_trouble.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using namespace troupe::test;

// What a bad disk lacks is seen by `integration/bad_disk_test.py`, on disks of its own.

TEST_CASE("a disk that has room is no trouble, nor is one that is not there") {
  const temporary_directory where;
  CHECK(disk_trouble(where.path().native() + "/file").empty());
  CHECK(disk_trouble("file in the working directory").empty());
  CHECK(disk_trouble(where.path().native() + "/is/not/there").empty());
}
