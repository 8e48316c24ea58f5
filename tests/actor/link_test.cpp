// A link over a real connection whose other end the test holds.

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <ranges>
#include <thread>

#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fake_service.hpp>
#include <troupe/tests/support/raw_peer.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

class fixture {
public:
  real_system system;
  recorded_log log;

  /// A link without a greeting, whose other side is of this kind.
  raw_peer connect(principal_kind kind, service_table services = {}, link_limits limits = {}) {
    return start({.label = "test", .limits = limits, .log = log.target(), .services = std::move(services), .gate = {}, .open = {},
                  .other_side = {.name = "somebody", .kind = kind, .capabilities = {}}, .owner = {}});
  }
  raw_peer start(link_setup setup) {
    socket_pair sockets;
    link = system.own(spawn_link(system.caf(), sockets.near.release(), std::move(setup)));
    return raw_peer{std::move(sockets.far)};
  }
  answer<payload> call(std::string method, std::chrono::milliseconds deadline = 10s, value params = value::map({}), trace_id trace = {}) {
    return system.ask<payload>(link, call_remote{std::move(method), {params.msgpack()}, deadline, trace});
  }

  link_actor link;
};

/// A table in which one service serves everything.
service_table all_by(const service_actor& one) {
  return {{service::commands, one}, {service::context, one}, {service::mesh, one}, {service::node, one}, {service::plugins, one}};
}

}  // namespace

// -- calls to the other side ------------------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "a call reaches the other side with deadline and trace, and its answer comes back") {
  auto peer = connect(principal_kind::plugin);
  const trace_id trace{random_uuid()};
  auto asked = call("command.execute", 3s, value::map({{"command", "greet"}}), trace);
  const auto heard = peer.expect_request("command.execute");
  CHECK(heard.as<rpc::envelope>().deadline == 3s);
  CHECK(heard.as<rpc::envelope>().trace == trace);
  CHECK(heard.as<execute_request>().command == "greet");
  peer.respond(heard.id, value{"hello"}.msgpack());
  CHECK(asked.value() == payload{{value{"hello"}.msgpack()}});
}

TEST_CASE_FIXTURE(fixture, "replies may come in any order") {
  auto peer = connect(principal_kind::plugin);
  auto a = call("a");
  const auto first = peer.expect_request("a");
  auto b = call("b");
  const auto second = peer.expect_request("b");
  peer.respond(second.id, value{2}.msgpack());
  peer.respond(first.id, value{1}.msgpack());
  CHECK(a.value() == payload{{value{1}.msgpack()}});
  CHECK(b.value() == payload{{value{2}.msgpack()}});
}

TEST_CASE_FIXTURE(fixture, "the error of the other side is the error of the call") {
  auto peer = connect(principal_kind::plugin);
  auto asked = call("a");
  const error why{error_code::handler_failed, "no such note", value::map({{"note", 7}}).msgpack()};
  peer.refuse(peer.expect_request("a").id, why);
  CHECK(asked.get().error() == why);
}

TEST_CASE_FIXTURE(fixture, "a call that is not answered ends at its deadline, and the other side is told") {
  auto peer = connect(principal_kind::plugin);
  auto asked = call("a", 50ms);
  const auto heard = peer.expect_request("a");
  CHECK(asked.code() == error_code::deadline_exceeded);
  const auto cancelled = value::from_msgpack(peer.expect_notification("cancel").bytes).value();
  CHECK(cancelled.find("msgid") == value{heard.id});
  // A late reply does no harm.
  peer.respond(heard.id);
  auto again = call("b");
  peer.respond(peer.expect_request("b").id);
  CHECK(again.get());
}

