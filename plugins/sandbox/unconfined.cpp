#include <troupe/plugins/sandbox/unconfined.hpp>

#include <array>
#include <cstring>

#include <fcntl.h>
#include <signal.h>

#include <troupe/plugins/sandbox/bwrap_command.hpp>
#include <troupe/plugins/sandbox/launch.hpp>
#include <troupe/plugins/sandbox/process_sample.hpp>

namespace troupe {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds max_wait_for_end{5'000};

std::vector<sandbox_layer> no_layers() {
  std::vector<sandbox_layer> layers;
  for (const char* name : {"namespaces", "files", "system calls", "storage", "memory", "cpu",
                           "processes", "open files"})
    layers.push_back({name, "none"});
  return layers;
}

}  // namespace

unconfined::~unconfined() {
  while (!processes_.empty()) {
    const auto plugin = processes_.begin()->first;
    if (!destroy(plugin, milliseconds{0})) processes_.erase(plugin);
  }
}

result<sandboxed_process> unconfined::create(const sandbox_spec& spec) {
  if (auto fine = check_spec(spec); !fine) return fail(std::move(fine.error()));
  if (processes_.contains(spec.plugin))
    return fail(error_code::already_exists,
                "the plugin " + spec.plugin + " is running already; destroy that first");
  launch_plan plan;
  plan.command = spec.entry;
  // An absolute program stays as it is.
  plan.command.front() = (spec.package / spec.entry.front()).string();
  plan.directory = spec.package.string();
  plan.environment = plugin_environment(spec, fs::temp_directory_path().string());

  auto launched = launch(plan);
  if (!launched) return fail(std::move(launched.error()));
  process_handle process{launched->pid, std::move(launched->pidfd)};
  const auto report = await_report(launched->status.get(), spec.start_deadline);
  if (!report || !report->failed_step.empty()) {
    process.kill();
    process.wait(max_wait_for_end);
    if (!report) return fail(report.error());
    return fail(error_code::invalid_argument, "the plugin " + spec.plugin +
                                                  " was not started: " + report->failed_step +
                                                  ": " + std::strerror(report->failed_errno));
  }
  unique_fd observer{::fcntl(process.pidfd(), F_DUPFD_CLOEXEC, 0)};
  processes_.emplace(spec.plugin, std::move(process));
  return sandboxed_process{launched->pid, std::move(observer), std::move(launched->socket),
                           std::move(launched->output), no_layers()};
}

result<void> unconfined::request_stop(std::string_view plugin) {
  const auto found = find(plugin);
  if (!found) return fail(found.error());
  return signal_process((*found)->pidfd(), SIGTERM);
}

result<std::optional<exit_status>> unconfined::poll_exit(std::string_view plugin) {
  const auto found = find(plugin);
  if (!found) return fail(found.error());
  auto& process = **found;
  // Before the leader is reaped: its number names the group until then.
  if (wait_readable(process.pidfd(), milliseconds{0})) process.kill_group();
  return process.wait(milliseconds{0});
}

result<std::optional<exit_status>> unconfined::destroy(std::string_view plugin,
                                                       milliseconds grace) {
  const auto found = find(plugin);
  if (!found) return std::optional<exit_status>{};
  auto& process = **found;
  if (grace > milliseconds{0}) {
    if (auto asked = signal_process(process.pidfd(), SIGTERM); !asked)
      return fail(std::move(asked.error()));
    wait_readable(process.pidfd(), grace);
  }
  process.kill_group();
  const auto status = process.wait(max_wait_for_end);
  if (!status)
    return fail(error_code::deadline_exceeded,
                "the plugin " + std::string{plugin} +
                    " has been killed but the kernel has not ended it; try again");
  processes_.erase(processes_.find(plugin));
  return status;
}

result<resource_usage> unconfined::track_resources(std::string_view plugin) {
  const auto ended = poll_exit(plugin);
  if (!ended) return fail(ended.error());
  // After a reap the number may belong to another process.
  const auto sample =
      *ended ? process_sample{} : sample_process_tree(processes_.find(plugin)->second.pid());
  return resource_usage{.memory_bytes = sample.memory_bytes,
                        .cpu_milliseconds = sample.cpu_milliseconds,
                        .processes = sample.processes,
                        .memory_mechanism = "none",
                        .cpu_mechanism = "none",
                        .process_mechanism = "none"};
}

result<process_handle*> unconfined::find(std::string_view plugin) {
  const auto found = processes_.find(plugin);
  if (found == processes_.end())
    return fail(error_code::not_found,
                "there is no process of a plugin \"" + std::string{plugin} + '"');
  return &found->second;
}

}  // namespace troupe
