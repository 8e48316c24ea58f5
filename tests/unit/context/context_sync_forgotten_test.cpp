#include <doctest/doctest.h>

#include <troupe/tests/support/fixtures/sync_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// The replica has three changes of its own, and the peer has forgotten it with change 9 of node 3.
struct forgotten_side : one_side {
  forgotten_side() { view.committed = processed_changes{upto(1, 3)}; }

  sync_session::effects open_forgotten() {
    session.start(0);
    auto hello = greeting();
    hello.forgotten = upto(3, 9);
    return session.receive(hello);
  }
};

/// Whether anything is pushed, or read to be pushed.
bool gives_changes(const sync_session::effects& effects) {
  return !effects_of<read_log>(effects).empty() || !sent<sync_push>(effects).empty();
}

}  // namespace

TEST_CASE("a session starts by naming the changes that say that the peer is forgotten") {
  one_side side;
  CHECK(side.session.named() == version_vector{});
  side.view.forgetting = upto(3, 4);
  const auto hello = sent<sync_hello>(side.session.start(0));
  REQUIRE(hello.size() == 1);
  CHECK(hello[0].forgotten == upto(3, 4));
  CHECK(decode<sync_hello>(encode(hello[0])) == hello[0]);
  CHECK(side.session.named() == upto(3, 4));
  side.view.forgetting = upto(3, 5);
  CHECK(side.session.named() == upto(3, 4));  // the peer is not told anew
}

TEST_CASE("a peer that has not forgotten this replica gets what it lacks") {
  forgotten_side side;
  const auto effects = side.open();
  CHECK(gives_changes(effects));
  CHECK(side.session.may_push());
}

TEST_CASE("nothing is pushed to a peer that has forgotten this replica") {
  forgotten_side side;
  CHECK_FALSE(gives_changes(side.open_forgotten()));
  CHECK(side.session.is_open());
  CHECK_FALSE(side.session.may_push());
  CHECK_FALSE(gives_changes(side.commit(changes(1, 4, 4))));
  CHECK_FALSE(gives_changes(side.heads({})));
  CHECK_FALSE(gives_changes(side.session.receive(sync_pull{{{node(1), 1, 1, 4}}})));
  for (int i = 0; i < 3; ++i) {
    const auto effects = side.second();
    CHECK(sent<sync_heads>(effects).size() == 1);  // it says where it stands all the same
    CHECK_FALSE(gives_changes(effects));
    CHECK_FALSE(gives_changes(side.heads({})));
  }
  CHECK_FALSE(gives_changes(side.ack(0)));
}

TEST_CASE("what a peer pushes that has forgotten this replica is taken") {
  forgotten_side side;
  side.open_forgotten();
  const auto effects = side.session.receive(push_of(1, changes(3, 1, 2)));
  CHECK(effects_of<apply_changes>(effects).size() == 1);
}

TEST_CASE("a replica that has begun anew since it was forgotten pushes as any other") {
  forgotten_side side;
  side.view.committed.raise({node(3), 1, 9});
  CHECK(gives_changes(side.open_forgotten()));
  CHECK(side.session.may_push());
}
