#include <troupe/plugins/sdk/cpp/plugin.hpp>
#include <troupe/plugins/sdk/cpp/session.hpp>
#include <troupe/plugins/sdk/cpp/test_host.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <rapidcheck.h>
#include <sys/socket.h>
#include <unistd.h>

#include <troupe/plugins/examples/notes/notes.hpp>

using namespace troupe;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

const sdk::time_point start{std::chrono::hours{1}};

std::string request_frame(std::uint32_t id, std::string_view method, const value& params = value::map({})) {
  std::string out;
  rpc::append_request(out, id, method, params.msgpack());
  return out;
}

std::string execute_frame(std::uint32_t id, std::vector<value::member> more = {}) {
  more.emplace_back("command", "p.run");
  more.emplace_back("arguments", value::map({}));
  more.emplace_back("principal", "tester");
  return request_frame(id, "command.execute", value::map(std::move(more)));
}

std::string notice_frame(std::string_view method, const value& params) {
  std::string out;
  rpc::append_notification(out, method, params.msgpack());
  return out;
}

std::string cancel_frame(std::uint32_t id) { return notice_frame("cancel", value::map({{"msgid", id}})); }

std::string answer_frame(std::uint32_t id, const value& result) {
  std::string out;
  rpc::append_response(out, id, result.msgpack());
  return out;
}

std::string refusal_frame(std::uint32_t id, const error& failure) {
  std::string out;
  rpc::append_failure(out, id, failure);
  return out;
}

/// A frame as JSON, so that a test shows what it expects.
std::string json(std::string_view frame) { return value::from_msgpack(frame).value().to_json(); }

/// All that the session wants to send, one JSON text for each frame.
std::vector<std::string> said(sdk::session& session) {
  sdk::frame_buffer buffer;
  buffer.append(session.outgoing());
  session.sent(session.outgoing().size());
  std::vector<std::string> frames;
  for (auto frame = buffer.next(); frame.has_value() && !frame->empty(); frame = buffer.next())
    frames.push_back(json(*frame));
  return frames;
}

/// The codes of the errors that the session wants to send.
std::vector<std::string> refusals(sdk::session& session) {
  std::vector<std::string> codes;
  for (const auto& frame : said(session))
    codes.push_back(std::string{*value::from_json(frame)->elements().at(2).elements().at(0).as_string()});
  return codes;
}

std::string violation(std::string_view bytes) {
  sdk::session session;
  const auto received = session.receive(bytes, start);
  REQUIRE_FALSE(received);
  return to_string(received.error());
}

value nested(int depth) {
  value made;
  for (; depth > 0; --depth) made = value::array({made});
  return made;
}

/// Turns the standard error stream into a file while it lives.
class captured_stderr {
public:
  captured_stderr() {
    std::fflush(stderr);
    saved_ = ::dup(STDERR_FILENO);
    file_ = std::tmpfile();
    ::dup2(::fileno(file_), STDERR_FILENO);
  }
  ~captured_stderr() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
    std::fclose(file_);
  }
  std::string text() const {
    std::fflush(stderr);
    std::string read(4096, '\0');
    const auto count = ::pread(::fileno(file_), read.data(), read.size(), 0);
    read.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return read;
  }

private:
  int saved_ = -1;
  std::FILE* file_ = nullptr;
};

/// A plugin with one command, `p.run`.
struct one_command : sdk::plugin {
  explicit one_command(handler run, command_spec spec = command_spec{"run"}) : sdk::plugin{"p", "1.2.3"} {
    command(std::move(spec), std::move(run));
  }
};

const sdk::plugin::handler get_a = [](const arguments&, sdk::call& call) -> result<value> {
  auto got = call.context().get(path{"/a"});
  if (!got) return fail(got.error());
  return got->value_or("nothing");
};

const value an_answer = value::map({{"found", true}, {"value", 5}});

/// Answers `session.open` of a host that was opened by hand, with these fields in place of good ones.
void open_by_hand(sdk::test_host& host, std::vector<value::member> changed = {}) {
  const auto asked = rpc::parse(host.receive());
  const std::vector<value::member> needed{{"protocol", 1}, {"node", value::binary(std::string(16, 'n'))}};
  for (const auto& [name, good] : needed)
    if (std::ranges::find(changed, name, &value::member::first) == changed.end()) changed.emplace_back(name, good);
  host.send(answer_frame(std::get<rpc::request>(*asked).id, value::map(std::move(changed))));
}

/// Receives a request of the plugin and returns its id after checking the method.
std::uint32_t receive_request(sdk::test_host& host, std::string_view method) {
  const auto bytes = host.receive();
  const auto frame = rpc::parse(bytes);
  REQUIRE(frame);
  REQUIRE(std::holds_alternative<rpc::request>(*frame));
  CHECK(std::get<rpc::request>(*frame).method == method);
  return std::get<rpc::request>(*frame).id;
}

}  // namespace

// -- the session, without a socket -----------------------------------------------------------------------------------

TEST_CASE("sdk session: a frame may arrive byte by byte") {
  sdk::session session;
  const auto ping = request_frame(7, "ping");
  for (const char byte : ping.substr(0, ping.size() - 1)) REQUIRE(session.receive({&byte, 1}, start));
  CHECK(session.outgoing().empty());
  REQUIRE(session.receive(ping.substr(ping.size() - 1) + ping.substr(0, 3), start));
  CHECK(said(session) == std::vector<std::string>{"[1,7,null,null]"});
}

TEST_CASE("sdk session: however the bytes are cut up, the same is understood") {
  CHECK(rc::check([](const std::vector<std::uint8_t>& cuts) {
    const std::string bytes = execute_frame(1) + request_frame(2, "ping") + execute_frame(3) + cancel_frame(3) +
                              request_frame(4, "no.such") + request_frame(5, "plugin.stop") + execute_frame(6);
    sdk::session whole, pieces;
    RC_ASSERT(whole.receive(bytes, start).has_value());
    std::size_t at = 0;
    for (const auto cut : cuts) {
      RC_ASSERT(pieces.receive(std::string_view{bytes}.substr(at, cut), start).has_value());
      at = std::min(bytes.size(), at + cut);
    }
    RC_ASSERT(pieces.receive(std::string_view{bytes}.substr(at), start).has_value());
    RC_ASSERT(said(whole).size() == 5);
    RC_ASSERT(whole.next_request()->method == "plugin.stop");
    RC_ASSERT(pieces.next_request()->method == "plugin.stop");
    RC_ASSERT(said(pieces).size() == 5);
  }));
}

