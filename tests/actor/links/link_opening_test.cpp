// How a session is opened on a link, by either side.

#include <doctest/doctest.h>

#include <memory>
#include <mutex>
#include <vector>

#include <troupe/messages/context_requests.hpp>
#include <troupe/tests/support/fixtures/link_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Keeps the sessions that links report to it.
class kept_owner {
public:
  explicit kept_owner(real_system& system) {
    actor_ = system.own(link_owner{
        system.caf().spawn([memory = memory_](link_owner::pointer) -> link_owner::behavior_type {
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

class gated_fixture : public link_fixture {
public:
  fake_service commands{system};
  kept_owner owner{system};

  raw_peer accept(link_limits limits = {}) {
    return start({.label = "gate",
                  .limits = limits,
                  .log = log.target(),
                  .services = {{service::commands, commands.actor()}},
                  .gate = [](const session_open& wanted) -> result<session_grant> {
                    if (wanted.name == "intruder")
                      return fail(error_code::permission_denied, "intruders stay outside");
                    session_accepted answer;
                    answer.protocol = 77;  // is the link's to say
                    answer.node_name = "here";
                    return session_grant{{.name = "client:" + wanted.name,
                                          .kind = principal_kind::client,
                                          .capabilities = {}},
                                         answer};
                  },
                  .open = {},
                  .other_side = {},
                  .owner = owner.actor()});
  }
  raw_peer dial() {
    return start(
        {.label = "127.0.0.1:7",
         .limits = {},
         .log = log.target(),
         .services = {{service::context, commands.actor()}},
         .gate = {},
         .open = opening("me", session_kind::peer),
         .other_side = {.name = "127.0.0.1:7", .kind = principal_kind::peer, .capabilities = {}},
         .owner = owner.actor()});
  }
};

}  // namespace

TEST_CASE_FIXTURE(
    gated_fixture,
    "a session is opened and reported, and the other side is the principal of the gate") {
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
  CHECK(peer.call_with("session.open", opening("x\" kind=\"peer")).failure.code ==
        error_code::none);
  CHECK(log.contains("kind=client name=\"x\\\" kind=\\\"peer\""));
}

TEST_CASE_FIXTURE(gated_fixture, "a session is opened once") {
  auto peer = accept();
  REQUIRE(peer.call_with("session.open", opening()).failure.code == error_code::none);
  CHECK(peer.call_with("session.open", opening()).failure.code == error_code::protocol_violation);
  CHECK(peer.call("command.list").failure.code == error_code::none);
}

TEST_CASE_FIXTURE(gated_fixture,
                  "anything but a proper opening is answered with why, and ends the link") {
  auto newer = opening();
  newer.protocol = {highest_protocol + 1, highest_protocol + 5};
  auto malformed = opening();
  malformed.protocol = {3};
  const std::vector<std::tuple<std::string, std::string, error_code>> openings{
      {"command.list", std::string{rpc::no_params}, error_code::protocol_violation},
      {"ping", std::string{rpc::no_params}, error_code::protocol_violation},
      {"session.open", encode(opening(std::string(max_session_name_bytes + 1, 'n'))),
       error_code::invalid_argument},
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

TEST_CASE_FIXTURE(gated_fixture,
                  "a notification or a reply before the opening ends the link at once") {
  const auto says = [this](const std::function<void(raw_peer&)>& something) {
    auto peer = accept();
    auto ended = end_of(link);
    something(peer);
    CHECK(peer.sees_the_end());
    CHECK(ended.code() == error_code::protocol_violation);
    return ended.problem();
  };
  CHECK(says([](raw_peer& peer) { peer.notify("log"); }) ==
        "the first message must be session.open, not the notification log");
  CHECK(says([](raw_peer& peer) { peer.notify("cancel"); }) ==
        "the first message must be session.open, not the notification cancel");
  CHECK(says([](raw_peer& peer) { peer.respond(1); }) ==
        "the first message must be session.open, not a reply to no open call");
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

TEST_CASE_FIXTURE(gated_fixture,
                  "the dialing side introduces itself, and its owner learns which node answered") {
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
  CHECK(eventually([&] { return commands.notifications().size() == 1; }));
  CHECK(commands.notifications().front().caller->name == to_string(answer.node));
}

TEST_CASE_FIXTURE(gated_fixture,
                  "a dialing side that is refused, or answered with nonsense, ends its link") {
  auto peer = dial();
  auto ended = end_of(link);
  peer.refuse(peer.expect_request("session.open").id,
              {error_code::permission_denied, "another cluster", {}});
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
    CHECK(refused.message ==
          "this side dialed; it asks first, and was asked " + std::string{method});
    CHECK(peer.sees_the_end());
    CHECK(ended.code() == error_code::protocol_violation);
  }
  CHECK(owner.opened().empty());
}

TEST_CASE_FIXTURE(gated_fixture,
                  "a dialing side believes no answer that a node of its cluster would not give") {
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
