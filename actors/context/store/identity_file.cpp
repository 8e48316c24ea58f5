#include <troupe/actors/context/store/identity_file.hpp>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include <troupe/plugins/unique_fd.hpp>
#include <troupe/plugins/write_all.hpp>

namespace troupe {

namespace {

constexpr std::size_t max_bytes = 4096;

std::string text_of(const store_identity& identity) {
  return "This directory holds the context of a Troupe node.\n"
         "cluster " +
         to_string(identity.cluster) + "\nnode " + to_string(identity.node) + "\n";
}

}  // namespace

bool identity_file::exists() const {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(name_, ignored));
}

std::optional<store_identity> identity_file::read() const {
  const unique_fd opened{::open(name_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (opened.get() < 0) return std::nullopt;
  std::array<char, max_bytes> bytes;
  const auto length = ::read(opened.get(), bytes.data(), bytes.size());
  if (length <= 0) return std::nullopt;
  std::istringstream text{std::string{bytes.data(), static_cast<std::size_t>(length)}};
  std::optional<uuid> cluster, node;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("cluster ")) cluster = parse_uuid(line.substr(8));
    if (line.starts_with("node ")) node = parse_uuid(line.substr(5));
  }
  if (!cluster || !node) return std::nullopt;
  return store_identity{{*cluster}, {*node}};
}

result<void> identity_file::write(const store_identity& identity) const {
  const auto refused = [&](int number) {
    return fail(error_code::storage_failure,
                "'" + name_ + "' cannot be written: " + std::generic_category().message(number));
  };
  const auto text = text_of(identity);
  const auto fresh = name_ + ".new";
  ::unlink(fresh.c_str());
  const unique_fd made{
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (made.get() < 0) return refused(errno);
  if (!write_all(made.get(), text) || ::fsync(made.get()) != 0 ||
      ::rename(fresh.c_str(), name_.c_str()) != 0)
    return refused(errno);
  return {};
}

}  // namespace troupe
