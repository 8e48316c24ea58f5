#include <doctest/doctest.h>

#include <memory>
#include <sstream>
#include <string>

#include <spdlog/sinks/ostream_sink.h>

#include <troupe/actors/kernel/log.hpp>
#include <troupe/messages/value.hpp>

using namespace troupe;
using namespace std::string_literals;

namespace {

/// What a target writes.
struct captured_log {
  explicit captured_log(log_format format, spdlog::level::level_enum level = spdlog::level::info)
      : target{std::make_shared<spdlog::sinks::ostream_sink_mt>(text), format, level} {}

  std::ostringstream text;
  log_target target;
};

}  // namespace

TEST_CASE("text that fits a log line is left as it is") {
  CHECK(printable("") == "");
  CHECK(printable("plain äöü 中 😀 \"quoted\"") == "plain äöü 中 😀 \"quoted\"");
}

TEST_CASE("text in quotes cannot end them, so that it forges no field") {
  CHECK(printable_quoted("") == "\"\"");
  CHECK(printable_quoted("plain ä") == "\"plain ä\"");
  CHECK(printable_quoted("x\" rule=\"granted") == R"("x\" rule=\"granted")");
  CHECK(printable_quoted("ends with \\") == R"("ends with \\")");
  CHECK(printable_quoted("a\nb") == R"("a\x0ab")");
  CHECK(printable_quoted("abcdef", 4) == "\"abcd… (2 bytes more)\"");
}

TEST_CASE("control characters cannot break a log line") {
  CHECK(printable("a\nb\r\t\x1b[0m\x7f\0"s) == "a\\x0ab\\x0d\\x09\\x1b[0m\\x7f\\x00");
}

TEST_CASE("text that is too long for a log line is cut, and the line says how much") {
  CHECK(printable("abcdef", 6) == "abcdef");
  CHECK(printable("abcdef", 4) == "abcd… (2 bytes more)");
  CHECK(printable(std::string(5000, 'x')) == std::string(4096, 'x') + "… (904 bytes more)");
}

TEST_CASE("what is logged is UTF-8, even when a character is cut") {
  CHECK(printable("aä", 2) == "a?… (1 bytes more)");
  CHECK(printable("\xff") == "?");
}

TEST_CASE("a line of text has time, level, subsystem and what happened") {
  captured_log log{log_format::text};
  log.target.logger("links")->warn("link.ended code={}", 7);
  const auto line = log.text.str();
  CHECK(line.ends_with(" W links link.ended code=7\n"));
  CHECK(line.substr(4, 1) == "-");
  CHECK(line.substr(10, 1) == "T");
}

TEST_CASE("a line of JSON is one object whatever is in it") {
  captured_log log{log_format::json};
  log.target.logger("links")->info("link.opened name=\"{}\" \\ {}", "ä\n\x01", "\xff");
  const auto line = log.text.str();
  REQUIRE(line.ends_with("\n"));
  CHECK(line.find('\n') == line.size() - 1);
  const auto parsed = value::from_json(line);
  REQUIRE_MESSAGE(parsed.has_value(), line);
  CHECK(parsed->find("level") == value{"info"});
  CHECK(parsed->find("subsystem") == value{"links"});
  CHECK(parsed->find("line") == value{"link.opened name=\"ä\n\x01\" \\ ?"});
  CHECK(parsed->find("time")->as_string()->size() ==
        std::string_view{"2020-01-01T00:00:00.000+00:00"}.size());
}

TEST_CASE("lines below the level are not written") {
  captured_log log{log_format::text, spdlog::level::warn};
  const auto logger = log.target.logger("links");
  logger->info("hidden");
  CHECK(log.text.str().empty());
  logger->error("shown");
  CHECK(log.text.str().find("shown") != std::string::npos);
}

TEST_CASE("the subsystems of one target share its sink") {
  captured_log log{log_format::text};
  log.target.logger("one")->info("first");
  log_target{log.target}.logger("two")->info("second");
  CHECK(log.text.str().find("one first") != std::string::npos);
  CHECK(log.text.str().find("two second") != std::string::npos);
}

TEST_CASE("a target that is not set up discards everything") {
  const auto logger = log_target{}.logger("links");
  CHECK_FALSE(logger->should_log(spdlog::level::critical));
}

TEST_CASE("the standard error target writes what is at its level and above") {
  const auto logger = standard_error_log(log_format::json, spdlog::level::err).logger("links");
  CHECK(logger->should_log(spdlog::level::err));
  CHECK_FALSE(logger->should_log(spdlog::level::warn));
  CHECK(logger->sinks().size() == 1);
}
