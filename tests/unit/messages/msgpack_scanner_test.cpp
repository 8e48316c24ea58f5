#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>
#include <string_view>
#include <type_traits>

#include <troupe/messages/msgpack/msgpack_scanner.hpp>
#include <troupe/tests/support/value_samples.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::string_literals;

namespace {

constexpr codec_limits wide_open{.frame_bytes = std::size_t{1} << 40,
                                 .depth = 64,
                                 .elements = std::uint64_t{1} << 40,
                                 .string_bytes = std::size_t{1} << 40};

/// What a scanner says of bytes that arrive at once.
result<std::size_t> scanned(std::string_view bytes, const codec_limits& limits = {}) {
  return msgpack_scanner{limits}.scan(bytes);
}

/// What a scanner says of bytes that arrive in the pieces that `next_piece` gives, as soon as it
/// says anything.
template <class NextPiece>
result<std::size_t> scanned_in_pieces(std::string_view bytes, const codec_limits& limits,
                                      NextPiece next_piece) {
  msgpack_scanner scanner{limits};
  for (std::size_t arrived = 0;;) {
    auto said = scanner.scan(bytes.substr(0, arrived));
    if (!said || *said != 0 || arrived == bytes.size()) return said;
    arrived = std::min(bytes.size(), arrived + next_piece());
  }
}

error refused(std::string_view bytes, const codec_limits& limits = {}) {
  const auto said = scanned(bytes, limits);
  REQUIRE_FALSE(said.has_value());
  return said.error();
}

bool asks_for_more(std::string_view bytes, const codec_limits& limits = {}) {
  const auto said = scanned(bytes, limits);
  return said && *said == 0;
}

}  // namespace

TEST_CASE("a complete message is measured") {
  CHECK(scanned("\xc0") == 1);
  CHECK(scanned("\x07") == 1);
  CHECK(scanned("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"s) == 9);
  CHECK(scanned("\x93\x01\xa1"
                "a\x81\xa1k\xc4\x02xy") == 11);
  CHECK(scanned("\x90") == 1);
  CHECK(scanned("\x92\x90\x80") == 3);
}

TEST_CASE("what follows a message is left to the next scan") {
  msgpack_scanner scanner;
  const std::string_view two{"\x91\x01\x92\x01\x02", 5};
  CHECK(scanner.scan(two) == 2);
  CHECK_FALSE(scanner.inside_message());
  CHECK(scanner.scan(two.substr(2)) == 3);
}

TEST_CASE("a scanner says whether it is inside a message") {
  msgpack_scanner scanner;
  CHECK(scanner.scan("") == 0);
  CHECK_FALSE(scanner.inside_message());
  CHECK(scanner.scan("\x92\x01") == 0);
  CHECK(scanner.inside_message());
  CHECK(scanner.scan("\x92\x01\x02") == 3);
  CHECK_FALSE(scanner.inside_message());
}

TEST_CASE("no announced length is believed before its bytes are there") {
  // A scanner has no memory but its own, so it cannot be made to allocate.
  static_assert(std::is_trivially_copyable_v<msgpack_scanner>);
  static_assert(sizeof(msgpack_scanner) < 1024);
  for (const auto* four_gibibytes : {"\xdb\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff",
                                     "\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff"}) {
    CAPTURE(four_gibibytes);
    CHECK(asks_for_more(four_gibibytes, wide_open));
    CHECK(refused(four_gibibytes).code == error_code::limit_exceeded);
  }
}

TEST_CASE("containers that together announce more elements than are accepted are refused") {
  std::string bomb;
  for (int i = 0; i < 60; ++i) bomb += "\xdc\xff\xff"s;
  CHECK(asks_for_more(bomb));
  std::string many(std::size_t{1} << 20, '\xc0');
  CHECK(refused("\xdd\x00\x10\x00\x00"s + many).message ==
        "a message with too many elements was refused; at most 1048576 are accepted");
  CHECK(refused("\x92\xdc\xff\xff"s + std::string(0xffff, '\xc0') + "\xc0", {.elements = 0x10001})
            .code == error_code::limit_exceeded);
}

TEST_CASE("a container that announces more elements than are left is refused at its header") {
  CHECK(asks_for_more("\x93\x01\x01\x92", {.elements = 6}));
  CHECK(refused("\x93\x01\x01\x92", {.elements = 5}).code == error_code::limit_exceeded);
}

TEST_CASE("elements count up to the limit, keys among them") {
  CHECK(scanned("\x93\x01\x02\x03", {.elements = 4}) == 4);
  CHECK(refused("\x93\x01\x02\x03", {.elements = 3}).code == error_code::limit_exceeded);
  CHECK(scanned("\x81\x01\x02", {.elements = 3}) == 3);
  CHECK(refused("\x81\x01\x02", {.elements = 2}).code == error_code::limit_exceeded);
  CHECK(refused("\x01", {.elements = 0}).code == error_code::limit_exceeded);
}

TEST_CASE("nesting is accepted to the limit and refused at the first level beyond") {
  CHECK(scanned(std::string(63, '\x91') + "\x90") == 64);
  CHECK(asks_for_more(std::string(64, '\x91')));
  CHECK(refused(std::string(65, '\x91')).message ==
        "a message with too deep nesting (levels) was refused; at most 64 are accepted");
  CHECK(refused(std::string(5'000'000, '\x91')).code == error_code::limit_exceeded);
  CHECK(refused("\x91\x91", {.depth = 1}).code == error_code::limit_exceeded);
  CHECK(refused("\x90", {.depth = 0}).code == error_code::limit_exceeded);
  CHECK(refused(std::string(65, '\x91'), {.depth = 1000}).code == error_code::limit_exceeded);
}

