#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <troupe/messages/command.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/execution.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/messages/logging.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/messages/wire/field.hpp>

namespace troupe::sdk {

class connection;
struct incoming_request;

/// How long a call waits for one answer of the node by default.
inline constexpr std::chrono::milliseconds default_timeout = std::chrono::seconds{10};

/// The replicated tree of values, on behalf of one command.
///
/// Every method waits for the node, at most for `timeout` and at most until the command's deadline.
/// Each fails with the node's refusal (such as `permission_denied`), `deadline_exceeded`,
/// `cancelled` when the command was cancelled meanwhile, or `unavailable` when the node is gone.
class context_access {
public:
  context_access(const context_access&) = delete;
  context_access& operator=(const context_access&) = delete;

  /// The value at a path, or nothing when there is none.
  result<std::optional<value>> get(const path& where,
                                   std::chrono::milliseconds timeout = default_timeout);
  /// Writes a value; returns which change it became.
  result<change_id> set(const path& where, const value& what,
                        enum durability when = durability::durable,
                        std::chrono::milliseconds timeout = default_timeout);
  /// Removes the value at a path; returns which change it became.
  result<change_id> erase(const path& where, enum durability when = durability::durable,
                          std::chrono::milliseconds timeout = default_timeout);
  /// One page of the entries at and below `prefix`, from behind the path `after` on. At most
  /// 10,000; the node may send fewer than `limit`, so only `more` tells whether others follow.
  result<value_page> list(const path& prefix, const path& after = {}, std::uint32_t limit = 1000,
                          std::chrono::milliseconds timeout = default_timeout);
  /// Visits the entries at and below `prefix` in order, fetched page by page, until `visit` returns
  /// false. Holds one page in memory; what changes meanwhile may or may not be seen. `timeout` is
  /// for each page.
  result<void> for_each(const path& prefix, const std::function<bool(const context_entry&)>& visit,
                        std::chrono::milliseconds timeout = default_timeout);

private:
  friend class call;
  context_access(connection& node, const incoming_request& request) noexcept
      : node_(&node), request_(&request) {}

  connection* node_;
  const incoming_request* request_;
};

/// One execution of a command: its caller, the time left, and the way to the node. Made by
/// the plugin; valid until the command's function returns, and on the thread that runs it: none of
/// its methods may be called from others.
class call {
public:
  call(const call&) = delete;
  call& operator=(const call&) = delete;

  /// @param what The decoded parameters of `request`.
  call(connection& node, const session_accepted& host, const incoming_request& request,
       const invoke_command& what)
      : node_(&node), host_(&host), request_(&request), what_(&what), context_(node, request) {}

  /// The full name, such as `notes.add`.
  const std::string& command() const noexcept { return what_->command; }
  /// On whose behalf, as the node says.
  const std::string& principal() const noexcept { return what_->principal; }
  /// Shared by one request and all the work that it causes.
  const trace_id& trace() const noexcept;
  /// The node, as it introduced itself.
  const session_accepted& host() const noexcept { return *host_; }

  context_access& context() noexcept { return context_; }

  /// Runs another command of the node and returns its result. Fails as the methods of `context` do,
  /// and with the error of that command.
  result<value> execute(std::string_view command, const arguments& given = {},
                        std::chrono::milliseconds timeout = default_timeout);

  /// Writes a line into the node's log below the plugin's name. What is not UTF-8 is repaired.
  result<void> log(log_severity level, std::string_view message);

  /// Time until the deadline, 0 when it has passed; nothing when there is none.
  std::optional<std::chrono::milliseconds> remaining() const;

  /// Whether to stop, as the caller has cancelled this command, the node asks the plugin to stop,
  /// or the node is gone. Looks at the socket, so that a long computation that asks now and then
  /// learns of it, and the node's pings are answered. A command that goes on after `plugin.stop`
  /// may still ask the node and answer, until the manifest's `stop_ms` have passed.
  bool cancelled();

private:
  connection* node_;
  const session_accepted* host_;
  const incoming_request* request_;
  const invoke_command* what_;
  context_access context_;
};

}  // namespace troupe::sdk
