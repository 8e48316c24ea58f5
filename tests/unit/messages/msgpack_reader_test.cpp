#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include <msgpack.hpp>

#include <troupe/messages/msgpack/msgpack_reader.hpp>
#include <troupe/messages/msgpack/msgpack_writer.hpp>
#include <troupe/tests/support/value_samples.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::string_literals;

namespace {

template <class Write>
std::string packed(Write write) {
  msgpack::sbuffer buffer;
  msgpack::packer<msgpack::sbuffer> packer{buffer};
  write(packer);
  return {buffer.data(), buffer.size()};
}

msgpack_kind kind_of(std::string_view bytes) { return read_msgpack_header(bytes).kind; }

/// Every read there is, each of which must leave the reader where it is when it gives nothing.
void check_that_nothing_is_read(std::string_view bytes) {
  msgpack_reader reader{bytes};
  CHECK_FALSE(reader.read_nil());
  CHECK_FALSE(reader.read_bool().has_value());
  CHECK_FALSE(reader.read_signed().has_value());
  CHECK_FALSE(reader.read_unsigned().has_value());
  CHECK_FALSE(reader.read_double().has_value());
  CHECK_FALSE(reader.read_string().has_value());
  CHECK_FALSE(reader.read_binary().has_value());
  CHECK_FALSE(reader.read_array().has_value());
  CHECK_FALSE(reader.read_map().has_value());
  CHECK_FALSE(reader.skip().has_value());
  CHECK(reader.position() == 0);
}

}  // namespace

TEST_CASE("every lead byte has the kind that the msgpack specification gives it") {
  const auto kind_of_lead = [](unsigned lead) {
    return kind_of(static_cast<char>(lead) + std::string(8, '\x01'));
  };
  using enum msgpack_kind;
  for (unsigned lead = 0x00; lead <= 0x7f; ++lead) CHECK(kind_of_lead(lead) == unsigned_integer);
  for (unsigned lead = 0x80; lead <= 0x8f; ++lead) CHECK(kind_of_lead(lead) == map);
  for (unsigned lead = 0x90; lead <= 0x9f; ++lead) CHECK(kind_of_lead(lead) == array);
  for (unsigned lead = 0xa0; lead <= 0xbf; ++lead) CHECK(kind_of_lead(lead) == string);
  for (unsigned lead = 0xe0; lead <= 0xff; ++lead) CHECK(kind_of_lead(lead) == signed_integer);
  const msgpack_kind rest[] = {nil,
                               invalid,
                               boolean,
                               boolean,
                               binary,
                               binary,
                               binary,
                               extension,
                               extension,
                               extension,
                               floating,
                               floating,
                               unsigned_integer,
                               unsigned_integer,
                               unsigned_integer,
                               unsigned_integer,
                               unsigned_integer,
                               unsigned_integer,
                               unsigned_integer,
                               unsigned_integer,
                               extension,
                               extension,
                               extension,
                               extension,
                               extension,
                               string,
                               string,
                               string,
                               array,
                               array,
                               map,
                               map};
  for (unsigned lead = 0xc0; lead <= 0xdf; ++lead) {
    CAPTURE(lead);
    CHECK(kind_of_lead(lead) == rest[lead - 0xc0]);
  }
}

