#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;

namespace {

std::string required_variable(const char* name) {
  const char* given = std::getenv(name);
  REQUIRE_MESSAGE(given != nullptr, name << " is not set; run this through ctest");
  return given;
}

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream all;
  all << std::ifstream{file}.rdbuf();
  return all.str();
}

}  // namespace

TEST_CASE("the embedding example greets, watches, runs a plugin and stops") {
  test::temporary_directory place;
  std::filesystem::create_directory(place.path() / "plugins");
  std::filesystem::create_directory_symlink(required_variable("TROUPE_PACKAGES") + "/notes",
                                            place.path() / "plugins/notes");

  const auto output = place.path() / "output";
  const auto run = "cd " + place.path().native() + " && " +
                   required_variable("TROUPE_EMBEDDING_EXAMPLE") + " > output 2> errors";
  CHECK(std::system(run.c_str()) == 0);

  CHECK(text_of(output) == "\"Hello, Ada\"\n/app/theme is now \"dark\"\n1\n");
  CHECK_MESSAGE(text_of(place.path() / "errors").empty(),
                "a host's log is silent unless it asks for one");
  CHECK(std::filesystem::exists(place.path() / "state/context.db"));
  CHECK_FALSE(std::filesystem::exists(place.path() / "state/troupe.sock"));
}
