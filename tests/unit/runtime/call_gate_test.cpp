#include <doctest/doctest.h>

#include <troupe/runtime/call_gate.hpp>

using namespace troupe;

TEST_CASE("calls begin until the gate is closed") {
  call_gate gate;
  for (int i = 0; i < 3; ++i) {
    CHECK(gate.begin());
    gate.end();
  }
  CHECK_FALSE(gate.closed());
  gate.close();
  CHECK(gate.closed());
  CHECK_FALSE(gate.begin());
}

TEST_CASE("a gate that is closed during a call stays closed after it") {
  call_gate gate;
  REQUIRE(gate.begin());
  gate.close();
  gate.end();
  CHECK(gate.closed());
  CHECK_FALSE(gate.begin());
}
