#include <troupe/actors/context/sync/packed_entries.hpp>

#include <utility>

#include <troupe/actors/context/sync/zstd_frame.hpp>

namespace troupe {

namespace {

/// The last entry of a frame may be large.
constexpr codec_limits limits{.frame_bytes = std::size_t{64} << 20,
                              .elements = std::uint64_t{1} << 23};

}  // namespace

std::string pack_entries(const std::vector<stored_entry>& entries) {
  return compress(encode(entries));
}

result<unpacked_entries> unpack_entries(std::string_view frame) {
  const auto plain = decompress(frame, limits.frame_bytes);
  if (!plain) return fail(plain.error());
  auto entries = decode<std::vector<stored_entry>>(*plain, limits);
  if (!entries) return fail(error_code::protocol_violation, entries.error().message);
  return unpacked_entries{std::move(*entries), plain->size()};
}

}  // namespace troupe
