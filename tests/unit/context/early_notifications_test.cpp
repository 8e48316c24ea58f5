#include <doctest/doctest.h>

#include <string>

#include <troupe/actors/context/sync/early_notifications.hpp>
#include <troupe/actors/context/sync/read_sync_message.hpp>
#include <troupe/messages/wire/codec.hpp>

using namespace troupe;

namespace {

early_notifications::notification said(std::uint64_t link, std::string params) {
  return {peer_id{link}, "sync.hello", std::move(params)};
}

}  // namespace

TEST_CASE("what a link says early is handed out once, in order, without that of other links") {
  early_notifications early;
  early.keep(said(1, "a"));
  early.keep(said(2, "b"));
  early.keep(said(1, "c"));
  const auto taken = early.take(peer_id{1});
  REQUIRE(taken.size() == 2);
  CHECK(taken[0].params == "a");
  CHECK(taken[1].params == "c");
  CHECK(early.take(peer_id{1}).empty());
  CHECK(early.size() == 1);
}

TEST_CASE("of one link only the oldest N are kept") {
  early_notifications early;
  for (int i = 0; i < 100; ++i) early.keep(said(1, std::to_string(i)));
  const auto taken = early.take(peer_id{1});
  REQUIRE(taken.size() == early_notifications::max_of_link);
  CHECK(taken.front().params == "0");
}

TEST_CASE("of all links together only the newest N are kept") {
  early_notifications early;
  for (std::uint64_t link = 0; link < 100; ++link) early.keep(said(link, "x"));
  CHECK(early.size() == early_notifications::max_kept);
  CHECK(early.take(peer_id{0}).empty());
  CHECK(early.take(peer_id{99}).size() == 1);
}

TEST_CASE("early notifications are bounded in bytes, and taking them makes room") {
  early_notifications early;
  const std::string half(early_notifications::max_bytes / 2, 'x');
  early.keep(said(1, half));
  early.keep(said(2, half));
  CHECK(early.size() == 2);
  early.keep(said(3, "y"));
  CHECK(early.size() == 2);
  CHECK(early.take(peer_id{1}).empty());
  CHECK(early.take(peer_id{2}).size() == 1);
  early.keep(said(4, half));
  CHECK(early.size() == 2);
}

TEST_CASE("a notification is read as the message of its method") {
  const auto ack = read_sync_message("sync.ack", encode(sync_ack{3, {}}));
  REQUIRE(ack);
  CHECK(std::get<sync_ack>(*ack).batch == 3);
  CHECK(read_sync_message("sync.dance", encode(sync_ack{})).error().code == error_code::not_found);
  CHECK_FALSE(read_sync_message("sync.ack", "nonsense"));
}
