#include <doctest/doctest.h>

#include <string>

#include <troupe/actors/context/sync/packed_entries.hpp>
#include <troupe/actors/context/transfer_journal.hpp>
#include <troupe/tests/support/fixtures/tree_fixture.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

binary frame(std::size_t bytes) { return {std::string(bytes, 'x')}; }

stored_entry entry(const char* where, int number) {
  return {where, store(siblings_for(1, number).all())};
}

}  // namespace

TEST_CASE("what has come is written in parts, one at a time") {
  transfer_journal journal{100};
  journal.begin(false);
  CHECK_FALSE(journal.next());
  journal.add(frame(60));
  CHECK_FALSE(journal.next());
  journal.add(frame(60));
  const auto part = journal.next();
  REQUIRE(part);
  CHECK_FALSE(part->begins_anew);
  CHECK(part->frames.size() == 2);
  journal.add(frame(200));
  CHECK_FALSE(journal.next());
  journal.done(true);
  CHECK(journal.next()->frames.size() == 1);
  journal.done(true);
  CHECK_FALSE(journal.next());
}

TEST_CASE("a small state leaves no file, and a file that is of no use goes") {
  transfer_journal journal{100};
  journal.begin(false);
  journal.add(frame(60));
  journal.drop();
  CHECK_FALSE(journal.next());
  journal.add(frame(100));
  CHECK(journal.next());
  journal.drop();  // while it is being written
  journal.done(true);
  const auto removal = journal.next();
  REQUIRE(removal);
  CHECK(removal->begins_anew);
  CHECK(removal->frames.empty());
  journal.done(true);
  journal.drop();
  CHECK_FALSE(journal.next());
}

TEST_CASE("a transfer goes on with the file, or removes it") {
  transfer_journal journal{100};
  journal.found(500);
  journal.begin(true);
  CHECK_FALSE(journal.next());
  journal.begin(false);
  journal.add(frame(100));
  const auto part = journal.next();
  REQUIRE(part);
  CHECK(part->begins_anew);
  CHECK(part->frames.size() == 1);
}

TEST_CASE("of a transfer that the disk has refused nothing more is kept") {
  transfer_journal journal{100};
  journal.begin(false);
  journal.add(frame(100));
  CHECK(journal.next());
  journal.add(frame(100));
  CHECK(journal.done(false));
  // The room is given back, once.
  const auto removal = journal.next();
  REQUIRE(removal);
  CHECK(removal->begins_anew);
  CHECK(removal->frames.empty());
  CHECK_FALSE(journal.done(false));  // that is no news
  CHECK_FALSE(journal.next());
  journal.add(frame(100));
  CHECK_FALSE(journal.next());
  journal.begin(true);
  journal.add(frame(100));
  CHECK_FALSE(journal.next());
  // The next one is tried again, and what there may be goes first.
  journal.begin(false);
  journal.add(frame(100));
  CHECK(journal.next()->begins_anew);
}

TEST_CASE("a disk that has other needs gets the room of the file") {
  transfer_journal journal{100};
  journal.found(500);
  journal.give_up();
  CHECK(journal.next()->begins_anew);
  journal.done(true);
  journal.add(frame(100));
  CHECK_FALSE(journal.next());
  journal.give_up();
  CHECK_FALSE(journal.next());  // there is no file any more
}

TEST_CASE("what waits for the disk and what the file has is bounded") {
  constexpr auto most = transfer_journal::max_waiting;
  transfer_journal journal{100};
  journal.begin(false);
  journal.add(frame(most - 1));
  journal.add(frame(2));
  journal.add(frame(1));
  const auto part = journal.next();
  CHECK(part->frames.size() == 2);
  journal.done(true);
  journal.found(transfer_journal::max_bytes - 150);
  journal.add(frame(200));
  CHECK_FALSE(journal.next());
  journal.add(frame(150));
  CHECK(journal.next());
}

TEST_CASE("entries that are this node's own already are of no use to a start") {
  kept_transfer kept;
  kept.tree.put(path{"/own"}, siblings_for(1, 1).all());
  CHECK(kept.add(pack_entries({entry("/own", 1)})));
  CHECK(kept.entries == 0);
  CHECK(kept.add(pack_entries({entry("/more", 1), entry("/own", 2)})));
  CHECK(kept.entries == 2);
  CHECK(kept.tree.size() == 2);
  CHECK(kept.tree.verify());
}

TEST_CASE("a frame that is malformed adds nothing after its fault") {
  kept_transfer kept;
  CHECK_FALSE(kept.add("no frame"));
  CHECK_FALSE(kept.add(pack_entries({entry("/a", 1), entry("/b/", 1)})));
  CHECK_FALSE(kept.add(pack_entries({stored_entry{"/c", {}}})));
  CHECK(kept.tree.size() == 1);
}
