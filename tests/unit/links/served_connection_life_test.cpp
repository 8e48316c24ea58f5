// How a served connection opens, fails and ends.

#include <doctest/doctest.h>

#include <string>

#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/wire/sync.hpp>
#include <troupe/tests/support/fixtures/connection_fixture.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

session_open an_opening(session_kind kind = session_kind::client) {
  session_open opening;
  opening.protocol = {lowest_protocol, highest_protocol};
  opening.kind = kind;
  opening.name = "someone";
  return opening;
}

std::string opening_frame(std::uint32_t id = 1) {
  return request_frame(id, session_open::method, encode(an_opening()));
}

std::string get_frame(std::uint32_t id) {
  return request_frame(id, get_value::method, encode(get_value{path{"/a"}}));
}

/// The accepting side, whose gate lets clients in.
served_setup accepting() {
  return {.services = {service::context},
          .gate = [](const session_open& opening) -> result<session_grant> {
            if (opening.kind != session_kind::client)
              return fail(error_code::permission_denied, "only clients");
            return session_grant{{.name = "client:" + opening.name}, {.node_name = "here"}};
          },
          .opening_deadline = 5s};
}

served_setup dialing() {
  return {.services = {service::context},
          .open = an_opening(session_kind::peer),
          .other_side = {.name = "127.0.0.1:7000", .kind = principal_kind::peer},
          .opening_deadline = 5s};
}

std::string acceptance(std::uint32_t protocol = highest_protocol) {
  return encode(session_accepted{
      .protocol = protocol, .node = {uuid{{2}}}, .node_name = "there", .incarnation = 3});
}

/// The id of the request that was sent.
std::uint32_t id_of(std::string_view frame) {
  return std::get<rpc::request>(rpc::parse(frame).value()).id;
}
error failure_in(std::string_view frame) {
  return std::get<rpc::response>(rpc::parse(frame).value()).failure;
}

}  // namespace

// -- the accepting side ---------------------------------------------------------------------------

TEST_CASE(
    "an accepted session is answered and reported, and requests in the same bytes are served") {
  connection_fixture side{accepting()};
  CHECK(side.sent().empty());
  side.receive(opening_frame(1) + get_frame(2));
  CHECK(side.connection.is_open());
  auto effects = side.effects();
  REQUIRE(effects.size() == 2);
  CHECK(std::get<session_began>(effects[0]).name == "someone");
  CHECK(std::get<ask_service>(effects[1]).call.caller->name == "client:someone");
  CHECK(side.connection.caller()->name == "client:someone");
  CHECK(side.sent() == response_frame(1, encode(session_accepted{.node_name = "here"})));
}

TEST_CASE("a refused session is answered with the reason and fails the connection") {
  connection_fixture side{accepting()};
  const auto peer = encode(an_opening(session_kind::peer));
  side.receive(request_frame(1, session_open::method, peer) + get_frame(2));
  const auto failed = side.one<connection_failed>();
  CHECK(failed.cause == failure_cause::opening);
  CHECK(failed.reason == error{error_code::permission_denied, "only clients", {}});
  CHECK(side.sent() == failure_frame(1, failed.reason));
  CHECK_FALSE(side.connection.is_open());
}

TEST_CASE("another first message than session.open fails the connection") {
  SUBCASE("a request") {
    connection_fixture side{accepting()};
    side.receive(get_frame(1));
    CHECK(side.one<connection_failed>().cause == failure_cause::opening);
    CHECK(failure_in(side.sent()).code == error_code::protocol_violation);
  }
  SUBCASE("a notification") {
    connection_fixture side{accepting()};
    side.receive(notification_frame("log"));
    const auto failed = side.one<connection_failed>();
    CHECK(failed.cause == failure_cause::opening);
    CHECK(failed.reason.message.find("not the notification log") != std::string::npos);
  }
  SUBCASE("a reply") {
    connection_fixture side{accepting()};
    side.receive(response_frame(1));
    CHECK(side.one<connection_failed>().reason.code == error_code::protocol_violation);
  }
}

TEST_CASE("a session that is not opened in time fails the connection, when the owner sets a time") {
  connection_fixture side{accepting()};
  side.pass(5s);
  CHECK(side.effects().empty());
  side.pass(1ms);
  CHECK(side.one<connection_failed>().reason.code == error_code::deadline_exceeded);

  auto patient = accepting();
  patient.opening_deadline = 0s;
  connection_fixture other{std::move(patient)};
  other.pass(1h);
  CHECK(other.effects().empty());
}

TEST_CASE("nothing can be called before the session is open") {
  connection_fixture side{accepting()};
  recorded_outcome outcome;
  CHECK(side.connection.call("m", rpc::no_params, side.now + 1s, outcome.taker()).error().code ==
        error_code::unavailable);
  side.receive(opening_frame());
  CHECK(side.connection.call("m", rpc::no_params, side.now + 1s, outcome.taker()));
}

// -- the dialing side -----------------------------------------------------------------------------

TEST_CASE("the dialing side introduces itself, and the answer opens the session") {
  connection_fixture side{dialing()};
  const auto said = side.sent();
  CHECK(said ==
        request_frame(id_of(said), session_open::method, encode(an_opening(session_kind::peer))));
  CHECK_FALSE(side.connection.is_open());
  side.receive(response_frame(id_of(said), acceptance()));
  const auto session = side.one<session_began>();
  CHECK(session.dialed);
  CHECK(session.kind == session_kind::peer);
  CHECK(session.node == node_id{uuid{{2}}});
  CHECK(side.connection.is_open());
  CHECK(side.connection.caller()->name == to_string(session.node));
}

