#pragma once

#include <filesystem>
#include <string_view>

#include <troupe/messages/error.hpp>

namespace troupe::cli {

/// Makes this the content of a file. A regular one, or one that is not there yet, is written beside
/// its place and put there when it is whole, with the mode of the older one, so that a failure
/// leaves that as it was; a link stays, and what it leads to is replaced. What is no regular file,
/// such as a device or a pipe, is written to. The error says why it cannot be done.
result<void> write_output_file(const std::filesystem::path& file, std::string_view content);

}  // namespace troupe::cli
