#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include <troupe/actors/links/sockets.hpp>
#include <troupe/tests/support/temporary_directory.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

std::string refusal(std::string_view text) {
  const auto got = parse_endpoint(text);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == error_code::invalid_argument);
  return got.error().message;
}

/// A loopback listener at a port that the system chose.
struct loopback_listener {
  loopback_listener() {
    auto listening = listen_tcp({"127.0.0.1", 0});
    REQUIRE_MESSAGE(listening.has_value(), listening.error().message);
    socket = std::move(*listening);
    where = local_endpoint(socket.get()).value();
  }
  unique_fd socket;
  endpoint where;
};

bool closes_on_exec(int descriptor) { return (fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0; }

/// Whether what is written at one end comes out of the other.
bool are_connected(int one, int other) {
  char byte = 0;
  return write(one, "x", 1) == 1 && read(other, &byte, 1) == 1 && byte == 'x';
}

}  // namespace

TEST_CASE("an address is a host and a port") {
  const auto named = parse_endpoint("localhost:7400").value();
  CHECK(named.host == "localhost");
  CHECK(named.port == 7400);
  const auto ipv6 = parse_endpoint("[::1]:65535").value();
  CHECK(ipv6.host == "::1");
  CHECK(ipv6.port == 65535);
  CHECK(parse_endpoint("127.0.0.1:0")->port == 0);
}

TEST_CASE("an address that is shown can be parsed again") {
  for (const auto* text : {"localhost:7400", "127.0.0.1:0", "[::1]:80"})
    CHECK(to_string(*parse_endpoint(text)) == text);
}

TEST_CASE("a malformed address is refused with what would be right") {
  CHECK(refusal("localhost") ==
        "the address \"localhost\" has no port; write it as host:port, such as 127.0.0.1:7400");
  CHECK(refusal("").find("has no port;") != std::string::npos);
  CHECK(refusal(":80").find("has no host;") != std::string::npos);
  CHECK(refusal("[]:80").find("has no host;") != std::string::npos);
  CHECK(refusal("::1:80").find("is an IPv6 address without brackets;") != std::string::npos);
  CHECK(refusal("[::1:80").find("is an IPv6 address without brackets;") != std::string::npos);
  for (const auto* port : {"", "65536", "-1", "+1", "1x", " 1", "0x10", "99999999999999999999"}) {
    CAPTURE(port);
    CHECK(refusal(std::string{"host:"} + port).find("has no port from 0 to 65535;") !=
          std::string::npos);
  }
}

TEST_CASE("a host is neither long nor more than one word") {
  CHECK(parse_endpoint(std::string(255, 'h') + ":1").has_value());
  CHECK(refusal(std::string(256, 'h') + ":1").find("has too long a host;") != std::string::npos);
  CHECK(refusal(std::string(1'000'000, 'h') + ":1").size() < 300);
  for (const auto* host : {"a b", "a\nb", "\x7f", " "}) {
    CAPTURE(host);
    CHECK(refusal(std::string{host} + ":1").find("has a blank or control character in its host;") !=
          std::string::npos);
  }
}

TEST_CASE("only addresses that stay on this machine are loopback") {
  for (const auto* host : {"localhost", "127.0.0.1", "127.255.255.254", "::1"})
    CHECK(is_loopback(host));
  for (const auto* host : {"", "0.0.0.0", "128.0.0.1", "10.0.0.1", "::", "localhost.example",
                           "127.0.0.1.example", "127"})
    CHECK_FALSE(is_loopback(host));
}

// -- unix sockets ---------------------------------------------------------------------------------

TEST_CASE("a unix socket connects a program of this user with the node") {
  const temporary_directory directory;
  const auto file = directory.path() / "node.sock";
  const auto listening = listen_unix(file);
  REQUIRE_MESSAGE(listening.has_value(), listening.error().message);
  const auto client = connect_unix(file);
  REQUIRE_MESSAGE(client.has_value(), client.error().message);
  const unique_fd accepted{accept(listening->get(), nullptr, nullptr)};
  CHECK(are_connected(client->get(), accepted.get()));
  CHECK(peer_user(accepted.get()).value() == getuid());
  CHECK(closes_on_exec(listening->get()));
  CHECK(closes_on_exec(client->get()));
}

TEST_CASE(
    "a connection to a node that does not accept is given up at its deadline, and its socket file "
    "is left alone") {
  const temporary_directory directory;
  const auto file = directory.path() / "node.sock";
  const auto listening = listen_unix(file);
  REQUIRE(listening.has_value());
  REQUIRE(listen(listening->get(), 0) == 0);
  std::vector<unique_fd> queued;
  auto outcome = connect_unix(file, 50ms);
  while (outcome && queued.size() < 16) {
    queued.push_back(std::move(*outcome));
    outcome = connect_unix(file, 50ms);
  }
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == error_code::deadline_exceeded);
  CHECK(outcome.error().message == "the node on " + file.native() + " did not answer within 50 ms");
  CHECK(listen_unix(file).error().code == error_code::already_exists);
}

