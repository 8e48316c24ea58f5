#include <troupe/actors/plugins/package_reader.hpp>

#include <troupe/actors/kernel/shell.hpp>
#include <troupe/plugins/integrity.hpp>

namespace troupe {

namespace {

class package_reader_state {
public:
  using interface = package_reader_actor;
  static constexpr const char* name = "package_reader";

  explicit package_reader_state(interface::pointer) {}

  interface::behavior_type make_behavior() {
    return {
        [](const read_package& wanted) -> caf::result<package_read> {
          auto manifest = load_manifest(wanted.directory);
          if (!manifest) return to_caf(std::move(manifest.error()));
          return package_read{std::make_shared<const plugin_manifest>(std::move(*manifest))};
        },
        [](const verify_package& wanted) {
          return reply(verify_integrity(wanted.directory, wanted.manifest->integrity));
        },
    };
  }
};

}  // namespace

package_reader_actor spawn_package_reader(caf::actor_system& system) {
  return spawn_blocking<package_reader_state>(system);
}

child_spec package_reader_child(caf::actor_system& system,
                                on_started<package_reader_actor> started) {
  return make_child(
      "package_reader", [&system] { return spawn_package_reader(system); }, std::move(started));
}

}  // namespace troupe
