// What a served connection makes of requests, notifications and calls.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/node.hpp>
#include <troupe/messages/wire/plugin_protocol.hpp>
#include <troupe/messages/wire/sync.hpp>
#include <troupe/tests/support/fixtures/connection_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

std::string get_frame(std::uint32_t id, const rpc::envelope& beside = {}) {
  return request_frame(id, get_value::method,
                       rpc::with_envelope(encode(get_value{path{"/a"}}), beside));
}

/// A notification that any service of peers takes.
std::string heads_frame() { return notification_frame(sync_heads::method, "\x81\xa1x\x01"); }

}  // namespace

// -- requests -------------------------------------------------------------------------------------

TEST_CASE("a request is handed to the service of its method, with the caller, deadline and trace") {
  connection_fixture side{known(principal_kind::client)};
  const trace_id trace{uuid{{3}}};
  side.receive(get_frame(7, {5s, trace}));
  const auto asked = side.one<ask_service>();
  CHECK(asked.rule->access.service == service::context);
  CHECK(asked.call.method == get_value::method);
  CHECK(asked.call.caller->name == "somebody");
  CHECK(asked.call.caller->kind == principal_kind::client);
  CHECK(asked.call.deadline == 5s);
  CHECK(asked.call.trace == trace);
  CHECK(decode_checked<get_value>(asked.call.params.bytes)->path == path{"/a"});
  CHECK(side.sent().empty());
}

TEST_CASE("a service is waited for longer than its caller, so that the request keeps its place") {
  connection_fixture side{known(principal_kind::client)};
  side.receive(get_frame(7, {5s, {}}));
  CHECK(side.one<ask_service>().limit == 5s + answer_grace);
}

TEST_CASE("the answer of a service, or its error, goes to the request") {
  connection_fixture side{known(principal_kind::client)};
  side.receive(get_frame(7) + get_frame(8));
  const auto asked = side.all<ask_service>();
  const error why{error_code::not_found, "nothing there", {}};
  side.fail_request(asked.at(1), why);
  CHECK(side.sent() == failure_frame(8, why));
  side.answer(asked.at(0), "\x05");
  CHECK(side.sent() == response_frame(7, "\x05"));
  CHECK(side.effects().empty());
}

TEST_CASE("a request whose service is not there is refused at once") {
  auto setup = known(principal_kind::client);
  setup.services = {service::mesh};
  connection_fixture side{std::move(setup)};
  side.receive(get_frame(1));
  const auto sent = side.sent();
  CHECK(std::get<rpc::response>(*rpc::parse(sent)).failure.code == error_code::unavailable);
  CHECK(side.effects().empty());
}

TEST_CASE("a request that no rule allows is refused at once") {
  auto setup = known(principal_kind::peer);
  setup.services = {service::mesh};
  connection_fixture side{std::move(setup)};
  const auto code_of = [&](std::string_view method) {
    side.receive(request_frame(1, method));
    const auto sent = side.sent();
    return std::get<rpc::response>(*rpc::parse(sent)).failure.code;
  };
  CHECK(code_of("context.gte") == error_code::not_found);
  CHECK(code_of("context.get") == error_code::permission_denied);
  CHECK(code_of("sync.pull") == error_code::protocol_violation);
  CHECK(code_of("peers.known") == error_code::protocol_violation);
  CHECK(code_of("session.open") == error_code::protocol_violation);
  CHECK(side.effects().empty());
}

TEST_CASE(
    "the owner's check decides beside the method table, and sees rule, parameters and trace") {
  std::vector<std::string> seen;
  auto setup = known(principal_kind::client);
  setup.check = [&](const method_rule& rule, std::string_view params,
                    const rpc::envelope& beside) -> result<void> {
    const auto wanted = decode_checked<get_value>(params)->path.text();
    seen.push_back(std::string{rule.name} + " " + wanted);
    CHECK(beside.trace == trace_id{uuid{{3}}});
    if (seen.size() == 1) return fail(error_code::permission_denied, "not this one");
    return {};
  };
  connection_fixture side{std::move(setup)};
  const rpc::envelope beside{1s, trace_id{uuid{{3}}}};
  side.receive(get_frame(7, beside));
  CHECK(side.sent() == failure_frame(7, {error_code::permission_denied, "not this one", {}}));
  CHECK(side.effects().empty());
  side.receive(get_frame(8, beside));
  CHECK(side.one<ask_service>().rule->name == get_value::method);
  CHECK(seen == std::vector<std::string>{"context.get /a", "context.get /a"});
}

TEST_CASE("a request is served in the name of the current caller") {
  connection_fixture side{known(principal_kind::plugin)};
  side.connection.set_caller(std::make_shared<const principal>(
      principal{.name = "changed", .kind = principal_kind::plugin}));
  side.receive(get_frame(7));
  CHECK(side.one<ask_service>().call.caller->name == "changed");
}

