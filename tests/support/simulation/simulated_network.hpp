#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/messages/wire/codec.hpp>
#include <troupe/tests/support/newer_fields.hpp>
#include <troupe/tests/support/simulation/simulated_clocks.hpp>
#include <troupe/tests/support/simulation/simulated_node.hpp>
#include <troupe/tests/support/simulation/simulation_rules.hpp>
#include <troupe/tests/support/simulation/simulation_scenario.hpp>

namespace troupe::test::simulation {

/// What lies between the nodes of one seed: their links, and what is on its way over them. It is
/// delivered, lost, repeated and reordered as the scenario allows. A hostile peer has links, too.
class simulated_network final : public link_ends {
public:
  using node_list = std::vector<std::unique_ptr<simulated_node>>;

  simulated_network(const scenario& plan, const simulated_clocks& clocks, const node_list& nodes,
                    std::mt19937& random)
      : plan_(plan), clocks_(clocks), nodes_(nodes), random_(random) {}

  /// Open links.
  std::size_t links() const { return links_.size(); }
  /// How many messages were sent, and how many changes were pushed in them.
  std::size_t messages() const { return messages_; }
  std::size_t pushed() const { return pushed_; }
  /// Of these messages, the heads.
  std::size_t heads() const { return heads_; }
  std::size_t heads_bytes() const { return heads_bytes_; }
  /// Of these messages, those that greet with a new link.
  std::size_t greetings() const { return greeted_; }
  /// How many bytes were sent, other than in heads and greetings, without what a newer build adds.
  std::size_t bytes() const { return bytes_; }
  /// Everything that was sent, as one number: equal for equal seeds.
  std::uint64_t trace() const { return trace_; }

  // -- links --------------------------------------------------------------------------------------

  void change_link(unsigned a, unsigned b) {
    if (find_link(a, b))
      disconnect(a, b);
    else
      connect(a, b);
  }

  void connect(unsigned a, unsigned b) {
    if (a == b || !nodes_[a]->is_up() || !nodes_[b]->is_up() || find_link(a, b)) return;
    const auto id = new_link(a, b);
    const bool b_is_late = random_() % 2;
    nodes_[a]->peer_up(id, nodes_[b]->id(), clocks_.at(a));
    if (!links_.contains(id)) return;  // it takes no links now
    if (b_is_late) deliver_greetings();
    nodes_[b]->peer_up(id, nodes_[a]->id(), clocks_.at(b));
    deliver_greetings();
  }

  void disconnect(unsigned a, unsigned b) {
    const auto id = take_link(a, b);
    if (!id) return;
    nodes_[a]->peer_down(*id);
    nodes_[b]->peer_down(*id);
  }

  /// A link takes no more of what `from` says.
  void stop_reading(unsigned from, unsigned to) {
    const auto id = find_link(from, to);
    if (!id) return;
    nodes_[from]->send_failed(*id);
    must(!links_.contains(*id), "a link that loses messages is not closed");
  }

  /// Ends the links of a node that crashes.
  void cut_off(unsigned crashing) {
    for (unsigned other = 0; other < plan_.nodes; ++other)
      if (const auto link = take_link(crashing, other)) nodes_[other]->peer_down(*link);
  }

  void send(peer_id id, unsigned from, const sync_message& message) override {
    const auto found = links_.find(id);
    if (found == links_.end()) return;
    const auto to = found->second.other(from);
    if (to == hostile_index) return;
    ++messages_;
    if (const auto* push = std::get_if<sync_push>(&message))
      for (const auto& each : push->changes) pushed_ += (*change_batch::read(each.bytes))->size();
    envelope letter{id, from, to, {}, {}};
    std::visit(
        [&](const auto& each) {
          letter.method = each.method;
          letter.params = encode(each);
        },
        message);
    if (std::holds_alternative<sync_heads>(message)) {
      ++heads_;
      heads_bytes_ += letter.params.size();
    } else if (std::holds_alternative<sync_hello>(message)) {
      ++greeted_;
    } else {
      bytes_ += letter.params.size();
    }
    if (plan_.newer && from == 0) letter.params = with_newer_fields(letter.params);
    note(letter);
    // The greeting is part of setting up a link: without it there is none.
    auto& way = std::holds_alternative<sync_hello>(message) ? greetings_ : letters_;
    way.push_back(std::move(letter));
  }

  std::size_t holders(const dot& id, const members& known) const override {
    return static_cast<std::size_t>(std::ranges::count_if(nodes_, [&](const auto& each) {
      return known.has(each->id()) && each->disk.stored().covers(id);
    }));
  }

