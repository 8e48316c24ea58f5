#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zstd.h>

#include <troupe/tests/support/fixtures/sync_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("a batch comes out of its message as it went in") {
  const auto small = batch_of(changes(1, 1, 2));
  CHECK(small->to_message(5).batch == 5);
  CHECK(small->to_message(5).encoding == push_encoding::plain);
  const auto large = batch_of(changes(1, 1, 50));
  CHECK(large->to_message(1).encoding == push_encoding::zstd);
  CHECK(large->wire_bytes() < 50 * large->records()[0].bytes.size() / 3);
  for (const auto& batch : {small, large}) {
    const auto message = decode<sync_push>(encode(batch->to_message(1)));
    REQUIRE(message);
    const auto records = decode_push(*message);
    REQUIRE(records);
    std::vector<encoded_record> again;
    for (const auto& each : *records) again.push_back(encode_record(each));
    CHECK(again == batch->records());
  }
  CHECK_THROWS_AS(push_batch{{}}, std::invalid_argument);
}

TEST_CASE("what compression does not shrink is sent plain") {
  std::string noise;
  std::uint64_t state = 1;
  for (int i = 0; i < 4000; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    noise += static_cast<char>(state >> 56);
  }
  const auto record = put({node(1), 1, 1}, "/a", value::binary(noise));
  CHECK(batch_of({encode_record(record)})->to_message(1).encoding == push_encoding::plain);
}

TEST_CASE(
    "batches are closed before they grow beyond their bound, and a large record travels alone") {
  auto records = changes(1, 1, 100, 2000);
  records.insert(records.begin() + 50, change(2, 1, 100'000));
  const auto batches = make_batches(records);
  std::vector<encoded_record> again;
  for (const auto& each : batches) {
    std::size_t bytes = 0;
    for (const auto& record : each->records()) bytes += record.bytes.size();
    CHECK((bytes <= push_batch::max_bytes || each->records().size() == 1));
    again.insert(again.end(), each->records().begin(), each->records().end());
  }
  CHECK(again == records);
  CHECK(batches.size() == 5);
  CHECK(make_batches({}).empty());
}

TEST_CASE("a payload that is not what it says is a violation, and claims are not believed") {
  const auto violates = [](push_encoding encoding, std::string payload, std::string_view part) {
    const auto records = decode_push({1, encoding, {std::move(payload)}});
    REQUIRE_FALSE(records);
    CHECK(records.error().code == error_code::protocol_violation);
    CHECK_MESSAGE(records.error().message.find(part) != std::string::npos, records.error().message);
  };
  violates(push_encoding::plain, "\x01", "malformed");
  violates(push_encoding::plain, "", "malformed");
  violates(push_encoding::zstd, "garbage", "zstd frame");
  auto packed = batch_of(changes(1, 1, 50))->to_message(1).payload.bytes;
  violates(push_encoding::zstd, packed.substr(0, packed.size() / 2), "damaged");

  const std::string bomb(std::size_t{64} << 20, '\0');
  std::string frame(ZSTD_compressBound(bomb.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), bomb.data(), bomb.size(), 1));
  violates(push_encoding::zstd, frame, "at most");
  std::string empty(64, '\0');
  empty.resize(ZSTD_compress(empty.data(), empty.size(), "", 0, 1));
  violates(push_encoding::zstd, empty, "malformed");
}
