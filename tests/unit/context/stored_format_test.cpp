// What builds have written before is read: `tests/support/stored` keeps a store and messages of
// each format. Samples are never written anew; a new format gets new ones. The skipped cases below
// write those of the current format into the directory in the variable TROUPE_STORED_INTO.

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/store/transfer_file.hpp>
#include <troupe/actors/context/sync/packed_entries.hpp>
#include <troupe/messages/command.hpp>
#include <troupe/messages/msgpack/msgpack_reader.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/tests/support/fixtures/engine_fixture.hpp>
#include <troupe/tests/support/fixtures/store_fixture.hpp>
#include <troupe/tests/support/message_samples.hpp>
#include <troupe/tests/support/whole_file.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

std::filesystem::path directory_in(const char* variable) {
  const auto* directory = std::getenv(variable);
  REQUIRE_MESSAGE(directory, "the variable " << variable << " names no directory");
  return directory;
}

std::filesystem::path stored() { return directory_in("TROUPE_SOURCE") / "tests/support/stored"; }

/// Everything that a replica holds and shows, a line for each path.
std::string describe(const context_engine& engine) {
  std::ostringstream text;
  engine.tree().visit_subtree(path{}, [&](const tree_entry& entry) {
    const auto where = path::from_checked(std::string{entry.path()});
    const auto seen = engine.view(where);
    text << (where.text().empty() ? "(root)" : where.text()) << " = "
         << (seen ? seen->to_json() : "nothing") << '\n';
    for (const auto& each : entry.siblings()) {
      text << "  " << to_string(each.dot) << " operation " << static_cast<int>(each.operation)
           << " time " << each.timestamp.ticks << " by " << each.principal << " content "
           << each.content;
      const auto counts = unpack_counts(each.counts).value();
      for (const auto& part : counts)
        text << " (" << part.source.incarnation << ' ' << part.seq << ' ' << part.amount << ')';
      text << '\n';
    }
    return true;
  });
  text << "root " << to_string(engine.root_hash()) << '\n';
  for (const auto& each : engine.vector().entries())
    text << "has " << to_string(dot{each.origin, each.incarnation, each.seq}) << '\n';
  return text.str();
}

/// A store with one of everything: each operation, a transaction, a conflict, a tombstone, a
/// counter of four incarnations, odd values; most of it in a checkpoint, the rest in the log.
void write_sample(const temporary_directory& where) {
  auto store = must_open(where);
  const path name{"/config/name"}, visits{"/visits"};
  const auto added = [&](context_engine& engine, int amount) {
    auto record = engine.write(operation::increment, visits, amount, "counter", {}, noon);
    REQUIRE(record);
    REQUIRE(append(store, {*record}));
  };
  const auto put_in = [&](context_engine& engine, const path& at, value given) {
    REQUIRE(append(store, {must_write(engine, at, std::move(given))}));
  };
  const auto all_of = [&](context_engine& engine, std::vector<local_write> writes) {
    auto made =
        engine.write_together(std::move(writes), "importer", trace_id{node(7).id}, noon + 1);
    REQUIRE(made);
    std::vector<change_record> records;
    for (auto& each : *made) records.push_back(std::move(each.record));
    REQUIRE(append(store, records));
  };

  auto one = restore(store, *store.begin_incarnation(0)).value();
  put_in(one, name, "troupe");
  all_of(one, {{operation::put, path{"/list/0"}, value::array({1, "two", nullptr})},
               {operation::put, path{"/list/1"}, value::map({{"k", 1.5}, {"", true}})},
               {operation::put, path{"/old/x"}, 1},
               {operation::put, path{"/old/y"}, 2},
               {operation::put, path{"/\xc3\xa4/a~1b"}, "odd path"}});
  all_of(one, {{operation::erase_subtree, path{"/old"}, {}}});
  put_in(one, path{"/gone"}, "soon");
  REQUIRE(append(store, {*one.write(operation::erase, path{"/gone"}, {}, "tester", {}, noon + 2)}));
  put_in(one, path{"/numbers/largest"}, std::numeric_limits<std::uint64_t>::max());
  put_in(one, path{"/numbers/least"}, std::numeric_limits<std::int64_t>::min());
  put_in(one, path{"/numbers/nan"}, std::numeric_limits<double>::quiet_NaN());
  put_in(one, path{"/bytes"}, value::binary(std::string_view{"\x00\xff\x80", 3}));
  added(one, 5);
  context_engine other{node(2), 9};
  const auto rival = must_write(other, name, "company", noon + 3);
  REQUIRE(status_of(one, rival) == apply_status::applied);
  REQUIRE(append(store, {rival}));

  auto two = restore(store, *store.begin_incarnation(0)).value();
  added(two, 7);
  engine_limits limits;
  limits.single_counts = 0;
  context_engine three{node(1), *store.begin_incarnation(0), two.state(), limits};
  put_in(three, path{"/started"}, 3);
  three.set_stable(std::make_shared<const processed_changes>(three.processed()));
  added(three, 11);
  REQUIRE(store.checkpoint(three.state()));

  auto four = restore(store, *store.begin_incarnation(0)).value();
  added(four, -1);
  put_in(four, path{"/started"}, 4);
}

/// A sample of each message between replicas.
template <class Use>
void each_message(Use use) {
  const auto of_each = [&]<class... Messages>(std::type_identity<std::variant<Messages...>>) {
    (use(std::type_identity<Messages>{}), ...);
  };
  of_each(std::type_identity<sync_message>{});
}

std::string hex(std::string_view bytes) {
  std::ostringstream text;
  for (const unsigned char each : bytes)
    text << "0123456789abcdef"[each >> 4] << "0123456789abcdef"[each & 15];
  return text.str();
}