TEST_CASE_FIXTURE(fixture, "a call without time left is not made") {
  auto peer = connect(principal_kind::plugin);
  CHECK(call("a", 0ms).code() == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(fixture, "more calls than may be in flight are refused as overloaded") {
  link_limits narrow;
  narrow.in_flight = 1;
  auto peer = connect(principal_kind::plugin, {}, narrow);
  auto first = call("a");
  const auto heard = peer.expect_request("a");
  CHECK(call("b").code() == error_code::overloaded);
  peer.respond(heard.id);
  CHECK(first.get());
}

TEST_CASE_FIXTURE(fixture, "a notice is sent, and acknowledged when it is on its way") {
  auto peer = connect(principal_kind::peer);
  CHECK(system.ask<void>(link, notify_remote{"sync.ack", {std::string{rpc::no_params}}}).get());
  CHECK(peer.expect_notification("sync.ack").bytes == rpc::no_params);
}

TEST_CASE_FIXTURE(fixture, "a side that does not read is overloaded, not buffered for without end") {
  link_limits narrow;
  narrow.output_bytes = 100'000;
  auto peer = connect(principal_kind::peer, {}, narrow);
  const notify_remote notice{"sync.ack", {value::map({{"x", std::string(50'000, 'x')}}).msgpack()}};
  error_code outcome = error_code::none;
  for (int i = 0; i < 1000 && outcome == error_code::none; ++i) outcome = system.ask<void>(link, notice).code();
  CHECK(outcome == error_code::overloaded);
  // It reads, and there is room again.
  CHECK(eventually([&] {
    peer.expect_notification("sync.ack");
    return system.ask<void>(link, notice).code() == error_code::none;
  }));
}

// -- the end of a link ------------------------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "a link that is closed sends what it has, and its open calls are answered") {
  auto peer = connect(principal_kind::peer);
  auto ended = end_of(link);
  auto open = call("a");
  peer.expect_request("a");
  const auto much = value::map({{"x", std::string(50'000, 'x')}}).msgpack();
  REQUIRE(system.ask<void>(link, notify_remote{"sync.ack", {much}}).get());
  tell(link, close_link{"enough"});
  CHECK(open.code() == error_code::unavailable);
  CHECK(open.problem() == "enough");
  CHECK(peer.expect_notification("sync.ack").bytes == much);
  CHECK(peer.sees_the_end());
  CHECK(ended.problem() == "enough");
  CHECK(log.contains("link.closed link=\"test\" reason=\"enough\""));
}

TEST_CASE_FIXTURE(fixture, "a peer is told why its link is closed, a client is not") {
  for (const auto kind : {principal_kind::peer, principal_kind::client}) {
    auto peer = connect(kind);
    tell(link, close_link{"enough"});
    const auto told = peer.next([](const heard_frame& f) { return f.method == "session.closed"; });
    REQUIRE(told.has_value() == (kind == principal_kind::peer));
    if (told) CHECK(value::from_msgpack(told->bytes)->find("reason") == value{"enough"});
    CHECK(peer.sees_the_end());
  }
}

TEST_CASE_FIXTURE(fixture, "the reason that a peer tells before it closes is why the link ends, cut and fit for the log") {
  auto peer = connect(principal_kind::peer);
  auto ended = end_of(link);
  peer.notify("session.closed", value::map({{"reason", "copied\nforged " + std::string(10'000, 'x')}}).msgpack());
  CHECK(ended.code() == error_code::unavailable);
  CHECK(ended.problem().starts_with("the other side closed the link: copied\nforged xxx"));
  CHECK(ended.problem().size() < 600);
  CHECK(log.contains("the other side closed the link: copied\\x0aforged"));
  auto odd = connect(principal_kind::peer);
  auto odd_ended = end_of(link);
  odd.notify("session.closed");
  CHECK(odd_ended.code() == error_code::invalid_argument);
}

TEST_CASE_FIXTURE(fixture, "what is asked of a link that has ended is answered unavailable") {
  auto peer = connect(principal_kind::peer);
  auto ended = end_of(link);
  tell(link, close_link{"enough"});
  (void)ended.get();
  CHECK(call("a").code() == error_code::unavailable);
  CHECK(system.ask<void>(link, notify_remote{"sync.ack", {std::string{rpc::no_params}}}).code() == error_code::unavailable);
}

namespace {

auto open_descriptors() { return std::ranges::distance(std::filesystem::directory_iterator{"/proc/self/fd"}); }

}  // namespace

TEST_CASE_FIXTURE(fixture, "a link ends although its other side never reads what was sent") {
  const auto before = open_descriptors();
  auto peer = connect(principal_kind::peer);
  auto ended = end_of(link);
  const notify_remote notice{"sync.ack", {value::map({{"x", std::string(1'000'000, 'x')}}).msgpack()}};
  for (int i = 0; i < 8; ++i) REQUIRE(system.ask<void>(link, notice).get());
  tell(link, close_link{"enough"});
  (void)ended.get();
  CHECK(eventually([&] { return open_descriptors() == before + 1; }));
}

TEST_CASE_FIXTURE(fixture, "a link that is closed as soon as it has begun keeps nothing open") {
  const auto before = open_descriptors();
  std::vector<raw_peer> peers;
  for (int i = 0; i < 50; ++i) {
    peers.push_back(connect(principal_kind::client));
    auto ended = end_of(link);
    if (i % 2 == 0) tell(link, close_link{"enough"});
    else dismiss(link);
    (void)ended.get();
  }
  CHECK(eventually([&] { return open_descriptors() == before + 50; }));
}

TEST_CASE_FIXTURE(fixture, "a link that has ended keeps nothing open, even when the other side does") {
  const auto before = open_descriptors();
  std::vector<raw_peer> peers;
  for (int i = 0; i < 5; ++i) {
    peers.push_back(connect(principal_kind::client));
    auto ended = end_of(link);
    peers.back().send("\xc1");
    (void)ended.get();
  }
  // What is left are the test's own ends.
  CHECK(eventually([&] { return open_descriptors() == before + 5; }));
}

TEST_CASE_FIXTURE(fixture, "when the other side closes, open calls are answered unavailable and the link ends") {
  auto peer = connect(principal_kind::peer);
  auto ended = end_of(link);
  auto open = call("a");
  peer.expect_request("a");
  peer.close();
  CHECK(open.code() == error_code::unavailable);
  CHECK(ended.code() == error_code::unavailable);
  CHECK(log.contains("link.closed link=\"test\""));
}

TEST_CASE_FIXTURE(fixture, "a malformed frame ends the link with a log event, and open calls are answered") {
  for (const auto& bytes : {std::string{"\xc1"}, std::string{"\x93\x07\x01\xa1m"}, value{"no frame"}.msgpack()}) {
    auto peer = connect(principal_kind::client);
    auto ended = end_of(link);
    auto open = call("a");
    peer.expect_request("a");
    peer.send(bytes);
    CHECK(open.code() != error_code::none);
    CHECK(peer.sees_the_end());
    CHECK_FALSE(ended.get());
  }
  CHECK(log.count("link.ended link=\"test\"") == 3);
}

TEST_CASE_FIXTURE(fixture, "a frame that promises more than the bound ends the link before it arrives") {
  link_limits narrow;
  narrow.codec.frame_bytes = 1000;
  auto peer = connect(principal_kind::client, {}, narrow);
  peer.send(std::string{"\x94\x00\x01\xdb\x7f\xff\xff\xff", 8});
  CHECK(peer.sees_the_end());
  CHECK(log.contains("link.ended"));
}

TEST_CASE_FIXTURE(fixture, "half a message that does not go on ends the link") {
  link_limits hasty;
  hasty.half_frame = 50ms;
  auto peer = connect(principal_kind::client, {}, hasty);
  peer.send("\x94");
  CHECK(peer.sees_the_end());
  CHECK(log.contains("code=protocol_violation"));
}

TEST_CASE_FIXTURE(fixture, "a silent other side is found out by pings") {
  link_limits alert;
  alert.ping_interval = 20ms;
  alert.silence = 50ms;
  auto peer = connect(principal_kind::peer, {}, alert);
  CHECK(peer.expect_request("ping").method == "ping");
  CHECK(peer.sees_the_end());
  CHECK(log.contains("nothing was heard for 50 ms"));
}

TEST_CASE_FIXTURE(fixture, "an other side that answers pings keeps its link") {
  link_limits alert;
  alert.ping_interval = 20ms;
  alert.silence = 1500ms;
  auto peer = connect(principal_kind::peer, {}, alert);
  for (int i = 0; i < 3; ++i) peer.respond(peer.expect_request("ping").id);
  auto asked = call("a");
  peer.respond(peer.expect_request("a").id);
  CHECK(asked.get());
}

TEST_CASE_FIXTURE(fixture, "pings are answered by the link itself") {
  auto peer = connect(principal_kind::client);
  CHECK(peer.call("ping").failure.code == error_code::none);
}

// -- requests of the other side -----------------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(fixture, "a request reaches the service of its method, with who asks stamped by the link") {
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

TEST_CASE_FIXTURE(fixture, "the error of a service is the answer to the other side") {
  const error why{error_code::permission_denied, "not this one", {}};
  fake_service context{system, [why](const service_call&) { return result<value>{fail(why)}; }};
  auto peer = connect(principal_kind::client, {{service::context, context.actor()}});
  CHECK(peer.call_with("context.get", get_value{path{"/a"}}).failure == why);
}

TEST_CASE_FIXTURE(fixture, "a request is answered at its deadline when its service is not heard of") {
  fake_service context{system, [](const service_call&) { return std::optional<result<value>>{}; }};
  auto peer = connect(principal_kind::client, {{service::context, context.actor()}});
  const auto got = peer.call("context.get", rpc::with_envelope(encode(get_value{path{"/a"}}), {50ms, {}}));
  CHECK(got.failure.code == error_code::deadline_exceeded);
}

TEST_CASE_FIXTURE(fixture, "a cancelled request is answered so, and its late result goes nowhere") {
  fake_service context{system, [](const service_call&) { return std::optional<result<value>>{}; }};
  auto peer = connect(principal_kind::client, {{service::context, context.actor()}});
  const auto id = peer.request_with("context.get", get_value{path{"/a"}});
  peer.notify("cancel", value::map({{"msgid", id}}).msgpack());
  CHECK(peer.expect_response(id).failure.code == error_code::cancelled);
  CHECK(peer.call("ping").failure.code == error_code::none);
}

TEST_CASE_FIXTURE(fixture, "who serves commands is told which are withdrawn, by the other side or by its end") {
  fake_service commands{system, [](const service_call&) { return std::optional<result<value>>{}; }};
  auto peer = connect(principal_kind::client, {{service::commands, commands.actor()}});
  const auto first = peer.request_with("command.execute", execute_request{"a", {}});
  const auto second = peer.request_with("command.execute", execute_request{"b", {}});
  REQUIRE(eventually([&] { return commands.calls().size() == 2; }));
  const auto asked = commands.calls();
  CHECK(asked[0].ticket != asked[1].ticket);
  peer.notify("cancel", value::map({{"msgid", second}}).msgpack());
  CHECK(peer.expect_response(second).failure.code == error_code::cancelled);
  CHECK(eventually([&] { return commands.withdrawn() == std::vector{asked[1].ticket}; }));
  CHECK(first != second);
  peer.close();
  CHECK(eventually([&] { return commands.withdrawn() == std::vector{asked[1].ticket, asked[0].ticket}; }));
}

TEST_CASE_FIXTURE(fixture, "requests that are withdrawn or expire at once are served up to the bound, and the others refused") {
  fake_service context{system, [](const service_call&) { return std::optional<result<value>>{}; }};
  link_limits narrow;
  narrow.in_flight = 8;
  const auto brief = rpc::with_envelope(encode(get_value{path{"/a"}}), {1ms, {}});
  auto withdrawing = connect(principal_kind::client, {{service::context, context.actor()}}, narrow);
  for (int i = 0; i < 100; ++i) {
    const auto id = withdrawing.request_with("context.get", get_value{path{"/a"}});
    withdrawing.notify("cancel", value::map({{"msgid", id}}).msgpack());
    const auto code = withdrawing.expect_response(id).failure.code;
    CHECK(code == (i < 8 ? error_code::cancelled : error_code::overloaded));
  }
  CHECK(eventually([&] { return context.calls().size() == 8; }));
  auto hasty = connect(principal_kind::client, {{service::context, context.actor()}}, narrow);
  for (int i = 0; i < 20; ++i)
    CHECK(hasty.call("context.get", brief).failure.code == (i < 8 ? error_code::deadline_exceeded : error_code::overloaded));
  CHECK(eventually([&] { return context.calls().size() == 16; }));
}

TEST_CASE_FIXTURE(fixture, "an answer that the other side would end the link for becomes an error, and the link goes on") {
  value deep{1};
  for (int i = 0; i < 64; ++i) deep = value::array({deep});
  fake_service context{system, [deep](const service_call&) { return result<value>{deep}; }};
  auto peer = connect(principal_kind::client, {{service::context, context.actor()}});
  CHECK(peer.call_with("context.get", get_value{path{"/a"}}).failure.code == error_code::limit_exceeded);
  CHECK(call("a", 10s, value::map({{"a", deep.elements().front()}})).code() == error_code::limit_exceeded);
  CHECK(peer.call("ping").failure.code == error_code::none);
}

TEST_CASE_FIXTURE(fixture, "an unknown method is answered with the nearest name") {
  auto peer = connect(principal_kind::client);
  const auto got = peer.call("context.gte");
  CHECK(got.failure.code == error_code::not_found);
  CHECK(got.failure.message.find("\"context.get\"") != std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "a method that this node does not serve is unavailable") {
  auto peer = connect(principal_kind::client);
  CHECK(peer.call_with("context.get", get_value{path{"/a"}}).failure.code == error_code::unavailable);
}

TEST_CASE_FIXTURE(fixture, "each kind of principal may call its own methods and no others") {
  fake_service everything{system};
  const auto code = [](raw_peer& peer, std::string_view method) { return peer.call(method).failure.code; };
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
  CHECK(eventually([&] { return everything.notices().size() == 2; }));
  CHECK(everything.calls().size() == 4);
}

TEST_CASE_FIXTURE(fixture, "a service that does not keep up with notices makes the link stop reading, until it does") {
  fake_service context{system};
  context.take_notices(false);
  link_limits narrow;
  narrow.untaken_bytes = 100'000;
  auto peer = connect(principal_kind::peer, {{service::context, context.actor()}}, narrow);
  std::string notice;
  rpc::append_notification(notice, "sync.ack", value::map({{"x", std::string(40'000, 'x')}}).msgpack());
  std::thread sender{[&] {
    for (int i = 0; i < 200; ++i) peer.send(notice);
  }};
  CHECK(eventually([&] { return context.notices().size() >= 3; }));
  // What CAF reads in one turn comes on top of the bound.
  CHECK_FALSE(eventually([&] { return context.notices().size() >= 100; }, 500ms));
  CHECK(system.ask<void>(link, notify_remote{"sync.ack", {std::string{rpc::no_params}}}).get());
  context.take_notices(true);
  tell(context.actor(), service_notice{the_host(), "sync.ack", {}});
  CHECK(eventually([&] { return context.notices().size() == 201; }));
  sender.join();
}

TEST_CASE_FIXTURE(fixture, "a request that comes as a notice, and a notice that comes as a request, are refused") {
  fake_service context{system};
  auto peer = connect(principal_kind::peer, {{service::context, context.actor()}});
  auto client = connect(principal_kind::client, {{service::context, context.actor()}});
  client.notify("context.set", value::map({{"path", "/a"}, {"value", 1}}).msgpack());
  CHECK(eventually([&] { return log.contains("context.set is a request"); }));
  CHECK(peer.expect_response(peer.request("sync.ack")).failure.message.find("is a notice") != std::string::npos);
  CHECK(context.notices().empty());
  CHECK(context.calls().empty());
}

TEST_CASE_FIXTURE(fixture, "notices reach their service; others are refused with a log event") {
  fake_service context{system};
  auto peer = connect(principal_kind::peer, {{service::context, context.actor()}});
  peer.notify("sync.ack", value::map({{"batch", 1}}).msgpack());
  CHECK(eventually([&] { return context.notices().size() == 1; }));
  CHECK(context.notices().front().method == "sync.ack");
  CHECK(context.notices().front().caller->name == "somebody");
  peer.notify("node.stop");
  peer.notify("no.such\nmethod");
  CHECK(eventually([&] { return log.count("link.notice_refused") == 2; }));
  CHECK(log.contains("no.such\\x0amethod"));
}

// -- sessions -----------------------------------------------------------------------------------------------------------------

namespace {

/// Keeps the sessions that it is told of.
class kept_owner {
public:
  explicit kept_owner(real_system& system) {
    actor_ = system.own(link_owner{system.caf().spawn([memory = memory_](link_owner::pointer) -> link_owner::behavior_type {
      return {[memory](const link_opened& opened) {
        const std::lock_guard locked{memory->guard};
        memory->opened.push_back(opened);
      }};
    })});
  }
  const link_owner& actor() const { return actor_; }
  std::vector<link_opened> opened() const {
    const std::lock_guard locked{memory_->guard};
    return memory_->opened;
  }

private:
  struct memory {
    std::mutex guard;
    std::vector<link_opened> opened;
  };
  std::shared_ptr<memory> memory_ = std::make_shared<memory>();
  link_owner actor_;
};

session_open opening(std::string name = "cli", session_kind kind = session_kind::client) {
  session_open made;
  made.protocol = {lowest_protocol, highest_protocol};
  made.kind = kind;
  made.name = std::move(name);
  return made;
}

class gated_fixture : public fixture {
public:
  fake_service commands{system};
  kept_owner owner{system};

  raw_peer accept(link_limits limits = {}) {
    return start({.label = "gate", .limits = limits, .log = log.target(), .services = {{service::commands, commands.actor()}},
                  .gate = [](const session_open& wanted) -> result<session_grant> {
                    if (wanted.name == "intruder") return fail(error_code::permission_denied, "intruders stay outside");
                    session_accepted answer;
                    answer.protocol = 77;  // is the link's to say
                    answer.node_name = "here";
                    return session_grant{{.name = "client:" + wanted.name, .kind = principal_kind::client, .capabilities = {}}, answer};
                  },
                  .open = {}, .other_side = {}, .owner = owner.actor()});
  }
  raw_peer dial() {
    return start({.label = "127.0.0.1:7", .limits = {}, .log = log.target(), .services = {{service::context, commands.actor()}},
                  .gate = {}, .open = opening("me", session_kind::peer),
                  .other_side = {.name = "127.0.0.1:7", .kind = principal_kind::peer, .capabilities = {}}, .owner = owner.actor()});
  }
};

}  // namespace

TEST_CASE_FIXTURE(gated_fixture, "a session is opened, its owner told, and the other side is who the gate says") {
  auto peer = accept();
  const auto accepted = peer.call_with("session.open", opening());
  CHECK(accepted.failure.code == error_code::none);
  CHECK(accepted.as<session_accepted>().node_name == "here");
  CHECK(accepted.as<session_accepted>().protocol == highest_protocol);
  CHECK(eventually([&] { return owner.opened().size() == 1; }));
  CHECK(owner.opened().front().name == "cli");
  CHECK(owner.opened().front().kind == session_kind::client);
  CHECK_FALSE(owner.opened().front().dialed);
  CHECK(peer.call("command.list").failure.code == error_code::none);
  CHECK(commands.calls().front().caller->name == "client:cli");
  CHECK(log.contains("link.opened link=\"gate\" kind=client name=\"cli\""));
}

TEST_CASE_FIXTURE(gated_fixture, "a name cannot end its field in the log and begin another") {
  auto peer = accept();
  CHECK(peer.call_with("session.open", opening("x\" kind=\"peer")).failure.code == error_code::none);
  CHECK(log.contains("kind=client name=\"x\\\" kind=\\\"peer\""));
}

TEST_CASE_FIXTURE(gated_fixture, "a session is opened once") {
  auto peer = accept();
  REQUIRE(peer.call_with("session.open", opening()).failure.code == error_code::none);
  CHECK(peer.call_with("session.open", opening()).failure.code == error_code::protocol_violation);
  CHECK(peer.call("command.list").failure.code == error_code::none);
}

TEST_CASE_FIXTURE(gated_fixture, "anything but a proper opening is answered with why, and ends the link") {
  auto newer = opening();
  newer.protocol = {highest_protocol + 1, highest_protocol + 5};
  auto malformed = opening();
  malformed.protocol = {3};
  const std::vector<std::tuple<std::string, std::string, error_code>> openings{
      {"command.list", std::string{rpc::no_params}, error_code::protocol_violation},
      {"ping", std::string{rpc::no_params}, error_code::protocol_violation},
      {"session.open", encode(opening(std::string(max_session_name_bytes + 1, 'n'))), error_code::invalid_argument},
      {"session.open", std::string{rpc::no_params}, error_code::invalid_argument},
      {"session.open", encode(malformed), error_code::invalid_argument},
      {"session.open", encode(newer), error_code::version_mismatch},
      {"session.open", encode(opening("intruder")), error_code::permission_denied}};
  for (const auto& [method, params, expected] : openings) {
    CAPTURE(method);
    auto peer = accept();
    CHECK(peer.call(method, params).failure.code == expected);
    CHECK(peer.sees_the_end());
  }
  CHECK(log.count("link.ended link=\"gate\"") == openings.size());
  CHECK(owner.opened().empty());
  CHECK(commands.calls().empty());
}

TEST_CASE_FIXTURE(gated_fixture, "requests that come with a refused opening are not served") {
  auto peer = accept();
  std::string both;
  rpc::append_request(both, 1, "session.open", encode(opening("intruder")));
  rpc::append_request(both, 2, "command.list", rpc::no_params);
  rpc::append_notification(both, "log", rpc::no_params);
  peer.send(both);
  CHECK(peer.sees_the_end());
  CHECK(commands.calls().empty());
}

TEST_CASE_FIXTURE(gated_fixture, "a notice or a reply before the opening ends the link at once") {
  const auto says = [this](const std::function<void(raw_peer&)>& something) {
    auto peer = accept();
    auto ended = end_of(link);
    something(peer);
    CHECK(peer.sees_the_end());
    CHECK(ended.code() == error_code::protocol_violation);
    return ended.problem();
  };
  CHECK(says([](raw_peer& peer) { peer.notify("log"); }) == "the first message must be session.open, not the notice log");
  CHECK(says([](raw_peer& peer) { peer.notify("cancel"); }) == "the first message must be session.open, not the notice cancel");
  CHECK(says([](raw_peer& peer) { peer.respond(1); }) == "the first message must be session.open, not a reply to no open call");
}

TEST_CASE_FIXTURE(gated_fixture, "a connection on which no session is opened ends") {
  link_limits hasty;
  hasty.silence = 50ms;
  hasty.ping_interval = 1ms;
  auto peer = accept(hasty);
  CHECK_FALSE(peer.next([](const auto&) { return true; }).has_value());
  CHECK(log.contains("no session was opened in time"));
}

TEST_CASE_FIXTURE(gated_fixture, "nothing is called on a link that is not open yet") {
  auto peer = accept();
  CHECK(call("a").code() == error_code::unavailable);
}

TEST_CASE_FIXTURE(gated_fixture, "the dialing side introduces itself, and its owner is told who answered") {
  auto peer = dial();
  const auto heard = peer.expect_request("session.open");
  CHECK(heard.as<session_open>().name == "me");
  session_accepted answer;
  answer.node = {random_uuid()};
  answer.node_name = "there";
  answer.incarnation = 7;
  peer.respond(heard.id, encode(answer));
  CHECK(eventually([&] { return owner.opened().size() == 1; }));
  const auto opened = owner.opened().front();
  CHECK(opened.node == answer.node);
  CHECK(opened.name == "there");
  CHECK(opened.incarnation == 7);
  CHECK(opened.dialed);
  CHECK(opened.address == "127.0.0.1:7");
  peer.notify("sync.ack");
  CHECK(eventually([&] { return commands.notices().size() == 1; }));
  CHECK(commands.notices().front().caller->name == to_string(answer.node));
}

TEST_CASE_FIXTURE(gated_fixture, "a dialing side that is refused, or answered with nonsense, ends its link") {
  auto peer = dial();
  auto ended = end_of(link);
  peer.refuse(peer.expect_request("session.open").id, {error_code::permission_denied, "another cluster", {}});
  CHECK(ended.code() == error_code::permission_denied);
  CHECK(ended.problem() == "another cluster");
  auto odd = dial();
  auto odd_ended = end_of(link);
  odd.respond(odd.expect_request("session.open").id, value{"welcome"}.msgpack());
  CHECK(odd_ended.code() == error_code::invalid_argument);
  CHECK(owner.opened().empty());
}

TEST_CASE_FIXTURE(gated_fixture, "a dialing side that is asked first refuses, and ends its link") {
  for (const auto* method : {"session.open", "ping", "context.get"}) {
    CAPTURE(method);
    auto peer = dial();
    auto ended = end_of(link);
    const auto asked = peer.request(method, encode(opening()));
    if (method == std::string_view{"ping"}) {
      CHECK(peer.expect_response(asked).failure.code == error_code::none);
      continue;
    }
    const auto refused = peer.expect_response(asked).failure;
    CHECK(refused.code == error_code::protocol_violation);
    CHECK(refused.message == "this side dialed; it asks first, and was asked " + std::string{method});
    CHECK(peer.sees_the_end());
    CHECK(ended.code() == error_code::protocol_violation);
  }
  CHECK(owner.opened().empty());
}

TEST_CASE_FIXTURE(gated_fixture, "a dialing side believes no answer that a node of its cluster would not give") {
  session_accepted good;
  good.node = {random_uuid()};
  auto unoffered = good, nobody = good, foreign = good, long_named = good;
  unoffered.protocol = highest_protocol + 1;
  nobody.node = {};
  foreign.cluster = {random_uuid()};
  long_named.node_name = std::string(max_session_name_bytes + 1, 'n');
  for (const auto& [answer, expected] : {std::pair{unoffered, error_code::version_mismatch},
                                         {nobody, error_code::protocol_violation},
                                         {foreign, error_code::permission_denied},
                                         {long_named, error_code::invalid_argument}}) {
    auto peer = dial();
    auto ended = end_of(link);
    peer.respond(peer.expect_request("session.open").id, encode(answer));
    CHECK(ended.code() == expected);
    CHECK(peer.sees_the_end());
  }
  CHECK(owner.opened().empty());
}
