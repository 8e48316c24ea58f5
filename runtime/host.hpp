#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/commands/validation/validator.hpp>
#include <troupe/messages/audit.hpp>
#include <troupe/messages/command.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/node.hpp>
#include <troupe/messages/plugin_requests.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/runtime/config.hpp>
#include <troupe/runtime/stop_request.hpp>

/// Troupe inside any program: commands, plugins and the replicated context, a few lines away.
///
///     troupe::host host{troupe::config{.data_dir = "state"}};
///     host.commands().add(
///         troupe::command_spec{"greet"}.summary("Greets someone").param<std::string>("name"),
///         [](const troupe::arguments& args) {
///           return troupe::value{"Hello, " + args.get<std::string>("name")};
///         });
///     auto reply = host.execute("greet", {{"name", "Ada"}});
///
/// Takes over neither `main` nor signals, arguments or the log. All functions here may be called
/// from any thread.
namespace troupe {

struct expected_version;
struct values_written;

/// The exception of constructors: a `troupe::error`.
class failure : public std::runtime_error {
public:
  explicit failure(troupe::error why) : std::runtime_error(why.message), why_(std::move(why)) {}
  const troupe::error& why() const noexcept { return why_; }

private:
  troupe::error why_;
};

/// Watches for as long as it lives.
class subscription {
public:
  subscription();
  subscription(subscription&&) noexcept;
  /// Ends what this one watched, as the destructor does.
  subscription& operator=(subscription&&) noexcept;
  /// No call of the function begins after this returns; one that has begun may still run.
  ~subscription();

  /// False when it was never made or has ended: the function threw, was too slow, or the host has
  /// stopped.
  bool active() const;

private:
  friend class host_context;
  struct impl;
  explicit subscription(std::unique_ptr<impl> made);
  void end();
  std::unique_ptr<impl> impl_;
};

/// Where a command's function runs.
enum class run_on : std::uint8_t {
  worker,      ///< On one of the host's worker threads. It may wait.
  dispatcher,  ///< Inside the dispatcher: fastest, for functions that are cheap and never wait.
};

/// The commands of a host.
class host_commands {
public:
  /// May move values out of the arguments.
  using function = std::function<result<value>(arguments&)>;
  /// For long-running commands: poll the stop token, and fail with `cancelled` when it is set. It
  /// is set when the caller cancels the request or disconnects, at the deadline, and when the host
  /// stops. Callbacks that are registered with the token run inside the dispatcher and must neither
  /// wait nor throw.
  using long_function = std::function<result<value>(arguments&, std::stop_token)>;

