// What two replicas that differ in a few entries send each other until they are equal.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/sync/state_offer.hpp>
#include <troupe/actors/context/sync/state_pull.hpp>
#include <troupe/bench/suites.hpp>

namespace troupe::bench {

namespace {

constexpr std::uint64_t start_ms = 1'700'000'000'000;

/// Two replicas: the second one has overwritten some entries of the first.
class two_replicas {
public:
  static result<two_replicas> make(std::uint32_t entries, std::uint32_t differing) {
    two_replicas made;
    std::mt19937 random{11};
    context_engine engine{node_id{uuid{{1, 2, 3}}}, start_ms};
    for (std::uint32_t i = 0; i < entries; ++i)
      if (auto done = set(engine, i, random); !done) return fail(done.error());
    made.behind_ = engine.snapshot();
    std::vector<std::uint32_t> chosen(entries);
    for (std::uint32_t i = 0; i < entries; ++i) chosen[i] = i;
    std::ranges::shuffle(chosen, random);
    chosen.resize(differing);
    for (const auto number : chosen)
      if (auto done = set(engine, number, random); !done) return fail(done.error());
    made.ahead_ = std::make_shared<const engine_state>(engine.state());
    context_tree::diff(made.behind_, made.ahead_->tree,
                       [&](const tree_entry*, const tree_entry* after) {
                         made.differing_bytes_ += bytes_of(*after);
                         return true;
                       });
    return made;
  }

  /// The first one takes what it lacks. @returns bytes of entries that differ for each byte sent.
  result<double> heal() const {
    const state_offer offer{1, ahead_};
    state_pull pull{behind_, 1, {}, std::uint64_t{1} << 40};
    std::size_t sent = 0;
    while (!pull.is_done()) {
      const auto& question = pull.question();
      auto answer = question.wanted.empty() ? result<sync_state>{offer.greeting(question.ask)}
                                            : offer.answer(question);
      if (!answer) return fail(answer.error());
      sent += encode(question).size() + encode(*answer).size();
      if (const auto taken = pull.take(*answer); !taken) return fail(taken.error());
    }
    sent += encode(pull.question()).size();
    if (pull.tree().hash() != ahead_->tree.hash())
      return fail(error_code::corrupt_data, "two replicas differ after they were healed");
    return static_cast<double>(differing_bytes_) / static_cast<double>(sent);
  }

private:
  two_replicas() = default;

  /// What an entry says, without names of fields and not compressed.
  static std::size_t bytes_of(const tree_entry& entry) {
    constexpr std::size_t dot = 32, time = 8, operation = 1, content = 8;
    auto bytes = entry.path().size();
    for (const auto& each : entry.siblings())
      bytes += dot + time + operation + content + each.principal.size() + each.value_bytes.size();
    return bytes;
  }

  /// Writes 32 bytes that hardly get smaller by compression.
  static result<void> set(context_engine& engine, std::uint32_t number, std::mt19937& random) {
    std::string text(32, ' ');
    for (auto& each : text) each = static_cast<char>('!' + random() % 90);
    const auto written =
        engine.write(operation::put, path{fmt::format("/app/users/{}/name", number)}, value{text},
                     "bench", {}, start_ms + number / 100);
    if (!written) return fail(written.error());
    return {};
  }

  context_tree behind_;
  std::shared_ptr<const engine_state> ahead_;
  std::size_t differing_bytes_ = 0;
};

}  // namespace

result<void> measure_heal(harness& with) {
  const auto entries = static_cast<std::uint32_t>(with.operations(1'000'000));
  const auto replicas = two_replicas::make(entries, entries / 1000);
  if (!replicas) return fail(replicas.error());
  return with.compare(
      {.suite = "context",
       .name = fmt::format("healing, {} of {} entries differ", entries / 1000, entries),
       .unit = "bytes that differ/byte sent",
       .ours = {"coded symbols", [&] { return replicas->heal(); }},
       .beside = {"the entries that differ", [] { return result<double>{1.0}; }},
       .target = 1 / 1.5});
}

}  // namespace troupe::bench
