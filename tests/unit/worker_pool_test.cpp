#include <doctest/doctest.h>

#include <set>
#include <stdexcept>
#include <string>

#include <troupe/actors/commands/worker_pool.hpp>

using namespace troupe;

namespace {

result<value> called(command_function run) { return call_function(run, {{"n", 2}}, {"ada", {}, {}}); }

}  // namespace

TEST_CASE("work goes to new workers while there may be more") {
  worker_pool pool{3};
  CHECK(pool.size() == 0);
  CHECK(pool.take() == 0);
  CHECK(pool.take() == 1);
  CHECK(pool.take() == 2);
  CHECK(pool.size() == 3);
}

TEST_CASE("an idle worker is taken before a new one is made") {
  worker_pool pool{3};
  pool.take();
  pool.take();
  pool.give_back(0);
  CHECK(pool.take() == 0);
  CHECK(pool.size() == 2);
}

TEST_CASE("with all workers busy the least busy one is taken") {
  worker_pool pool{2};
  pool.take();
  pool.take();
  const auto third = pool.take();
  CHECK(pool.take() == 1 - third);
  pool.give_back(third);
  CHECK(pool.take() == third);
  CHECK(pool.size() == 2);
}

TEST_CASE("work is spread evenly") {
  worker_pool pool{4};
  std::multiset<worker_pool::worker_index> taken;
  for (int i = 0; i < 40; ++i) taken.insert(pool.take());
  for (worker_pool::worker_index worker = 0; worker < 4; ++worker) CHECK(taken.count(worker) == 10);
}

TEST_CASE("a function is given the arguments and who calls") {
  const auto answer = called([](const arguments& given, const command_context& about) -> result<value> {
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
  const auto thrown = called(
      [](const arguments&, const command_context&) -> result<value> { throw std::runtime_error{"disk on fire"}; });
  CHECK(thrown.error() == error{error_code::handler_failed, "the command failed: disk on fire", {}});
  const auto unknown = called([](const arguments&, const command_context&) -> result<value> { throw 7; });
  CHECK(unknown.error() == error{error_code::handler_failed, "the command failed with an unknown exception", {}});
  const auto absent =
      called([](const arguments& given, const command_context&) -> result<value> { return given.get<int>("m"); });
  CHECK(absent.error().message == "the command failed: parameter \"m\" was not given");
}
