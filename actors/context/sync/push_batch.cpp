#include <troupe/actors/context/sync/push_batch.hpp>

#include <iterator>
#include <stdexcept>

#include <zstd.h>

#include <troupe/messages/wire/codec.hpp>

namespace troupe {

namespace {

/// The fastest level. At the rates of a local network a better one costs more time than it saves.
constexpr int compression_level = 1;

result<std::string> decompress(std::string_view packed, std::size_t max_bytes) {
  const auto size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
    return fail(error_code::protocol_violation,
                "the payload of sync.push must be one zstd frame that declares its content size");
  if (size > max_bytes)
    return fail(error_code::protocol_violation,
                "the payload of sync.push has " + std::to_string(size) +
                    " bytes unpacked; at most " + std::to_string(max_bytes) + " are accepted");
  std::string plain(static_cast<std::size_t>(size), '\0');
  const auto written = ZSTD_decompress(plain.data(), plain.size(), packed.data(), packed.size());
  if (ZSTD_isError(written) || written != plain.size())
    return fail(error_code::protocol_violation,
                "the payload of sync.push is damaged: its zstd frame cannot be unpacked");
  return plain;
}

}  // namespace

encoded_record encode_record(const change_record& record) { return {record.dot, encode(record)}; }

push_batch::push_batch(std::vector<encoded_record> records) : records_(std::move(records)) {
  if (records_.empty()) throw std::invalid_argument("a batch has at least one record");
  auto& plain = payload_.bytes;
  msgpack_writer writer{plain};
  writer.array(records_.size());
  for (const auto& each : records_) writer.raw(each.bytes);
  if (plain.size() <= compress_above) return;
  std::string packed(ZSTD_compressBound(plain.size()), '\0');
  const auto size =
      ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), compression_level);
  if (ZSTD_isError(size) || size >= plain.size()) return;
  packed.resize(size);
  packed.shrink_to_fit();
  plain = std::move(packed);
  encoding_ = push_encoding::zstd;
}

std::vector<shared_batch> make_batches(std::vector<encoded_record> records) {
  std::vector<shared_batch> batches;
  std::vector<encoded_record> open;
  std::size_t bytes = 0;
  const auto close = [&] {
    if (!open.empty())
      batches.push_back(std::make_shared<const push_batch>(std::exchange(open, {})));
    bytes = 0;
  };
  for (auto& each : records) {
    if (bytes + each.bytes.size() > push_batch::max_bytes) close();
    bytes += each.bytes.size();
    open.push_back(std::move(each));
  }
  close();
  return batches;
}

result<std::vector<change_record>> decode_push(const sync_push& push, const codec_limits& limits) {
  std::string unpacked;
  if (push.encoding == push_encoding::zstd) {
    auto plain = decompress(push.payload.bytes, limits.frame_bytes);
    if (!plain) return fail(std::move(plain.error()));
    unpacked = std::move(*plain);
  }
  auto records =
      decode<std::vector<change_record>>(unpacked.empty() ? push.payload.bytes : unpacked, limits);
  if (!records)
    return fail(error_code::protocol_violation,
                "the payload of sync.push is malformed: " + records.error().message);
  return records;
}

}  // namespace troupe
