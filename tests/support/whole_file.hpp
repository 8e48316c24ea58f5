#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace troupe::test {

/// The bytes of a file, which must be there.
inline std::string read_file(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  REQUIRE_MESSAGE(in, file.native());
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Replaces the bytes of a file, or makes it.
inline void write_file(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream out{file, std::ios::binary | std::ios::trunc};
  out << bytes;
  REQUIRE(out.flush());
}

}  // namespace troupe::test
