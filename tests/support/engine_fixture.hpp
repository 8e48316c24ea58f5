#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/tests/support/context_fixture.hpp>

namespace troupe::test {

inline const path a{"/a"}, b{"/b"};

/// Writes a value, which the engine must take.
inline change_record must_write(context_engine& engine, const path& where, value given,
                                std::uint64_t now = noon) {
  auto written = engine.write(operation::put, where, std::move(given), "tester", {}, now);
  REQUIRE(written);
  return *written;
}

/// Applies a change at noon. @returns what became of it.
inline apply_status status_of(context_engine& engine, const change_record& record) {
  return engine.apply(record, noon).status;
}

/// The writes that stand at a path.
inline std::vector<dot> siblings_of(const context_engine& engine, const path& where) {
  std::vector<dot> dots;
  if (const auto* entry = engine.tree().find(where))
    for (const auto& each : entry->siblings.all()) dots.push_back(each.dot());
  return dots;
}

}  // namespace troupe::test
