#include <doctest/doctest.h>

#include <random>
#include <string>

#include <troupe/actors/context/sync/zstd_frame.hpp>

using namespace troupe;

namespace {

void check_refused(const std::string& frame, std::size_t max_bytes, const std::string& why) {
  const auto plain = decompress(frame, max_bytes);
  REQUIRE_FALSE(plain);
  CHECK(plain.error().code == error_code::protocol_violation);
  CHECK(plain.error().message.find(why) != std::string::npos);
}

}  // namespace

TEST_CASE("what was compressed is unpacked again") {
  std::mt19937 random{5};
  for (const std::size_t size : {0, 1, 100, 70'000, 1'000'000}) {
    CAPTURE(size);
    std::string plain(size, '\0');
    for (auto& each : plain) each = static_cast<char>(random() % 7);
    const auto frame = compress(plain);
    CHECK((size < 1000 || frame.size() < size / 2));
    const auto again = decompress(frame, size);
    REQUIRE(again);
    CHECK((*again == plain));
  }
}

TEST_CASE("a frame with more bytes than are accepted is refused before it is unpacked") {
  const auto frame = compress(std::string(1000, 'x'));
  CHECK(decompress(frame, 1000));
  check_refused(frame, 999, "it has 1000 bytes unpacked; at most 999 are accepted");
}

TEST_CASE("what is no frame is refused") {
  check_refused("", 1000, "one zstd frame");
  check_refused("no frame at all", 1000, "one zstd frame");
  check_refused(std::string(40, '\0'), 1000, "one zstd frame");
}

TEST_CASE("a frame that is cut off, damaged or followed by something is refused") {
  std::string plain;
  for (int i = 0; i < 400; ++i) plain += std::to_string(i * i);
  const auto frame = compress(plain);
  check_refused(frame.substr(0, frame.size() - 1), 10'000, "cannot be unpacked");
  check_refused(frame.substr(0, frame.size() / 2), 10'000, "cannot be unpacked");
  check_refused(frame + "more", 10'000, "cannot be unpacked");
  check_refused(frame + frame, 10'000, "cannot be unpacked");
  auto other_size = frame;
  REQUIRE(static_cast<unsigned char>(other_size[4]) == 0x60);  // two bytes of content size follow
  other_size[5] = static_cast<char>(other_size[5] + 1);
  check_refused(other_size, 10'000, "cannot be unpacked");
}

TEST_CASE("a frame that does not declare its content size is refused") {
  // The frame of "abc" with a window descriptor in the place of its size, and one raw block.
  const std::string frame{
      "\x28\xb5\x2f\xfd\x00\x58\x19\x00\x00"
      "abc",
      12};
  check_refused(frame, 1000, "declares its content size");
}
