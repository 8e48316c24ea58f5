// A member that writes and erases many values at once, for tests of what other nodes keep of them.
//
//   mass_writer DIRECTORY ADDRESS
//
// Joins the node at that address. Each line of its input says what to do: `fill TEXT COUNT` writes
// so many values below `/mass`, `erase` takes all of them away. Each is answered by `done`, once
// all members have it.

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <troupe/runtime/host.hpp>

namespace {

constexpr int values_of_write = 1000;

troupe::result<void> fill(troupe::host& host, const std::string& text, int count) {
  for (int next = 0; next < count;) {
    std::vector<troupe::context_entry> entries;
    for (const int end = std::min(next + values_of_write, count); next < end; ++next)
      entries.push_back({troupe::path{"/mass/" + std::to_string(next)},
                         troupe::value{text + " " + std::to_string(next)}});
    const auto level = next == count ? troupe::durability::all : troupe::durability::memory;
    if (auto done = host.context().set_together(std::move(entries), level); !done) return done;
  }
  return {};
}

}  // namespace

int main(int, char** arguments) {
  troupe::config settings{.data_dir = arguments[1]};
  settings.join.emplace_back(arguments[2]);
  settings.listen = "127.0.0.1:0";
  settings.discover = false;
  troupe::host host{std::move(settings)};
  std::string what, text;
  while (std::cin >> what) {
    int count = 0;
    if (what == "fill") std::cin >> text >> count;
    const auto done = what == "fill"
                          ? fill(host, text, count)
                          : host.context().erase_subtree("/mass", troupe::durability::all);
    std::cout << (done ? "done" : done.error().message) << std::endl;
  }
}