TEST_CASE("sdk session: bytes that are no msgpack end it") {
  CHECK(violation("\xc1").find("0xc1") != std::string::npos);
  CHECK(violation("\x93\x02\xa1\xff\x90").find("UTF-8") != std::string::npos);
  CHECK(violation(std::string_view{"\x93\x02\xa1x\xc7\x00\x05", 7}).find("extension") != std::string::npos);
  CHECK(violation(std::string(100, '\x91')).find("nesting") != std::string::npos);
}

TEST_CASE("sdk session: messages that are no frames end it") {
  for (const auto* text :
       {"7", "[]", "{}", R"(["x"])", R"([3,1,"m",[]])", R"([0,1,"ping"])", R"([2,"m",[],[]])", R"([0,"1","ping",[{}]])",
        R"([0,-1,"ping",[{}]])", R"([0,4294967296,"ping",[{}]])", "[0,1,5,[{}]]", R"([0,1,"ping",{}])",
        R"([0,1,"ping",[{},{}]])", R"([0,1,"ping",[1]])", "[2,null,[{}]]", "[1,null,null,null]", R"([1,1,"no",null])",
        R"([1,1,["not_found"],null])"}) {
    CAPTURE(text);
    CHECK(violation(value::from_json(text)->msgpack()).starts_with("protocol_violation: "));
  }
}

TEST_CASE("sdk session: a frame beyond the limits ends it, and no length is believed") {
  CHECK(violation(std::string_view{"\x93\x02\xa1x\xdb\xff\xff\xff\xff", 9}).starts_with("limit_exceeded"));
  CHECK(violation(std::string_view{"\xdd\xff\xff\xff\xff", 5}).starts_with("limit_exceeded"));
  sdk::session_limits limits;
  limits.frames.frame_bytes = 64;
  sdk::session session{limits};
  REQUIRE(session.receive(notice_frame("x", value::map({{"v", std::string(40, 'x')}})), start));
  CHECK_FALSE(session.receive(notice_frame("x", value::map({{"v", std::string(80, 'x')}})), start));
}

TEST_CASE("sdk session: what is too large, too deep or no UTF-8 is not sent") {
  sdk::session_limits limits;
  limits.frames.frame_bytes = 200;
  sdk::session session{limits};
  CHECK(session.respond(1, value{std::string(300, 'x')}.msgpack()).error().code == error_code::limit_exceeded);
  CHECK(session.respond(1, nested(64).msgpack()).error().code == error_code::limit_exceeded);
  CHECK(session.notify("\xff", rpc::no_params).error().code == error_code::invalid_argument);
  CHECK(session.request("\xff", rpc::no_params).error().code == error_code::invalid_argument);
  CHECK(session.outgoing().empty());
  CHECK(session.respond(1, nested(63).msgpack()));
}

TEST_CASE("sdk session: a failure is always answered, if need be without its words") {
  sdk::session_limits limits;
  limits.frames.frame_bytes = 200;
  sdk::session session{limits};
  session.respond_failure(1, {error_code::not_found, "gone", value::map({{"x", 1}}).msgpack()});
  CHECK(said(session) == std::vector<std::string>{R"([1,1,["not_found","gone",{"x":1}],null])"});
  session.respond_failure(1, {error_code::not_found, std::string(300, 'x'), {}});
  session.respond_failure(1, {error_code::already_exists, "\xff", {}});
  session.respond_failure(1, {error_code::none, "", {}});
  CHECK(refusals(session) == std::vector<std::string>{"not_found", "already_exists", "internal"});
}

TEST_CASE("sdk session: answers may come in any order; late, foreign and second ones are dropped") {
  sdk::session session;
  const auto first = session.request("a", rpc::no_params).value();
  const auto second = session.request("b", rpc::no_params).value();
  const auto given_up = session.request("c", rpc::no_params).value();
  session.abandon(given_up);
  REQUIRE(session.receive(answer_frame(second, "B") + answer_frame(second, "again") + answer_frame(given_up, "late") +
                              answer_frame(99, "foreign"),
                          start));
  CHECK_FALSE(session.take_answer(first));
  CHECK_FALSE(session.take_answer(given_up));
  CHECK_FALSE(session.take_answer(99));
  REQUIRE(session.receive(refusal_frame(first, {error_code::not_found, "no A", {}}), start));
  CHECK(session.take_answer(second)->value() == value{"B"}.msgpack());
  CHECK_FALSE(session.take_answer(second));
  CHECK(session.take_answer(first)->error() == error{error_code::not_found, "no A", {}});
}

TEST_CASE("sdk session: unknown requests are answered, unknown notices ignored") {
  sdk::session session;
  REQUIRE(session.receive(notice_frame("context.changed", value::map({})) + request_frame(9, "state.save"), start));
  const std::string refusal = R"([1,9,["not_found","a plugin has no method \"state.save\"",null],null])";
  CHECK(said(session) == std::vector{refusal});
}

TEST_CASE("sdk session: envelope parameters of the wrong type are refused") {
  sdk::session session;
  const auto short_id = value::binary("short");
  for (const auto& [name, wrong] : std::vector<value::member>{
           {"deadline_ms", "1"}, {"deadline_ms", -1}, {"deadline_ms", true}, {"trace", short_id}, {"trace", 5}}) {
    CAPTURE(name);
    REQUIRE(session.receive(execute_frame(1, {{name, wrong}}), start));
    CHECK(refusals(session) == std::vector<std::string>{"invalid_argument"});
  }
  CHECK(session.next_request() == nullptr);
}

