#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zstd.h>

#include <troupe/actors/context/sync/batch_body.hpp>
#include <troupe/actors/context/sync/change_batch.hpp>
#include <troupe/tests/support/fixtures/context_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// A change with everything that a change may have.
change_record full_record(std::uint64_t seq) {
  auto record = put({node(2), 9, seq}, "/app/ünï/" + std::to_string(seq), "value",
                    {{{node(3), 1, 7}, 11}, {{node(4), 1, 9}, ~std::uint64_t{0}}}, seq * 100);
  record.principal = "ada";
  record.trace = trace_id{node(50 + static_cast<unsigned>(seq)).id};
  return record;
}

std::vector<change_record> many(std::size_t count, std::size_t bytes = 10) {
  std::vector<change_record> records;
  for (std::uint64_t seq = 1; seq <= count; ++seq)
    records.push_back(put({node(2), 1, seq}, "/a/" + std::to_string(seq), std::string(bytes, 'x')));
  return records;
}

std::vector<change_record> read_back(const shared_batch& batch) {
  const auto again = change_batch::read(batch->bytes());
  REQUIRE(again);
  CHECK(**again == *batch);
  CHECK((*again)->source() == batch->source());
  CHECK((*again)->first() == batch->first());
  CHECK((*again)->last() == batch->last());
  const auto records = (*again)->records();
  REQUIRE_MESSAGE(records, (records ? "" : records.error().message));
  return *records;
}

void check_refused(std::string bytes, std::string_view part) {
  const auto batch = change_batch::read(std::move(bytes));
  const auto records = batch ? (*batch)->records() : fail(batch.error());
  REQUIRE_FALSE(records);
  CHECK(records.error().code == error_code::protocol_violation);
  CHECK_MESSAGE(records.error().message.find(part) != std::string::npos, records.error().message);
}

/// A body of one change is refused.
void check_body(std::string_view body, std::string_view part) {
  const auto records = read_batch_body(body, {node(2), 1, 1}, 1, 1 << 20);
  REQUIRE_FALSE(records);
  CHECK(records.error().code == error_code::protocol_violation);
  CHECK_MESSAGE(records.error().message.find(part) != std::string::npos, records.error().message);
}

/// A batch with this body and these numbers.
std::string batch_with(std::string_view body, std::uint64_t first = 1, std::uint64_t count = 1,
                       std::uint64_t format = change_record::current_format) {
  std::string bytes;
  msgpack_writer out{bytes};
  out.array(7);
  out.unsigned_integer(format);
  codec::write(out, node(2));
  for (const auto number : {std::uint64_t{1}, first, count}) out.unsigned_integer(number);
  out.binary({});
  out.raw(body);
  return bytes;
}

}  // namespace

TEST_CASE("changes come out of a batch as they went in, whatever they carry") {
  std::vector<change_record> records;
  for (std::uint64_t seq = 1; seq <= 5; ++seq) records.push_back(full_record(seq));
  records[1] = erase({node(2), 9, 2}, "/app", {{{node(3), 1, 8}, 12}});
  records[2] =
      erase_below({node(2), 9, 3}, "/",
                  {put({node(3), 1, 1}, "/app/one", 1), put({node(2), 9, 1}, "/app/two", 1)});
  records[2].below[0].changes.push_back({{node(7), 2, 3}, 4});
  records[4].operation = operation::increment;
  records[4].counts.bytes = "counts";
  records[3].timestamp = {1};  // before the others
  records[3].path = path{};
  records[0].new_value = value::map({{"list", value::array({1, nullptr, -5, 2.5})}});
  CHECK(read_back(change_batch::of(records)) == records);
  for (const auto& each : records)
    CHECK(read_back(change_batch::of({&each, 1})) == std::vector{each});
}

TEST_CASE("transactions keep their places, also where a batch begins or ends inside of one") {
  auto records = many(7);
  for (std::uint32_t i = 0; i < 3; ++i) records[i].transaction = {i + 4, 7, 5000};
  for (std::uint32_t i = 4; i < 7; ++i) records[i].transaction = {i - 4, 5, 6000};
  CHECK(read_back(change_batch::of(records)) == records);
  auto pairs = many(4);
  for (std::uint32_t i = 0; i < 4; ++i) pairs[i].transaction = {i % 2, 2, 9};
  CHECK(read_back(change_batch::of(pairs)) == pairs);
}

TEST_CASE("a batch ends where changes do not follow each other") {
  auto records = many(4);
  records[2].dot.seq = 7;
  records[3].dot = {node(3), 1, 8};
  const auto batches = make_batches(records);
  REQUIRE(batches.size() == 3);
  CHECK(batches[0]->last() == 2);
  CHECK(batches[1]->first() == 7);
  CHECK(batches[2]->source() == incarnation_id{node(3), 1});
  CHECK(make_batches({}).empty());
}

