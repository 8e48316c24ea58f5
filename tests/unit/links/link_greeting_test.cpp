// How a session opens: what each side says and accepts.

#include <doctest/doctest.h>

#include <string>

#include <troupe/actors/links/link_greeting.hpp>
#include <troupe/messages/wire/codec.hpp>

using namespace troupe;

namespace {

const cluster_id our_cluster{uuid{{7}}};
const node_id there{uuid{{2}}};

session_open an_opening() {
  session_open opening;
  opening.protocol = {lowest_protocol, highest_protocol};
  opening.kind = session_kind::peer;
  opening.name = "there";
  opening.cluster = our_cluster;
  opening.node = there;
  opening.incarnation = 3;
  opening.address = "127.0.0.1:7001";
  return opening;
}

session_accepted an_acceptance() {
  return {.protocol = highest_protocol,
          .node = there,
          .node_name = "there",
          .incarnation = 3,
          .cluster = our_cluster};
}

/// The accepting side, whose gate admits every session.
link_greeting accepting() {
  return {[](const session_open& opening) -> result<session_grant> {
            return session_grant{{.name = "granted " + opening.name}, {.protocol = 0}};
          },
          {}};
}
link_greeting dialing() { return {{}, an_opening()}; }

template <class T>
error refusal(const result<T>& outcome) {
  REQUIRE_FALSE(outcome.has_value());
  return outcome.error();
}
error refusal_of(const session_open& opening) {
  return refusal(accepting().admit(session_open::method, encode(opening)));
}
error refusal_of(const session_accepted& answer) {
  return refusal(dialing().check_acceptance(encode(answer)));
}

}  // namespace

TEST_CASE(
    "only the dialing side introduces itself, and two sides that know each other need no "
    "greeting") {
  CHECK(accepting().is_needed());
  CHECK(accepting().introduction() == nullptr);
  CHECK(dialing().is_needed());
  REQUIRE(dialing().introduction() != nullptr);
  const auto greeting = dialing();
  CHECK(*greeting.introduction() == an_opening());
  CHECK_FALSE(link_greeting({}, {}).is_needed());
}

// -- the accepting side ---------------------------------------------------------------------------

TEST_CASE("the first request opens the session when the gate agrees") {
  const auto opened = accepting().admit(session_open::method, encode(an_opening()));
  REQUIRE(opened);
  CHECK(opened->grant.caller.name == "granted there");
  CHECK(opened->grant.answer.protocol == highest_protocol);
  CHECK(opened->session.kind == session_kind::peer);
  CHECK(opened->session.node == there);
  CHECK(opened->session.name == "there");
  CHECK(opened->session.incarnation == 3);
  CHECK(opened->session.address == "127.0.0.1:7001");
  CHECK_FALSE(opened->session.dialed);
}

TEST_CASE("what the gate refuses is refused with its error") {
  const error why{error_code::permission_denied, "not you", {}};
  const link_greeting strict{[&](const session_open&) { return result<session_grant>{fail(why)}; },
                             {}};
  CHECK(refusal(strict.admit(session_open::method, encode(an_opening()))) == why);
}

TEST_CASE("the first request must be session.open") {
  const auto why = refusal(accepting().admit("context.get", encode(an_opening())));
  CHECK(why.code == error_code::protocol_violation);
  CHECK(why.message == "the first request must be session.open, not context.get");
}

TEST_CASE("a session.open that is malformed names the field") {
  const auto why = refusal(accepting().admit(session_open::method, "\x80"));
  CHECK(why.code == error_code::invalid_argument);
  CHECK(why.message.find("protocol") != std::string::npos);
}

TEST_CASE("a protocol that this side does not speak is refused before the gate is asked") {
  bool asked = false;
  const link_greeting greeting{[&](const session_open&) -> result<session_grant> {
                                 asked = true;
                                 return session_grant{};
                               },
                               {}};
  auto future = an_opening();
  future.protocol = {highest_protocol + 1, highest_protocol + 1};
  CHECK(refusal(greeting.admit(session_open::method, encode(future))).code ==
        error_code::version_mismatch);
  CHECK_FALSE(asked);
}

TEST_CASE("a name that is too long is refused on both sides") {
  auto opening = an_opening();
  opening.name.assign(max_session_name_bytes, 'x');
  CHECK(accepting().admit(session_open::method, encode(opening)));
  opening.name += 'x';
  CHECK(refusal_of(opening).code == error_code::invalid_argument);
  auto answer = an_acceptance();
  answer.node_name.assign(max_session_name_bytes + 1, 'x');
  CHECK(refusal_of(answer).code == error_code::invalid_argument);
}

TEST_CASE("a side that dialed asks first: it does not let itself be asked") {
  const auto why = refusal(dialing().admit(session_open::method, encode(an_opening())));
  CHECK(why.code == error_code::protocol_violation);
  CHECK(why.message.find("this side dialed") != std::string::npos);
}

// -- the dialing side -----------------------------------------------------------------------------

TEST_CASE("the answer of a node of the same cluster opens the session") {
  const auto opened = dialing().check_acceptance(encode(an_acceptance()));
  REQUIRE(opened);
  CHECK(opened->grant.caller.kind == principal_kind::peer);
  CHECK(opened->grant.caller.name == to_string(there));
  CHECK(opened->session.node == there);
  CHECK(opened->session.name == "there");
  CHECK(opened->session.incarnation == 3);
  CHECK(opened->session.dialed);
}

TEST_CASE("an answer with a protocol version that was not offered is refused") {
  auto answer = an_acceptance();
  answer.protocol = highest_protocol + 1;
  CHECK(refusal_of(answer).code == error_code::version_mismatch);
  answer.protocol = lowest_protocol - 1;
  CHECK(refusal_of(answer).code == error_code::version_mismatch);
}

TEST_CASE("an answer without a node id is refused") {
  auto answer = an_acceptance();
  answer.node = {};
  CHECK(refusal_of(answer).code == error_code::protocol_violation);
}

TEST_CASE("an answer from another cluster is refused, one that names none is not") {
  auto answer = an_acceptance();
  answer.cluster = {uuid{{9}}};
  CHECK(refusal_of(answer).code == error_code::permission_denied);
  answer.cluster = {};
  CHECK(dialing().check_acceptance(encode(answer)));
}

TEST_CASE("an answer that is malformed is refused") {
  CHECK(refusal(dialing().check_acceptance("\xc0")).code == error_code::invalid_argument);
}