TEST_CASE("sdk session: deadlines count from the arrival and end within a day") {
  sdk::session session;
  const auto longest = std::numeric_limits<std::int64_t>::max();
  REQUIRE(session.receive(execute_frame(1, {{"deadline_ms", 250}}) + execute_frame(2, {{"deadline_ms", 0}}) +
                              execute_frame(3, {{"deadline_ms", longest}}),
                          start));
  CHECK(session.next_request()->deadline == start + 250ms);
  CHECK_FALSE(session.next_request()->deadline);
  CHECK(session.next_request()->deadline == start + 24h);
}

TEST_CASE("sdk session: the queue is bounded in requests") {
  sdk::session session;
  for (std::uint32_t id = 0; id < 1024; ++id) REQUIRE(session.receive(execute_frame(id), start));
  CHECK(session.outgoing().empty());
  REQUIRE(session.receive(execute_frame(1024), start));
  CHECK(refusals(session) == std::vector<std::string>{"overloaded"});
  CHECK(session.next_request()->id == 0);
  REQUIRE(session.receive(execute_frame(1025), start));
  CHECK(session.outgoing().empty());
}

TEST_CASE("sdk session: the queue is bounded in bytes") {
  sdk::session session;
  const value ballast{std::string(std::size_t{6} << 20, 'x')};
  for (std::uint32_t id = 1; id <= 3; ++id) REQUIRE(session.receive(execute_frame(id, {{"ballast", ballast}}), start));
  CHECK(refusals(session) == std::vector<std::string>{"overloaded"});
  session.next_request();
  REQUIRE(session.receive(execute_frame(4, {{"ballast", ballast}}), start));
  CHECK(session.outgoing().empty());
}

TEST_CASE("sdk session: cancel answers a queued request and marks the running one") {
  sdk::session session;
  REQUIRE(session.receive(execute_frame(1) + execute_frame(2) + request_frame(3, "plugin.start"), start));
  const auto* running = session.next_request();
  for (const auto& id : std::vector<value>{2, 1, 2, 3, 77, "x"})
    REQUIRE(session.receive(notice_frame("cancel", value::map({{"msgid", id}})), start));
  REQUIRE(session.receive(notice_frame("cancel", value::map({})), start));
  CHECK(refusals(session) == std::vector<std::string>{"cancelled"});
  CHECK(running->cancelled);
  CHECK(session.next_request()->method == "plugin.start");
  CHECK(session.next_request() == nullptr);
}

TEST_CASE("sdk session: stop refuses the commands that wait and those that come later") {
  sdk::session session;
  REQUIRE(session.receive(execute_frame(1) + request_frame(2, "plugin.start") + execute_frame(3), start));
  REQUIRE(session.receive(request_frame(4, "plugin.stop") + execute_frame(5), start));
  CHECK(refusals(session) == std::vector<std::string>{"unavailable", "unavailable", "unavailable"});
  CHECK(session.next_request()->method == "plugin.start");
  CHECK(session.next_request()->method == "plugin.stop");
}

