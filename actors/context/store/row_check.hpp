#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <troupe/messages/error.hpp>
#include <troupe/messages/msgpack/limits.hpp>

namespace troupe {

/// The hash that each row carries, over its key and its content (XXH3, 64 bits). A row that was
/// copied under another key fails the check too.
std::int64_t row_hash(std::string_view key, std::string_view content);

/// A corrupt_data error that names the row.
tl::unexpected<error> damaged_row(const std::string& row, const std::string& how);

/// What `damaged_row` says of a row whose hash differs.
inline constexpr const char* wrong_hash = "its hash does not match";

/// Limits for decoding what the store itself wrote. Larger than those of a link: a checkpoint head
/// may exceed a frame.
codec_limits stored_data_limits();

}  // namespace troupe
