#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include <troupe/actors/commands/worker.hpp>

using namespace troupe;

namespace {

result<value> called(command_function run) {
  arguments given{{"n", 2}};
  return call_function(run, given, {"ada", {}, {}});
}

}  // namespace

TEST_CASE("a function receives the arguments and the caller") {
  const auto answer =
      called([](const arguments& given, const command_context& about) -> result<value> {
        return value{std::string{about.principal} + std::to_string(given.get<int>("n"))};
      });
  CHECK(answer.value() == value{"ada2"});
}

TEST_CASE("the error of a function is passed on") {
  const auto answer = called([](const arguments&, const command_context&) -> result<value> {
    return fail(error_code::not_found, "no such note");
  });
  CHECK(answer.error() == error{error_code::not_found, "no such note", {}});
}

TEST_CASE("what a function throws becomes an error") {
  const auto thrown = called([](const arguments&, const command_context&) -> result<value> {
    throw std::runtime_error{"disk on fire"};
  });
  CHECK(thrown.error() ==
        error{error_code::handler_failed, "the command failed: disk on fire", {}});
  const auto unknown =
      called([](const arguments&, const command_context&) -> result<value> { throw 7; });
  CHECK(unknown.error() ==
        error{error_code::handler_failed, "the command failed with an unknown exception", {}});
  const auto absent = called([](const arguments& given, const command_context&) -> result<value> {
    return given.get<int>("m");
  });
  CHECK(absent.error().message == "the command failed: parameter \"m\" was not given");
}
