#include <troupe/plugins/integrity.hpp>

#include <algorithm>
#include <array>
#include <memory>

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

namespace {

constexpr std::size_t block_bytes = 64 * 1024;

std::string hexadecimal(const unsigned char* bytes, unsigned count) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < count; ++i) text += {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
  return text;
}

}  // namespace

result<unique_fd> open_regular(const std::filesystem::path& file) {
  unique_fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (!fd)
    return fail(error_code::not_found,
                "the file " + file.string() + " cannot be read: " + std::strerror(errno));
  struct stat facts {};
  if (::fstat(fd.get(), &facts) != 0 || !S_ISREG(facts.st_mode))
    return fail(error_code::not_found, file.string() + " is not a regular file");
  return fd;
}

result<std::string> sha256_of_file(const std::filesystem::path& file,
                                   std::uint64_t& allowed_bytes) {
  auto fd = open_regular(file);
  if (!fd) return fail(std::move(fd.error()));
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash{EVP_MD_CTX_new(),
                                                                     &EVP_MD_CTX_free};
  bool fine = hash && EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) == 1;
  std::array<char, block_bytes> block;
  ssize_t count = 0;
  while (fine && (count = ::read(fd->get(), block.data(), block.size())) > 0) {
    const auto bytes = static_cast<std::size_t>(count);
    if (bytes > allowed_bytes)
      return fail(error_code::limit_exceeded,
                  "the file " + file.string() + " is too large; all files with a sum may have " +
                      std::to_string(max_summed_bytes) + " bytes together");
    allowed_bytes -= bytes;
    fine = EVP_DigestUpdate(hash.get(), block.data(), bytes) == 1;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum;
  unsigned sum_bytes = 0;
  fine = fine && count == 0 && EVP_DigestFinal_ex(hash.get(), sum.data(), &sum_bytes) == 1;
  if (!fine)
    return fail(error_code::storage_failure,
                "the file " + file.string() + " could not be read to its end");
  return hexadecimal(sum.data(), sum_bytes);
}

bool is_sha256(std::string_view text) noexcept {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

result<std::filesystem::path> file_in_package(const std::filesystem::path& package,
                                              std::string_view name) {
  const std::filesystem::path relative{name};
  if (name.empty() || relative.is_absolute() || std::ranges::find(relative, "..") != relative.end())
    return fail(error_code::invalid_argument,
                '"' + std::string{name} + "\" must be a path inside the package, without \"..\"");
  std::error_code problem;
  const auto root = std::filesystem::canonical(package, problem);
  if (problem)
    return fail(error_code::not_found,
                "the package " + package.string() + " cannot be read: " + problem.message());
  const auto real = std::filesystem::canonical(root / relative, problem);
  if (problem || !std::filesystem::is_regular_file(real, problem))
    return fail(error_code::not_found, "the package has no file \"" + std::string{name} + '"');
  if (std::ranges::mismatch(root, real).in1 != root.end())
    return fail(error_code::invalid_argument,
                '"' + std::string{name} + "\" leads out of the package, to " + real.string() +
                    "; keep the file itself in the package");
  return real;
}

result<void> verify_integrity(const std::filesystem::path& package,
                              const std::map<std::string, std::string>& sums) {
  auto allowed_bytes = max_summed_bytes;
  for (const auto& [name, expected] : sums) {
    const auto file = file_in_package(package, name);
    if (!file) return fail(file.error());
    const auto sum = sha256_of_file(*file, allowed_bytes);
    if (!sum) return fail(sum.error());
    if (*sum != expected)
      return fail(error_code::corrupt_data, "the file \"" + name + "\" has the SHA-256 " + *sum +
                                                ", but the manifest says " + expected);
  }
  return {};
}

}  // namespace troupe
