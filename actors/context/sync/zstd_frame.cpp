#include <troupe/actors/context/sync/zstd_frame.hpp>

#include <zstd.h>

#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

constexpr int compression_level = 1;

}  // namespace

std::string compress(std::string_view plain) {
  std::string frame(ZSTD_compressBound(plain.size()), '\0');
  const auto size =
      ZSTD_compress(frame.data(), frame.size(), plain.data(), plain.size(), compression_level);
  TROUPE_ASSERT(!ZSTD_isError(size), "there is room for the frame");
  frame.resize(size);
  return frame;
}

result<std::string> decompress(std::string_view frame, std::size_t max_bytes) {
  const auto size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
    return fail(error_code::protocol_violation,
                "it must be one zstd frame that declares its content size");
  if (size > max_bytes)
    return fail(error_code::protocol_violation, "it has " + std::to_string(size) +
                                                    " bytes unpacked; at most " +
                                                    std::to_string(max_bytes) + " are accepted");
  std::string plain(static_cast<std::size_t>(size), '\0');
  const auto written = ZSTD_decompress(plain.data(), plain.size(), frame.data(), frame.size());
  if (ZSTD_isError(written) || written != plain.size())
    return fail(error_code::protocol_violation, "its zstd frame cannot be unpacked");
  return plain;
}

}  // namespace troupe
