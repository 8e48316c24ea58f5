#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/commands/validator.hpp>
#include <troupe/messages/audit.hpp>
#include <troupe/messages/command.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/node.hpp>
#include <troupe/messages/plugin_requests.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/runtime/config.hpp>
#include <troupe/runtime/stop_request.hpp>

/// Troupe inside any program: commands, plugins and the replicated context, a few lines away.
///
///     troupe::host host{troupe::config{.data_dir = "state"}};
///     host.commands().add(troupe::command_spec{"greet"}.summary("Greets
///     someone").param<std::string>("name"),
///                         [](const troupe::arguments& args) {
///                           return troupe::value{"Hello, " + args.get<std::string>("name")};
///                         });
///     auto reply = host.execute("greet", {{"name", "Ada"}});
///
/// Takes over neither `main` nor signals, arguments or the log. Every call here may be made from
/// any thread.
namespace troupe {

/// What constructors throw: a `troupe::error` as an exception.
class failure : public std::runtime_error {
public:
  explicit failure(troupe::error why) : std::runtime_error(why.message), why_(std::move(why)) {}
  const troupe::error& why() const noexcept { return why_; }

private:
  troupe::error why_;
};

/// Stays subscribed for as long as it lives.
class subscription {
public:
  subscription();
  subscription(subscription&&) noexcept;
  /// Ends what this one watched, as its destructor does.
  subscription& operator=(subscription&&) noexcept;
  /// No call of the function begins after this returns; one that has begun may still run.
  ~subscription();

  /// False when it was never made, or has ended because the function was too slow and changes were
  /// missed.
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
  worker,      ///< On one of the host's worker threads: it may take its time.
  dispatcher,  ///< Inside the dispatcher: fastest, for functions that are cheap and never wait.
};

/// The commands of a host.
class host_commands {
public:
  /// It may take values out of the arguments.
  using function = std::function<result<value>(arguments&)>;
  /// Takes long: it looks at the token now and then, which is asked to stop when nobody waits for
  /// the result any more, because the caller has cancelled the request or is gone, its deadline has
  /// passed, or the host is being stopped; and fails with `cancelled`. What it registers with the
  /// token runs inside the dispatcher and must neither wait nor throw.
  using long_function = std::function<result<value>(arguments&, std::stop_token)>;

  /// Offers a command. What the function throws becomes the command's error. Fails when the
  /// specification is wrong or the name is taken.
  ///
  /// A function on a worker that waits for another command keeps its worker meanwhile: when all
  /// `config.worker_threads` do so, nothing moves until the first deadline.
  /// @param checks of parameters, beyond what the specification says: given a value of the
  /// parameter's type, each returns what
  ///               is wanted instead, in words, or nothing. They run inside the dispatcher and must
  ///               be cheap.
  result<void> add(command_spec spec, function run, run_on where = run_on::worker,
                   std::vector<custom_check> checks = {});
  /// Offers a command that takes long, on a worker.
  result<void> add(command_spec spec, long_function run, std::vector<custom_check> checks = {});
  result<void> remove(const std::string& name);
  /// In the order of their names.
  result<std::vector<command_spec>> list() const;
  /// Of every command that ran, in the order of the names.
  result<std::vector<command_metrics>> metrics() const;
  result<void> reset_metrics();

private:
  friend class host;
  explicit host_commands(class host& owner) : host_(owner) {}
  class host& host_;
};

/// The context of a host: a tree of values that it shares with the other nodes of its cluster.
/// A path is text such as `/app/theme`; a malformed one is an `invalid_argument`.
class host_context {
public:
  /// The value, or `not_found`.
  result<value> get(std::string_view path) const;
  /// Returns when the change is durable here, or with `memory` at once.
  result<change_id> set(std::string_view path, value given, durability level = durability::durable);
  result<change_id> erase(std::string_view path, durability level = durability::durable);
  /// The values at and below a path.
  result<std::vector<context_entry>> list(std::string_view prefix) const;
  /// Calls the function for every change at and below a path from now on, whoever makes it, one at
  /// a time and in order. A function that throws ends the watch; so does one that is 10,000 changes
  /// behind when more come, and the host's stop; `subscription::active` tells. Inactive from the
  /// start when the path is malformed.
  [[nodiscard]] troupe::subscription watch(std::string_view prefix,
                                           std::function<void(const change_record&)> function);

private:
  friend class host;
  explicit host_context(class host& owner) : host_(owner) {}
  class host& host_;
};

/// The plugins of a host.
class host_plugins {
public:
  /// Starts the plugin of a package directory. Returns when it runs.
  /// @param grants Of what its manifest requests; empty grants all of it.
  /// @param level The most that the package may be trusted with; one that asks for more is refused.
  result<plugin_info> load(const std::filesystem::path& package,
                           std::vector<std::string> grants = {},
                           permission_level level = permission_level::user);
  result<void> unload(const std::string& name);
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

  /// Starts the node. Blocks until it serves. @throws failure when it cannot, with why.
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
  /// The same; the callback is called exactly once, and must neither block nor throw: on a thread
  /// of the host, or on the calling one when the host has been stopped.
  void execute(const std::string& command, arguments given, callback done,
               std::chrono::milliseconds deadline = {});

  host_commands commands() { return host_commands{*this}; }
  host_context context() { return host_context{*this}; }
  host_plugins plugins() { return host_plugins{*this}; }

  /// Where other nodes reach this one; empty when it does not listen.
  std::string address() const;
  /// The other nodes that this one knows.
  result<std::vector<peer_info>> peers() const;

  /// Blocks until somebody asks the node to stop over its socket, an essential part fails, or
  /// `deadline` passes, at most a day.
  /// @returns nothing when the deadline passed.
  std::optional<stop_request> wait_for_stop_request(std::chrono::milliseconds deadline) const;

  /// Stops everything within `config::stop_deadline`. @returns what blocked, such as the command,
  /// the path of the watch or the callback whose function did not return; its thread is then left
  /// behind. Calls made afterwards fail with `unavailable`. Another call of this waits for the same
  /// end and returns the same, so a function that the host runs must not make it.
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