TEST_CASE("a cancelled request is answered at once, and its service gets the ticket to cancel") {
  auto setup = known(principal_kind::client);
  setup.number = 3;
  connection_fixture side{std::move(setup)};
  side.receive(get_frame(7));
  const auto asked = side.one<ask_service>();
  CHECK((asked.call.ticket >> 32) == 3);
  side.receive(cancel_frame(7));
  CHECK(side.one<cancel_service>().ticket == asked.call.ticket);
  CHECK_FALSE(side.sent().empty());
  side.answer(asked, "\x05");
  CHECK(side.sent().empty());
}

TEST_CASE("tickets tell the requests of a connection apart") {
  connection_fixture side{known(principal_kind::client)};
  side.receive(get_frame(7) + get_frame(8));
  const auto asked = side.all<ask_service>();
  CHECK(asked.at(0).call.ticket != asked.at(1).call.ticket);
  CHECK(asked.at(0).call.ticket != 0);
}

// -- the read window ------------------------------------------------------------------------------

namespace {

std::string list_frame(std::uint32_t id) {
  return request_frame(id, list_values::method, encode(list_values{path{"/"}}));
}

}  // namespace

TEST_CASE("few requests with large answers are served at once, the next one when one is answered") {
  connection_fixture side{known(principal_kind::client)};
  for (std::uint32_t id = 0; id <= max_reads_at_once; ++id) side.receive(list_frame(id));
  const auto asked = side.all<ask_service>();
  REQUIRE(asked.size() == max_reads_at_once);
  side.answer(asked.front());
  const auto next = side.one<ask_service>();
  CHECK(next.request.serial != asked.back().request.serial);
  side.answer(next);
  CHECK(side.effects().empty());
  side.receive(list_frame(100) + list_frame(101) + list_frame(102));
  CHECK(side.all<ask_service>().size() == 1);
}

TEST_CASE("other requests are served beside a full read window") {
  connection_fixture side{known(principal_kind::client)};
  for (std::uint32_t id = 0; id <= max_reads_at_once; ++id) side.receive(list_frame(id));
  side.effects();
  side.receive(request_frame(100, get_node_info::method));
  CHECK(side.one<ask_service>().rule->access.service == service::node);
}

TEST_CASE(
    "the owner's check counts at the moment when a read is handed on, and a refused one makes "
    "room for the next") {
  bool allowed = true;
  auto setup = known(principal_kind::client);
  setup.check = [&](const method_rule&, std::string_view, const rpc::envelope&) -> result<void> {
    if (allowed) return {};
    return fail(error_code::permission_denied, "revoked");
  };
  connection_fixture side{std::move(setup)};
  for (std::uint32_t id = 0; id < max_reads_at_once + 2; ++id) side.receive(list_frame(id));
  const auto asked = side.all<ask_service>();
  REQUIRE(asked.size() == max_reads_at_once);
  CHECK(side.sent().empty());
  allowed = false;
  side.answer(asked.front(), "\x05");
  const error why{error_code::permission_denied, "revoked", {}};
  CHECK(side.sent() == response_frame(0, "\x05") + failure_frame(max_reads_at_once, why) +
                           failure_frame(max_reads_at_once + 1, why));
  allowed = true;
  side.receive(list_frame(100) + list_frame(101));
  CHECK(side.all<ask_service>().size() == 1);
}

TEST_CASE("a request that waited has only the time that is left, but always some") {
  connection_fixture side{known(principal_kind::client)};
  for (std::uint32_t id = 0; id < max_reads_at_once; ++id) side.receive(list_frame(id));
  const auto asked = side.all<ask_service>();
  const auto params = encode(list_values{path{"/"}});
  for (const auto id : {100u, 101u})
    side.receive(request_frame(id, list_values::method, rpc::with_envelope(params, {5s, {}})));
  side.now += 2s;
  side.answer(asked.at(0));
  CHECK(side.one<ask_service>().call.deadline == 3s);
  side.now += 10s;
  side.answer(asked.at(1));
  CHECK(side.one<ask_service>().call.deadline == 1ms);
}

// -- notifications --------------------------------------------------------------------------------

TEST_CASE("a notification is passed to the service of its method") {
  connection_fixture side{known(principal_kind::peer)};
  side.receive(heads_frame());
  const auto told = side.one<tell_service>();
  CHECK(told.rule->access.service == service::context);
  CHECK(told.notification.method == sync_heads::method);
  CHECK(told.notification.caller->kind == principal_kind::peer);
  CHECK(told.notification.params.bytes == "\x81\xa1x\x01");
  CHECK(side.sent().empty());
}

