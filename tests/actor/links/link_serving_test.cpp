// What the other side of a link asks, and which service answers.

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include <troupe/actors/links/served_connection.hpp>
#include <troupe/actors/links/serving.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/link_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

TEST_CASE_FIXTURE(link_fixture,
                  "a request reaches the service of its method, and the link stamps the caller") {
  fake_service context{system, [](const service_call&) { return result<value>{value{"answer"}}; }};
  auto peer = connect(principal_kind::client, {{service::context, context.actor()}});
  const trace_id trace{random_uuid()};
  const auto params = rpc::with_envelope(encode(get_value{path{"/a"}}), {7s, trace});
  const auto got = peer.call("context.get", params);
  CHECK(got.failure.code == error_code::none);
  CHECK(got.bytes == value{"answer"}.msgpack());
  REQUIRE(context.calls().size() == 1);
  const auto call = context.calls().front();
  CHECK(call.caller->name == "somebody");
  CHECK(call.caller->kind == principal_kind::client);
  CHECK(call.method == "context.get");
  CHECK(call.deadline == 7s);
  CHECK(call.trace == trace);
  CHECK(decode_checked<get_value>(call.params.bytes)->path == path{"/a"});
}

TEST_CASE_FIXTURE(link_fixture, "the error of a service is the answer to the other side") {
  const error why{error_code::permission_denied, "not this one", {}};
  fake_service context{system, [why](const service_call&) { return result<value>{fail(why)}; }};
  auto peer = connect(principal_kind::client, {{service::context, context.actor()}});
  CHECK(peer.call_with("context.get", get_value{path{"/a"}}).failure == why);
}