TEST_CASE("a header that is not there in full is truncated, and gives no number") {
  CHECK(kind_of("") == msgpack_kind::truncated);
  const std::pair<unsigned, std::size_t> header_bytes[] = {
      {0xc4, 2}, {0xc5, 3}, {0xc6, 5}, {0xc7, 3}, {0xc8, 4}, {0xc9, 6}, {0xca, 5},
      {0xcb, 9}, {0xcc, 2}, {0xcd, 3}, {0xce, 5}, {0xcf, 9}, {0xd0, 2}, {0xd1, 3},
      {0xd2, 5}, {0xd3, 9}, {0xd4, 2}, {0xd8, 2}, {0xd9, 2}, {0xda, 3}, {0xdb, 5},
      {0xdc, 3}, {0xdd, 5}, {0xde, 3}, {0xdf, 5}};
  for (const auto& [lead, bytes] : header_bytes) {
    CAPTURE(lead);
    const std::string whole = static_cast<char>(lead) + std::string(bytes - 1, '\0');
    CHECK(read_msgpack_header(whole).bytes == bytes);
    for (std::size_t cut = 0; cut < bytes; ++cut) {
      CHECK(kind_of(std::string_view{whole}.substr(0, cut)) == msgpack_kind::truncated);
      check_that_nothing_is_read(std::string_view{whole}.substr(0, cut));
    }
  }
}

TEST_CASE("lengths are read in every width") {
  CHECK(read_msgpack_header("\x8f").length == 15);
  CHECK(read_msgpack_header("\x9e").length == 14);
  CHECK(read_msgpack_header("\xbf").length == 31);
  CHECK(read_msgpack_header("\xd9\xff").length == 255);
  CHECK(read_msgpack_header("\xda\x01\x02").length == 0x0102);
  CHECK(read_msgpack_header("\xdb\x01\x02\x03\x04").length == 0x01020304);
  CHECK(read_msgpack_header("\xdd\xff\xff\xff\xff").length == 0xffffffff);
  CHECK(read_msgpack_header("\xd4\x01").length == 1);
  CHECK(read_msgpack_header("\xd8\x01").length == 16);
  CHECK(read_msgpack_header("\xc8\x01\x00\x05"s).length == 256);
}

TEST_CASE("integers are read as whichever sign they fit") {
  CHECK(rc::check("against msgpack-c's packer", [](std::int64_t wide) {
    const auto number = wide >> *rc::gen::inRange(0, 63);
    const auto bytes = packed([&](auto& packer) { packer.pack_int64(number); });
    RC_ASSERT(msgpack_reader{bytes}.read_signed() == number);
    RC_ASSERT(msgpack_reader{bytes}.read_unsigned().has_value() == (number >= 0));
    RC_ASSERT(msgpack_reader{bytes}.read_double() == static_cast<double>(number));
    for (const auto& fixed : {packed([&](auto& packer) { packer.pack_fix_int64(number); })}) {
      RC_ASSERT(msgpack_reader{fixed}.read_signed() == number);
      RC_ASSERT(msgpack_reader{fixed}.read_unsigned().has_value() == (number >= 0));
    }
  }));
  const auto largest = std::numeric_limits<std::uint64_t>::max();
  const auto bytes = packed([&](auto& packer) { packer.pack_uint64(largest); });
  CHECK(msgpack_reader{bytes}.read_unsigned() == largest);
  CHECK_FALSE(msgpack_reader{bytes}.read_signed().has_value());
  CHECK(msgpack_reader{bytes}.read_double() == 18446744073709551616.0);
}

TEST_CASE("signed forms are extended to 64 bits") {
  CHECK(msgpack_reader{"\xff"}.read_signed() == -1);
  CHECK(msgpack_reader{"\xe0"}.read_signed() == -32);
  CHECK(msgpack_reader{"\xd0\x80"}.read_signed() == -128);
  CHECK(msgpack_reader{"\xd1\x80\x00"s}.read_signed() == -32768);
  CHECK(msgpack_reader{"\xd2\x80\x00\x00\x00"s}.read_signed() == -2147483648LL);
  CHECK(msgpack_reader{"\xd0\x7f"}.read_unsigned() == 127u);
}

TEST_CASE("floating point numbers are read in both widths") {
  CHECK(msgpack_reader{"\xca\xbf\xc0\x00\x00"s}.read_double() == -1.5);
  CHECK(msgpack_reader{"\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00"s}.read_double() == -1.5);
  CHECK(std::isnan(*msgpack_reader{"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"s}.read_double()));
}

