#include <troupe/messages/plugin.hpp>

namespace troupe {

namespace {

constexpr std::uint64_t mebibytes(std::uint64_t count) noexcept { return count << 20; }

constexpr resource_limits restricted_limits{.max_memory_bytes = mebibytes(64),
                                            .max_cpu_percent = 20,
                                            .max_storage_bytes = mebibytes(8),
                                            .max_network_bytes = 0,
                                            .max_processes = 8,
                                            .max_open_files = 32};

constexpr resource_limits user_limits{.max_memory_bytes = mebibytes(256),
                                      .max_cpu_percent = 50,
                                      .max_storage_bytes = mebibytes(64),
                                      .max_network_bytes = mebibytes(16),
                                      .max_processes = 32,
                                      .max_open_files = 64};

constexpr resource_limits system_limits{.max_memory_bytes = mebibytes(1024),
                                        .max_cpu_percent = 100,
                                        .max_storage_bytes = mebibytes(512),
                                        .max_network_bytes = mebibytes(256),
                                        .max_processes = 128,
                                        .max_open_files = 256};

}  // namespace

resource_limits default_limits(permission_level level) noexcept {
  switch (level) {
    case permission_level::system: return system_limits;
    case permission_level::user: return user_limits;
    case permission_level::restricted: break;
  }
  return restricted_limits;
}

}  // namespace troupe
