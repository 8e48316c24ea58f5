#include <troupe/plugins/sandbox/bwrap_command.hpp>

#include <algorithm>
#include <array>

#include <unistd.h>

#include <troupe/plugins/manifest.hpp>

namespace troupe {

namespace {

namespace fs = std::filesystem;

/// Directories of the host's root that programs need; on most systems all but the first are links
/// into it.
constexpr std::array system_directories{"/usr",   "/bin",   "/sbin",  "/lib",
                                        "/lib32", "/lib64", "/libx32"};
constexpr std::array system_files{"/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"};
/// Places that the sandbox fills itself.
constexpr std::array reserved_places{"/proc", "/dev", "/sys", "/plugin", "/run/plugin-init"};

constexpr std::uint64_t bytes_per_inode = 16 * 1024;
constexpr std::uint64_t min_inodes = 64, max_inodes = 65'536;
/// The root of the tmpfs and its two directories.
constexpr std::uint64_t own_inodes = 3;
/// bwrap's first process in the innermost process namespace counts against the limit of user and
/// namespace.
constexpr std::uint64_t own_processes = 1;

bool is_within(const fs::path& path, const fs::path& directory) {
  return std::ranges::mismatch(directory, path).in1 == directory.end();
}

std::string tmpfs_options(std::uint64_t bytes, std::optional<uid_t> identity) {
  // A size of zero would mean no limit; a plugin without storage gets a file system without room.
  const auto inodes = std::clamp(bytes / bytes_per_inode, min_inodes, max_inodes);
  const auto wanted = bytes == 0 ? own_inodes : inodes + own_inodes;
  const auto owner = std::to_string(identity.value_or(::geteuid())),
             group = std::to_string(identity.value_or(::getegid()));
  return "mode=0700,size=" + std::to_string(std::max<std::uint64_t>(bytes, 4096)) +
         ",nr_inodes=" + std::to_string(wanted) + ",uid=" + owner + ",gid=" + group;
}

void append(std::vector<std::string>& words, std::initializer_list<std::string> more) {
  words.insert(words.end(), more.begin(), more.end());
}

void show_system(std::vector<std::string>& command) {
  std::error_code problem;
  for (const char* directory : system_directories) {
    if (fs::is_symlink(directory, problem))
      append(command, {"--symlink", fs::read_symlink(directory, problem).string(), directory});
    else if (fs::is_directory(directory, problem))
      append(command, {"--ro-bind", directory, directory});
  }
  for (const char* file : system_files) append(command, {"--ro-bind-try", file, file});
}

staging_plan make_staging(const sandbox_spec& spec, const bwrap_settings& settings) {
  staging_plan staging;
  staging.entries.push_back({spec.package, "/tmp/package", true});
  staging.entries.push_back({settings.plugin_init, "/tmp/init", false});
  std::error_code problem;
  for (std::size_t i = 0; i < spec.readable.size(); ++i)
    staging.entries.push_back({spec.readable[i], "/tmp/read" + std::to_string(i),
                               fs::is_directory(spec.readable[i], problem)});
  staging.private_options =
      tmpfs_options(spec.context.resource_limits.max_storage_bytes, settings.identity);
  return staging;
}

std::vector<std::string> init_command(const sandbox_spec& spec, const bwrap_settings& settings) {
  const auto& limits = spec.context.resource_limits;
  std::vector<std::string> command{plugin_init_in_sandbox,
                                   "--socket",
                                   std::to_string(plugin_socket_fd),
                                   "--status",
                                   std::to_string(plugin_status_fd),
                                   "--open-files",
                                   std::to_string(limits.max_open_files),
                                   "--processes",
                                   std::to_string(limits.max_processes + own_processes),
                                   "--file-bytes",
                                   std::to_string(limits.max_storage_bytes)};
  if (settings.limit_data)
    append(command, {"--data-bytes", std::to_string(limits.max_memory_bytes)});
  for (const auto& path : spec.readable) append(command, {"--read", path});
  if (settings.landlock_may_be_missing) command.push_back("--without-landlock-if-missing");
  command.push_back("--");
  const fs::path program{spec.entry.front()};
  command.push_back(program.is_absolute() ? program.string()
                                          : (fs::path{package_in_sandbox} / program).string());
  command.insert(command.end(), spec.entry.begin() + 1, spec.entry.end());
  return command;
}

}  // namespace

result<void> check_readable(const fs::path& path) {
  const auto wrong = [&](const std::string& what) {
    return fail(error_code::invalid_argument,
                "the readable path \"" + path.string() + "\" " + what);
  };
  if (!path.is_absolute() || path.lexically_normal() != path || path.string().ends_with('/'))
    return wrong("must be absolute, without \"..\", \".\" or a '/' at its end");
  if (path == "/tmp" || std::ranges::any_of(reserved_places, [&](const char* place) {
        return is_within(path, place) || is_within(place, path);
      }))
    return wrong("is or holds a place that the sandbox fills itself; name another one");
  std::error_code problem;
  if (!fs::exists(path, problem)) return wrong("does not exist");
  return {};
}

result<void> check_spec(const sandbox_spec& spec) {
  if (!is_plugin_name(spec.plugin))
    return fail(error_code::invalid_argument,
                "\"" + spec.plugin + "\" is not a plugin name, like \"notes\"");
  std::error_code problem;
  if (!spec.package.is_absolute() || !fs::is_directory(spec.package, problem))
    return fail(error_code::invalid_argument, "the package \"" + spec.package.string() +
                                                  "\" must be the absolute path of a directory");
  if (spec.entry.empty() || spec.entry.front().empty())
    return fail(error_code::invalid_argument,
                "the plugin " + spec.plugin + " has no program to start");
  for (const auto& [name, value] : spec.environment)
    if (name.empty() || name.find('=') != std::string::npos ||
        name.find('\0') != std::string::npos || value.find('\0') != std::string::npos)
      return fail(error_code::invalid_argument,
                  "the variable \"" + name + "\" cannot be part of an environment");
  for (const auto& path : spec.readable)
    if (auto fine = check_readable(path); !fine) return fine;
  return {};
}

launch_plan make_bwrap_plan(const sandbox_spec& spec, const bwrap_settings& settings) {
  launch_plan plan;
  plan.staging = make_staging(spec, settings);
  plan.identity = settings.identity;
  plan.environment = plugin_environment(spec, "/tmp");
  plan.command = {
      settings.bwrap.string(), "--unshare-all", "--unshare-user", "--hostname", "plugin",
      "--die-with-parent",     "--new-session", "--cap-drop",     "ALL"};
  auto& command = plan.command;
  show_system(command);
  append(command, {"--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"});
  append(command, {"--bind", "/tmp/private/shm", "/dev/shm", "--bind", "/tmp/private/tmp", "/tmp"});
  append(command, {"--ro-bind", "/tmp/package", package_in_sandbox, "--ro-bind", "/tmp/init",
                   plugin_init_in_sandbox});
  for (std::size_t i = 0; i < spec.readable.size(); ++i)
    append(command, {"--ro-bind", "/tmp/read" + std::to_string(i), spec.readable[i]});
  append(command, {"--remount-ro", "/", "--chdir", package_in_sandbox, "--"});
  const auto init = init_command(spec, settings);
  command.insert(command.end(), init.begin(), init.end());
  return plan;
}

std::vector<std::string> plugin_environment(const sandbox_spec& spec, std::string_view home) {
  auto all = spec.environment;
  all.insert({{"PATH", "/usr/local/bin:/usr/bin:/bin"},
              {"HOME", std::string{home}},
              {"TMPDIR", std::string{home}},
              {"LANG", "C.UTF-8"}});
  all.insert_or_assign("TROUPE_PLUGIN", spec.plugin);
  all.insert_or_assign("TROUPE_SOCKET", std::to_string(plugin_socket_fd));
  std::vector<std::string> lines;
  for (const auto& [name, value] : all) lines.push_back(name + '=' + value);
  return lines;
}

}  // namespace troupe
