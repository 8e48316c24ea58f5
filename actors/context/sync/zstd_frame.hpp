#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <troupe/messages/error.hpp>

namespace troupe {

/// One zstd frame of these bytes, at the fastest level: at the rates of a local network a better
/// one costs more time than it saves. Declares its content size.
std::string compress(std::string_view plain);

/// The content of a frame. @param frame untrusted.
/// @returns protocol_violation when it is malformed or its content has more than `max_bytes`.
result<std::string> decompress(std::string_view frame, std::size_t max_bytes);

}  // namespace troupe