  /// Offers a command. An exception of the function becomes the command's error. Fails when the
  /// specification is wrong or the name is taken.
  ///
  /// A function on a worker that waits for another command keeps its worker. When all
  /// `config.worker_threads` do so, nothing moves until the first deadline.
  /// @param checks Checks of parameters beyond the specification. Each takes a value of the
  /// parameter's type and returns what is expected instead, in words, or nothing. They run inside
  /// the dispatcher and must be cheap.
  result<void> add(command_spec spec, function run, run_on where = run_on::worker,
                   std::vector<custom_check> checks = {});
  /// Offers a long-running command, on a worker.
  result<void> add(command_spec spec, long_function run, std::vector<custom_check> checks = {});
  /// Removes a command. Requests that wait for it are answered `unavailable`; those that run go on.
  /// No effect when there is none.
  result<void> remove(const std::string& name);
  /// All commands, in the order of their names.
  result<std::vector<command_spec>> list() const;
  /// Of all commands that have run, in the order of their names.
  result<std::vector<command_metrics>> metrics() const;
  /// Forgets all measurements.
  result<void> reset_metrics();

private:
  friend class host;
  explicit host_commands(class host& owner) : host_(owner) {}
  class host& host_;
};

/// The context of a host: a tree of values that it shares with the other nodes of its cluster. A
/// path is text such as `/app/theme`; a malformed one fails with `invalid_argument`.
class host_context {
public:
  /// The value, or `not_found`.
  result<value> get(std::string_view path) const;
  /// The value, if there is one, and the version of the path: see `set_if`.
  result<value_found> find(std::string_view path) const;
  /// Writes a value. Returns when the change is durable here, or at once with `memory`. After
  /// `deadline_exceeded` it is taken and its fate unknown; the message says which part: at
  /// `majority` and `all` it is durable here, and other members have not confirmed it within five
  /// seconds; at any level, the disk of this node has not answered within 50 seconds.
  result<change_id> set(std::string_view path, value given, durability level = durability::durable);
  /// Erases a value. Returns as `set` does; `not_found` when there is none.
  result<change_id> erase(std::string_view path, durability level = durability::durable);
  /// Writes several values. Readers on every node see all of them or none. Paths that are written
  /// twice keep the later value. Fails as a whole, and `limit_exceeded` when they are too many.
  result<void> set_together(std::vector<context_entry> entries,
                            durability level = durability::durable);
  /// Erases a value and everything below it, as seen here. What other nodes write there meanwhile
  /// stays. Readers on every node see all of it gone at once; `not_found` when there is nothing.
  result<void> erase_subtree(std::string_view path, durability level = durability::durable);
  /// Adds to the integer at a path, zero where there is no value. What several nodes add at the
  /// same time adds up. Fails with `failed_precondition` where there is something else.
  result<change_id> increment(std::string_view path, std::int64_t by = 1,
                              durability level = durability::durable);
  /// Writes a value if the path still has the version that `find` returned, so if nothing was
  /// written there since. Fails with `failed_precondition` otherwise, and writes nothing. After
  /// `deadline_exceeded` and `storage_failure` the value may have been written. A node that is cut
  /// off may do the same with the same version; both writes then compete.
  result<change_id> set_if(std::string_view path, value given, const value_version& expected,
                           durability level = durability::durable);
  /// Erases a value on the same condition.
  result<change_id> erase_if(std::string_view path, const value_version& expected,
                             durability level = durability::durable);
  /// The values at and below a path.
  result<std::vector<context_entry>> list(std::string_view prefix) const;
  /// Calls the function for each change at and below a path from now on, one at a time and in
  /// order. The subscription ends when the function throws, when it is 10,000 changes behind and
  /// more come, and when the host stops; see `subscription::active`. It is inactive from the start
  /// when the path is malformed.
  [[nodiscard]] troupe::subscription watch(std::string_view prefix,
                                           std::function<void(const change_record&)> function);

private:
  friend class host;
  explicit host_context(class host& owner) : host_(owner) {}
  result<values_written> write(operation what, std::vector<context_entry> entries,
                               std::vector<expected_version> expected, durability level);
  result<values_written> write(std::string_view path, operation what, value given,
                               const std::optional<value_version>& expected, durability level);
  class host& host_;
};

/// The plugins of a host.
class host_plugins {
public:
  /// Starts the plugin of a package directory. Returns when it runs.
  /// @param grants Capabilities of those that its manifest requests; empty grants all of them.
  /// @param level The highest level that the package may ask for.
  result<plugin_info> load(const std::filesystem::path& package,
                           std::vector<std::string> grants = {},
                           permission_level level = permission_level::user);
  /// Stops a plugin. Returns when nothing of it is left; `not_found` when there is none.
  result<void> unload(const std::string& name);
  /// All plugins, in the order of their names.
  result<std::vector<plugin_info>> list() const;

private:
  friend class host;
  explicit host_plugins(class host& owner) : host_(owner) {}
  class host& host_;
};

/// A node inside this program.
class host {
public:
  using callback = std::function<void(result<value>)>;

  /// Starts the node. Blocks until it serves. @throws failure when it cannot.
  explicit host(config settings);
  /// Stops it, as `stop` does.
  ~host();
  host(const host&) = delete;
  host& operator=(const host&) = delete;

  /// Runs a command and waits for its result. @param deadline At most a day; 0 for the command's
  /// own timeout.
  result<value> execute(const std::string& command, arguments given = {},
                        std::chrono::milliseconds deadline = {});
  /// The same without waiting.
  std::future<result<value>> execute_async(const std::string& command, arguments given = {},
                                           std::chrono::milliseconds deadline = {});
  /// The same with a callback, which is called exactly once and must neither block nor throw. It
  /// runs on a thread of the host, or on the calling thread when the host has been stopped.
  void execute(const std::string& command, arguments given, callback done,
               std::chrono::milliseconds deadline = {});

  host_commands commands() { return host_commands{*this}; }
  host_context context() { return host_context{*this}; }
  host_plugins plugins() { return host_plugins{*this}; }

  /// Where this node listens for other nodes; empty when it does not.
  std::string address() const;
  /// The other nodes that this node knows.
  result<std::vector<peer_info>> peers() const;

  /// Blocks until a client asks the node to stop, an essential part fails, or `deadline` passes, at
  /// most a day.
  /// @returns nothing when the deadline passed.
  std::optional<stop_request> wait_for_stop_request(std::chrono::milliseconds deadline) const;

  /// Stops everything within `config::stop_deadline`. Later calls of other functions fail with
  /// `unavailable`. Another `stop` waits for the same end and returns the same, so functions that
  /// the host runs must not call it.
  /// @returns what blocked: commands, watches and callbacks whose functions did not return. Their
  /// threads are left behind.
  std::vector<std::string> stop();

private:
  friend class host_commands;
  friend class host_context;
  friend class host_plugins;
  friend struct caf_access;
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
