#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sqlite3.h>

#include <troupe/actors/context/store/store.hpp>
#include <troupe/messages/codec.hpp>
#include <troupe/tests/support/context_fixture.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

namespace troupe::test {

/// Whom all stores belong to.
inline const store_identity ours{cluster_id{node(100).id}, node(1)};

inline context_store must_open(const temporary_directory& where, store_options options = {}) {
  auto store = context_store::open(where.path().native(), ours, options);
  REQUIRE_MESSAGE(store.has_value(), (store ? "" : store.error().message));
  return std::move(*store);
}

/// Does what a damaged disk or a curious person might.
inline void tamper(const temporary_directory& where, const std::string& sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open((where.path().native() + "/context.db").c_str(), &database) == SQLITE_OK);
  REQUIRE(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

/// Changes of the first incarnation of a node, in order.
inline std::vector<encoded_record> changes_of(unsigned origin, std::uint64_t first,
                                              std::uint64_t last, std::string_view where = "/a") {
  std::vector<encoded_record> records;
  for (auto seq = first; seq <= last; ++seq)
    records.push_back(encode_record(put({node(origin), 1, seq}, where, seq)));
  return records;
}

/// An engine as the next start makes it.
inline result<context_engine> restore(context_store& store, std::uint64_t incarnation) {
  auto state = store.load_checkpoint();
  if (!state) return fail(state.error());
  const auto vector = state->vector;
  context_engine engine{ours.node, incarnation, std::move(*state)};
  if (auto done = store.replay(
          vector, [&](change_record&& record) { return engine.replay(std::move(record), noon); });
      !done)
    return fail(done.error());
  return engine;
}

/// It failed, with this code and these words.
inline void check_error(const auto& outcome, error_code code, std::string_view part) {
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == code);
  CHECK_MESSAGE(outcome.error().message.find(part) != std::string::npos, outcome.error().message);
}

}  // namespace troupe::test
