#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/messages/rpc.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/plugins/sdk/cpp/plugin.hpp>
#include <troupe/plugins/sdk/cpp/session.hpp>
#include <troupe/plugins/sdk/cpp/test_host.hpp>
#include <troupe/tests/support/frames.hpp>

namespace troupe::test {

/// When every test begins.
constexpr sdk::time_point start{std::chrono::hours{1}};

/// A call of the command `p.run`, with these parameters beside the usual ones.
inline std::string execute_frame(std::uint32_t id, std::vector<value::member> more = {}) {
  more.emplace_back("command", "p.run");
  more.emplace_back("arguments", value::map({}));
  more.emplace_back("principal", "tester");
  return request_frame(id, "command.execute", value::map(std::move(more)).msgpack());
}

inline std::string answer_frame(std::uint32_t id, const value& result) {
  return response_frame(id, result.msgpack());
}

/// A frame as JSON, so that a test shows what it expects.
inline std::string json(std::string_view frame) {
  return value::from_msgpack(frame).value().to_json();
}

/// A plugin with one command, `p.run`.
struct one_command : sdk::plugin {
  explicit one_command(handler run, command_spec spec = command_spec{"run"})
      : sdk::plugin{"p", "1.2.3"} {
    command(std::move(spec), std::move(run));
  }
};

/// Answers with what stands at `/a`.
inline const sdk::plugin::handler get_a = [](const arguments&, sdk::call& call) -> result<value> {
  auto got = call.context().get(path{"/a"});
  if (!got) return fail(got.error());
  return got->value_or("nothing");
};

/// What the node answers it.
inline const value an_answer = value::map({{"found", true}, {"value", 5}});

/// Receives a request of the plugin and returns its id after checking the method.
inline std::uint32_t receive_request(sdk::test_host& host, std::string_view method) {
  const auto bytes = host.receive();
  const auto frame = rpc::parse(bytes);
  REQUIRE(frame);
  REQUIRE(std::holds_alternative<rpc::request>(*frame));
  CHECK(std::get<rpc::request>(*frame).method == method);
  return std::get<rpc::request>(*frame).id;
}

}  // namespace troupe::test