TEST_CASE("sdk session: what was sent in part is not sent again") {
  sdk::session session;
  REQUIRE(session.respond(1, value{std::string(100'000, 'x')}.msgpack()));
  const std::string all{session.outgoing()};
  std::string sent;
  for (const std::size_t part : {1u, 70'000u, 10u}) {
    sent += session.outgoing().substr(0, part);
    session.sent(part);
  }
  sent += session.outgoing();
  CHECK(sent == all);
}

TEST_CASE("sdk session: a long message that is sent in pieces is moved a few times only") {
  sdk::session session;
  REQUIRE(session.respond(1, value{std::string(7'000'000, 'x')}.msgpack()));
  int moves = 0;
  while (!session.outgoing().empty()) {
    const auto part = std::min<std::size_t>(session.outgoing().size(), 64 * 1024);
    const auto* const behind = session.outgoing().data() + part;
    session.sent(part);
    if (session.outgoing().data() != behind) ++moves;
  }
  CHECK(moves < 10);
}

// -- the plugin, on its socket ---------------------------------------------------------------------------------------

TEST_CASE("sdk plugin: it introduces itself and announces its commands with full names") {
  one_command plugin{get_a, command_spec{"run"}.summary("Runs").param<std::string>("text").with_timeout(1500ms)};
  plugin.command(command_spec{"about.me"}, get_a);
  sdk::test_host host{plugin};
  CHECK(host.hello.protocol == std::vector<std::uint32_t>{1, 1});
  CHECK(host.hello.kind == session_kind::plugin);
  CHECK(host.hello.name == "p");
  CHECK(host.hello.version == "1.2.3");
  CHECK(host.hello.sdk == "cpp/0.1");
  REQUIRE(host.commands.size() == 2);
  CHECK(host.commands == plugin.commands());
  CHECK(host.commands[0].name == "p.about.me");
  CHECK(host.commands[1].name == "p.run");
  CHECK(host.commands[1].timeout == 1500ms);
  CHECK_FALSE(host.commands[1].parameters.at(0).default_value);
  CHECK(host.stop() == 0);
}

TEST_CASE("sdk plugin: declarations that cannot work are refused") {
  one_command plugin{get_a};
  CHECK_THROWS_WITH_AS(plugin.command(command_spec{"run"}, get_a), "the command \"p.run\" is declared twice",
                       std::invalid_argument);
  for (const auto* wrong : {"", "Run", ".run", "run.", "a..b", "a b"})
    CHECK_THROWS_AS(plugin.command(command_spec{wrong}, get_a), std::invalid_argument);
  CHECK_THROWS_WITH_AS(plugin.command(command_spec{"idle"}, nullptr), "the command \"idle\" has no function",
                       std::invalid_argument);
  parameter_spec maybe;
  maybe.name = "maybe";
  maybe.default_value = value{};
  CHECK_THROWS_WITH_AS(plugin.command(command_spec{"guess"}.param(maybe), get_a),
                       "the default of \"maybe\" cannot be nil; use an empty value of its type", std::invalid_argument);
}

TEST_CASE("sdk plugin: a command is announced as running once at a time unless its author says otherwise") {
  one_command plugin{get_a};
  plugin.command(command_spec{"wide"}.with_concurrency(8, 10), get_a);
  sdk::test_host host{plugin};
  CHECK(host.commands.at(0).concurrency == 1);
  CHECK(host.commands.at(0).queue == command_spec{}.queue);  // a burst waits at the node
  CHECK(host.commands.at(1).concurrency == 8);
  CHECK(host.commands.at(1).queue == 10);
}

TEST_CASE("sdk plugin: a command works with the context") {
  one_command plugin{[](const arguments& given, sdk::call& call) -> result<value> {
    auto& context = call.context();
    CHECK(context.set(path{"/d/new"}, given.get<value>("what"), durability::memory).has_value());
    CHECK(context.erase(path{"/d/old"}).has_value());
    const auto page = context.list(path{"/d"}, path{"/d/a"}, 1);
    std::vector<value> seen{page.value().more, page->entries.at(0).path.text()};
    const auto all = context.for_each(path{"/d"}, [&](const context_entry& entry) {
      seen.push_back(entry.path.text());
      return true;
    });
    CHECK(all.has_value());
    seen.push_back(context.get(path{"/d/old"}).value().has_value());
    return value::array(seen);
  }};
  const sdk::memory_context before{{path{"/d/old"}, 1}, {path{"/d/a"}, 2}, {path{"/d/a/b"}, 3}, {path{"/da"}, 4}};
  sdk::test_host host{plugin, {.context = before}};
  CHECK(host.execute("p.run", {{"what", value{17}}})->to_json() == R"([true,"/d/a/b","/d/a","/d/a/b","/d/new",false])");
  CHECK(host.context.at(path{"/d/new"}) == value{17});
  CHECK_FALSE(host.context.contains(path{"/d/old"}));
}

TEST_CASE("sdk plugin: a visit of many entries goes page by page and ends when told") {
  sdk::memory_context context;
  for (int i = 0; i < 2500; ++i) context[path{"/n/" + std::to_string(i)}] = i;
  one_command plugin{[](const arguments& given, sdk::call& call) -> result<value> {
    std::int64_t visited = 0;
    const auto most = given.get<std::int64_t>("most");
    auto done = call.context().for_each(path{"/n"}, [&](const context_entry&) { return ++visited < most; });
    if (!done) return fail(done.error());
    return visited;
  }};
  sdk::test_host host{plugin, {.context = std::move(context)}};
  CHECK(host.execute("p.run", {{"most", 9999}}) == value{2500});
  CHECK(host.execute("p.run", {{"most", 1500}}) == value{1500});
}

TEST_CASE("sdk plugin: a node that promises entries for ever is not believed") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    auto done = call.context().for_each(path{}, [](const context_entry&) { return true; });
    if (!done) return fail(done.error());
    return nullptr;
  }};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  const auto empty_page = value::map({{"entries", value::array({})}, {"more", true}});
  host.send(answer_frame(receive_request(host, "context.list"), empty_page));
  CHECK(host.wait(running).error().code == error_code::internal);
}

TEST_CASE("sdk plugin: a denied call carries its code") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    std::vector<value> codes;
    const auto note = [&](const auto& outcome) { codes.push_back(to_string(outcome.error().code)); };
    note(call.context().get(path{"/secret/key"}));
    note(call.context().set(path{"/secret"}, 1));
    note(call.context().erase(path{"/secret/key"}));
    note(call.context().list(path{"/secret"}));
    note(call.context().for_each(path{"/secret"}, [](const context_entry&) { return true; }));
    return value::array(codes);
  }};
  sdk::test_host host{plugin, {.denied = {path{"/secret"}}}};
  const value denied{"permission_denied"};
  CHECK(host.execute("p.run") == value::array({denied, denied, denied, denied, denied}));
}

TEST_CASE("sdk plugin: the error of a refused call whose value is taken anyway is the command's") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    return call.context().get(path{"/secret/key"}).value().value_or("nothing");
  }};
  sdk::test_host host{plugin, {.denied = {path{"/secret"}}}};
  CHECK(host.execute("p.run").error() ==
        error{error_code::permission_denied, "the plugin may not touch \"/secret/key\"", {}});
}

TEST_CASE("sdk plugin: a command may run others") {
  one_command plugin{[](const arguments& given, sdk::call& call) {
    return call.execute(given.get<std::string>("which"), {{"n", 21}});
  }};
  sdk::test_host host{plugin, {.commands = {{"math.double", [](const arguments& given) -> result<value> {
                                               return given.get<std::int64_t>("n") * 2;
                                             }}}}};
  CHECK(host.execute("p.run", {{"which", "math.double"}}) == value{42});
  CHECK(host.execute("p.run", {{"which", "math.none"}}).error().code == error_code::not_found);
}

TEST_CASE("sdk plugin: a command sees who asks, how much time is left and where it runs") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    const auto left = call.remaining();
    return value::array({call.command(), call.principal(), call.host().node_name, to_string(call.host().node),
                         left ? value{left->count()} : value{}, call.trace().is_nil()});
  }};
  sdk::test_host host{plugin, {.node_name = "stage", .principal = "Ada", .clock = [] { return start; }}};
  CHECK(host.execute("p.run", {}, 5000ms)->to_json() ==
        R"(["p.run","Ada","stage","74657374-0000-4000-8000-000000000001",5000,true])");
  CHECK(host.execute("p.run")->elements().at(4).is_nil());
}