  void close(peer_id id, unsigned from, const std::string& reason) override {
    const auto found = links_.find(id);
    must(found != links_.end(), "a link is closed twice");
    const auto other = found->second.other(from);
    must(other == hostile_index || reason == "the other side does not read" ||
             reason == "this node takes a new state" ||
             reason == "this node has forgotten the peer",
         reason);
    links_.erase(found);
    if (other == hostile_index) return;
    std::erase_if(letters_, [&](const envelope& each) { return each.link == id; });
    nodes_[other]->peer_down(id);
  }

  // -- the hostile peer ---------------------------------------------------------------------------

  peer_id open_hostile_link(unsigned to) { return new_link(to, hostile_index); }
  bool is_open(peer_id link) const { return links_.contains(link); }
  /// @returns whether the link was still open.
  bool drop(peer_id link) { return links_.erase(link) > 0; }
  /// What it says is heard at once, while the link is open.
  template <class Message>
  void say(peer_id link, unsigned to, const Message& message) {
    if (links_.contains(link))
      nodes_[to]->hear(link, std::string{Message::method}, encode(message), clocks_.at(to));
  }

  // -- traffic ------------------------------------------------------------------------------------

  /// From now on what `from` sends to `to` is lost, unless links are ordered.
  void block(unsigned from, unsigned to) { blocked_.emplace(from, to); }
  void unblock(unsigned from, unsigned to) { blocked_.erase(std::pair{from, to}); }
  void unblock_all() { blocked_.clear(); }

  /// Nothing is on its way.
  bool idle() const { return letters_.empty(); }
  /// Delivers a few messages, or loses or repeats them.
  void deliver_some() {
    for (auto count = random_() % 8; count > 0 && !letters_.empty(); --count) {
      auto at = letters_.begin() + static_cast<std::ptrdiff_t>(random_() % letters_.size());
      if (plan_.ordered_links) {
        at = std::ranges::find_if(letters_, [&](const envelope& each) {
          return each.from == at->from && each.to == at->to;
        });
        deliver_at(at);
      } else if (random_() % 100 < 15 || blocked_.contains(std::pair{at->from, at->to})) {
        letters_.erase(at);
      } else if (random_() % 100 < 15) {
        const auto copy = *at;
        deliver(copy);
      } else {
        deliver_at(at);
      }
    }
  }
  void deliver_all() {
    while (!letters_.empty()) deliver_at(letters_.begin());
  }

private:
  struct link {
    unsigned a, b;

    unsigned other(unsigned end) const { return end == a ? b : a; }
  };
  struct envelope {
    peer_id link;
    unsigned from, to;
    std::string method, params;
  };

  peer_id new_link(unsigned a, unsigned b) {
    const peer_id id{++made_links_};
    links_.emplace(id, link{a, b});
    return id;
  }

  std::optional<peer_id> find_link(unsigned a, unsigned b) const {
    for (const auto& [id, each] : links_)
      if ((each.a == a && each.b == b) || (each.a == b && each.b == a)) return id;
    return std::nullopt;
  }

  /// Removes a link, with what is on its way over it.
  std::optional<peer_id> take_link(unsigned a, unsigned b) {
    const auto found = find_link(a, b);
    if (!found) return std::nullopt;
    links_.erase(*found);
    std::erase_if(letters_, [&](const envelope& each) { return each.link == *found; });
    return found;
  }

  void note(const envelope& letter) {
    const auto add = [this](unsigned char byte) { trace_ = (trace_ ^ byte) * 0x100000001b3; };
    add(static_cast<unsigned char>(letter.from));
    add(static_cast<unsigned char>(letter.to));
    for (const auto byte : letter.params) add(static_cast<unsigned char>(byte));
  }

  void deliver_greetings() {
    for (const auto& letter : std::exchange(greetings_, {})) deliver(letter);
  }

  void deliver_at(std::deque<envelope>::iterator at) {
    const auto taken = std::move(*at);
    letters_.erase(at);
    deliver(taken);
  }

  void deliver(const envelope& letter) {
    if (links_.contains(letter.link))
      nodes_[letter.to]->hear(letter.link, letter.method, letter.params, clocks_.at(letter.to));
  }

  static constexpr unsigned hostile_index = ~0U;

  const scenario& plan_;
  const simulated_clocks& clocks_;
  const node_list& nodes_;
  std::mt19937& random_;
  std::map<peer_id, link> links_;
  std::uint64_t made_links_ = 0;
  std::deque<envelope> letters_, greetings_;
  std::set<std::pair<unsigned, unsigned>> blocked_;  ///< One way.
  std::size_t messages_ = 0, pushed_ = 0;
  std::size_t heads_ = 0, heads_bytes_ = 0, greeted_ = 0, bytes_ = 0;
  std::uint64_t trace_ = 0xcbf29ce484222325;
};

}  // namespace troupe::test::simulation
