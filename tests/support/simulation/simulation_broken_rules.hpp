#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/tests/support/simulation/simulated_node.hpp>

// Managers that break a rule: each changes the effects of the real one on their way to the world.
// The simulation must find every one of them.

namespace troupe::test::simulation {

/// Calls `change(effect)` for each effect of one kind.
template <class Effect, class Change>
void for_each_effect(std::vector<sync_effect>& effects, Change&& change) {
  for (auto& each : effects)
    if (auto* effect = std::get_if<Effect>(&each)) change(*effect);
}

/// Answers some writes before it may.
class answers_early : public interference {
public:
  void alter(simulated_node& node, std::vector<sync_effect>& effects) override {
    auto& answered = answered_[&node];
    std::set<context_request> now;
    std::erase_if(effects, [&](const sync_effect& each) {
      const auto* answer = std::get_if<answer_write>(&each);
      if (answer) now.insert(answer->request);
      return answer && answered.contains(answer->request);
    });
    for (const auto& [request, open] : node.open_writes()) {
      if (now.contains(request) || open.dots.empty() || !is_early(node, open)) continue;
      if (!answered.insert(request).second) continue;
      values_written written;
      for (const auto& id : open.dots) written.ids.push_back(change_record{.dot = id}.id());
      effects.push_back(answer_write{request, std::move(written)});
    }
  }

private:
  /// Whether to answer this write, which has been made, now.
  virtual bool is_early(const simulated_node& node, const open_write& open) const = 0;

  std::map<const simulated_node*, std::set<context_request>> answered_;
};

/// Answers a durable write as soon as its change is on the way to the disk.
class acknowledges_before_stored final : public answers_early {
  bool is_early(const simulated_node&, const open_write& open) const override {
    return open.level == durability::durable;
  }
};

/// Answers a write for which members have to be waited for when it is on this node's disk.
class acknowledges_before_members final : public answers_early {
  bool is_early(const simulated_node& node, const open_write& open) const override {
    return open.level > durability::durable && node.disk.stored().covers(open.dots.back());
  }
};

/// Tells watchers some news twice.
class tells_watchers_twice final : public interference {
public:
  void alter(simulated_node&, std::vector<sync_effect>& effects) override {
    std::vector<sync_effect> twice;
    for_each_effect<tell_watcher>(effects, [&](const tell_watcher& told) {
      if (++told_ % 10 == 0) twice.push_back(told);
    });
    effects.insert(effects.end(), twice.begin(), twice.end());
  }

private:
  std::uint64_t told_ = 0;
};

/// Leaves out one of several changes for a watcher.
class leaves_out_news final : public interference {
public:
  void alter(simulated_node&, std::vector<sync_effect>& effects) override {
    for_each_effect<tell_watcher>(effects, [](tell_watcher& told) {
      if (told.changes.size() > 1) told.changes.pop_back();
    });
  }
};

/// Tells watchers of changes to different paths in the wrong order.
class reorders_news final : public interference {
public:
  void alter(simulated_node&, std::vector<sync_effect>& effects) override {
    for_each_effect<tell_watcher>(effects, [](tell_watcher& told) {
      auto& changes = told.changes;
      if (changes.size() > 1 && changes[0]->path != changes[1]->path)
        std::swap(changes[0], changes[1]);
    });
  }
};

/// Forgets in each message to its peers what it has got from them already.
class forgets_positions final : public interference {
public:
  void alter(simulated_node&, std::vector<sync_effect>& effects) override {
    for_each_effect<send_to_peer>(effects, [](send_to_peer& sent) {
      std::visit(
          [](auto& message) {
            if constexpr (requires { message.vector; }) message.vector = {};
          },
          sent.message);
    });
  }
};

/// Tells peers that it has stored one change more than it has.
class claims_too_much final : public interference {
public:
  void alter(simulated_node&, std::vector<sync_effect>& effects) override {
    for_each_effect<send_to_peer>(effects, [](send_to_peer& sent) {
      auto* heads = std::get_if<sync_heads>(&sent.message);
      if (!heads || heads->vector.entries().empty()) return;
      const auto last = heads->vector.entries().back();
      heads->vector.raise(last.origin, last.incarnation, last.seq + 1);
    });
  }
};

/// Has a part of a batch stored and counts all of it.
class stores_a_part final : public interference {
public:
  void alter(simulated_node&, std::vector<sync_effect>& effects) override {
    for_each_effect<append_batch>(effects, [](append_batch& append) {
      if (append.what->batches.size() < 2) return;
      auto part = *append.what;
      part.batches.pop_back();
      append.what = std::make_shared<const commit>(std::move(part));
    });
  }
};

/// Writes a checkpoint of changes that are on their way to the log.
class checkpoints_too_early final : public interference {
public:
  void alter(simulated_node& node, std::vector<sync_effect>& effects) override {
    for_each_effect<save_checkpoint>(effects, [&](save_checkpoint& save) {
      save.state = std::make_shared<const engine_state>(node.manager().engine().state());
    });
  }
};

/// Leaves some writes without an answer.
class leaves_writes_unanswered final : public interference {
public:
  void alter(simulated_node&, std::vector<sync_effect>& effects) override {
    std::erase_if(effects, [this](const sync_effect& each) {
      return std::holds_alternative<answer_write>(each) && ++answers_ % 50 == 0;
    });
  }

private:
  std::uint64_t answers_ = 0;
};

}  // namespace troupe::test::simulation