TEST_CASE("a reader walks from front to back") {
  const auto bytes = "\x96\xc0\xc3\xc2\xa2hi\xc4\x01\xff\x81\x01\x02"s;
  msgpack_reader reader{bytes};
  CHECK(reader.peek() == msgpack_kind::array);
  CHECK(reader.read_array() == 6u);
  CHECK(reader.read_nil());
  CHECK(reader.read_bool() == true);
  CHECK(reader.read_bool() == false);
  CHECK(reader.read_string() == "hi");
  CHECK(reader.read_binary() == "\xff");
  CHECK(reader.position() == 10);
  CHECK_FALSE(reader.at_end());
  CHECK(reader.rest() == "\x81\x01\x02");
  CHECK(reader.read_map() == 1u);
  CHECK(reader.read_unsigned() == 1u);
  CHECK(reader.read_signed() == 2);
  CHECK(reader.at_end());
  CHECK(reader.peek() == msgpack_kind::truncated);
}

TEST_CASE("a read of the wrong kind moves nothing") {
  check_that_nothing_is_read("");
  check_that_nothing_is_read("\xc1");
  msgpack_reader reader{
      "\xa1"
      "a"};
  CHECK_FALSE(reader.read_binary().has_value());
  CHECK_FALSE(reader.read_double().has_value());
  CHECK_FALSE(reader.read_nil());
  CHECK(reader.read_string() == "a");
}

TEST_CASE("a payload that is not there in full is not read") {
  for (const auto& bytes :
       {"\xa2h"s, "\xc4\x02h"s, "\xdb\xff\xff\xff\xff"s, "\xc6\xff\xff\xff\xffx"s, "\xd5\x01\x01"s})
    check_that_nothing_is_read(bytes);
}

TEST_CASE("an element is skipped with all that it contains") {
  CHECK(rc::check("skip", [] {
    const auto first = draw_value(value_range::all).msgpack();
    const auto both = first + "\x07";
    msgpack_reader reader{both};
    RC_ASSERT(reader.skip() == first);
    RC_ASSERT(reader.read_unsigned() == 7u);
  }));
  CHECK(msgpack_reader{"\x92\xd5\x01xy\xc7\x01\x05z"}.skip()->size() == 9);
}

TEST_CASE("skipping needs no stack, however deep the nesting") {
  CHECK(msgpack_reader{std::string(1'000'000, '\x91') + "\xc0"}.skip()->size() == 1'000'001);
  CHECK_FALSE(msgpack_reader{std::string(1'000'000, '\x91')}.skip().has_value());
}

TEST_CASE("an element that holds something invalid is not skipped") {
  msgpack_reader reader{"\x92\x01\xc1"};
  CHECK_FALSE(reader.skip().has_value());
  CHECK(reader.position() == 0);
  CHECK_FALSE(msgpack_reader{"\xdd\xff\xff\xff\xff"}.skip().has_value());
}

TEST_CASE("a writer writes what the reader reads") {
  std::string bytes;
  msgpack_writer writer{bytes};
  writer.array(8);
  writer.nil();
  writer.boolean(true);
  writer.integer(-5);
  writer.unsigned_integer(5);
  writer.floating(-0.0);
  writer.string("s");
  writer.binary("b");
  writer.map(0);
  writer.raw("\x07");
  msgpack_reader reader{bytes};
  CHECK(reader.read_array() == 8u);
  CHECK(reader.read_nil());
  CHECK(reader.read_bool() == true);
  CHECK(reader.read_signed() == -5);
  CHECK(reader.read_unsigned() == 5u);
  CHECK(std::signbit(*reader.read_double()));
  CHECK(reader.read_string() == "s");
  CHECK(reader.read_binary() == "b");
  CHECK(reader.read_map() == 0u);
  CHECK(reader.read_unsigned() == 7u);
  CHECK(reader.at_end());
}
