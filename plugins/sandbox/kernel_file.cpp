#include <troupe/plugins/sandbox/kernel_file.hpp>

#include <array>
#include <charconv>

#include <fcntl.h>
#include <unistd.h>

#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

namespace {

constexpr std::size_t max_file_bytes = std::size_t{1} << 20;

}  // namespace

std::string read_kernel_file(const std::filesystem::path& file) {
  const unique_fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  std::string text;
  if (!fd) return text;
  std::array<char, 4096> block;
  ssize_t count = 0;
  while (text.size() < max_file_bytes && (count = ::read(fd.get(), block.data(), block.size())) > 0)
    text.append(block.data(), static_cast<std::size_t>(count));
  return text;
}

bool write_kernel_file(const std::filesystem::path& file, std::string_view text) {
  const unique_fd fd{::open(file.c_str(), O_WRONLY | O_CLOEXEC)};
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::optional<std::uint64_t> parse_leading_number(std::string_view text) noexcept {
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{}) return std::nullopt;
  return number;
}

}  // namespace troupe
