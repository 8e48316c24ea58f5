#include <troupe/plugins/sdk/cpp/test_host.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include <poll.h>
#include <sys/socket.h>

#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/execution.hpp>
#include <troupe/messages/wire/plugin_protocol.hpp>

namespace troupe::sdk {

namespace {

// What a node sends in one page of a list at most.
constexpr std::uint32_t most_entries = 10'000;
constexpr std::size_t most_bytes = std::size_t{4} << 20;

/// How long the plugin's thread may take to end before the program is given up.
constexpr std::chrono::milliseconds longest_end = std::chrono::seconds{10};

error refusal(const path& where) {
  return {error_code::permission_denied, "the plugin may not touch \"" + where.text() + '"', {}};
}

}  // namespace

bool tree_order::operator()(const path& a, const path& b) const noexcept {
  // A path holds no zero byte, so a separator can take the place below all other bytes.
  const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c); };
  return std::ranges::lexicographical_compare(a.text(), b.text(), {}, rank, rank);
}

test_host::test_host(plugin& tested, test_host_config config, opening how)
    : context(std::move(config.context)),
      denied(std::move(config.denied)),
      config_(std::move(config)) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::runtime_error{"no socket pair can be made"};
  socket_ = unique_fd{ends[0]};
  config_.patience = std::clamp(config_.patience, std::chrono::milliseconds{0}, longest_deadline);
  std::packaged_task<int()> running{[&tested, end = ends[1], clock = config_.clock] {
    return tested.run(unique_fd{end}, clock);
  }};
  status_ = running.get_future().share();
  thread_ = std::thread{std::move(running)};
  if (how == opening::by_hand) return;
  try {
    while (!opened_) serve(receive());
    auto list = wait(request(start_plugin::method)).and_then([](const value& started) {
      return decode_checked<plugin_started>(started.msgpack());
    });
    if (!list) throw std::runtime_error{"the plugin does not start: " + list.error().message};
    commands = std::move(list->commands);
  } catch (...) {
    end_or_abort();
    throw;
  }
}

test_host::~test_host() { end_or_abort(); }

result<value> test_host::execute(std::string_view command, const arguments& given,
                                 std::chrono::milliseconds deadline) {
  return wait(begin(command, given, deadline));
}

std::uint32_t test_host::begin(std::string_view command, const arguments& given,
                               std::chrono::milliseconds deadline) {
  const auto complete = with_defaults(command, given);
  return request(
      invoke_command::method,
      encode(invoke_command{std::string{command}, complete, config_.principal, deadline, {}}));
}

arguments test_host::with_defaults(std::string_view command, arguments given) const {
  const auto announced = std::ranges::find(commands, command, &command_spec::name);
  if (announced == commands.end()) return given;
  for (const auto& parameter : announced->parameters)
    if (parameter.default_value && given.find(parameter.name) == nullptr)
      given.set(parameter.name, *parameter.default_value);
  return given;
}

result<value> test_host::wait(std::uint32_t id) {
  while (!answers_.contains(id)) serve(receive());
  return std::move(answers_.extract(id).mapped());
}

void test_host::cancel(std::uint32_t id) {
  std::string frame;
  rpc::append_notification(frame, cancel_call::method, encode(cancel_call{id}));
  send(frame);
}

void test_host::ping() {
  if (const auto answered = wait(request(ping::method)); !answered)
    throw std::runtime_error{answered.error().message};
}

int test_host::stop() {
  if (const auto stopped = wait(request(stop_plugin::method)); !stopped)
    throw std::runtime_error{stopped.error().message};
  return join(config_.patience);
}

int test_host::hang_up() {
  socket_.reset();
  return join(config_.patience);
}

int test_host::join(std::chrono::milliseconds within) {
  if (status_.wait_for(within) != std::future_status::ready)
    throw std::runtime_error{"the plugin goes on running after " + std::to_string(within.count()) +
                             " ms"};
  if (thread_.joinable()) thread_.join();
  return status_.get();
}

void test_host::end_or_abort() noexcept {
  socket_.reset();
  try {
    join(longest_end);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    if (thread_.joinable()) std::abort();
  }
}

std::uint32_t test_host::request(std::string_view method, std::string_view params) {
  std::string frame;
  rpc::append_request(frame, ++last_id_, method, params);
  send(frame);
  return last_id_;
}

void test_host::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count =
        ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0)
      bytes.remove_prefix(static_cast<std::size_t>(count));
    else if (errno == EAGAIN)
      await(POLLOUT, "read nothing");
    else if (errno != EINTR)
      throw std::runtime_error{"the plugin closed its socket"};
  }
}

void test_host::await(short event, std::string_view otherwise) const {
  pollfd ready{socket_.get(), event, 0};
  if (::poll(&ready, 1, static_cast<int>(config_.patience.count())) == 0)
    throw std::runtime_error{"the plugin " + std::string{otherwise} + " for " +
                             std::to_string(config_.patience.count()) + " ms"};
}

