// Whether a package has the files that its manifest names, with their sums.

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <stdlib.h>
#include <sys/stat.h>

#include <troupe/plugins/integrity.hpp>
#include <troupe/plugins/manifest.hpp>
#include <troupe/tests/support/fixtures/manifest_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
namespace fs = std::filesystem;

namespace {

/// A package directory that goes with the test.
class package_fixture {
public:
  package_fixture() {
    std::string name = (fs::temp_directory_path() / "troupe-manifest-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    package = name;
    fs::create_directory(package / "bin");
    write("bin/notes", "#!/bin/sh\n");
    fs::permissions(package / "bin/notes", fs::perms{0755});
  }
  ~package_fixture() {
    std::error_code ignored;
    fs::remove_all(package, ignored);
  }

  void write(const std::string& file, const std::string& text) const {
    std::ofstream{package / file} << text;
  }
  /// The message of loading it, without the directory's name; empty for success.
  std::string load(const std::string& manifest) {
    write("plugin.toml", manifest);
    const auto loaded = load_manifest(package);
    code = loaded ? error_code::none : loaded.error().code;
    if (loaded) return "";
    auto message = loaded.error().message;
    for (auto at = message.find(package.string()); at != std::string::npos;
         at = message.find(package.string()))
      message.replace(at, package.string().size(), "PACKAGE");
    return message;
  }

  fs::path package;
  error_code code = error_code::none;
};

/// The SHA-256 of "#!/bin/sh\n".
const std::string script_sum = "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf";

}  // namespace

TEST_SUITE("package") {
  TEST_CASE_FIXTURE(package_fixture, "a package whose program is there loads") {
    CHECK(load(smallest) == "");
    CHECK(load("name = \"a\"\nversion = \"1.0.0\"\nentry = [\"/bin/sh\", \"run\"]\n") == "");
  }

  TEST_CASE_FIXTURE(package_fixture, "a package without a manifest is not found") {
    const auto loaded = load_manifest(package);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code == error_code::not_found);
    fs::create_directory(package / "plugin.toml");
    CHECK(load_manifest(package).error().code == error_code::not_found);
  }

  TEST_CASE_FIXTURE(package_fixture,
                    "a program that cannot be used is reported with its place in the manifest") {
    const auto with_entry = [&](const std::string& entry) {
      return load("name = \"a\"\nversion = \"1.0.0\"\nentry = \"" + entry + "\"\n");
    };
    CHECK(with_entry("bin/other") ==
          "PACKAGE/plugin.toml:3:9: entry: the package has no file \"bin/other\"");
    CHECK(code == error_code::not_found);
    CHECK(with_entry("bin") == "PACKAGE/plugin.toml:3:9: entry: the package has no file \"bin\"");
    CHECK(with_entry("../x") ==
          "PACKAGE/plugin.toml:3:9: entry: \"../x\" must be a path inside the package, without "
          "\"..\"");
    CHECK(with_entry("/no/such/program") ==
          "PACKAGE/plugin.toml:3:9: entry: there is no program \"/no/such/program\"");
    write("plain", "");
    CHECK(with_entry("plain") ==
          "PACKAGE/plugin.toml:3:9: entry: \"plain\" may not be executed; set its mode with chmod "
          "+x");
    fs::create_symlink("/bin/sh", package / "outside");
    CHECK(with_entry("outside").find("leads out of the package") != std::string::npos);
  }

