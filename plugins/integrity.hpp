#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include <troupe/messages/error.hpp>

namespace troupe {

/// The SHA-256 of a file as 64 lower-case hexadecimal digits. Reads it in blocks, whatever its size; `not_found` when it
/// cannot be opened or is no regular file, `storage_failure` when reading fails.
result<std::string> sha256_of_file(const std::filesystem::path& file);

/// Whether this is the written form of a SHA-256: 64 lower-case hexadecimal digits.
bool is_sha256(std::string_view text) noexcept;

/// Where a package's file is, following symbolic links. Fails with `not_found` when there is no regular file, and with
/// `invalid_argument` when the name is absolute, has a `..`, or leads out of the package through a link.
result<std::filesystem::path> file_in_package(const std::filesystem::path& package, std::string_view name);

/// Compares each listed file with its sum, in order of their names. The first difference ends it: `corrupt_data` with both
/// sums, or the error of `file_in_package`.
result<void> verify_integrity(const std::filesystem::path& package, const std::map<std::string, std::string>& sums);

}  // namespace troupe
