#include <troupe/plugins/sandbox/bubblewrap.hpp>

#include <algorithm>
#include <cstring>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <troupe/plugins/sandbox/bwrap_command.hpp>
#include <troupe/plugins/sandbox/launch.hpp>

namespace troupe {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

/// For the kernel to end a killed tree and to release its control groups.
constexpr milliseconds max_wait_for_end{5'000};
constexpr std::size_t max_quoted_output = 400;
/// bwrap, and the first process of the innermost process namespace.
constexpr std::uint32_t sandbox_processes = 2;

fs::path find_program(const fs::path& program) {
  if (program.is_absolute()) return ::access(program.c_str(), X_OK) == 0 ? program : fs::path{};
  for (const fs::path directory : {"/usr/bin", "/bin", "/usr/local/bin"})
    if (auto candidate = directory / program; ::access(candidate.c_str(), X_OK) == 0)
      return candidate;
  return {};
}

/// The last output of a program, on one line, without control characters.
std::string quoted_output(int output) {
  auto text = read_available(output, max_quoted_output);
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }, ' ');
  while (text.ends_with(' ')) text.pop_back();
  return text.empty() ? "it said nothing" : "it said: " + text;
}

/// Turns the step at which a launch stopped into advice.
error explain(const launch_report& report, const sandbox_spec& spec, const exit_status& status,
              int output) {
  const auto& step = report.failed_step;
  const std::string reason = std::strerror(report.failed_errno);
  const std::string plugin = "the plugin " + spec.plugin + " was not started: ";
  if (step.empty())
    return {error_code::unavailable,
            plugin + "bwrap ended with " + to_string(status) + ", " + quoted_output(output),
            {}};
  if (step == "landlock" && report.failed_errno == ENOSYS)
    return {error_code::unavailable,
            plugin +
                "the kernel has no Landlock; boot with it (lsm=landlock), or go without it: "
                "sandbox_allow = [\"no-landlock\"] in a configuration",
            {}};
  if (step.starts_with("execute "))
    return {error_code::invalid_argument,
            plugin + "its program " + step.substr(8) + " cannot be executed: " + reason +
                "; its files must be readable by every user, and an interpreter must be below /usr",
            {}};
  return {report.failed_errno == EPERM || report.failed_errno == EACCES
              ? error_code::permission_denied
              : error_code::unavailable,
          plugin + "the step \"" + step + "\" failed: " + reason,
          {}};
}

std::string or_none(std::string_view mechanism) {
  return mechanism.empty() ? "none" : std::string{mechanism};
}

/// Which mechanism enforces each limit, by the control groups that exist.
std::string memory_mechanism(const cgroup& groups) {
  return groups.memory_mechanism().empty() ? "rlimit and sampling"
                                           : std::string{groups.memory_mechanism()};
}
std::string process_mechanism(const cgroup& groups) {
  return groups.process_mechanism().empty() ? "rlimit" : std::string{groups.process_mechanism()};
}

std::vector<sandbox_layer> layers_of(const cgroup& groups, const std::string& landlock_abi) {
  return {{"namespaces", "bubblewrap"},
          {"files",
           landlock_abi == "0" ? "mount namespace" : "mount namespace, landlock " + landlock_abi},
          {"system calls", "seccomp"},
          {"storage", "tmpfs, bytes and inodes"},
          {"memory", memory_mechanism(groups)},
          {"cpu", or_none(groups.cpu_mechanism())},
          {"processes", process_mechanism(groups)},
          {"open files", "rlimit"}};
}

}  // namespace

