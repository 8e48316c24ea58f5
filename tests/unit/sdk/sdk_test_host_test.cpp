#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/tests/support/fixtures/sdk_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

TEST_CASE("sdk test host: subtrees are contiguous in the order of its context") {
  const sdk::memory_context context{
      {path{"/a-b"}, 1}, {path{"/a"}, 2}, {path{"/a/c"}, 3}, {path{}, 4}};
  std::vector<std::string> order;
  for (const auto& [where, what] : context) order.push_back(where.text());
  CHECK(order == std::vector<std::string>{"", "/a", "/a/c", "/a-b"});
}

TEST_CASE("sdk test host: a plugin that does not start, is silent or ends is an exception") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    while (!call.cancelled()) {
    }
    return nullptr;
  }};
  {
    sdk::test_host host{plugin, {.patience = 200ms}};
    const auto running = host.begin("p.run");
    CHECK_THROWS_WITH_AS(host.wait(running), "the plugin said nothing for 200 ms",
                         std::runtime_error);
  }
  sdk::test_host host{plugin, {.patience = std::chrono::milliseconds::max()}};
  host.hang_up();
  CHECK_THROWS_WITH_AS(host.ping(), "the plugin closed its socket", std::runtime_error);

  sdk::plugin large{"p", "1.0.0"};
  large.command(command_spec{"run"}.summary(std::string(std::size_t{9} << 20, 'x')), get_a);
  CHECK_THROWS_WITH_AS(sdk::test_host{large},
                       doctest::Contains("the plugin does not start: the message cannot be"),
                       std::runtime_error);
}

TEST_CASE("sdk test host: a plugin that neither reads nor ends is an exception too") {
  std::atomic<bool> released = false;
  one_command plugin{[&](const arguments&, sdk::call&) -> result<value> {
    released.wait(false);
    return nullptr;
  }};
  sdk::test_host host{plugin, {.patience = 200ms}};
  host.begin("p.run");
  const std::string large(std::size_t{1} << 20, 'x');
  const auto send_for_ever = [&] {
    while (true) host.begin("p.run", {{"ballast", large}});
  };
  CHECK_THROWS_WITH_AS(send_for_ever(), "the plugin read nothing for 200 ms", std::runtime_error);
  CHECK_THROWS_WITH_AS(host.hang_up(), "the plugin goes on running after 200 ms",
                       std::runtime_error);
  released = true;
  released.notify_all();
}

TEST_CASE("sdk test host: a list that reaches what is denied is denied, as by a node") {
  one_command plugin{[](const arguments& given, sdk::call& call) -> result<value> {
    return call.context().list(path{given.get<std::string>("path")}).value().entries.size();
  }};
  sdk::test_host host{
      plugin, {.context = {{path{"/a/b/c"}, 1}, {path{"/d"}, 2}}, .denied = {path{"/a/b"}}}};
  for (const auto* above : {"", "/a", "/a/b", "/a/b/c"})
    CHECK(host.execute("p.run", {{"path", above}}).error().code == error_code::permission_denied);
  CHECK(host.execute("p.run", {{"path", "/d"}}) == value{1});
  CHECK(host.execute("p.run", {{"path", "/a/bc"}}) == value{0});
  host.denied = {path{}};
  CHECK(host.execute("p.run", {{"path", "/d"}}).error().code == error_code::permission_denied);
}

TEST_CASE("sdk test host: defaults are filled in, as by a node") {
  parameter_spec times;
  times.name = "times";
  times.type = parameter_type::integer;
  times.default_value = 3;
  one_command plugin{
      [](const arguments& given, sdk::call&) -> result<value> { return given.get<value>("times"); },
      command_spec{"run"}.param(times)};
  sdk::test_host host{plugin};
  CHECK(host.execute("p.run") == value{3});
  CHECK(host.execute("p.run", {{"times", 4}}) == value{4});
}