TEST_CASE("sdk plugin: what a command throws or cannot send becomes an error, and the plugin lives on") {
  one_command plugin{[](const arguments& given, sdk::call&) -> result<value> {
    const auto how = given.get<std::string>("how");
    if (how == "throw") throw std::runtime_error{"bad"};
    if (how == "throw 5") throw 5;
    if (how == "choose") return fail(error_code::already_exists, "taken", value::map({{"by", "x"}}).msgpack());
    if (how == "large") return std::string(std::size_t{9} << 20, 'x');
    return how;
  }};
  const captured_stderr log;
  sdk::test_host host{plugin};
  const auto failure = [&](const char* how) { return host.execute("p.run", {{"how", how}}).error(); };
  CHECK(failure("throw") == error{error_code::handler_failed, "p.run failed: bad", {}});
  CHECK(log.text() == "plugin p: handler_failed: p.run failed: bad\n");
  CHECK(failure("throw 5").code == error_code::handler_failed);
  CHECK(failure("choose") == error{error_code::already_exists, "taken", value::map({{"by", "x"}}).msgpack()});
  CHECK(failure("large").code == error_code::limit_exceeded);
  CHECK(host.execute("p.run").error().code == error_code::handler_failed);  // its argument is missing
  CHECK(host.execute("p.ran").error().message == "\"p.ran\" is not a command of this plugin; it has p.run");
  CHECK(host.execute("p.run", {{"how", "well"}}) == value{"well"});
  host.ping();
}

TEST_CASE("sdk plugin: commands that are not well formed are answered") {
  one_command plugin{get_a};
  sdk::test_host host{plugin};
  for (const auto* text : {R"({"command":5,"arguments":{},"principal":"x"})", R"({"arguments":{},"principal":"x"})",
                           R"({"command":"p.run","arguments":[],"principal":"x"})"}) {
    const auto id = host.request("command.execute", value::from_json(text)->msgpack());
    CHECK(host.wait(id).error().code == error_code::invalid_argument);
  }
}

TEST_CASE("sdk plugin: logs reach the node") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    CHECK(call.log(sdk::log_level::warning, "careful").has_value());
    CHECK(call.log(sdk::log_level::info, "half a character: \xc3").has_value());
    return nullptr;
  }};
  sdk::test_host host{plugin};
  CHECK(host.execute("p.run")->is_nil());
  REQUIRE(host.logs.size() == 2);
  CHECK(host.logs[0] == std::pair{sdk::log_level::warning, std::string{"careful"}});
  CHECK(host.logs[1] == std::pair{sdk::log_level::info, std::string{"half a character: ?"}});
}

TEST_CASE("sdk plugin: a waiting command lets pings through, and what it asks carries deadline and trace") {
  one_command plugin{get_a};
  sdk::test_host host{plugin, {.clock = [] { return start; }}};
  const auto trace = value::binary(std::string(16, 't'));
  host.send(execute_frame(100, {{"trace", trace}, {"deadline_ms", 700}}));
  const auto first = host.receive();
  CHECK(json(first).find(R"("method")") == std::string::npos);
  const auto asked = std::get<rpc::request>(*rpc::parse(first));
  const auto params = value::from_msgpack(asked.params).value();
  CHECK(params.find("path") == value{"/a"});
  CHECK(params.find("deadline_ms") == value{700});
  CHECK(params.find("trace") == trace);
  host.send(execute_frame(101) + request_frame(102, "ping"));
  CHECK(json(host.receive()) == "[1,102,null,null]");
  host.send(answer_frame(asked.id, an_answer));
  CHECK(json(host.receive()) == "[1,100,null,5]");
  const auto second = host.receive();
  const auto next = std::get<rpc::request>(*rpc::parse(second));
  CHECK(value::from_msgpack(next.params)->find("deadline_ms") == value{10'000});
  CHECK_FALSE(value::from_msgpack(next.params)->find("trace"));
  host.send(answer_frame(next.id, value::map({{"found", false}})));
  CHECK(json(host.receive()) == R"([1,101,null,"nothing"])");
}

TEST_CASE("sdk plugin: a command that is cancelled learns of it while it waits, and can ask no more") {
  one_command plugin{[](const arguments& given, sdk::call& call) -> result<value> {
    const auto got = get_a(given, call);
    CHECK(got.error().code == error_code::cancelled);
    return get_a(given, call);
  }};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  receive_request(host, "context.get");
  host.cancel(running);
  CHECK(host.wait(running).error().code == error_code::cancelled);
}

TEST_CASE("sdk plugin: a computation can look whether it is cancelled, and pings are answered meanwhile") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    while (!call.cancelled()) {
    }
    return "stopped early";
  }};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  host.ping();
  host.cancel(running);
  CHECK(host.wait(running) == value{"stopped early"});
}

TEST_CASE("sdk plugin: a computation learns that the plugin is to stop") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    while (!call.cancelled()) {
    }
    return "stopped early";
  }};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  host.ping();  // it runs
  CHECK(host.stop() == 0);
  CHECK(host.wait(running) == value{"stopped early"});
}

TEST_CASE("sdk plugin: a call cannot outlive its command by a copy") {
  CHECK_FALSE(std::is_copy_constructible_v<sdk::call>);
  CHECK_FALSE(std::is_copy_assignable_v<sdk::call>);
  CHECK_FALSE(std::is_copy_constructible_v<sdk::context_access>);
}

TEST_CASE("sdk plugin: a computation ends when the node is gone") {
  std::atomic<bool> ended = false;
  one_command plugin{[&](const arguments&, sdk::call& call) -> result<value> {
    while (!call.cancelled()) {
    }
    ended = true;
    return nullptr;
  }};
  sdk::test_host host{plugin};
  host.begin("p.run");
  CHECK(host.hang_up() == 0);
  CHECK(ended);
}

TEST_CASE("sdk plugin: answers that come too late are not taken for others") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    CHECK(call.context().get(path{"/a"}, 1ms).error().code == error_code::deadline_exceeded);
    CHECK(call.context().get(path{"/a"}, 0ms).error().code == error_code::deadline_exceeded);
    return call.context().get(path{"/b"}).value().value();
  }};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  const auto late = receive_request(host, "context.get");
  const auto right = receive_request(host, "context.get");
  host.send(answer_frame(late, an_answer) + answer_frame(right, value::map({{"found", true}, {"value", "right"}})));
  CHECK(host.wait(running) == value{"right"});
}

