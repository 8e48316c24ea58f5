// What the watchers of a replica get. In virtual time.

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include <troupe/tests/support/fixtures/replica_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Watches a part of the context, and answers each change, or does not.
class kept_changes {
public:
  kept_changes(one_replica& where, std::string_view prefix, bool answers = true) {
    watcher_ = where.system.own(context_watcher{where.system.caf().spawn(
        [seen = seen_, answers](context_watcher::pointer self) -> context_watcher::behavior_type {
          const auto unanswered =
              std::make_shared<std::vector<caf::typed_response_promise<void>>>();
          return {[seen, answers, self,
                   unanswered](const context_changed& changed) -> caf::result<void> {
            for (const auto& change : changed.changes) seen->push_back(change->path.text());
            if (answers) return {};
            unanswered->push_back(self->make_response_promise<void>());
            return unanswered->back();
          }};
        })});
    tell(where.replica.actor, watch_context{path{prefix}, watcher_});
    where.system.run();
  }
  const std::vector<std::string>& paths() const { return *seen_; }
  const context_watcher& actor() const { return watcher_; }

private:
  std::shared_ptr<std::vector<std::string>> seen_ = std::make_shared<std::vector<std::string>>();
  context_watcher watcher_;
};

}  // namespace

TEST_CASE_FIXTURE(one_replica,
                  "a watcher gets every change at and below its path, in order, and no other") {
  replica.write("/app/before", 1);
  kept_changes changes{*this, "/app"};
  replica.write("/app", 1);
  replica.write("/app/x", 2);
  replica.write("/apple", 3);
  replica.write("/other", 4);
  replica.erase("/app/x");
  CHECK(changes.paths() == strings{"/app", "/app/x", "/app/x"});
}

TEST_CASE_FIXTURE(one_replica, "a watcher that has ended is forgotten") {
  kept_changes changes{*this, "/app"};
  caf::anon_send_exit(changes.actor(), caf::exit_reason::user_shutdown);
  system.run();
  CHECK(replica.write("/app/x", 1).get());
  CHECK(changes.paths().empty());
}

TEST_CASE_FIXTURE(one_replica,
                  "a watcher that does not keep up is ended, not fed changes with gaps") {
  kept_changes lazy{*this, "/n", false};
  write_values many{.entries = {}, .durability = durability::memory, .principal = "tester"};
  for (int i = 0; i < 10'001; ++i) many.entries.push_back({path{"/n/" + std::to_string(i)}, i});
  REQUIRE(system.demand<values_written>(replica.actor, std::move(many)));
  CHECK(lazy.paths().size() == 10'001);  // one message is delivered whole
  CHECK_FALSE(replica.log.contains("context.watch_ended"));
  REQUIRE(replica.write("/n/next", 1).get());
  CHECK(replica.log.contains("context.watch_ended prefix=\"/n\""));
  kept_changes eager{*this, "/n"};
  replica.write("/n/more", 1);
  CHECK(lazy.paths().size() == 10'001);
  CHECK(eager.paths().size() == 1);
}

TEST_CASE_FIXTURE(one_replica, "there is a bound to the number of watchers") {
  std::vector<std::unique_ptr<kept_changes>> all;
  for (int i = 0; i < 1'000; ++i) all.push_back(std::make_unique<kept_changes>(*this, "/x"));
  kept_changes one_more{*this, "/x"};
  replica.write("/x", 1);
  CHECK(all.front()->paths().size() == 1);
  CHECK(all.back()->paths().size() == 1);
  CHECK(one_more.paths().empty());
  CHECK(replica.log.contains("context.watch_refused"));
}
