// A listener on a real socket file.

#include <doctest/doctest.h>

#include <fcntl.h>

#include <troupe/actors/links/listener.hpp>
#include <troupe/actors/links/sockets.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fake_service.hpp>
#include <troupe/tests/support/raw_peer.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture {
public:
  temporary_directory directory;
  real_system system;
  recorded_log log;
  fake_service context{
      system, [](const service_call& call) { return result<value>{value{call.caller->name}}; }};

  /// @param admit Whether a connected socket is admitted.
  listener_actor listen(
      std::size_t max_connections,
      std::function<result<void>(int)> admit = [](int) { return result<void>{}; }) {
    return listen_on(listen_unix(file()).value(), max_connections, std::move(admit));
  }
  listener_actor listen_on(unique_fd socket, std::size_t max_connections,
                           std::function<result<void>(int)> admit) {
    const link_setup setup{
        .label = "client",
        .limits = {},
        .log = log.target(),
        .services = {{service::context, context.actor()}},
        .gate = {},
        .open = {},
        .other_side = {.name = "visitor", .kind = principal_kind::client, .capabilities = {}},
        .owner = {}};
    return system.own(
        spawn_listener(system.caf(), std::move(socket),
                       {.label = "troupe.sock",
                        .max_connections = max_connections,
                        .log = log.target(),
                        .setup_for = [setup, admit](int socket) -> result<link_setup> {
                          if (auto may = admit(socket); !may) return fail(may.error());
                          return setup;
                        }}));
  }
  std::filesystem::path file() const { return directory.path() / "troupe.sock"; }
  raw_peer connect() { return raw_peer{connect_unix(file()).value()}; }
  static bool serves(raw_peer& peer) {
    return peer.call_with("context.get", get_value{path{"/a"}}).failure.code == error_code::none;
  }
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "each connection gets a link of its own") {
  listen(10);
  auto a = connect();
  auto b = connect();
  CHECK(serves(a));
  CHECK(serves(b));
  a.close();
  CHECK(serves(b));
}

TEST_CASE_FIXTURE(fixture,
                  "one connection more than there may be is closed at once and logged; a place "
                  "that becomes free is given again") {
  listen(2);
  auto a = connect();
  auto b = connect();
  REQUIRE(serves(a));
  REQUIRE(serves(b));
  auto c = connect();
  CHECK(c.sees_the_end());
  CHECK(log.count("link.refused listener=\"troupe.sock\" reason=\"too many connections\"") == 1);
  a.close();
  CHECK(eventually([&] {
    auto again = connect();
    const auto id = again.request_with("context.get", get_value{path{"/a"}});
    return again.next([id](const heard_frame& f) { return f.id == id; }).has_value();
  }));
  CHECK(serves(b));
}

TEST_CASE_FIXTURE(
    fixture, "a listener without a socket, as when descriptors have run out, ends with an error") {
  auto ended = end_of(listen_on(unique_fd{}, 10, [](int) { return result<void>{}; }));
  CHECK(ended.code() == error_code::unavailable);
  CHECK(ended.problem() == "the listening socket troupe.sock is not open");
}

TEST_CASE_FIXTURE(fixture, "the setup for a socket may refuse it") {
  listen(10, [](int socket) -> result<void> {
    if (peer_user(socket).value_or(0) == geteuid())
      return fail(error_code::permission_denied, "not this user");
    return {};
  });
  auto refused = connect();
  CHECK(refused.sees_the_end());
  CHECK(log.contains("reason=\"not this user\""));
}

TEST_CASE_FIXTURE(fixture,
                  "a listener that ends takes no more connections, and its links go with it") {
  const auto listener = listen(10);
  auto a = connect();
  REQUIRE(serves(a));
  auto ended = end_of(listener);
  caf::anon_send_exit(listener, caf::exit_reason::user_shutdown);
  (void)ended.get();
  CHECK(eventually([&] { return !connect_unix(file()); }));
  CHECK(a.sees_the_end());
}

TEST_CASE_FIXTURE(
    fixture,
    "another listener goes on with a duplicate of the socket, and serves clients from in between") {
  const auto socket = listen_unix(file()).value();
  const auto start = [&] {
    return listen_on(unique_fd{::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0)}, 10,
                     [](int) { return result<void>{}; });
  };
  auto first = start();
  auto early = connect();
  CHECK(serves(early));
  auto ended = end_of(first);
  end_with(first, {error_code::internal, "for a test", {}});
  (void)ended.get();
  CHECK(early.sees_the_end());
  auto between = connect();
  start();
  CHECK(serves(between));
}
