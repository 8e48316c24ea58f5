#include <troupe/plugins/sdk/cpp/plugin.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>

#include <troupe/messages/text/utf8.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/plugin_protocol.hpp>

namespace troupe::sdk {

namespace {

constexpr std::string_view sdk_version = "cpp/0.1";

/// Words of a-z, 0-9, `_` and `-`, joined by dots.
bool is_verb(std::string_view text) noexcept {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
  return !text.empty() && text.front() != '.' && text.back() != '.' &&
         text.find("..") == std::string_view::npos &&
         text.find_first_not_of(letters) == std::string_view::npos;
}

/// Takes over the socket that the node passed; the plugin's own children shall not have it.
result<unique_fd> inherited_socket() {
  const char* const given = std::getenv("TROUPE_SOCKET");
  const std::string_view named = given != nullptr ? given : "3";
  int descriptor = -1, type = 0;
  socklen_t size = sizeof type;
  const auto parsed = std::from_chars(named.data(), named.data() + named.size(), descriptor);
  if (parsed.ec != std::errc{} || parsed.ptr != named.data() + named.size() ||
      ::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM)
    return fail(error_code::unavailable,
                "a plugin is started by a Troupe node; TROUPE_SOCKET is \"" + std::string{named} +
                    "\", which is no open stream socket");
  unique_fd socket{descriptor};
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  return socket;
}

}  // namespace

plugin::plugin(std::string name, std::string version)
    : name_(std::move(name)), version_(std::move(version)) {}

plugin& plugin::command(command_spec spec, handler run) {
  if (!is_verb(spec.name))
    throw std::invalid_argument{
        '"' + spec.name +
        "\" cannot name a command; use a-z, 0-9, '_' and '-', in words joined by dots"};
  if (!run) throw std::invalid_argument{"the command \"" + spec.name + "\" has no function"};
  for (const auto& parameter : spec.parameters)
    if (parameter.default_value && parameter.default_value->is_nil())
      throw std::invalid_argument{"the default of \"" + parameter.name +
                                  "\" cannot be nil; use an empty value of its type"};
  if (spec.concurrency == command_spec{}.concurrency) spec.concurrency = 1;
  spec.name = name_ + '.' + spec.name;
  const auto [at, added] = commands_.try_emplace(spec.name, declared{spec, std::move(run)});
  if (!added) throw std::invalid_argument{"the command \"" + at->first + "\" is declared twice"};
  return *this;
}

std::vector<command_spec> plugin::commands() const {
  std::vector<command_spec> specs;
  for (const auto& [name, command] : commands_) specs.push_back(command.spec);
  return specs;
}

int plugin::run() {
  auto socket = inherited_socket();
  return socket ? run(std::move(*socket)) : complain(socket.error());
}

int plugin::run(unique_fd socket, clock_function clock) {
  connection node{std::move(socket), std::move(clock)};
  const auto served = serve(node);
  const bool node_is_gone = node.end() && node.end()->code == error_code::unavailable;
  return served || node_is_gone ? EXIT_SUCCESS : complain(served.error());
}

int plugin::complain(const error& why) const {
  std::fprintf(stderr, "plugin %s: %s\n", name_.c_str(), to_string(why).c_str());
  return EXIT_FAILURE;
}

tl::unexpected<error> plugin::failed(std::string how) const {
  error why{error_code::handler_failed, std::move(how), {}};
  (void)complain(why);
  return fail(std::move(why));
}

result<void> plugin::serve(connection& node) {
  const auto host = open(node);
  if (!host) return fail(host.error());
  while (true) {
    const auto* request = node.session().next_request();
    if (request == nullptr) {
      if (auto turned = node.turn(std::nullopt); !turned) return turned;
      continue;
    }
    auto answered = answer(node, *host, *request);
    if (answered)
      answered = node.session().respond(request->id, *answered).map([] { return std::string{}; });
    if (!answered) node.session().respond_failure(request->id, answered.error());
    if (auto drained = node.drain(); !drained) return drained;
    if (request->method == stop_plugin::method) return {};
  }
}

result<session_accepted> plugin::open(connection& node) const {
  session_open hello;
  hello.protocol = {lowest_protocol, highest_protocol};
  hello.kind = session_kind::plugin;
  hello.name = name_;
  hello.version = version_;
  hello.sdk = sdk_version;
  auto host = node.call(hello, default_timeout, nullptr);
  if (host && (host->protocol < lowest_protocol || host->protocol > highest_protocol))
    return fail(error_code::version_mismatch,
                "the node chose protocol " + std::to_string(host->protocol) +
                    "; this plugin speaks " + std::to_string(lowest_protocol) + " to " +
                    std::to_string(highest_protocol));
  return host;
}

/// The bytes of the result of any request that waits in the queue.
result<std::string> plugin::answer(connection& node, const session_accepted& host,
                                   const incoming_request& request) const {
  result<std::string> answered{std::string{rpc::nil}};  // of a `stop_plugin`
  visit_method(message_types<start_plugin, invoke_command>{}, request.method,
               [&]<class Message>(std::type_identity<Message>) {
                 if constexpr (std::is_same_v<Message, start_plugin>)
                   answered = encode(plugin_started{commands()});
                 else
                   answered = execute(node, host, request).map([](value got) {
                     return std::move(got).msgpack();
                   });
               });
  return answered;
}

result<value> plugin::execute(connection& node, const session_accepted& host,
                              const incoming_request& request) const {
  const auto what = decode_checked<invoke_command>(request.params);
  if (!what) return fail(what.error());
  const auto command = commands_.find(what->command);
  if (command == commands_.end()) {
    std::string known;
    for (const auto& [name, each] : commands_) known += (known.empty() ? "" : ", ") + name;
    return fail(error_code::not_found, '"' + std::string{utf8_prefix(what->command, 80)} +
                                           "\" is not a command of this plugin; it has " + known);
  }
  if (request.deadline && node.now() >= *request.deadline)
    return fail(error_code::deadline_exceeded,
                "the deadline of " + what->command + " passed while it waited for its turn");
  call running{node, host, request, *what};
  try {
    return command->second.run(what->arguments, running);
  } catch (const tl::bad_expected_access<error>& refused) {
    return fail(refused.error());
  } catch (const std::exception& problem) {
    return failed(what->command + " failed: " + problem.what());
  } catch (...) {
    return failed(what->command + " threw something that is no std::exception");
  }
}

}  // namespace troupe::sdk
