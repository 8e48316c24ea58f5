#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include <troupe/plugins/examples/notes/notes.hpp>
#include <troupe/plugins/sdk/cpp/test_host.hpp>

using namespace troupe;

namespace {

node_id node_number(std::uint8_t number) {
  node_id node;
  node.id.bytes.back() = number;
  return node;
}

std::string id_of(const result<value>& added) {
  return std::string{*added.value().find("id")->as_string()};
}

}  // namespace

TEST_CASE("notes: a note is kept, found by a part of its text, and counted") {
  auto notes = examples::notes_plugin();
  sdk::test_host host{notes};
  CHECK(host.execute("notes.count") == value{0});
  const auto first =
      id_of(host.execute("notes.add", {{"text", "Buy MILK"}, {"tags", value::array({"shop"})}}));
  const auto second = id_of(host.execute("notes.add", {{"text", "milk the cow"}}));
  CHECK(first < second);
  CHECK(host.context.at(path{"/plugins/notes/notes/" + first}).to_json() ==
        R"({"tags":["shop"],"text":"Buy MILK"})");
  CHECK(host.execute("notes.count") == value{2});
  const auto found = host.execute("notes.find", {{"text", "Milk"}})->elements();
  REQUIRE(found.size() == 2);
  CHECK(found[0] ==
        value::map({{"id", first}, {"text", "Buy MILK"}, {"tags", value::array({"shop"})}}));
  CHECK(found[1].find("id") == value{second});
  CHECK(host.execute("notes.find", {{"text", "milk"}, {"limit", 1}})->size() == 1);
  CHECK(host.execute("notes.find", {{"text", "honey"}})->size() == 0);
  CHECK(host.stop() == 0);
}

TEST_CASE("notes: texts of all languages are found; case is passed over for a-z alone") {
  auto notes = examples::notes_plugin();
  sdk::test_host host{notes};
  for (const auto* text : {"Zwei ÄPFEL", "हिन्दी सीखना", "café ☕"})
    REQUIRE(host.execute("notes.add", {{"text", text}}));
  const auto found = [&](const char* part) {
    return host.execute("notes.find", {{"text", part}})->size();
  };
  CHECK(found("zwei Äpfel") == 1);
  CHECK(found("äpfel") == 0);
  CHECK(found("हिन्दी") == 1);
  CHECK(found("CAFé ☕") == 1);
}

TEST_CASE("notes: an answer carries about 4 MiB, and what to do about more is said") {
  auto notes = examples::notes_plugin();
  sdk::test_host host{notes};
  const std::string large(std::size_t{1} << 20, 'x');
  for (int i = 0; i < 9; ++i)
    host.context[path{"/plugins/notes/notes/" + std::to_string(i)}] = value::map({{"text", large}});
  const auto refused = host.execute("notes.find", {{"text", "X"}});
  CHECK(refused.error() == error{error_code::limit_exceeded,
                                 "these notes are more than one answer carries; lower `limit` "
                                 "below 4 or give more of the text",
                                 {}});
  CHECK(host.execute("notes.find", {{"text", "X"}, {"limit", 3}})->size() == 3);
  host.context[path{"/plugins/notes/notes/0"}] =
      value::map({{"text", std::string(std::size_t{5} << 20, 'x')}});
  CHECK(host.execute("notes.find", {{"text", "X"}, {"limit", 1}})->size() == 1);
  CHECK(host.commands.at(0).parameters.at(0).maximum == 65536);
}

TEST_CASE("notes: ids are never given out again, neither after a restart nor after an erase") {
  auto notes = examples::notes_plugin();
  sdk::memory_context kept;
  std::string first;
  {
    sdk::test_host host{notes};
    first = id_of(host.execute("notes.add", {{"text", "one"}}));
    host.context.erase(path{"/plugins/notes/notes/" + first});
    kept = host.context;
  }
  sdk::test_host host{notes, {.context = kept}};
  CHECK(id_of(host.execute("notes.add", {{"text", "two"}})) > first);
}

TEST_CASE(
    "notes: two nodes that do not see each other's notes give out different ids, and go on behind "
    "the later") {
  auto here = examples::notes_plugin(), there = examples::notes_plugin();
  sdk::test_host first{here, {.node = node_number(1)}}, second{there, {.node = node_number(2)}};
  const auto a = id_of(first.execute("notes.add", {{"text", "a"}}));
  const auto b = id_of(second.execute("notes.add", {{"text", "b"}}));
  const auto c = id_of(second.execute("notes.add", {{"text", "c"}}));
  CHECK(a != b);
  first.context.merge(second.context);
  CHECK(first.execute("notes.count") == value{3});
  CHECK(id_of(first.execute("notes.add", {{"text", "d"}})) > c);
}

TEST_CASE("notes: foreign values among the notes do no harm") {
  auto notes = examples::notes_plugin();
  sdk::test_host host{notes,
                      {.context = {{path{"/plugins/notes/notes/x"}, 5},
                                   {path{"/plugins/notes/counters/y"}, "many"}}}};
  CHECK(host.execute("notes.find", {{"text", "five"}})->size() == 0);
  CHECK(host.execute("notes.find", {{"text", ""}})->to_json() ==
        R"([{"id":"x","tags":[],"text":null}])");
  CHECK(id_of(host.execute("notes.add", {{"text", "one"}})).starts_with("00000000000000000001-"));
  host.context[path{"/plugins/notes/counters/y"}] = value{~std::uint64_t{0}};
  CHECK(host.execute("notes.add", {{"text", "two"}}).error().code == error_code::limit_exceeded);
}

TEST_CASE("notes: a refusal of the node is passed on, and tags must be strings") {
  auto notes = examples::notes_plugin();
  sdk::test_host host{notes};
  const auto wrong = host.execute("notes.add", {{"text", "x"}, {"tags", value::array({5})}});
  CHECK(wrong.error() ==
        error{error_code::invalid_argument, "every tag must be a string, not 5", {}});
  host.denied = {path{"/plugins/notes/notes"}};
  CHECK(host.execute("notes.add", {{"text", "x"}}).error().code == error_code::permission_denied);
  CHECK(host.execute("notes.find", {{"text", "x"}}).error().code == error_code::permission_denied);
  CHECK(host.execute("notes.count").error().code == error_code::permission_denied);
  host.denied = {path{"/plugins/notes/counters"}};
  CHECK(host.execute("notes.add", {{"text", "x"}}).error().code == error_code::permission_denied);
}
