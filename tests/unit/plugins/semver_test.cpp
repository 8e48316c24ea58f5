// Versions, as Semantic Versioning 2.0.0 defines them.

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <troupe/plugins/semver.hpp>

using namespace troupe;

TEST_SUITE("semantic version") {
  TEST_CASE("the order is that of the specification") {
    const std::array<const char*, 12> ascending{
        "0.9.9",      "1.0.0-alpha",  "1.0.0-alpha.1", "1.0.0-alpha.beta",
        "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
        "1.0.0",      "1.0.1",        "1.10.0",        "2.0.0"};
    for (std::size_t i = 0; i < ascending.size(); ++i)
      for (std::size_t j = 0; j < ascending.size(); ++j) {
        const auto a = semver::parse(ascending[i]).value(), b = semver::parse(ascending[j]).value();
        CHECK((a < b) == (i < j));
        CHECK((a == b) == (i == j));
      }
  }

  TEST_CASE("the build does not count in comparisons but is kept") {
    CHECK(semver::parse("1.0.0+a").value() == semver::parse("1.0.0+b").value());
    CHECK(semver::parse("1.0.0+a").value().build == "a");
  }

  TEST_CASE("what is no version is refused with what is wrong") {
    for (const auto& [text, reason] : {std::pair{"", "three numbers"},
                                       {"1", "three numbers"},
                                       {"1.2", "three numbers"},
                                       {"1.2.3.4", "three numbers"},
                                       {"01.2.3", "leading zeros"},
                                       {"1..3", "leading zeros"},
                                       {"v1.2.3", "leading zeros"},
                                       {"1.2.x", "leading zeros"},
                                       {"99999999999999999999.0.0", "leading zeros"},
                                       {"1.2.3-", "prerelease"},
                                       {"1.2.3-a..b", "prerelease"},
                                       {"1.2.3-01", "prerelease"},
                                       {"1.2.3-a_b", "prerelease"},
                                       {"1.2.3+", "build"},
                                       {"1.2.3+a+b", "build"}}) {
      const auto parsed = semver::parse(text);
      REQUIRE_FALSE(parsed);
      CHECK(parsed.error().message.find(reason) != std::string::npos);
    }
    CHECK(semver::parse("1.0.0-" + std::string(130, 'a')).error().message.find("longer than 128") !=
          std::string::npos);
  }

  TEST_CASE("text and version are the same thing") {
    for (const char* text :
         {"0.0.0", "1.2.3", "1.0.0-alpha.1", "1.0.0-0.3.7", "1.0.0+001", "1.0.0-x-y.--+z.1"})
      CHECK(to_string(semver::parse(text).value()) == text);
    CHECK(rc::check("numbers", [](std::uint64_t a, std::uint64_t b, std::uint64_t c) {
      const semver version{a, b, c, {}, {}};
      RC_ASSERT(semver::parse(to_string(version)).value() == version);
    }));
  }
}
