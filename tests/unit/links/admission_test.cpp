// Which users and sessions the sockets of a node admit.

#include <doctest/doctest.h>

#include <troupe/actors/links/admission.hpp>

using namespace troupe;

namespace {

const cluster_id our_cluster{uuid{{7}}};
const node_id here{uuid{{1}}};
const node_id there{uuid{{2}}};

/// What this node says when it dials.
session_open our_introduction() {
  session_open own;
  own.kind = session_kind::peer;
  own.name = "here";
  own.cluster = our_cluster;
  own.node = here;
  own.incarnation = 5;
  return own;
}

/// What another node of the cluster says.
session_open from_there() {
  auto other = our_introduction();
  other.name = "there";
  other.node = there;
  return other;
}

}  // namespace

// -- peers ----------------------------------------------------------------------------------------

TEST_CASE("a peer of the same cluster is admitted and gets to know this node") {
  const auto granted = admit_peer(from_there(), our_introduction());
  REQUIRE(granted);
  CHECK(granted->caller.kind == principal_kind::peer);
  CHECK(granted->caller.name == to_string(there));
  CHECK_FALSE(granted->caller.same_user);
  CHECK(granted->answer.node == here);
  CHECK(granted->answer.node_name == "here");
  CHECK(granted->answer.incarnation == 5);
  CHECK(granted->answer.cluster == our_cluster);
}

TEST_CASE("only peers are admitted as peers") {
  auto client = from_there();
  client.kind = session_kind::client;
  CHECK(admit_peer(client, our_introduction()).error().code == error_code::permission_denied);
}

TEST_CASE("a peer of another cluster is refused") {
  auto foreign = from_there();
  foreign.cluster = {uuid{{9}}};
  CHECK(admit_peer(foreign, our_introduction()).error().code == error_code::permission_denied);
}

TEST_CASE("a peer without a node id is refused") {
  auto nameless = from_there();
  nameless.node = {};
  CHECK(admit_peer(nameless, our_introduction()).error().code == error_code::invalid_argument);
}

TEST_CASE("a node with this node's id and another incarnation is a copy, and is refused as one") {
  auto copy = our_introduction();
  copy.incarnation = 6;
  const auto refused = admit_peer(copy, our_introduction());
  CHECK(refused.error().code == error_code::already_exists);
  CHECK(refused.error().message.find("the data directory was copied") != std::string::npos);
}

TEST_CASE("this node is admitted when it reaches itself, for the mesh to notice") {
  CHECK(admit_peer(our_introduction(), our_introduction()));
}

// -- clients --------------------------------------------------------------------------------------

TEST_CASE("the socket for clients is for programs of the node's user and of root") {
  CHECK(admit_user(1000, 1000));
  CHECK(admit_user(0, 1000));
  const auto refused = admit_user(1001, 1000);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::permission_denied);
  CHECK(admit_user(0, 0));
  CHECK_FALSE(admit_user(1000, 0));
}

TEST_CASE("a client is admitted as a program of the same user, under its own name") {
  session_open opening;
  opening.kind = session_kind::client;
  opening.name = "cli";
  const session_accepted introduction{.node = here, .node_name = "here", .incarnation = 5};
  const auto granted = admit_client(opening, introduction);
  REQUIRE(granted);
  CHECK(granted->caller.kind == principal_kind::client);
  CHECK(granted->caller.name == "client:cli");
  CHECK(granted->caller.same_user);
  CHECK(granted->answer == introduction);
}

TEST_CASE("only clients are admitted as clients") {
  for (const auto kind : {session_kind::peer, session_kind::plugin}) {
    session_open opening;
    opening.kind = kind;
    CHECK(admit_client(opening, {}).error().code == error_code::permission_denied);
  }
}
