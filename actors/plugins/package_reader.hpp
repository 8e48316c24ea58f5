#pragma once

#include <caf/typed_actor.hpp>

#include <troupe/actors/kernel/supervision/supervision.hpp>
#include <troupe/actors/plugins/local_types.hpp>

namespace troupe {

/// Reads packages, one at a time. On a thread of its own, since large files and a slow disk must
/// not delay the plugins that run.
using package_reader_actor = caf::typed_actor<
    // Reads and checks a package.
    caf::result<package_read>(read_package),
    // Checks the sums again.
    caf::result<void>(verify_package)>;

/// Starts a reader. Its owner ends it. Never fails.
package_reader_actor spawn_package_reader(caf::actor_system& system);

/// The package reader of a node.
child_spec package_reader_child(caf::actor_system& system,
                                on_started<package_reader_actor> started);

}  // namespace troupe