std::string test_host::receive() {
  while (true) {
    const auto frame = arrived_.next();
    if (!frame)
      throw std::runtime_error{"the plugin sent what is no frame: " + frame.error().message};
    if (!frame->empty()) return std::string{*frame};
    std::array<char, 64 * 1024> bytes;
    const auto count = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count > 0)
      arrived_.append({bytes.data(), static_cast<std::size_t>(count)});
    else if (count < 0 && errno == EAGAIN)
      await(POLLIN, "said nothing");
    else if (count == 0 || errno != EINTR)
      throw std::runtime_error{"the plugin closed its socket"};
  }
}

void test_host::serve(std::string_view bytes) {
  const auto frame = rpc::parse(bytes);
  if (!frame)
    throw std::runtime_error{"the plugin sent what is no frame: " + frame.error().message};
  if (const auto* asked = std::get_if<rpc::request>(&*frame)) {
    const auto answered = answer(asked->method, asked->params);
    std::string out;
    if (answered)
      rpc::append_response(out, asked->id, *answered);
    else
      rpc::append_failure(out, asked->id, answered.error());
    send(out);
  } else if (const auto* got = std::get_if<rpc::response>(&*frame)) {
    answers_.insert_or_assign(got->id, got->failure.code == error_code::none
                                           ? value::from_msgpack(got->payload)
                                           : result<value>{fail(got->failure)});
  } else if (const auto& notification = std::get<rpc::notification>(*frame);
             notification.method == log_line::method) {
    if (auto line = decode_checked<log_line>(notification.params))
      logs.emplace_back(parse_enum<log_severity>(line->level).value_or(log_severity::info),
                        std::move(line->message));
  }
}

// -- what the plugin asks -------------------------------------------------------------------------

result<std::string> test_host::answer(std::string_view method, std::string_view params) {
  using served =
      message_types<session_open, get_value, set_value, erase_value, list_values, execute_request>;
  result<std::string> bytes;
  const auto answer_it = [&]<class Request>(std::type_identity<Request>) {
    auto asked = decode_checked<Request>(params);
    if (!asked)
      bytes = fail(std::move(asked.error()));
    else
      bytes = answer_to(*asked).map([](const auto& answer) { return encode(answer); });
  };
  if (visit_method(served{}, method, answer_it)) return bytes;
  return fail(error_code::not_found, "there is no method \"" + std::string{method} + '"');
}

result<session_accepted> test_host::answer_to(session_open& asked) {
  hello = std::move(asked);
  opened_ = true;
  session_accepted accepted;
  accepted.node = config_.node;
  accepted.node_name = config_.node_name;
  return accepted;
}

result<value_found> test_host::answer_to(const get_value& asked) const {
  return permit(asked.path).map([&] {
    const auto at = context.find(asked.path);
    return at != context.end() ? value_found{true, at->second} : value_found{};
  });
}

result<change_accepted> test_host::answer_to(const set_value& asked) {
  return permit(asked.path).map([&] {
    context.insert_or_assign(asked.path, asked.value);
    return accept_change();
  });
}

result<change_accepted> test_host::answer_to(const erase_value& asked) {
  return permit(asked.path).map([&] {
    context.erase(asked.path);
    return accept_change();
  });
}

result<value_page> test_host::answer_to(const list_values& asked) const {
  return permit_subtree(asked.prefix).map([&] {
    value_page page;
    auto at = tree_order{}(asked.after, asked.prefix) || asked.after.is_root()
                  ? context.lower_bound(asked.prefix)
                  : context.upper_bound(asked.after);
    const auto limit = std::min(asked.limit, most_entries);
    std::size_t bytes = 0;
    for (; at != context.end() && asked.prefix.contains(at->first) && page.entries.size() < limit;
         ++at) {
      bytes += at->first.text().size() + at->second.msgpack().size();
      if (bytes > most_bytes && !page.entries.empty()) break;
      page.entries.push_back({at->first, at->second});
    }
    page.more = at != context.end() && asked.prefix.contains(at->first);
    return page;
  });
}

result<value> test_host::answer_to(const execute_request& asked) const {
  const auto command = config_.commands.find(asked.command);
  if (command == config_.commands.end())
    return fail(error_code::not_found, "there is no command \"" + asked.command + '"');
  return command->second(asked.arguments);
}

result<void> test_host::permit(const path& where) const {
  for (const auto& each : denied)
    if (each.contains(where)) return fail(refusal(where));
  return {};
}

result<void> test_host::permit_subtree(const path& prefix) const {
  for (const auto& each : denied)
    if (prefix.contains(each)) return fail(refusal(prefix));
  return permit(prefix);
}

change_accepted test_host::accept_change() {
  change_accepted done;
  done.id.id.bytes.back() = ++changes_;
  return done;
}

}  // namespace troupe::sdk