result<std::unique_ptr<bubblewrap>> bubblewrap::open(bubblewrap_config config,
                                                     permission_check check) {
  const auto bwrap = find_program(config.bwrap);
  if (bwrap.empty())
    return fail(error_code::unavailable,
                "the program " + config.bwrap.string() +
                    " is missing; install bubblewrap (apt-get install bubblewrap), or choose the "
                    "sandbox \"none\"");
  if (!config.plugin_init.is_absolute() || find_program(config.plugin_init).empty())
    return fail(error_code::unavailable, "there is no program \"" + config.plugin_init.string() +
                                             "\"; give the absolute path of troupe-plugin-init");
  auto record = host_record::open(config.record_directory);
  if (!record) return fail(std::move(record.error()));
  config.bwrap = bwrap;
  return std::unique_ptr<bubblewrap>{
      new bubblewrap{std::move(config), std::move(check), std::move(*record)}};
}

bubblewrap::bubblewrap(bubblewrap_config config, permission_check check, host_record record)
    : plugin_sandbox{std::move(check)}, config_{std::move(config)}, record_{std::move(record)} {}

bubblewrap::~bubblewrap() {
  for (auto& [plugin, one] : instances_) one.tree.kill();
  while (!instances_.empty()) {
    const auto plugin = instances_.begin()->first;
    if (!destroy(plugin, milliseconds{0})) instances_.erase(plugin);
  }
}

result<sandboxed_process> bubblewrap::create(const sandbox_spec& spec) {
  if (auto fine = check_spec(spec); !fine) return fail(std::move(fine.error()));
  if (instances_.contains(spec.plugin))
    return fail(error_code::already_exists,
                "the plugin " + spec.plugin + " has a sandbox already; destroy that first");
  const auto name = record_.prefix() + spec.plugin + '-' + std::to_string(++created_);
  auto recorded = record_groups(name);
  if (!recorded) return fail(std::move(recorded.error()));
  cgroup groups{config_.cgroups, name, spec.context.resource_limits};
  // What cannot be removed stays in the record, for the next host.
  const auto remove_groups = [&] {
    if (groups.remove(max_wait_for_end)) record_.remove(*recorded);
  };

  const auto slot = free_slot();
  bwrap_settings settings;
  settings.bwrap = config_.bwrap;
  settings.plugin_init = config_.plugin_init;
  settings.landlock_may_be_missing =
      std::ranges::find(config_.allow, weaker_mode::no_landlock) != config_.allow.end();
  settings.limit_data = groups.memory_mechanism().empty();
  if (::geteuid() == 0) settings.identity = config_.first_identity + slot;
  auto plan = make_bwrap_plan(spec, settings);
  for (const auto& door : groups.doors()) plan.cgroup_doors.push_back(door.get());

  auto launched = launch(plan);
  if (!launched) {
    remove_groups();
    return fail(std::move(launched.error()));
  }
  process_handle tree{launched->pid, std::move(launched->pidfd)};
  auto report = await_report(launched->status.get(), spec.start_deadline);
  if (!report || !report->ready || !report->entry || !report->failed_step.empty()) {
    // bwrap ends by itself when its program has failed. Its status and output say why.
    const auto ended = report ? tree.wait(milliseconds{1000}) : std::nullopt;
    tree.kill();
    tree.wait(max_wait_for_end);
    remove_groups();
    if (!report) return fail(std::move(report.error()));
    return fail(explain(*report, spec, ended.value_or(exit_status{.status = 0, .signal = SIGKILL}),
                        launched->output.get()));
  }

  unique_fd observer{::fcntl(tree.pidfd(), F_DUPFD_CLOEXEC, 0)};
  sandboxed_process process{launched->pid, std::move(observer), std::move(launched->socket),
                            std::move(launched->output), layers_of(groups, report->ready_text)};
  instances_.emplace(spec.plugin, instance{std::move(tree), std::move(report->entry),
                                           std::move(groups), std::move(*recorded),
                                           spec.context.resource_limits.max_memory_bytes, slot});
  return process;
}

result<void> bubblewrap::request_stop(std::string_view plugin) {
  const auto found = find(plugin);
  if (!found) return fail(found.error());
  return signal_process((*found)->entry.get(), SIGTERM);
}

