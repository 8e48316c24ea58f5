#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// The text of a small file that the kernel generates (`/proc`, control groups). Empty when it
/// cannot be read, which happens at any moment for a process that ends. At most 1 MiB.
std::string read_kernel_file(const std::filesystem::path& file);

/// Writes to a control file in one call, which is how the kernel takes a value. False when it
/// refuses.
bool write_kernel_file(const std::filesystem::path& file, std::string_view text);

/// The number that a text begins with, or nothing.
std::optional<std::uint64_t> parse_leading_number(std::string_view text) noexcept;

}  // namespace troupe