TEST_CASE_FIXTURE(link_fixture,
                  "a request is answered at its deadline when its service is not heard of") {
  fake_service context{system, [](const service_call&) { return std::optional<result<value>>{}; }};
  auto peer = connect(principal_kind::client, {{service::context, context.actor()}});
  const auto got =
      peer.call("context.get", rpc::with_envelope(encode(get_value{path{"/a"}}), {50ms, {}}));
  CHECK(got.failure.code == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(link_fixture,
                  "a cancelled request is answered so, and its late result goes nowhere") {
  fake_service context{system, [](const service_call&) { return std::optional<result<value>>{}; }};
  auto peer = connect(principal_kind::client, {{service::context, context.actor()}});
  const auto id = peer.request_with("context.get", get_value{path{"/a"}});
  peer.notify("cancel", value::map({{"msgid", id}}).msgpack());
  CHECK(peer.expect_response(id).failure.code == error_code::cancelled);
  CHECK(peer.call("ping").failure.code == error_code::none);
}

TEST_CASE_FIXTURE(
    link_fixture,
    "a service learns which commands are cancelled, by the other side or by its end") {
  fake_service commands{system, [](const service_call&) { return std::optional<result<value>>{}; }};
  auto peer = connect(principal_kind::client, {{service::commands, commands.actor()}});
  const auto first = peer.request_with("command.execute", execute_request{"a", {}});
  const auto second = peer.request_with("command.execute", execute_request{"b", {}});
  REQUIRE(eventually([&] { return commands.calls().size() == 2; }));
  const auto asked = commands.calls();
  CHECK(asked[0].ticket != asked[1].ticket);
  peer.notify("cancel", value::map({{"msgid", second}}).msgpack());
  CHECK(peer.expect_response(second).failure.code == error_code::cancelled);
  CHECK(eventually([&] { return commands.cancelled() == std::vector{asked[1].ticket}; }));
  CHECK(first != second);
  peer.close();
  CHECK(eventually([&] {
    return commands.cancelled() == std::vector{asked[1].ticket, asked[0].ticket};
  }));
}

TEST_CASE_FIXTURE(link_fixture,
                  "requests that are cancelled or expire at once are served up to the bound, and "
                  "the others refused") {
  fake_service context{system, [](const service_call&) { return std::optional<result<value>>{}; }};
  link_limits narrow;
  narrow.in_flight = 8;
  const auto brief = rpc::with_envelope(encode(get_value{path{"/a"}}), {1ms, {}});
  auto cancelling = connect(principal_kind::client, {{service::context, context.actor()}}, narrow);
  for (int i = 0; i < 100; ++i) {
    const auto id = cancelling.request_with("context.get", get_value{path{"/a"}});
    cancelling.notify("cancel", value::map({{"msgid", id}}).msgpack());
    const auto code = cancelling.expect_response(id).failure.code;
    CHECK(code == (i < 8 ? error_code::cancelled : error_code::overloaded));
  }
  CHECK(eventually([&] { return context.calls().size() == 8; }));
  auto hasty = connect(principal_kind::client, {{service::context, context.actor()}}, narrow);
  for (int i = 0; i < 20; ++i)
    CHECK(hasty.call("context.get", brief).failure.code ==
          (i < 8 ? error_code::deadline_exceeded : error_code::overloaded));
  CHECK(eventually([&] { return context.calls().size() == 16; }));
}

TEST_CASE_FIXTURE(
    link_fixture,
    "an answer that the other side would end the link for becomes an error, and the link goes on") {
  value deep{1};
  for (int i = 0; i < 64; ++i) deep = value::array({deep});
  fake_service context{system, [deep](const service_call&) { return result<value>{deep}; }};
  auto peer = connect(principal_kind::client, {{service::context, context.actor()}});
  CHECK(peer.call_with("context.get", get_value{path{"/a"}}).failure.code ==
        error_code::limit_exceeded);
  CHECK(call("a", 10s, value::map({{"a", deep.elements().front()}})).code() ==
        error_code::limit_exceeded);
  CHECK(peer.call("ping").failure.code == error_code::none);
}

TEST_CASE_FIXTURE(link_fixture, "an unknown method is answered with the nearest name") {
  auto peer = connect(principal_kind::client);
  const auto got = peer.call("context.gte");
  CHECK(got.failure.code == error_code::not_found);
  CHECK(got.failure.message.find("\"context.get\"") != std::string::npos);
}

TEST_CASE_FIXTURE(link_fixture, "a method that this node does not serve is unavailable") {
  auto peer = connect(principal_kind::client);
  CHECK(peer.call_with("context.get", get_value{path{"/a"}}).failure.code ==
        error_code::unavailable);
}

TEST_CASE_FIXTURE(link_fixture, "each kind of principal may call its own methods and no others") {
  fake_service everything{system};
  const auto code = [](raw_peer& peer, std::string_view method) {
    return peer.call(method).failure.code;
  };
  auto client = connect(principal_kind::client, all_by(everything.actor()));
  CHECK(code(client, "node.info") == error_code::none);
  CHECK(code(client, "command.list") == error_code::none);
  CHECK(code(client, "peers.known") == error_code::permission_denied);
  CHECK(code(client, "sync.push") == error_code::permission_denied);
  CHECK(code(client, "log") == error_code::permission_denied);
  auto plugin = connect(principal_kind::plugin, all_by(everything.actor()));
  CHECK(code(plugin, "command.list") == error_code::none);
  CHECK(code(plugin, "context.get") == error_code::none);
  CHECK(code(plugin, "node.info") == error_code::permission_denied);
  CHECK(code(plugin, "plugin.grant") == error_code::permission_denied);
  CHECK(code(plugin, "context.import") == error_code::permission_denied);
  auto peer = connect(principal_kind::peer, all_by(everything.actor()));
  CHECK(code(peer, "context.set") == error_code::permission_denied);
  CHECK(code(peer, "node.stop") == error_code::permission_denied);
  peer.notify("sync.push");
  peer.notify("peers.known");
  CHECK(eventually([&] { return everything.notifications().size() == 2; }));
  CHECK(everything.calls().size() == 4);
}

TEST_CASE_FIXTURE(link_fixture,
                  "a service that does not keep up with notifications makes the link stop reading, "
                  "until it does") {
  fake_service context{system};
  context.take_notifications(false);
  link_limits narrow;
  narrow.untaken_bytes = 100'000;
  auto peer = connect(principal_kind::peer, {{service::context, context.actor()}}, narrow);
  std::string notification;
  rpc::append_notification(notification, "sync.ack",
                           value::map({{"x", std::string(40'000, 'x')}}).msgpack());
  std::thread sender{[&] {
    for (int i = 0; i < 200; ++i) peer.send(notification);
  }};
  CHECK(eventually([&] { return context.notifications().size() >= 3; }));
  // What CAF reads in one turn comes on top of the bound.
  CHECK_FALSE(eventually([&] { return context.notifications().size() >= 100; }, 500ms));
  CHECK(system.ask<void>(link, notify_remote{"sync.ack", {std::string{rpc::no_params}}}).get());
  context.take_notifications(true);
  tell(context.actor(), service_notification{the_host(), "sync.ack", {}});
  CHECK(eventually([&] { return context.notifications().size() == 201; }));
  sender.join();
}

TEST_CASE_FIXTURE(link_fixture,
                  "a request that comes as a notification, and a notification that comes as a "
                  "request, are refused") {
  fake_service context{system};
  auto peer = connect(principal_kind::peer, {{service::context, context.actor()}});
  auto client = connect(principal_kind::client, {{service::context, context.actor()}});
  client.notify("context.set", value::map({{"path", "/a"}, {"value", 1}}).msgpack());
  CHECK(eventually([&] { return log.contains("context.set is a request"); }));
  CHECK(peer.expect_response(peer.request("sync.ack")).failure.message.find("is a notification") !=
        std::string::npos);
  CHECK(context.notifications().empty());
  CHECK(context.calls().empty());
}

TEST_CASE_FIXTURE(link_fixture,
                  "notifications reach their service; others are refused with a log event") {
  fake_service context{system};
  auto peer = connect(principal_kind::peer, {{service::context, context.actor()}});
  peer.notify("sync.ack", value::map({{"batch", 1}}).msgpack());
  CHECK(eventually([&] { return context.notifications().size() == 1; }));
  CHECK(context.notifications().front().method == "sync.ack");
  CHECK(context.notifications().front().caller->name == "somebody");
  peer.notify("node.stop");
  peer.notify("no.such\nmethod");
  CHECK(eventually([&] { return log.count("link.notification_refused") == 2; }));
  CHECK(log.contains("no.such\\x0amethod"));
}

TEST_CASE_FIXTURE(
    link_fixture,
    "few reads of one link are worked on at once; the others wait, and hold up nothing else") {
  fake_service context{
      system, [](const service_call& call) {
        return call.method != "context.get" ? std::optional{result<value>{value{1}}} : std::nullopt;
      }};
  auto peer = connect(principal_kind::client, {{service::context, context.actor()}});
  for (int i = 0; i < 40; ++i) peer.request_with("context.get", get_value{path{"/a"}});
  CHECK(peer.call_with("context.set", set_value{path{"/a"}, value{1}}).failure.code ==
        error_code::none);
  CHECK(context.calls().size() == max_reads_at_once + 1);
}

TEST_CASE_FIXTURE(
    link_fixture,
    "reads that wait for others are answered in their turn, and have the time that is left") {
  fake_service context{system};
  auto peer = connect(principal_kind::client, {{service::context, context.actor()}});
  std::vector<std::uint32_t> asked;
  for (int i = 0; i < 200; ++i)
    asked.push_back(peer.request_with("context.get", get_value{path{"/a"}}));
  for (const auto id : asked) CHECK(peer.expect_response(id).failure.code == error_code::none);
  for (const auto& call : context.calls()) {
    CHECK(call.deadline > 0ms);
    CHECK(call.deadline <= link_limits{}.default_deadline);
  }
}
