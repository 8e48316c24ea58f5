#include <troupe/actors/kernel/system.hpp>

namespace troupe {

system_config::system_config() {
  load<caf::io::middleman>();
  set("caf.middleman.network-backend", "default");
  // Let idle workers sleep until they are woken. With CAF's own 500 polls, 50 us apart, four
  // workers use a tenth of a core in a node that has nothing to do but its ticks.
  set("caf.work-stealing.moderate-poll-attempts", 20);
}

}  // namespace troupe
