#pragma once

#include <filesystem>
#include <string_view>

#include <troupe/messages/error.hpp>

namespace troupe::cli {

/// Writes a file. A regular or new file is written beside its place and renamed when it is
/// complete, so that a failure leaves the old content. The old mode stays, and so does a symbolic
/// link: its target is replaced. A device or a pipe is written to directly. The error says why it
/// failed.
result<void> write_output_file(const std::filesystem::path& file, std::string_view content);

}  // namespace troupe::cli