TEST_CASE("sdk plugin: the deadline of a command bounds what it asks") {
  std::atomic<std::int64_t> passed_ms = 0;
  one_command plugin{get_a};
  sdk::test_host host{plugin, {.clock = [&] { return start + milliseconds{passed_ms}; }}};
  const auto running = host.begin("p.run", {}, 500ms);
  receive_request(host, "context.get");
  passed_ms = 500;
  host.ping();  // it wakes up and looks at the clock
  CHECK(host.wait(running).error().code == error_code::deadline_exceeded);
}

TEST_CASE("sdk plugin: a timeout of any length is one; more than a day is a day, and less than nothing is nothing") {
  one_command plugin{[](const arguments& given, sdk::call& call) -> result<value> {
    return call.context().get(path{"/a"}, milliseconds{given.get<std::int64_t>("ms")}).value().value();
  }};
  sdk::test_host host{plugin, {.clock = [] { return start; }}};
  const auto running = host.begin("p.run", {{"ms", milliseconds::max().count()}});
  const auto bytes = host.receive();
  const auto asked = std::get<rpc::request>(*rpc::parse(bytes));
  CHECK(value::from_msgpack(asked.params)->find("deadline_ms") == value{86'400'000});
  host.send(answer_frame(asked.id, an_answer));
  CHECK(host.wait(running) == value{5});
  CHECK(host.execute("p.run", {{"ms", milliseconds::min().count()}}).error().code == error_code::deadline_exceeded);
}

TEST_CASE("sdk plugin: a command whose deadline passed in the queue does not run") {
  std::atomic<std::int64_t> passed_ms = 0;
  one_command plugin{get_a};
  sdk::test_host host{plugin, {.clock = [&] { return start + milliseconds{passed_ms}; }}};
  const auto first = host.begin("p.run");
  const auto asked = receive_request(host, "context.get");
  const auto second = host.begin("p.run", {}, 500ms);
  host.ping();  // it has arrived: its deadline has begun to run
  passed_ms = 500;
  host.send(answer_frame(asked, an_answer));
  CHECK(host.wait(first) == value{5});
  CHECK(host.wait(second).error().message == "the deadline of p.run passed while it waited for its turn");
}

TEST_CASE("sdk plugin: stop lets the running command finish") {
  one_command plugin{get_a};
  sdk::test_host host{plugin};
  const auto running = host.begin("p.run");
  const auto asked = receive_request(host, "context.get");
  const auto queued = host.begin("p.run");
  const auto stopping = host.request("plugin.stop");
  CHECK(host.wait(queued).error().code == error_code::unavailable);
  host.send(answer_frame(asked, an_answer));
  CHECK(host.wait(running) == value{5});
  CHECK(host.wait(stopping)->is_nil());
  CHECK_THROWS_WITH_AS(host.receive(), "the plugin closed its socket", std::runtime_error);
  CHECK(host.hang_up() == 0);
}

TEST_CASE("sdk plugin: an answer of the node that is none of its kind is an error") {
  one_command plugin{get_a};
  sdk::test_host host{plugin};
  for (const value& wrong : {value{}, value::map({}), value::map({{"found", 1}})}) {
    const auto running = host.begin("p.run");
    host.send(answer_frame(receive_request(host, "context.get"), wrong));
    CHECK(host.wait(running).error().code == error_code::internal);
  }
}

TEST_CASE("sdk plugin: the end of the socket ends it quietly, also while a command waits") {
  const captured_stderr log;
  one_command plugin{get_a};
  {
    sdk::test_host host{plugin};
    CHECK(host.hang_up() == 0);
  }
  sdk::test_host host{plugin};
  host.begin("p.run");
  receive_request(host, "context.get");
  CHECK(host.hang_up() == 0);
  CHECK(log.text().empty());
}

TEST_CASE("sdk plugin: a malformed frame ends it with one line, also while a command waits") {
  one_command plugin{get_a};
  for (const bool waiting : {false, true}) {
    const captured_stderr log;
    sdk::test_host host{plugin};
    if (waiting) {
      host.begin("p.run");
      receive_request(host, "context.get");
    }
    host.send("\xc1");
    CHECK_THROWS_AS(host.receive(), std::runtime_error);
    CHECK(host.hang_up() == 1);
    CHECK(log.text().starts_with("plugin p: protocol_violation: the node broke the protocol: "));
    CHECK(std::ranges::count(log.text(), '\n') == 1);
  }
}

TEST_CASE("sdk plugin: a node that writes before it reads does not block it") {
  const std::string text(std::size_t{4} << 20, 'x');
  one_command plugin{[&](const arguments&, sdk::call&) -> result<value> { return text; }};
  sdk::test_host host{plugin};
  const auto large = host.begin("p.run");
  std::vector<std::uint32_t> others;
  for (int i = 0; i < 3000; ++i)  // more than the socket's buffers hold
    others.push_back(host.begin("p.none", {{"ballast", std::string(2000, 'y')}}));
  CHECK(host.wait(large)->as_string()->size() == text.size());
  for (const auto id : others) {
    const auto code = host.wait(id).error().code;
    CHECK((code == error_code::not_found || code == error_code::overloaded));
  }
}

TEST_CASE("sdk plugin: a refused or foreign session ends it with the reason") {
  one_command plugin{get_a};
  const captured_stderr log;
  {
    sdk::test_host host{plugin, {}, sdk::test_host::opening::by_hand};
    host.send(refusal_frame(receive_request(host, "session.open"), {error_code::version_mismatch, "speak 2", {}}));
    CHECK_THROWS_AS(host.receive(), std::runtime_error);
    CHECK(host.hang_up() == 1);
    CHECK(log.text() == "plugin p: version_mismatch: speak 2\n");
  }
  for (const auto& wrong : std::vector<value::member>{{"protocol", 2}, {"protocol", "1"}, {"node", "x"}}) {
    sdk::test_host host{plugin, {}, sdk::test_host::opening::by_hand};
    open_by_hand(host, {wrong});
    CHECK_THROWS_AS(host.receive(), std::runtime_error);
    CHECK(host.hang_up() == 1);
  }
  CHECK(log.text().find("protocol 2") != std::string::npos);
  CHECK(log.text().find("session.open: node must be an id") != std::string::npos);
}