TEST_CASE("a batch ends before it grows beyond its bound, and a large change is one of its own") {
  auto records = many(100, 2000);
  records[50].new_value = std::string(100'000, 'x');
  std::vector<change_record> again;
  const auto batches = make_batches(records);
  for (const auto& each : batches) {
    const auto read = read_back(each);
    CHECK((each->size() < 33 || each->size() == 1));
    again.insert(again.end(), read.begin(), read.end());
  }
  CHECK(again == records);
  CHECK(batches.size() == 5);
}

TEST_CASE("what is alike is stored once, and large bodies are compressed") {
  const auto small = change_batch::of(many(1));
  CHECK(small->bytes().size() < 100);
  const auto large = change_batch::of(many(1000));
  CHECK(large->bytes().size() < 1000 * 10);
  std::mt19937_64 random{1};
  std::string noise;
  for (int i = 0; i < 4000; ++i) noise += static_cast<char>(random());
  const auto record = put({node(2), 1, 1}, "/a", value::binary(noise));
  CHECK(change_batch::of({&record, 1})->bytes().size() > noise.size());
  CHECK(read_back(change_batch::of({&record, 1})) == std::vector{record});
}

TEST_CASE("any changes come out of a batch as they went in") {
  std::mt19937 random{7};
  for (int round = 0; round < 200; ++round) {
    std::vector<change_record> records;
    const auto count = 1 + random() % 40;
    for (std::uint64_t seq = 1; seq <= count; ++seq) {
      std::string where;
      for (auto depth = 1 + random() % 3; depth > 0; --depth)
        where += "/" + std::string(1 + random() % 3, static_cast<char>('a' + random() % 2)) +
                 (random() % 4 ? "" : "é");
      auto record = put({node(2), 1, seq}, where, std::string(random() % 200, 'v'), {}, random());
      record.principal = std::string(1 + random() % 3, 'p');
      if (random() % 2) record.trace = trace_id{node(random() % 9).id};
      for (auto i = random() % 3; i > 0; --i)
        record.observed.push_back({{node(9 - static_cast<unsigned>(i)), random() % 3, random()},
                                   std::uint64_t{random()} << 32 | random()});
      records.push_back(std::move(record));
    }
    CHECK(read_back(change_batch::of(records)) == records);
  }
}

TEST_CASE("of a newer format a batch tells which changes it has, and nothing else") {
  auto record = put({node(2), 1, 3}, "/a", 1);
  record.format = change_record::current_format + 1;
  const auto read = read_back(change_batch::of({&record, 1}));
  REQUIRE(read.size() == 1);
  CHECK(read[0].dot == record.dot);
  CHECK(read[0].format == record.format);
  const auto odd = change_batch::read(batch_with("\xc0", 5, 9, 77));
  REQUIRE(odd);
  CHECK((*odd)->last() == 13);
  CHECK((*odd)->records()->at(0).format == 77);
}

TEST_CASE("bytes that are no batch are refused, and what they announce is not believed") {
  const std::string body = "\x95\x90\x90\x90\x90\x90";
  check_refused("", "array of 7");
  check_refused("\x01", "array of 7");
  check_refused(batch_with(body, 1, 1, 0), "format");
  check_refused(batch_with(body, 0), "numbered from 1");
  check_refused(batch_with(body, 1, 0), "1 to 65536");
  check_refused(batch_with(body, 1, 65537), "1 to 65536");
  check_refused(batch_with(body, ~std::uint64_t{0}, 2), "numbered from 1");
  check_refused(batch_with(body) + "x", "end with its body");
  check_refused(batch_with(body), "as many changes");
  check_refused(batch_with("\xc0"), "five parts");
  const auto packed = [](std::string_view plain) {
    std::string frame(ZSTD_compressBound(plain.size()), '\0');
    frame.resize(ZSTD_compress(frame.data(), frame.size(), plain.data(), plain.size(), 1));
    std::string out;
    msgpack_writer{out}.binary(frame);
    return out;
  };
  check_refused(batch_with("\xc4\x07garbage"), "zstd frame");
  auto cut = packed(std::string(2000, 'x'));
  cut[cut.size() - 1] = static_cast<char>(cut[cut.size() - 1] ^ 1);
  cut[5] = static_cast<char>(cut[5] ^ 0x40);
  check_refused(batch_with(cut), "malformed");
  check_refused(batch_with(packed(std::string(std::size_t{64} << 20, '\0'))), "at most");
  check_refused(batch_with(packed("")), "five parts");
}

TEST_CASE("each part of a body is checked") {
  using namespace std::string_literals;
  const std::string tables = "\x95\x91\xa1p\x90\x90\x90\x91";  // one principal, one change
  const std::string good = "\x97\x00\x01\x00\xa2/a\x00\x00\x01"s;
  REQUIRE(read_batch_body(tables + good, {node(2), 1, 1}, 1, 1 << 20));
  check_body("\x95\x01", "principals");
  check_body("\x95\x91\xa1\xff", "principal must be a string");
  check_body("\x95\x90\x01", "traces");
  check_body("\x95\x90\x90\x91\x01", "pairs");
  check_body("\x95\x90\x90\x92\x01\x01", "an id and a number");
  check_body("\x95\x90\x90\x90\x91\x01", "fours");
  check_body("\x95\x90\x90\x90\x94\x00\x02\x02\x09"s, "its place, its index");
  check_body("\x95\x90\x90\x90\x94\x00\x00\x01\x09"s, "its place, its index");
  check_body("\x95\x90\x90\x90\x94\x01\x00\x02\x09"s, "its place, its index");
  check_body(tables + "\x01", "7 to 11 parts");
  check_body(tables + "\x97\x04\x01\x00\xa2/a\x00\x00\x01"s, "operation");
  check_body(tables + "\x97\x00\xc0\x00\xa2/a\x00\x00\x01"s, "time");
  check_body(tables + "\x97\x00\x01\x01\xa2/a\x00\x00\x01"s, "the path before");
  check_body(tables + "\x97\x00\x01\x00\xa1x\x00\x00\x01"s, "path is malformed");
  check_body(tables + "\x97\x00\x01\x00\xa2/a\x01\x00\x01"s, "principal of the");
  check_body(tables + "\x97\x00\x01\x00\xa2/a\x00\x01\x01"s, "trace of the");
  check_body(tables + "\x97\x00\x01\x00\xa2/a\x00\x00\xc1"s, "value");
  check_body(tables + "\x97\x00\x01\x00\xa2/a\x00\x00\x81\x01\x01"s, "value");
  check_body(tables + "\x98\x00\x01\x00\xa2/a\x00\x00\x01\x91\x01"s, "triples");
  check_body(tables + "\x98\x00\x01\x00\xa2/a\x00\x00\x01\x93\x00\x01\x01"s,
             "incarnation of the batch");
  check_body(tables + "\x99\x02\x01\x00\xa2/a\x00\x00\xc0\x90\x01"s, "paths");
  check_body(tables + "\x99\x02\x01\x00\xa2/a\x00\x00\xc0\x90\x91\x92\x00\xa0"s,
             "its text and triples");
  check_body(tables + "\x9a\x03\x01\x00\xa2/a\x00\x00\x01\x90\x90\x01"s, "counts");
  const auto up_to_after = tables + "\x9b\x00\x01\x00\xa2/a\x00\x00\x01\x90\x90\xc4\x00"s;
  check_body(up_to_after + "\x91\x01", "what a change follows must be pairs");
  check_body(up_to_after + "\x92\x00\x01"s, "what a change follows must be an incarnation");
  check_body("\x96\x91\xa1p\x90\x90\x90\x91" + good + "\x01", "five parts");
}

TEST_CASE("of a malformed body the change is named that is none") {
  using namespace std::string_literals;
  const auto body = "\x95\x91\xa1p\x90\x90\x90\x92"s + "\x97\x00\x01\x00\xa2/a\x00\x00\x01"s +
                    "\x97\x04\x01\x00\xa2/b\x00\x00\x01"s;
  const auto read = read_batch_body(body, {node(2), 1, 7}, 2, 1 << 20);
  REQUIRE_FALSE(read);
  CHECK(read.error().message == "a batch of changes is malformed: in change " +
                                    to_string(dot{node(2), 1, 8}) +
                                    ": an operation must be 0, 1, 2 or 3");
}

TEST_CASE("what a small body stands for is bounded") {
  // One long principal that many changes name, and paths that are all but alike.
  std::string body = "\x95\x91\xd9\xff" + std::string(255, 'p') + "\x90\x90\x90\xdc\x27\x10";
  for (int i = 0; i < 10'000; ++i)
    body += std::string{"\x97\x00\x01", 3} +
            (i == 0 ? std::string{"\x00\xa2/a", 4} : std::string{"\x02\xa0", 2}) +
            std::string{"\x00\x00\x01", 3};
  CHECK(read_batch_body(body, {node(2), 1, 1}, 10'000, 8 << 20));
  CHECK(read_batch_body(body, {node(2), 1, 1}, 10'000, 1 << 20).error().message.find("memory") !=
        std::string::npos);
  check_body("\x95\x91\xda\x01\x01" + std::string(257, 'p'), "at most 256 bytes");
  std::mt19937_64 random{1};
  std::string noise;
  for (int i = 0; i < 40'000; ++i) {
    const auto word = random();
    noise.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  std::string value;
  msgpack_writer{value}.binary(noise);
  check_refused(batch_with(value, 1, 2), "at most 262144");
}

TEST_CASE("a batch with any byte changed is refused or read as some batch, and nothing else") {
  std::vector<change_record> records;
  for (std::uint64_t seq = 1; seq <= 3; ++seq) records.push_back(full_record(seq));
  const auto bytes = change_batch::of(records)->bytes();
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (const int flip : {0x01, 0x80, 0xff}) {
      auto damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      if (const auto batch = change_batch::read(damaged))
        if (const auto read = (*batch)->records(); read && (*batch)->records()->size() > 1)
          CHECK(read->size() == (*batch)->size());
    }
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(change_batch::read(bytes.substr(0, size)));
}
