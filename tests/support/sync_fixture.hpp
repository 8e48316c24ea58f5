#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/actors/context/sync/sync_session.hpp>
#include <troupe/messages/codec.hpp>
#include <troupe/tests/support/context_fixture.hpp>
#include <troupe/tests/support/sync_view_fixture.hpp>

namespace troupe::test {

inline const cluster_id cluster{node(99).id};

inline encoded_record change(unsigned origin, std::uint64_t seq, std::size_t bytes = 10,
                             std::uint64_t incarnation = 1) {
  return encode_record(put({node(origin), incarnation, seq}, "/a", std::string(bytes, 'x')));
}

inline std::vector<encoded_record> changes(unsigned origin, std::uint64_t first, std::uint64_t last,
                                           std::size_t bytes = 10) {
  std::vector<encoded_record> records;
  for (auto seq = first; seq <= last; ++seq) records.push_back(change(origin, seq, bytes));
  return records;
}

inline shared_batch batch_of(std::vector<encoded_record> records) {
  return std::make_shared<const push_batch>(std::move(records));
}

/// The messages of one kind among actions.
template <class Message>
std::vector<Message> sent(const sync_session::actions& actions) {
  std::vector<Message> messages;
  for (const auto& each : actions)
    if (const auto* action = std::get_if<send_message>(&each))
      if (const auto* message = std::get_if<Message>(&action->message))
        messages.push_back(*message);
  return messages;
}

/// The actions of one kind.
template <class Action>
std::vector<Action> wished(const sync_session::actions& actions) {
  std::vector<Action> found;
  for (const auto& each : actions)
    if (const auto* action = std::get_if<Action>(&each)) found.push_back(*action);
  return found;
}

/// The dots of all pushes among actions.
inline std::vector<dot> pushed(const sync_session::actions& actions) {
  std::vector<dot> dots;
  for (const auto& push : sent<sync_push>(actions)) {
    const auto records = decode_push(push);
    REQUIRE(records);
    for (const auto& each : *records) dots.push_back(each.dot);
  }
  return dots;
}

/// Node 1 in a session with node 2.
struct one_side {
  explicit one_side(sync_limits limits = {})
      : session({cluster, node(1), 1, 7}, node(2), shown, limits) {}

  sync_hello greeting(version_vector vector = {}) const {
    return {cluster, node(2), 1, std::move(vector), {}, 7, {node(1)}, {}};
  }
  sync_session::actions open(version_vector theirs = {}) {
    session.start(0);
    return session.receive(greeting(std::move(theirs)));
  }
  sync_session::actions commit(std::vector<encoded_record> records) {
    for (const auto& each : records)
      view.committed.raise(each.dot.origin, each.dot.incarnation, each.dot.seq);
    return session.committed(batch_of(std::move(records)));
  }
  /// Lets a second pass.
  sync_session::actions second() { return session.tick(now += 1000); }
  sync_session::actions ack(std::uint64_t batch, version_vector vector = {}) {
    return session.receive(sync_ack{batch, std::move(vector)});
  }
  sync_session::actions heads(version_vector vector, std::uint64_t batch = 0,
                              std::vector<node_id> links = {node(1)}) {
    return session.receive(sync_heads{std::move(vector), {}, batch, std::move(links), {}});
  }

  view_values view;
  view_of_values shown{view};
  sync_session session;
  std::uint64_t now = 0;
};

inline version_vector upto(unsigned origin, std::uint64_t seq) {
  return version_vector{{{node(origin), 1, seq}}};
}

inline std::vector<dot> dots(unsigned origin, std::uint64_t first, std::uint64_t last) {
  std::vector<dot> all;
  for (auto seq = first; seq <= last; ++seq) all.push_back({node(origin), 1, seq});
  return all;
}

/// The session closes, for a reason with this code and these words.
inline void check_closed(const sync_session::actions& actions, error_code code,
                         std::string_view part) {
  const auto closes = wished<close_session>(actions);
  REQUIRE(closes.size() == 1);
  CHECK(closes[0].reason.code == code);
  CHECK_MESSAGE(closes[0].reason.message.find(part) != std::string::npos, closes[0].reason.message);
}

}  // namespace troupe::test
