#pragma once

#include <caf/actor_system_config.hpp>
#include <caf/init_global_meta_objects.hpp>
#include <caf/io/middleman.hpp>

#include <troupe/actors/kernel/local_types.hpp>
#include <troupe/actors/kernel/type_ids.hpp>

namespace troupe {

/// Registers the messages of the kernel, of CAF and of these blocks of type ids with CAF, before
/// the first actor system is made. Once is enough; more does no harm.
template <class... Blocks>
void register_message_blocks() {
  [[maybe_unused]] static const bool once = [] {
    caf::init_global_meta_objects<caf::id_block::troupe_messages>();
    caf::init_global_meta_objects<caf::id_block::troupe_kernel>();
    (caf::init_global_meta_objects<Blocks>(), ...);
    caf::io::middleman::init_global_meta_objects();
    caf::core::init_global_meta_objects();
    return true;
  }();
}

/// CAF's settings as Troupe needs them: I/O is loaded, nothing is read from the command line or
/// from files.
class system_config : public caf::actor_system_config {
public:
  system_config();
};

}  // namespace troupe