std::string unhex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

/// Whether a message has all that another one has: of maps, all fields, which may be more by now.
bool holds_all(msgpack_reader now, msgpack_reader then) {
  if (now.peek() != then.peek()) return false;
  if (then.peek() == msgpack_kind::array) {
    const auto length = *then.read_array();
    if (now.read_array() != length) return false;
    for (std::uint32_t i = 0; i < length; ++i)
      if (!holds_all(msgpack_reader{*now.skip()}, msgpack_reader{*then.skip()})) return false;
    return true;
  }
  if (then.peek() != msgpack_kind::map) return *now.skip() == *then.skip();
  std::map<std::string_view, std::string_view> fields;
  for (auto left = *now.read_map(); left > 0; --left) {
    const auto name = *now.read_string();
    fields[name] = *now.skip();
  }
  for (auto left = *then.read_map(); left > 0; --left) {
    const auto field = fields.find(*then.read_string());
    const auto content = *then.skip();
    if (field == fields.end() || !holds_all(msgpack_reader{field->second}, msgpack_reader{content}))
      return false;
  }
  return true;
}

}  // namespace

TEST_CASE("writes the store of the current format" * doctest::skip()) {
  const temporary_directory where;
  write_sample(where);
  const auto into = directory_in("TROUPE_STORED_INTO");
  auto store = must_open(where);
  const auto engine = restore(store, 1000).value();
  write_file(into / "expected.txt", describe(engine));
  std::vector<stored_entry> entries;
  engine.tree().visit_from({}, [&](const tree_entry& entry) {
    entries.push_back({std::string{entry.path()}, troupe::store(entry.siblings())});
    return true;
  });
  const transfer_file transfer{into / "context.transfer"};
  REQUIRE(transfer.carry_out({true, {{pack_entries(entries)}}}));
  tamper(where, "PRAGMA wal_checkpoint(TRUNCATE)");
  std::filesystem::copy_file(where.path().native() + "/context.db", into / "context.db",
                             std::filesystem::copy_options::overwrite_existing);
}

TEST_CASE("writes the messages of the current format" * doctest::skip()) {
  std::string lines;
  each_message([&]<class Message>(std::type_identity<Message>) {
    for (const auto how : {fullness::full, fullness::sparse})
      lines += std::string{Message::method} + ' ' +
               hex(encode(sample_maker{1, how}.make<Message>())) + '\n';
  });
  write_file(directory_in("TROUPE_STORED_INTO") / "messages.txt", lines);
}

TEST_CASE("a store of each format is read as it was written, and goes on") {
  for (const std::string format : {"store-5", "store-6"}) {
    CAPTURE(format);
    const temporary_directory where;
    for (const std::string file : {"/context.db", "/context.transfer"})
      std::filesystem::copy_file(stored().native() + "/" + format + file,
                                 where.path().native() + file);
    const auto expected = read_file(stored() / format / "expected.txt");
    std::string now;
    {
      auto store = must_open(where);
      CHECK(store.notes().empty());
      CHECK(store.identity() == ours);
      auto engine = restore(store, *store.begin_incarnation(0)).value();
      CHECK(describe(engine) == expected);
      // And so is what was coming of a state, as entries are sent.
      const auto kept = store.transfer().load({});
      REQUIRE_MESSAGE(kept, (kept ? "" : kept.error().message));
      REQUIRE(*kept);
      CHECK((*kept)->tree.hash() == engine.tree().hash());
      CHECK(engine.view(path{"/visits"}) == value{22});
      CHECK(engine.view(path{"/config/name"}) == value{"company"});
      CHECK(engine.conflicts() == 1);
      // The changes themselves, too: what the log gives to peers adds up to the same state.
      context_engine reader{node(9), 1};
      const std::vector<log_range> all{{{node(1), 1, 1}, {node(1), 4, UINT64_MAX}},
                                       {{node(2), 9, 1}, {node(2), 9, UINT64_MAX}}};
      const auto everything = store.read_log(all, std::size_t{1} << 20);
      REQUIRE(everything);
      for (const auto& batch : *everything) {
        const auto records = batch->records();
        REQUIRE(records);
        for (const auto& each : *records) CHECK(status_of(reader, each) == apply_status::applied);
      }
      CHECK(describe(reader) == expected);
      auto added = engine.write(operation::increment, path{"/visits"}, 1, "counter", {}, noon);
      REQUIRE(added);
      REQUIRE(append(store, {*added}));
      REQUIRE(append(store, {must_write(engine, path{"/config/name"}, "settled")}));
      REQUIRE(store.checkpoint(engine.state()));
      scrub_step checked;
      for (bool done = false; !done; done = checked.is_done) {
        checked = store.scrub(1000).value();
        CHECK(checked.mended == 0);
      }
      now = describe(engine);
    }
    auto store = must_open(where);
    CHECK(describe(restore(store, *store.begin_incarnation(0)).value()) == now);
  }
}

TEST_CASE("messages of each format are read whole") {
  for (const std::string format : {"messages-2.txt"}) {
    std::istringstream lines{read_file(stored() / format)};
    std::string method, bytes;
    int read = 0;
    while (lines >> method >> bytes) {
      CAPTURE(method);
      each_message([&]<class Message>(std::type_identity<Message>) {
        if (method != Message::method) return;
        const auto message = decode_checked<Message>(unhex(bytes));
        REQUIRE_MESSAGE(message, (message ? "" : message.error().message));
        const auto now = encode(*message);
        const auto then = unhex(bytes);
        CHECK(holds_all(msgpack_reader{now}, msgpack_reader{then}));
        ++read;
      });
    }
    CHECK(read == 14);
  }
}