TEST_CASE("an answer that is not acceptable, an error or none fails the dialing side") {
  SUBCASE("not acceptable") {
    connection_fixture side{dialing()};
    side.receive(response_frame(id_of(side.sent()), acceptance(highest_protocol + 1)));
    CHECK(side.one<connection_failed>().reason.code == error_code::version_mismatch);
  }
  SUBCASE("an error") {
    connection_fixture side{dialing()};
    const error why{error_code::permission_denied, "not you", {}};
    side.receive(failure_frame(id_of(side.sent()), why));
    CHECK(side.one<connection_failed>().reason == why);
  }
  SUBCASE("none") {
    connection_fixture side{dialing()};
    side.pass(5s);
    CHECK(side.one<connection_failed>().reason.code == error_code::deadline_exceeded);
  }
}

TEST_CASE("the dialing side asks first: a request before its answer fails the connection") {
  connection_fixture side{dialing()};
  side.sent();
  side.receive(get_frame(1));
  const auto failed = side.one<connection_failed>();
  CHECK(failed.reason.message.find("this side dialed") != std::string::npos);
  CHECK(failure_in(side.sent()) == failed.reason);
}

TEST_CASE("the end of a connection that was being opened has no effect") {
  connection_fixture side{dialing()};
  side.connection.end({error_code::unavailable, "gone", {}});
  CHECK(side.effects().empty());
}

// -- failures -------------------------------------------------------------------------------------

TEST_CASE("bytes that break the protocol fail the connection, once, after what came before them") {
  connection_fixture side{known(principal_kind::client)};
  side.receive(get_frame(1) + "\xc1");
  auto effects = side.effects();
  REQUIRE(effects.size() == 2);
  CHECK(std::holds_alternative<ask_service>(effects[0]));
  CHECK(std::get<connection_failed>(effects[1]).cause == failure_cause::violation);
  side.receive("\xc1");
  side.pass(1h);
  CHECK(side.effects().empty());
}

TEST_CASE("a failed connection hands on nothing more") {
  connection_fixture side{known(principal_kind::peer)};
  side.receive(notification_frame(session_closed::method, encode(session_closed{"enough"})) +
               request_frame(1, sync_pull::method) + notification_frame(sync_heads::method));
  const auto failed = side.one<connection_failed>();
  CHECK(failed.cause == failure_cause::closed);
  CHECK(failed.reason.message == "the other side closed the link: enough");
  CHECK_FALSE(side.connection.take_fast_tick(true));
}

TEST_CASE("the reason of a closing is cut, and a malformed one is a violation") {
  connection_fixture side{known(principal_kind::peer)};
  side.receive(
      notification_frame(session_closed::method, encode(session_closed{std::string(10'000, 'x')})));
  CHECK(side.one<connection_failed>().reason.message.size() < 600);
  connection_fixture other{known(principal_kind::peer)};
  other.receive(notification_frame(session_closed::method));
  CHECK(other.one<connection_failed>().cause == failure_cause::violation);
}

TEST_CASE("half a message that does not go on fails the connection as overdue") {
  connection_fixture side{known(principal_kind::client)};
  side.receive("\x94");
  for (int i = 0; i < 10; ++i) side.pass(1s);
  CHECK(side.effects().empty());
  side.pass(1ms);
  CHECK(side.one<connection_failed>().cause == failure_cause::overdue);
}

// -- the end --------------------------------------------------------------------------------------

TEST_CASE("the end fails open calls, cancels open requests and is all there is") {
  connection_fixture side{known(principal_kind::client)};
  recorded_outcome outcome;
  REQUIRE(side.connection.call("m", rpc::no_params, side.now + 1s, outcome.taker()));
  side.receive(get_frame(1));
  const auto asked = side.one<ask_service>();
  const error why{error_code::unavailable, "gone", {}};
  side.connection.end(why);
  auto effects = side.effects();
  REQUIRE(effects.size() == 2);
  CHECK(std::get<call_ended>(effects[0]).outcome.error() == why);
  CHECK(std::get<cancel_service>(effects[1]).ticket == asked.call.ticket);
  CHECK(side.connection.has_ended());
  side.sent();

  side.answer(asked);
  side.receive(get_frame(2));
  side.pass(1h);
  side.connection.close("again");
  side.connection.end(why);
  CHECK(side.effects().empty());
  CHECK(side.sent().empty());
  CHECK_FALSE(side.connection.take_fast_tick(true));
  CHECK_FALSE(side.connection.call("m", rpc::no_params, side.now, outcome.taker()));
}

TEST_CASE("the answer to a read hands on no other when the connection has ended") {
  connection_fixture side{known(principal_kind::client)};
  for (std::uint32_t id = 0; id <= max_reads_at_once; ++id)
    side.receive(request_frame(id, list_values::method, encode(list_values{path{"/"}})));
  const auto asked = side.all<ask_service>();
  side.connection.end({error_code::unavailable, "gone", {}});
  CHECK(side.all<cancel_service>().size() == max_reads_at_once + 1);
  side.answer(asked.front());
  CHECK(side.effects().empty());
}

TEST_CASE("closing sends the reason to a peer, and not to a client") {
  for (const auto kind : {principal_kind::peer, principal_kind::client}) {
    connection_fixture side{known(kind)};
    side.connection.close("enough");
    const auto failed = side.one<connection_failed>();
    CHECK(failed.cause == failure_cause::closed);
    CHECK(failed.reason == error{error_code::unavailable, "enough", {}});
    const auto told = notification_frame(session_closed::method, encode(session_closed{"enough"}));
    CHECK(side.sent() == (kind == principal_kind::peer ? told : std::string{}));
  }
}