TEST_CASE("a container that is closed makes room for the next at its depth") {
  CHECK(scanned("\x93\x91\x01\x91\x01\x91\x01", {.depth = 2}) == 7);
}

TEST_CASE("a string longer than is accepted is refused at its header") {
  CHECK(scanned("\xa2"
                "ab",
                {.string_bytes = 2}) == 3);
  CHECK(refused("\xa3", {.string_bytes = 2}).message ==
        "a message with too long a string (bytes) was refused; at most 2 are accepted");
  CHECK(refused("\xc4\x03", {.string_bytes = 2}).code == error_code::limit_exceeded);
}

TEST_CASE("a message longer than is accepted is refused as soon as that is known") {
  CHECK(scanned("\xa2"
                "ab",
                {.frame_bytes = 3}) == 3);
  CHECK(refused("\xa2", {.frame_bytes = 2}).message ==
        "a message with too many bytes was refused; at most 2 are accepted");
  CHECK(refused("\x92\x01\x01", {.frame_bytes = 2}).code == error_code::limit_exceeded);
  CHECK(refused("\x92\x01\xce\x00"s, {.frame_bytes = 3}).code == error_code::limit_exceeded);
}

TEST_CASE("strings must be UTF-8, binary need not") {
  CHECK(refused("\x92\x01\xa1\xff").message ==
        "the string at offset 2 is not UTF-8; send other bytes as binary");
  CHECK(refused("\xa1\xff").code == error_code::protocol_violation);
  CHECK(refused("\x81\xa1\xc3\x01").code == error_code::protocol_violation);
  CHECK(scanned("\xc4\x01\xff") == 3);
}

TEST_CASE("the byte that msgpack never uses is refused") {
  CHECK(refused("\x91\xc1").message == "the byte 0xc1 at offset 1 is not msgpack");
}

TEST_CASE("extension types are refused, whatever their form") {
  for (const auto& extension :
       {"\xd4\x01\x00"s, "\xd5\x01\x00"s, "\xd6\x01\x00"s, "\xd7\x01\x00"s, "\xd8\x01\x00"s,
        "\xc7\x01\x01\x00"s, "\xc8\x00\x01\x01\x00"s, "\xc9\x00\x00\x00\x01\x01\x00"s}) {
    const auto failure = refused(extension);
    CHECK(failure.code == error_code::protocol_violation);
    CHECK(failure.message ==
          "a msgpack extension type at offset 0 was refused; use the plain types");
  }
}

TEST_CASE("a message is measured alike at every place where it may be cut") {
  CHECK(rc::check("pieces of one message", [] {
    const auto message = draw_value(value_range::all).msgpack();
    const auto next_piece = [] { return *rc::gen::inRange<std::size_t>(1, 10); };
    RC_ASSERT((scanned(message) == message.size()));
    RC_ASSERT((scanned_in_pieces(message, {}, next_piece) == message.size()));
    for (std::size_t cut = 0; cut < message.size(); ++cut) {
      msgpack_scanner scanner;
      RC_ASSERT((scanner.scan(std::string_view{message}.substr(0, cut)) == std::size_t{0}));
      RC_ASSERT((scanner.scan(message) == message.size()));
    }
  }));
}

TEST_CASE("any bytes get the same answer at once and one by one") {
  CHECK(rc::check("hostile bytes", [] {
    const auto bytes = draw_hostile_bytes();
    const auto limits = draw_narrow_limits();
    const auto at_once = scanned(bytes, limits);
    RC_CLASSIFY(!at_once.has_value(), "refused");
    RC_CLASSIFY(at_once && *at_once == 0, "incomplete");
    // Of several bounds that are passed, the one that is seen first is named; that may depend on
    // the pieces.
    const auto one_by_one = scanned_in_pieces(bytes, limits, [] { return std::size_t{1}; });
    RC_ASSERT(one_by_one.has_value() == at_once.has_value());
    RC_ASSERT(one_by_one.value_or(0) == at_once.value_or(0));
  }));
}

TEST_CASE("a check takes exactly one message") {
  CHECK(check_msgpack("\x91\x01", {}).has_value());
  CHECK(check_msgpack("", {}).error().message == "the msgpack message is cut off");
  CHECK(check_msgpack("\x91", {}).error().message == "the msgpack message is cut off");
  CHECK(check_msgpack("\x91\x01\x01\x01", {}).error().message ==
        "2 bytes follow the msgpack message");
  CHECK(check_msgpack("\xc1", {}).error().code == error_code::protocol_violation);
}

TEST_CASE("a check and a scanner accept the same messages") {
  CHECK(rc::check("hostile bytes", [] {
    const auto bytes = draw_hostile_bytes();
    const auto limits = draw_narrow_limits();
    const auto scan = scanned(bytes, limits);
    const bool is_message = !bytes.empty() && scan && *scan == bytes.size();
    RC_CLASSIFY(is_message, "accepted");
    RC_ASSERT(check_msgpack(bytes, limits).has_value() == is_message);
  }));
  for (const auto& levels : {64, 65}) {
    const auto nested = std::string(static_cast<std::size_t>(levels) - 1, '\x91') + "\x90";
    CHECK(check_msgpack(nested, wide_open).has_value() == (levels == 64));
  }
  // The parser of a check must not keep a level for each of these.
  CHECK(check_msgpack(std::string(5'000'000, '\x91'), wide_open).error().code ==
        error_code::limit_exceeded);
}