TEST_CASE("sdk plugin: the node's fields that are not needed may be missing") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> { return call.host().node_name; }};
  sdk::test_host host{plugin, {}, sdk::test_host::opening::by_hand};
  open_by_hand(host);
  CHECK(host.execute("p.run") == value{""});
}

TEST_CASE("sdk connection: what is sent to a node that has gone fails, and so does everything after it") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  sdk::connection node{unique_fd{ends[0]}, std::chrono::steady_clock::now};
  ::close(ends[1]);
  REQUIRE(node.session().notify("log", rpc::no_params));
  CHECK(node.drain().error().code == error_code::unavailable);
  CHECK(node.turn(std::nullopt).error().code == error_code::unavailable);
  CHECK(node.ask("context.get", rpc::no_params, 1s, nullptr).error().code == error_code::unavailable);
  CHECK(node.end()->code == error_code::unavailable);
}

TEST_CASE("sdk plugin: the socket comes as an inherited descriptor, and children do not get it") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const unique_fd ours{ends[0]};
  const auto ping = request_frame(1, "ping");
  REQUIRE(::send(ours.get(), ping.data(), ping.size(), 0) == static_cast<ssize_t>(ping.size()));
  REQUIRE(::shutdown(ours.get(), SHUT_WR) == 0);
  REQUIRE(::setenv("TROUPE_SOCKET", std::to_string(ends[1]).c_str(), 1) == 0);
  one_command plugin{get_a};
  CHECK(plugin.run() == 0);
  CHECK(::fcntl(ends[1], F_GETFD) == -1);  // it was taken over and closed
  ::unsetenv("TROUPE_SOCKET");
}

TEST_CASE("sdk plugin: started by hand it says what is missing") {
  const captured_stderr log;
  one_command plugin{get_a};
  for (const auto* wrong : {"", "x", "3x", "-1", "99999999999999999999", "4000"}) {
    ::setenv("TROUPE_SOCKET", wrong, 1);
    CHECK(plugin.run() == 1);
  }
  ::unsetenv("TROUPE_SOCKET");
  CHECK(log.text().find("a plugin is started by a Troupe node; TROUPE_SOCKET is \"3x\"") != std::string::npos);
}

// -- the test host ---------------------------------------------------------------------------------------------------

TEST_CASE("sdk test host: subtrees are contiguous in the order of its context") {
  const sdk::memory_context context{{path{"/a-b"}, 1}, {path{"/a"}, 2}, {path{"/a/c"}, 3}, {path{}, 4}};
  std::vector<std::string> order;
  for (const auto& [where, what] : context) order.push_back(where.text());
  CHECK(order == std::vector<std::string>{"", "/a", "/a/c", "/a-b"});
}

TEST_CASE("sdk test host: a plugin that does not start, is silent or ends is an exception") {
  one_command plugin{[](const arguments&, sdk::call& call) -> result<value> {
    while (!call.cancelled()) {
    }
    return nullptr;
  }};
  {
    sdk::test_host host{plugin, {.patience = 200ms}};
    const auto running = host.begin("p.run");
    CHECK_THROWS_WITH_AS(host.wait(running), "the plugin said nothing for 200 ms", std::runtime_error);
  }
  sdk::test_host host{plugin, {.patience = milliseconds::max()}};
  host.hang_up();
  CHECK_THROWS_WITH_AS(host.ping(), "the plugin closed its socket", std::runtime_error);

  sdk::plugin large{"p", "1.0.0"};
  large.command(command_spec{"run"}.summary(std::string(std::size_t{9} << 20, 'x')), get_a);
  CHECK_THROWS_WITH_AS(sdk::test_host{large}, doctest::Contains("the plugin does not start: the message cannot be"),
                       std::runtime_error);
}

TEST_CASE("sdk test host: a plugin that neither reads nor ends is an exception too") {
  std::atomic<bool> released = false;
  one_command plugin{[&](const arguments&, sdk::call&) -> result<value> {
    released.wait(false);
    return nullptr;
  }};
  sdk::test_host host{plugin, {.patience = 200ms}};
  host.begin("p.run");
  const std::string large(std::size_t{1} << 20, 'x');
  const auto send_for_ever = [&] {
    while (true) host.begin("p.run", {{"ballast", large}});
  };
  CHECK_THROWS_WITH_AS(send_for_ever(), "the plugin read nothing for 200 ms", std::runtime_error);
  CHECK_THROWS_WITH_AS(host.hang_up(), "the plugin goes on running after 200 ms", std::runtime_error);
  released = true;
  released.notify_all();
}

TEST_CASE("sdk test host: a list that reaches what is denied is denied, as by a node") {
  one_command plugin{[](const arguments& given, sdk::call& call) -> result<value> {
    return call.context().list(path{given.get<std::string>("path")}).value().entries.size();
  }};
  sdk::test_host host{plugin, {.context = {{path{"/a/b/c"}, 1}, {path{"/d"}, 2}}, .denied = {path{"/a/b"}}}};
  for (const auto* above : {"", "/a", "/a/b", "/a/b/c"})
    CHECK(host.execute("p.run", {{"path", above}}).error().code == error_code::permission_denied);
  CHECK(host.execute("p.run", {{"path", "/d"}}) == value{1});
  CHECK(host.execute("p.run", {{"path", "/a/bc"}}) == value{0});
  host.denied = {path{}};
  CHECK(host.execute("p.run", {{"path", "/d"}}).error().code == error_code::permission_denied);
}

TEST_CASE("sdk test host: defaults are filled in, as by a node") {
  parameter_spec times;
  times.name = "times";
  times.type = parameter_type::integer;
  times.default_value = 3;
  one_command plugin{[](const arguments& given, sdk::call&) -> result<value> { return given.get<value>("times"); },
                     command_spec{"run"}.param(times)};
  sdk::test_host host{plugin};
  CHECK(host.execute("p.run") == value{3});
  CHECK(host.execute("p.run", {{"times", 4}}) == value{4});
}

// -- the notes example -----------------------------------------------------------------------------------------------

