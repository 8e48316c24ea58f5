#include <troupe/actors/context/store/fresh_incarnation.hpp>

#include <troupe/actors/kernel/clock.hpp>
#include <troupe/messages/ids.hpp>

namespace troupe {

namespace {

std::uint64_t random_number() {
  const auto chance = random_uuid().bytes;
  // The version and the variant of the id are in bytes 6 and 8.
  return chance[0] | std::uint64_t{chance[1]} << 8 | std::uint64_t{chance[2]} << 16;
}

}  // namespace

result<std::uint64_t> begin_fresh_incarnation(context_store& store) {
  const auto at_least = system_wall_clock()() << 12 | (random_number() & 0xfffu);
  return store.begin_incarnation(at_least, 1 + (random_number() & 0xfffffu));
}

}  // namespace troupe