result<std::optional<exit_status>> bubblewrap::poll_exit(std::string_view plugin) {
  const auto found = find(plugin);
  if (!found) return fail(found.error());
  return (*found)->tree.wait(milliseconds{0});
}

result<std::optional<exit_status>> bubblewrap::destroy(std::string_view plugin,
                                                       milliseconds grace) {
  const auto found = find(plugin);
  if (!found) return std::optional<exit_status>{};
  auto& [tree, entry, groups, recorded, max_memory_bytes, slot] = **found;
  if (grace > milliseconds{0}) {
    if (auto asked = signal_process(entry.get(), SIGTERM); !asked)
      return fail(std::move(asked.error()));
    tree.wait(grace);
  }
  tree.kill();
  const auto status = tree.wait(max_wait_for_end);
  if (!status)
    return fail(error_code::deadline_exceeded,
                "the plugin " + std::string{plugin} +
                    " has been killed but the kernel has not ended it; try again");
  if (!groups.remove(max_wait_for_end))
    return fail(error_code::unavailable,
                "a control group of the plugin " + std::string{plugin} + " cannot be removed");
  record_.remove(recorded);
  instances_.erase(instances_.find(plugin));
  return status;
}

result<resource_usage> bubblewrap::track_resources(std::string_view plugin) {
  const auto found = find(plugin);
  if (!found) return fail(found.error());
  const auto& groups = (*found)->groups;
  auto memory = groups.memory_bytes(), cpu = groups.cpu_milliseconds(),
       processes = groups.processes();
  if (!memory || !cpu || !processes) {
    const auto sampled = sample(**found);
    memory = memory.value_or(sampled.memory_bytes);
    cpu = cpu.value_or(sampled.cpu_milliseconds);
    processes =
        processes.value_or(sampled.processes - std::min(sampled.processes, sandbox_processes));
  }
  return resource_usage{.memory_bytes = *memory,
                        .cpu_milliseconds = *cpu,
                        .processes = static_cast<std::uint32_t>(*processes),
                        .memory_mechanism = memory_mechanism(groups),
                        .cpu_mechanism = or_none(groups.cpu_mechanism()),
                        .process_mechanism = process_mechanism(groups)};
}

result<void> bubblewrap::check_limits(std::string_view plugin) {
  const auto found = find(plugin);
  if (!found) return fail(found.error());
  auto& one = **found;
  if (!one.groups.memory_mechanism().empty()) return {};
  const auto used = sample(one).memory_bytes;
  if (used <= one.max_memory_bytes) return {};
  return fail(error_code::limit_exceeded,
              "the plugin " + std::string{plugin} + " uses " + std::to_string(used) +
                  " bytes of memory; it may use " + std::to_string(one.max_memory_bytes));
}

/// After a reap the number may belong to another process.
process_sample bubblewrap::sample(instance& one) {
  return one.tree.wait(milliseconds{0}) ? process_sample{} : sample_process_tree(one.tree.pid());
}

result<std::size_t> bubblewrap::remove_leftovers() {
  return host_record::remove_leftovers(config_.record_directory);
}

std::uint32_t bubblewrap::free_slot() const {
  std::uint32_t slot = 0;
  const auto taken = [&](const auto& entry) { return entry.second.slot == slot; };
  while (std::ranges::any_of(instances_, taken)) ++slot;
  return slot;
}

/// Called before they are made: an unrecorded group would outlive a host that is killed.
result<std::vector<fs::path>> bubblewrap::record_groups(const std::string& name) {
  auto directories = cgroup::directories(config_.cgroups, name);
  for (const auto& directory : directories)
    if (auto noted = record_.add(directory); !noted) return fail(std::move(noted.error()));
  return directories;
}

result<bubblewrap::instance*> bubblewrap::find(std::string_view plugin) {
  const auto found = instances_.find(plugin);
  if (found == instances_.end())
    return fail(error_code::not_found,
                "there is no sandbox of a plugin \"" + std::string{plugin} + '"');
  return &found->second;
}

}  // namespace troupe