namespace {

node_id node_number(std::uint8_t number) {
  node_id node;
  node.id.bytes.back() = number;
  return node;
}

std::string id_of(const result<value>& added) { return std::string{*added.value().find("id")->as_string()}; }

}  // namespace

TEST_CASE("notes: a note is kept, found by a part of its text, and counted") {
  auto notes = examples::notes_plugin();
  sdk::test_host host{notes};
  CHECK(host.execute("notes.count") == value{0});
  const auto first = id_of(host.execute("notes.add", {{"text", "Buy MILK"}, {"tags", value::array({"shop"})}}));
  const auto second = id_of(host.execute("notes.add", {{"text", "milk the cow"}}));
  CHECK(first < second);
  CHECK(host.context.at(path{"/plugins/notes/notes/" + first}).to_json() == R"({"tags":["shop"],"text":"Buy MILK"})");
  CHECK(host.execute("notes.count") == value{2});
  const auto found = host.execute("notes.find", {{"text", "Milk"}})->elements();
  REQUIRE(found.size() == 2);
  CHECK(found[0] == value::map({{"id", first}, {"text", "Buy MILK"}, {"tags", value::array({"shop"})}}));
  CHECK(found[1].find("id") == value{second});
  CHECK(host.execute("notes.find", {{"text", "milk"}, {"limit", 1}})->size() == 1);
  CHECK(host.execute("notes.find", {{"text", "honey"}})->size() == 0);
  CHECK(host.stop() == 0);
}

TEST_CASE("notes: texts of all languages are found; case is passed over for a-z alone") {
  auto notes = examples::notes_plugin();
  sdk::test_host host{notes};
  for (const auto* text : {"Zwei ÄPFEL", "हिन्दी सीखना", "café ☕"}) REQUIRE(host.execute("notes.add", {{"text", text}}));
  const auto found = [&](const char* part) { return host.execute("notes.find", {{"text", part}})->size(); };
  CHECK(found("zwei Äpfel") == 1);
  CHECK(found("äpfel") == 0);
  CHECK(found("हिन्दी") == 1);
  CHECK(found("CAFé ☕") == 1);
}

TEST_CASE("notes: an answer carries about 4 MiB, and what to do about more is said") {
  auto notes = examples::notes_plugin();
  sdk::test_host host{notes};
  const std::string large(std::size_t{1} << 20, 'x');
  for (int i = 0; i < 9; ++i)
    host.context[path{"/plugins/notes/notes/" + std::to_string(i)}] = value::map({{"text", large}});
  const auto refused = host.execute("notes.find", {{"text", "X"}});
  CHECK(refused.error() ==
        error{error_code::limit_exceeded,
              "these notes are more than one answer carries; lower `limit` below 4 or give more of the text", {}});
  CHECK(host.execute("notes.find", {{"text", "X"}, {"limit", 3}})->size() == 3);
  host.context[path{"/plugins/notes/notes/0"}] = value::map({{"text", std::string(std::size_t{5} << 20, 'x')}});
  CHECK(host.execute("notes.find", {{"text", "X"}, {"limit", 1}})->size() == 1);
  CHECK(host.commands.at(0).parameters.at(0).maximum == 65536);
}

TEST_CASE("notes: ids are never given out again, neither after a restart nor after an erase") {
  auto notes = examples::notes_plugin();
  sdk::memory_context kept;
  std::string first;
  {
    sdk::test_host host{notes};
    first = id_of(host.execute("notes.add", {{"text", "one"}}));
    host.context.erase(path{"/plugins/notes/notes/" + first});
    kept = host.context;
  }
  sdk::test_host host{notes, {.context = kept}};
  CHECK(id_of(host.execute("notes.add", {{"text", "two"}})) > first);
}

TEST_CASE("notes: two nodes that do not see each other's notes give out different ids, and go on behind the later") {
  auto here = examples::notes_plugin(), there = examples::notes_plugin();
  sdk::test_host first{here, {.node = node_number(1)}}, second{there, {.node = node_number(2)}};
  const auto a = id_of(first.execute("notes.add", {{"text", "a"}}));
  const auto b = id_of(second.execute("notes.add", {{"text", "b"}}));
  const auto c = id_of(second.execute("notes.add", {{"text", "c"}}));
  CHECK(a != b);
  first.context.merge(second.context);
  CHECK(first.execute("notes.count") == value{3});
  CHECK(id_of(first.execute("notes.add", {{"text", "d"}})) > c);
}

TEST_CASE("notes: foreign values among the notes do no harm") {
  auto notes = examples::notes_plugin();
  sdk::test_host host{notes,
                      {.context = {{path{"/plugins/notes/notes/x"}, 5}, {path{"/plugins/notes/counters/y"}, "many"}}}};
  CHECK(host.execute("notes.find", {{"text", "five"}})->size() == 0);
  CHECK(host.execute("notes.find", {{"text", ""}})->to_json() == R"([{"id":"x","tags":[],"text":null}])");
  CHECK(id_of(host.execute("notes.add", {{"text", "one"}})).starts_with("00000000000000000001-"));
  host.context[path{"/plugins/notes/counters/y"}] = value{~std::uint64_t{0}};
  CHECK(host.execute("notes.add", {{"text", "two"}}).error().code == error_code::limit_exceeded);
}

TEST_CASE("notes: a refusal of the node is passed on, and tags must be strings") {
  auto notes = examples::notes_plugin();
  sdk::test_host host{notes};
  const auto wrong = host.execute("notes.add", {{"text", "x"}, {"tags", value::array({5})}});
  CHECK(wrong.error() == error{error_code::invalid_argument, "every tag must be a string, not 5", {}});
  host.denied = {path{"/plugins/notes/notes"}};
  CHECK(host.execute("notes.add", {{"text", "x"}}).error().code == error_code::permission_denied);
  CHECK(host.execute("notes.find", {{"text", "x"}}).error().code == error_code::permission_denied);
  CHECK(host.execute("notes.count").error().code == error_code::permission_denied);
  host.denied = {path{"/plugins/notes/counters"}};
  CHECK(host.execute("notes.add", {{"text", "x"}}).error().code == error_code::permission_denied);
}