TEST_CASE("only this user may use the socket file") {
  const temporary_directory directory;
  const auto file = directory.path() / "node.sock";
  const auto before = umask(0);
  const auto listening = listen_unix(file);
  umask(before);
  REQUIRE(listening.has_value());
  struct stat status {};
  REQUIRE(stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a socket file whose owner is gone is replaced") {
  const temporary_directory directory;
  const auto file = directory.path() / "node.sock";
  REQUIRE(listen_unix(file).has_value());
  REQUIRE(std::filesystem::exists(file));
  CHECK_FALSE(connect_unix(file).has_value());
  const auto listening = listen_unix(file);
  REQUIRE_MESSAGE(listening.has_value(), listening.error().message);
  CHECK(connect_unix(file).has_value());
}

TEST_CASE("a socket file that another node serves is left alone") {
  const temporary_directory directory;
  const auto file = directory.path() / "node.sock";
  const auto first = listen_unix(file);
  const auto second = listen_unix(file);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == error_code::already_exists);
  CHECK(second.error().message == "another node already serves " + file.native());
  CHECK(connect_unix(file).has_value());
}

TEST_CASE("a file that is no socket is left alone") {
  const temporary_directory directory;
  const auto file = directory.path() / "diary.txt";
  std::ofstream{file} << "dear diary";
  const auto listening = listen_unix(file);
  REQUIRE_FALSE(listening.has_value());
  CHECK(listening.error().message ==
        file.native() + " is not a socket; move it away or choose another path");
  CHECK(std::filesystem::file_size(file) == 10);
}

TEST_CASE("a path that is too long for the system is refused with the bound") {
  const std::filesystem::path longest = "/" + std::string(107, 'x');
  for (const auto& outcome : {listen_unix(longest), connect_unix(longest, 1s)}) {
    REQUIRE_FALSE(outcome.has_value());
    CHECK(outcome.error().code == error_code::invalid_argument);
    CHECK(outcome.error().message ==
          "the socket path " + longest.native() +
              " is too long for the system (108 bytes, at most 107); use a shorter data directory");
  }
}

TEST_CASE("a unix socket that cannot be had is named with the reason") {
  const temporary_directory directory;
  const auto file = directory.path() / "missing" / "node.sock";
  CHECK(listen_unix(file).error().message ==
        "cannot listen on " + file.native() + ": No such file or directory");
  CHECK(connect_unix(file).error().code == error_code::unavailable);
  CHECK(connect_unix(file).error().message ==
        "no node answers on " + file.native() + ": No such file or directory");
}

TEST_CASE("the user at the other end of no socket cannot be determined") {
  CHECK(peer_user(-1).error().code == error_code::permission_denied);
}

// -- TCP ------------------------------------------------------------------------------------------

TEST_CASE("a connection over TCP connects") {
  const loopback_listener listener;
  CHECK(listener.where.host == "127.0.0.1");
  CHECK(listener.where.port != 0);
  const auto client = connect_tcp(listener.where, 5s);
  REQUIRE_MESSAGE(client.has_value(), client.error().message);
  const unique_fd accepted{accept(listener.socket.get(), nullptr, nullptr)};
  CHECK(are_connected(client->get(), accepted.get()));
  CHECK((fcntl(client->get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK(closes_on_exec(client->get()));
  CHECK(closes_on_exec(listener.socket.get()));
}

TEST_CASE("a connection that is refused is named with the reason") {
  endpoint where;
  { where = loopback_listener{}.where; }
  const auto outcome = connect_tcp(where, 5s);
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == error_code::unavailable);
  CHECK(outcome.error().message ==
        "cannot connect to " + to_string(where) + ": Connection refused");
}

TEST_CASE("a connection that is not answered is given up at its deadline") {
  const loopback_listener listener;
  // With its queue full, the listener answers no more; the system would go on trying for minutes.
  REQUIRE(listen(listener.socket.get(), 0) == 0);
  std::vector<unique_fd> queued;
  result<unique_fd> outcome = connect_tcp(listener.where, 5s);
  while (outcome && queued.size() < 16) {
    queued.push_back(std::move(*outcome));
    outcome = connect_tcp(listener.where, 50ms);
  }
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().code == error_code::deadline_exceeded);
  CHECK(outcome.error().message.starts_with(to_string(listener.where) + " did not answer within "));
}

TEST_CASE("a connection without time fails at once") {
  const loopback_listener listener;
  CHECK_FALSE(connect_tcp(listener.where, 0ms).has_value());
}

TEST_CASE("an address that is taken cannot be listened on") {
  const loopback_listener listener;
  const auto second = listen_tcp(listener.where);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == error_code::unavailable);
  CHECK(second.error().message ==
        "cannot listen on " + to_string(listener.where) + ": Address already in use");
}

TEST_CASE("a host that has no address is named") {
  for (const auto& outcome :
       {connect_tcp({"no.such.host.invalid", 1}, 1s), listen_tcp({"no.such.host.invalid", 0})}) {
    REQUIRE_FALSE(outcome.has_value());
    CHECK(outcome.error().code == error_code::not_found);
    CHECK(outcome.error().message.starts_with(
        "the host \"no.such.host.invalid\" cannot be resolved: "));
  }
}

TEST_CASE("no socket has no address") {
  CHECK(local_endpoint(-1).error().code == error_code::unavailable);
}