TEST_CASE("reading pauses while the services do not keep up with notifications") {
  auto setup = known(principal_kind::peer);
  setup.limits.untaken_bytes = 1000;
  connection_fixture side{std::move(setup)};
  std::vector<std::size_t> untaken;
  while (!side.connection.reading_paused()) {
    REQUIRE(untaken.size() < 10);
    side.receive(heads_frame());
    untaken.push_back(side.one<tell_service>().bytes);
  }
  CHECK(untaken.size() > 1);
  side.connection.taken(untaken.back());
  CHECK_FALSE(side.connection.reading_paused());
}

TEST_CASE("a notification of the link itself is the owner's") {
  connection_fixture side{known(principal_kind::plugin)};
  const auto params = encode(log_line{"info", "hello"});
  side.receive(notification_frame(log_line::method, params));
  const auto came = side.one<notification_came>();
  CHECK(came.method == log_line::method);
  CHECK(came.params == params);
}

TEST_CASE("refused notifications are reported up to a bound each second, and then counted") {
  connection_fixture side{known(principal_kind::client)};
  for (int i = 0; i < 25; ++i) side.receive(heads_frame());
  const auto told = side.all<notification_refused>();
  REQUIRE(told.size() == max_refusals_told);
  CHECK(told.front().method == sync_heads::method);
  CHECK(told.front().reason.code == error_code::permission_denied);
  side.connection.slow_tick(side.now);
  CHECK(side.one<more_refused>().count == 25 - max_refusals_told);
  side.connection.slow_tick(side.now);
  CHECK(side.effects().empty());
  side.receive(heads_frame());
  CHECK(side.all<notification_refused>().size() == 1);
}

// -- calls ----------------------------------------------------------------------------------------

TEST_CASE("the outcome of a call is an effect, so that what arrives is dealt with in its order") {
  connection_fixture side{known(principal_kind::peer)};
  recorded_outcome outcome;
  const auto number = side.connection.call("m", rpc::no_params, side.now + 1s, outcome.taker());
  REQUIRE(number);
  CHECK(side.sent() == request_frame(*number));
  side.receive(heads_frame() + response_frame(*number, "\x05") + heads_frame());
  auto effects = side.effects();
  REQUIRE(effects.size() == 3);
  CHECK(std::holds_alternative<tell_service>(effects[0]));
  CHECK(std::holds_alternative<tell_service>(effects[2]));
  CHECK(outcome.told == 0);
  auto& ended = std::get<call_ended>(effects[1]);
  ended.done(std::move(ended.outcome));
  CHECK(outcome.told == 1);
  CHECK(**outcome.outcome == "\x05");
}

TEST_CASE("a call without an answer ends at its deadline") {
  connection_fixture side{known(principal_kind::peer)};
  recorded_outcome outcome;
  REQUIRE(side.connection.call("m", rpc::no_params, side.now + 1s, outcome.taker()));
  side.pass(999ms);
  CHECK(side.effects().empty());
  side.pass(1ms);
  CHECK(side.one<call_ended>().outcome.error().code == error_code::deadline_exceeded);
}

TEST_CASE("the other side gets the cancel of a call, which goes on until it is answered") {
  connection_fixture side{known(principal_kind::peer)};
  recorded_outcome outcome;
  const auto number = side.connection.call("m", rpc::no_params, side.now + 1s, outcome.taker());
  side.sent();
  side.connection.cancel(*number);
  CHECK(side.sent() == cancel_frame(*number));
  CHECK(side.effects().empty());
  side.receive(failure_frame(*number, {error_code::cancelled, "stopped", {}}));
  CHECK(side.one<call_ended>().outcome.error().code == error_code::cancelled);
}

// -- fast ticks -----------------------------------------------------------------------------------

TEST_CASE("a fast tick is due while an answer is awaited, one at a time") {
  connection_fixture side{known(principal_kind::client)};
  CHECK_FALSE(side.connection.take_fast_tick(false));
  side.receive(get_frame(7));
  const auto asked = side.one<ask_service>();
  CHECK(side.connection.take_fast_tick(false));
  CHECK_FALSE(side.connection.take_fast_tick(false));
  side.connection.fast_tick(side.now);
  CHECK(side.connection.take_fast_tick(false));
  side.connection.fast_tick(side.now);
  side.answer(asked);
  CHECK_FALSE(side.connection.take_fast_tick(false));
}

TEST_CASE("a fast tick is due while reading is paused") {
  connection_fixture side{known(principal_kind::client)};
  CHECK(side.connection.take_fast_tick(true));
}

TEST_CASE(
    "a request that expires is answered by the connection, and its late answer goes nowhere") {
  connection_fixture side{known(principal_kind::client)};
  side.receive(get_frame(7, {1s, {}}));
  const auto asked = side.one<ask_service>();
  side.pass(1s);
  const auto bytes = side.sent();
  const auto sent = std::get<rpc::response>(*rpc::parse(bytes));
  CHECK(sent.id == 7);
  CHECK(sent.failure.code == error_code::deadline_exceeded);
  side.answer(asked);
  CHECK(side.sent().empty());
}
