#include <troupe/runtime/plugin_hosting.hpp>

#include <memory>

#include <troupe/plugins/sandbox/bubblewrap.hpp>
#include <troupe/plugins/sandbox/unconfined.hpp>

namespace troupe {

namespace {

std::filesystem::path program_directory() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
}

}  // namespace

std::filesystem::path find_python_sdk(const config& settings) {
  if (!settings.python_sdk.empty()) return std::filesystem::absolute(settings.python_sdk);
  for (const char* place : {"../sdk/python", "../share/troupe/sdk/python"}) {
    std::error_code problem;
    const auto directory = std::filesystem::canonical(program_directory() / place, problem);
    if (!problem) return directory;
  }
  return {};
}

sandbox_factory choose_sandbox(const config& settings, const log_target& log) {
  if (settings.sandbox == sandbox_kind::none) {
    log.logger("node")->warn(
        "node.plugins_unconfined reason=\"plugins can do whatever this user can: sandbox is "
        "none\"");
    return [](permission_check check) -> result<std::unique_ptr<plugin_sandbox>> {
      return std::make_unique<unconfined>(std::move(check));
    };
  }
  bubblewrap_config confined;
  confined.plugin_init = settings.plugin_init.empty()
                             ? program_directory() / "troupe-plugin-init"
                             : std::filesystem::absolute(settings.plugin_init);
  confined.record_directory = settings.data_dir / "sandbox";
  confined.allow = settings.sandbox_allow;
  return [confined](permission_check check) -> result<std::unique_ptr<plugin_sandbox>> {
    auto made = bubblewrap::open(confined, std::move(check));
    if (!made) return fail(std::move(made.error()));
    return std::move(*made);
  };
}

}  // namespace troupe
