#include <troupe/actors/context/sync/change_batch.hpp>

#include <limits>
#include <utility>

#include <troupe/actors/context/sync/batch_body.hpp>
#include <troupe/actors/context/sync/zstd_frame.hpp>
#include <troupe/messages/assert.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

namespace {

constexpr std::uint32_t parts = 7;  // of a batch
constexpr std::size_t max_signature_bytes = 1024;

tl::unexpected<error> malformed(const std::string& why) {
  return fail(error_code::protocol_violation, "a batch of changes is malformed: " + why);
}

/// Appends the body: compressed, if that makes it smaller.
void append_body(msgpack_writer& out, const std::string& plain) {
  if (plain.size() > change_batch::compress_above) {
    const auto packed = compress(plain);
    if (packed.size() < plain.size()) return out.binary(packed);
  }
  out.raw(plain);
}

}  // namespace

shared_batch change_batch::of(std::span<const change_record> records, std::size_t body_bytes) {
  TROUPE_ASSERT(!records.empty(), "a batch has at least one change");
  change_batch made;
  const auto& [origin, incarnation, first] = records.front().dot;
  made.source_ = {origin, incarnation};
  made.first_ = first;
  made.format_ = records.front().format;
  batch_body_writer body;
  for (const auto& each : records) {
    const bool follows =
        each.dot == dot{origin, incarnation, first + made.count_} && each.format == made.format_;
    const bool fits =
        made.count_ == 0 || (made.count_ < max_changes && body.bytes_with(each) <= body_bytes);
    if (!follows || !fits) break;
    body.add(each);
    ++made.count_;
  }
  msgpack_writer out{made.bytes_};
  out.array(parts);
  out.unsigned_integer(made.format_);
  codec::write(out, origin);
  out.unsigned_integer(incarnation);
  out.unsigned_integer(first);
  out.unsigned_integer(made.count_);
  out.binary({});
  made.body_ = made.bytes_.size();
  append_body(out, body.finish());
  return std::make_shared<const change_batch>(std::move(made));
}

result<shared_batch> change_batch::read(std::string bytes) {
  change_batch made;
  made.bytes_ = std::move(bytes);
  msgpack_reader in{made.bytes_};
  if (in.read_array() != parts)
    return malformed("it must be an array of " + std::to_string(parts) + " parts");
  const auto format = in.read_unsigned();
  if (!format || *format == 0 || *format > std::numeric_limits<std::uint32_t>::max())
    return malformed("its format must be a positive number of 32 bits");
  codec::problem ignored;
  if (!codec::read(in, made.source_.origin, ignored))
    return malformed("its origin must be a node's id");
  const auto incarnation = in.read_unsigned(), first = in.read_unsigned(),
             count = in.read_unsigned();
  if (!incarnation || !first || !count)
    return malformed("incarnation, first change and number of changes must be numbers");
  if (*first == 0 || *count == 0 || *count > max_changes ||
      *first > std::numeric_limits<std::uint64_t>::max() - *count)
    return malformed("it must have 1 to " + std::to_string(max_changes) +
                     " changes, numbered from 1");
  const auto signature = in.read_binary();
  if (!signature || signature->size() > max_signature_bytes)
    return malformed("its signature must be a binary of at most " +
                     std::to_string(max_signature_bytes) + " bytes");
  made.body_ = in.position();
  if (!in.skip() || !in.at_end()) return malformed("it must end with its body");
  made.format_ = static_cast<std::uint32_t>(*format);
  made.source_.incarnation = *incarnation;
  made.first_ = *first;
  made.count_ = static_cast<std::uint32_t>(*count);
  if (made.bytes_.size() > made.max_bytes())
    return malformed("it has " + std::to_string(made.bytes_.size()) + " bytes; at most " +
                     std::to_string(made.max_bytes()) + " are accepted");
  return std::make_shared<const change_batch>(std::move(made));
}

result<std::vector<change_record>> change_batch::records(std::uint64_t weight) const {
  const dot start{source_.origin, source_.incarnation, first_};
  if (format_ != change_record::current_format) {
    change_record unreadable;
    unreadable.dot = start;
    unreadable.format = format_;
    return std::vector{std::move(unreadable)};
  }
  const auto body = std::string_view{bytes_}.substr(body_);
  msgpack_reader in{body};
  if (const auto packed = in.read_binary()) {
    const auto plain = decompress(*packed, max_bytes());
    if (!plain) return malformed("its body: " + plain.error().message);
    return read_batch_body(*plain, start, count_, weight);
  }
  return read_batch_body(body, start, count_, weight);
}

std::vector<shared_batch> make_batches(std::span<const change_record> records,
                                       std::size_t body_bytes) {
  std::vector<shared_batch> batches;
  while (!records.empty()) {
    batches.push_back(change_batch::of(records, body_bytes));
    records = records.subspan(batches.back()->size());
  }
  return batches;
}

}  // namespace troupe
