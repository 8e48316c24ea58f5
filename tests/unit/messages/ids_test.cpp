#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <array>
#include <string>
#include <unordered_set>

#include <troupe/actors/kernel/clock.hpp>
#include <troupe/messages/ids.hpp>

using namespace troupe;

namespace {

constexpr uuid sample{{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76,
                       0x54, 0x32, 0x10}};

}  // namespace

TEST_CASE("a uuid is shown in lower case with hyphens") {
  CHECK(to_string(sample) == "01234567-89ab-cdef-fedc-ba9876543210");
  CHECK(to_string(uuid{}) == "00000000-0000-0000-0000-000000000000");
  CHECK(to_string(node_id{sample}) == to_string(sample));
}

TEST_CASE("a uuid is read in either case") {
  CHECK(parse_uuid("01234567-89AB-CDEF-fedc-ba9876543210") == sample);
}

TEST_CASE("what is not in the form of a uuid is not read") {
  for (const auto* text :
       {"", "01234567", "0123456789abcdeffedcba9876543210", "01234567-89ab-cdef-fedc-ba987654321",
        "01234567-89ab-cdef-fedc-ba98765432100", "0123456-789ab-cdef-fedc-ba9876543210",
        "g1234567-89ab-cdef-fedc-ba9876543210", "01234567-89ab-cdef-fedc_ba9876543210",
        "01234567-89ab-cdef-fedc-ba987654321-", "{1234567-89ab-cdef-fedc-ba987654321}"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_uuid(text).has_value());
  }
}

TEST_CASE("a uuid that was shown is read back") {
  CHECK(rc::check("parse_uuid(to_string(x)) == x", [](const std::array<std::uint8_t, 16>& bytes) {
    RC_ASSERT(parse_uuid(to_string(uuid{bytes})) == uuid{bytes});
  }));
}

TEST_CASE("only the all-zero id names nothing") {
  CHECK(uuid{}.is_nil());
  CHECK(node_id{}.is_nil());
  CHECK_FALSE(sample.is_nil());
  uuid almost;
  almost.bytes[15] = 1;
  CHECK_FALSE(almost.is_nil());
}

TEST_CASE(
    "a random uuid carries the version and the variant of its kind and the rest of the "
    "randomness") {
  std::array<std::uint8_t, 16> ones;
  ones.fill(0xff);
  CHECK(to_string(make_random_uuid(ones)) == "ffffffff-ffff-4fff-bfff-ffffffffffff");
  CHECK(to_string(make_random_uuid({})) == "00000000-0000-4000-8000-000000000000");
}

TEST_CASE("numbers that an id is made from have one order of bytes, whatever the machine") {
  CHECK(to_string(uuid{little_endian(0x0102030405060708, 0xff)}) ==
        "08070605-0403-0201-ff00-000000000000");
}

TEST_CASE("ids are ordered as their text is") {
  CHECK(rc::check("order",
                  [](const std::array<std::uint8_t, 16>& a, const std::array<std::uint8_t, 16>& b) {
                    RC_ASSERT((uuid{a} < uuid{b}) == (to_string(uuid{a}) < to_string(uuid{b})));
                  }));
}

TEST_CASE("equal ids have equal hashes, and near ones hardly ever") {
  std::unordered_set<std::size_t> hashes;
  for (unsigned bit = 0; bit < 128; ++bit) {
    uuid id = sample;
    id.bytes[bit / 8] = static_cast<std::uint8_t>(id.bytes[bit / 8] ^ 1 << bit % 8);
    hashes.insert(std::hash<trace_id>{}({id}));
  }
  CHECK(hashes.size() > 120);
  CHECK(std::hash<uuid>{}(sample) == std::hash<node_id>{}({sample}));
}

TEST_CASE("the operating system's random ids do not repeat") {
  std::unordered_set<uuid> all;
  for (int i = 0; i < 1000; ++i) all.insert(random_uuid());
  CHECK(all.size() == 1000);
  for (const auto& id : all) CHECK((id.bytes[6] >> 4) == 4);
}

TEST_CASE("the system's clock counts milliseconds since 1970") {
  const auto clock = system_wall_clock();
  const auto first = clock();
  CHECK(first > 1'577'836'800'000);  // the year 2020
  CHECK(first < 4'102'444'800'000);  // the year 2100
}
