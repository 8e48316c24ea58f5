#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/messages/command.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/execution.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/messages/wire/rpc.hpp>
#include <troupe/plugins/sdk/cpp/frame_buffer.hpp>
#include <troupe/plugins/sdk/cpp/plugin.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe::sdk {

/// Orders paths so that every subtree is contiguous: `/a`, `/a/b`, `/a-b`.
struct tree_order {
  bool operator()(const path& a, const path& b) const noexcept;
};

/// A context tree in memory.
using memory_context = std::map<path, value, tree_order>;

/// What a test host is made of. All may be left out.
struct test_host_config {
  memory_context context{};
  std::vector<path> denied{};  ///< The plugin may neither read nor write at and below these, nor
                               ///< list what is above.
  /// The commands of the node that the plugin may execute.
  std::map<std::string, std::function<result<value>(const arguments&)>> commands{};
  node_id node{uuid{{0x74, 0x65, 0x73, 0x74, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}}};
  std::string node_name = "test";
  std::string principal = "tester";  ///< On whose behalf commands run.
  /// How long the plugin may take to speak, to read or to end; at most a day.
  std::chrono::milliseconds patience{10'000};
  clock_function clock = std::chrono::steady_clock::now;  ///< The plugin's.
};

/// Tests a plugin without a node: runs it on a thread and plays the node to it over a socket pair.
///
///     sdk::test_host host{greeter};
///     CHECK(host.execute("greeter.greet", {{"name", "Ada"}}) == value{"Hello, Ada"});
///     CHECK(host.context.at(path{"/plugins/greeter/last"}) == value{"Ada"});
///
/// The host acts only while a test is in one of its methods, on the test's own thread, so tests are
/// repeatable. Methods throw std::runtime_error when the plugin closes its socket, says what is no
/// frame, or neither speaks, reads nor ends within `patience`.
///
/// As a node, it fills in the defaults of the commands that the plugin announced. Unlike one, it
/// does not check the arguments against the parameters, and knows of permissions only what `denied`
/// says.
class test_host {
public:
  /// Whether the constructor opens the session and starts the plugin.
  enum class opening : std::uint8_t { automatic, by_hand };

  /// @param tested Must outlive the host.
  explicit test_host(plugin& tested, test_host_config config = {},
                     opening how = opening::automatic);
  /// Closes the socket and waits for the plugin to end. Aborts the whole program, with a line on
  /// the standard error stream, when it goes on running for 10 s: it uses what the test is about to
  /// destroy.
  ~test_host();
  test_host(const test_host&) = delete;
  test_host& operator=(const test_host&) = delete;

  memory_context context;
  std::vector<path> denied;
  std::vector<std::pair<log_severity, std::string>> logs;  ///< What the plugin logged.
  session_open hello;                                      ///< How the plugin introduced itself.
  std::vector<command_spec> commands;                      ///< What it announced.

  /// Runs a command and returns the plugin's answer. `deadline` 0 sets none.
  result<value> execute(std::string_view command, const arguments& given = {},
                        std::chrono::milliseconds deadline = std::chrono::milliseconds{0});
  /// Asks for a command without waiting; returns the id for `wait` and `cancel`.
  std::uint32_t begin(std::string_view command, const arguments& given = {},
                      std::chrono::milliseconds deadline = std::chrono::milliseconds{0});
  /// Serves the plugin until it answers this request.
  result<value> wait(std::uint32_t id);
  /// Cancels a command.
  void cancel(std::uint32_t id);
  /// Returns when the plugin has answered.
  void ping();
  /// Stops the plugin and returns its exit status.
  int stop();
  /// Closes the socket and returns the plugin's exit status.
  int hang_up();

  // The protocol, for tests that need to look closer.

  /// Sends a request with these parameters, the msgpack bytes of a map; returns its id.
  std::uint32_t request(std::string_view method, std::string_view params = rpc::no_params);
  /// Sends bytes as they are.
  void send(std::string_view bytes);
  /// The next frame of the plugin, whatever it is.
  std::string receive();

private:
  void serve(std::string_view frame);
  result<std::string> answer(std::string_view method, std::string_view params);
  result<session_accepted> answer_to(session_open& asked);
  result<value_found> answer_to(const get_value& asked) const;
  result<change_accepted> answer_to(const set_value& asked);
  result<change_accepted> answer_to(const erase_value& asked);
  result<value_page> answer_to(const list_values& asked) const;
  result<value> answer_to(const execute_request& asked) const;
  result<void> permit(const path& where) const;
  result<void> permit_subtree(const path& prefix) const;
  arguments with_defaults(std::string_view command, arguments given) const;
  change_accepted accept_change();
  /// Waits until the socket is ready for this event of `poll`.
  void await(short event, std::string_view otherwise) const;
  /// Waits for the plugin to end and returns its exit status.
  int join(std::chrono::milliseconds within);
  void end_or_abort() noexcept;

  test_host_config config_;
  unique_fd socket_;
  frame_buffer arrived_;
  std::map<std::uint32_t, result<value>> answers_;
  std::uint32_t last_id_ = 0;
  std::uint8_t changes_ = 0;
  bool opened_ = false;
  std::shared_future<int> status_;  ///< The plugin's exit status, once it has ended.
  std::thread thread_;
};

}  // namespace troupe::sdk