  TEST_CASE_FIXTURE(package_fixture, "files are compared with their sums") {
    write("words", "");
    const auto listed = [&](const std::string& program_sum, const std::string& words_sum) {
      return load(smallest + ("[integrity]\n\"bin/notes\" = \"" + program_sum + "\"\nwords = \"" +
                              words_sum + "\"\n"));
    };
    CHECK(listed(script_sum, empty_sum) == "");
    CHECK(listed(script_sum, script_sum) ==
          "PACKAGE/plugin.toml:4:1: integrity: the file \"words\" has the SHA-256 " + empty_sum +
              ", but the manifest says " + script_sum);
    CHECK(code == error_code::corrupt_data);
    CHECK(listed(script_sum, "abc") ==
          "PACKAGE/plugin.toml:6:9: integrity.\"words\": must be a SHA-256 of 64 lower-case "
          "hexadecimal digits");
    CHECK(load(smallest + ("[integrity]\nwords = \"" + empty_sum + "\"\n")) ==
          "PACKAGE/plugin.toml:4:1: integrity: must list the entry \"bin/notes\" too");
    fs::remove(package / "words");
    CHECK(listed(script_sum, empty_sum) ==
          "PACKAGE/plugin.toml:4:1: integrity: the package has no file \"words\"");
    fs::create_symlink("/etc/passwd", package / "words");
    CHECK(listed(script_sum, empty_sum).find("leads out of the package") != std::string::npos);
  }

  TEST_CASE_FIXTURE(package_fixture,
                    "every file that the entry names has a sum, when there are sums") {
    write("main.py", "");
    const auto listed = [&](const std::string& entry, const std::string& sums) {
      return load("name = \"a\"\nversion = \"1.0.0\"\nentry = " + entry + "\n[integrity]\n" + sums);
    };
    const auto main_sum = "\"main.py\" = \"" + empty_sum + "\"\n";
    for (const char* word : {"main.py", "/plugin/main.py"}) {
      const auto entry = "[\"/bin/sh\", \"-c\", \"" + std::string{word} + "\"]";
      CHECK(listed(entry, "") ==
            "PACKAGE/plugin.toml:4:1: integrity: must list the file \"main.py\" of the entry too");
      CHECK(listed(entry, main_sum) == "");
    }
    CHECK(listed("[\"/bin/sh\", \"./main.py\"]", main_sum) ==
          "PACKAGE/plugin.toml:4:1: integrity: must list the file \"./main.py\" of the entry too");
  }

  TEST_CASE_FIXTURE(package_fixture,
                    "a manifest that is no regular file is not found, and not waited for") {
    REQUIRE(::mkfifo((package / "plugin.toml").c_str(), 0600) == 0);
    CHECK(load_manifest(package).error().code == error_code::not_found);
  }

  TEST_CASE("a list of sums is bounded") {
    std::string many = std::string{smallest} + "[integrity]\n";
    for (int i = 0; i <= 4096; ++i) many += std::to_string(i) + " = \"x\"\n";
    CHECK(mistake_of_whole(many) ==
          "plugin.toml:4:1: integrity: must list at most 4096 files, not 4097");
  }

  TEST_CASE_FIXTURE(package_fixture, "only regular files have sums") {
    const auto sum_of = [](const fs::path& file) {
      auto most = max_summed_bytes;
      return sha256_of_file(file, most);
    };
    REQUIRE(::mkfifo((package / "pipe").c_str(), 0600) == 0);
    CHECK(sum_of(package / "pipe").error().code == error_code::not_found);
    CHECK(sum_of(package).error().code == error_code::not_found);
    CHECK(sum_of(package / "missing").error().code == error_code::not_found);
    CHECK(sum_of(package / "bin/notes").value() == script_sum);
    CHECK(sum_of("/proc/self/mem").error().code == error_code::storage_failure);
    write("big", std::string(200'000, 'a'));
    CHECK(sum_of(package / "big").value() ==
          "2287d207f24a941ff3b56c04c8a25ad56b63e3023207b3bb5b4ac0c9869d74be");
    std::uint64_t most = 300'000;
    CHECK(sha256_of_file(package / "big", most));
    CHECK(most == 100'000);
    CHECK(sha256_of_file(package / "big", most).error().code == error_code::limit_exceeded);
    CHECK(file_in_package(package / "missing", "x").error().code == error_code::not_found);
    CHECK(file_in_package(package, "").error().code == error_code::invalid_argument);
  }
}
