#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include <troupe/messages/error.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// The total size of the files of one package that have a sum.
inline constexpr std::uint64_t max_summed_bytes = std::uint64_t{1} << 30;

/// Opens a regular file for reading; `not_found` when there is none. Does not wait for the other
/// end of a named pipe, and does not touch devices.
result<unique_fd> open_regular(const std::filesystem::path& file);

/// The SHA-256 of a file as 64 lower-case hexadecimal digits. Reads it in blocks; `not_found` when
/// it cannot be opened or is no regular file, `storage_failure` when reading fails.
/// @param allowed_bytes How much may be read. The size of the file is subtracted; `limit_exceeded`
/// when the file is larger.
result<std::string> sha256_of_file(const std::filesystem::path& file, std::uint64_t& allowed_bytes);

/// Whether this is the written form of a SHA-256: 64 lower-case hexadecimal digits.
bool is_sha256(std::string_view text) noexcept;

/// The path of a package's file, with symbolic links followed. Fails with `not_found` when there is
/// no regular file, and with `invalid_argument` when the name is absolute, has a `..`, or leaves
/// the package through a link.
result<std::filesystem::path> file_in_package(const std::filesystem::path& package,
                                              std::string_view name);

/// Compares each listed file with its sum, in order of their names. The first difference ends it:
/// `corrupt_data` with both sums, `limit_exceeded` when the files have more than
/// `max_summed_bytes`, or the error of `file_in_package`.
result<void> verify_integrity(const std::filesystem::path& package,
                              const std::map<std::string, std::string>& sums);

}  // namespace troupe
