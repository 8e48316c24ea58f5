#include <troupe/actors/kernel/system.hpp>

namespace troupe {

system_config::system_config() {
  load<caf::io::middleman>();
  set("caf.middleman.network-backend", "default");
  // One queue for all workers, on which idle ones sleep until they are woken. Workers that steal
  // poll instead: they use processor time when there is nothing to do, and wake late.
  set("caf.scheduler.policy", "sharing");
}

}  // namespace troupe
