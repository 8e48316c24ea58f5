#include <troupe/actors/kernel/clock.hpp>

#include <sys/random.h>

#include <stdexcept>

namespace troupe {

wall_clock system_wall_clock() {
  return [] {
    using namespace std::chrono;
    return static_cast<std::uint64_t>(
        duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
  };
}

uuid random_uuid() {
  std::array<std::uint8_t, 16> random;
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    throw std::runtime_error{"the operating system returned no random bytes"};
  return make_random_uuid(random);
}

}  // namespace troupe
