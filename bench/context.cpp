// The state of the context beside the design that it replaces: a map behind a lock.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/bench/suites.hpp>

namespace troupe::bench {

namespace {

constexpr std::uint64_t start_ms = 1'700'000'000'000;

std::string path_of(std::uint32_t number) {
  return "/app/users/" + std::to_string(number) + "/name";
}

/// 32 bytes that name the entry and how often it was written.
std::string text_of(std::uint32_t number, std::uint32_t round) {
  auto text = "payload-" + std::to_string(number) + "-" + std::to_string(round) + "-";
  text.resize(32, 'x');
  return text;
}

std::vector<std::uint32_t> shuffled(std::uint32_t size) {
  std::vector<std::uint32_t> order(size);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), std::mt19937{7});
  return order;
}

/// Paths and values of the next operations, so that making them is not measured.
struct work {
  std::vector<std::string> paths, texts;

  void prepare(const std::vector<std::uint32_t>& order, std::size_t first, std::size_t count,
               std::uint32_t round) {
    paths.clear();
    texts.clear();
    for (std::size_t i = 0; i < count; ++i) {
      const auto number = order[(first + i) % order.size()];
      paths.push_back(path_of(number));
      texts.push_back(text_of(number, round));
    }
  }
};

// -- ours -----------------------------------------------------------------------------------------

class our_context {
public:
  result<void> set(const std::string& where, const std::string& text) {
    auto parsed = path::parse(where);
    if (!parsed) return fail(parsed.error());
    const auto written = engine_.write(operation::put, std::move(*parsed), value{text}, "bench", {},
                                       start_ms + ++writes_ / 100);
    if (!written) return fail(written.error());
    return {};
  }
  std::optional<value> get(const std::string& where) const {
    const auto parsed = path::parse(where);
    return parsed ? engine_.view(*parsed) : std::nullopt;
  }
  context_tree snapshot() const { return engine_.snapshot(); }
  std::size_t size() const { return engine_.tree().size(); }
  static std::string_view text_in(const value& got) { return got.as_string().value_or(""); }

private:
  context_engine engine_{node_id{uuid{{1, 2, 3}}}, 1};
  std::uint64_t writes_ = 0;
};

// -- beside it: a map behind a lock ---------------------------------------------------------------

/// Values in a map behind a lock, and a bounded history of changes.
class locked_map {
public:
  result<void> set(const std::string& where, const std::string& text) {
    std::unique_lock guard{mutex_};
    auto& slot = values_[where];
    auto previous = slot.is_null() ? std::nullopt : std::optional{std::move(slot)};
    slot = text;
    history_.push_back(
        {std::string(36, 'a'), where, ++writes_, std::move(previous), slot, std::string(36, 'b')});
    if (history_.size() > max_history) history_.pop_front();
    return {};
  }
  std::optional<nlohmann::json> get(const std::string& where) const {
    std::shared_lock guard{mutex_};
    const auto found = values_.find(where);
    if (found == values_.end()) return std::nullopt;
    return found->second;
  }
  std::map<std::string, nlohmann::json> snapshot() const {
    std::shared_lock guard{mutex_};
    return values_;
  }
  std::size_t size() const { return values_.size(); }
  static std::string_view text_in(const nlohmann::json& got) {
    return got.get_ref<const std::string&>();
  }

private:
  static constexpr std::size_t max_history = 1000;
  struct change {
    std::string id, path;
    std::uint64_t time;
    std::optional<nlohmann::json> previous;
    nlohmann::json now;
    std::string origin;
  };

  mutable std::shared_mutex mutex_;
  std::map<std::string, nlohmann::json> values_;
  std::deque<change> history_;
  std::uint64_t writes_ = 0;
};

// -- measuring ------------------------------------------------------------------------------------

/// A context that holds an entry for each number of `order`.
template <class Context>
class filled_context {
public:
  explicit filled_context(const std::vector<std::uint32_t>& order) : order_(order) {}

  result<void> fill() {
    for (const auto number : order_)
      if (auto done = context_->set(path_of(number), text_of(number, 0)); !done) return done;
    return {};
  }

  /// Overwrites entries and verifies some of them. @returns writes a second.
  result<double> set(std::size_t count) {
    work_.prepare(order_, next_, count, ++round_);
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < count; ++i)
      if (auto done = context_->set(work_.paths[i], work_.texts[i]); !done)
        return fail(done.error());
    const auto figure = rate(count, begin);
    for (std::size_t i = count > order_.size() ? count - order_.size() : 0; i < count; i += 97)
      if (const auto got = context_->get(work_.paths[i]);
          !got || Context::text_in(*got) != work_.texts[i])
        return wrong(work_.paths[i]);
    next_ += count;
    return figure;
  }

  /// Reads entries in random order. @returns reads a second.
  result<double> get(std::size_t count) {
    work_.prepare(order_, next_ * 31 + 17, count, round_);
    std::size_t bytes = 0, found = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < count; ++i)
      if (const auto got = context_->get(work_.paths[i])) {
        ++found;
        bytes += Context::text_in(*got).size();
      }
    const auto figure = rate(count, begin);
    if (found != count || bytes != 32 * count) return wrong("some path");
    return figure;
  }

private:
  static double rate(std::size_t count, std::chrono::steady_clock::time_point begin) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(count) / passed.count();
  }
  static tl::unexpected<error> wrong(const std::string& where) {
    return fail(error_code::corrupt_data, "a wrong value was read at " + where);
  }

  const std::vector<std::uint32_t>& order_;
  std::unique_ptr<Context> context_ = std::make_unique<Context>();
  work work_;
  std::size_t next_ = 0;
  std::uint32_t round_ = 0;
};

result<void> measure_size(harness& with, const std::string& size, std::uint32_t entries,
                          double target) {
  const auto order = shuffled(entries);
  filled_context<our_context> ours{order};
  filled_context<locked_map> beside{order};
  if (auto done = ours.fill(); !done) return done;
  if (auto done = beside.fill(); !done) return done;
  const auto operations = with.operations(400'000);
  const std::string name = "a map behind a lock";
  if (auto done = with.compare({.suite = "context",
                                .name = "set, " + size + " entries",
                                .unit = "sets/s",
                                .ours = {"context engine", [&] { return ours.set(operations); }},
                                .beside = {name, [&] { return beside.set(operations); }},
                                .target = target});
      !done)
    return done;
  return with.compare({.suite = "context",
                       .name = "get, " + size + " entries",
                       .unit = "gets/s",
                       .ours = {"context engine", [&] { return ours.get(operations); }},
                       .beside = {name, [&] { return beside.get(operations); }},
                       .target = target});
}

/// Taking a state to read from while writing goes on. @returns snapshots a second.
template <class Context>
result<double> take_snapshots(Context& context, std::size_t count) {
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    const auto snapshot = context.snapshot();
    if (snapshot.size() != context.size())
      return fail(error_code::corrupt_data, "a snapshot has another number of entries");
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(count) / passed.count();
}

result<void> measure_snapshots(harness& with) {
  const auto entries = static_cast<std::uint32_t>(with.operations(1'000'000));
  our_context ours;
  locked_map beside;
  for (std::uint32_t i = 0; i < entries; ++i) {
    if (auto done = ours.set(path_of(i), text_of(i, 0)); !done) return done;
    if (auto done = beside.set(path_of(i), text_of(i, 0)); !done) return done;
  }
  // A copy of the map takes so long that the ratio says little. What counts is a millisecond.
  return with.compare({.suite = "context",
                       .name = fmt::format("snapshot of {} entries", entries),
                       .unit = "snapshots/s",
                       .ours = {"context tree", [&] { return take_snapshots(ours, 100'000); }},
                       .beside = {"a copy of the map", [&] { return take_snapshots(beside, 1); }},
                       .target = 1000.0,
                       .sufficient = 1000.0});
}

/// Resident memory of this process in bytes.
std::size_t resident_bytes() {
  std::ifstream statm{"/proc/self/statm"};
  std::size_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

template <class Context>
double entries_per_mebibyte(std::uint32_t entries) {
  const auto order = shuffled(entries);
  filled_context<Context> context{order};
  const auto before = resident_bytes();
  if (!context.fill()) return 0;
  return static_cast<double>(entries) /
         (static_cast<double>(resident_bytes() - before) / (1 << 20));
}

/// Measures memory in a process of its own, which has nothing to reuse.
result<double> measure_memory_of(std::string_view what, std::uint32_t entries) {
  const auto program = std::filesystem::read_symlink("/proc/self/exe").string();
  const auto command = fmt::format("'{}' --memory-of {} --entries {}", program, what, entries);
  auto* const child = popen(command.c_str(), "r");
  if (child == nullptr) return fail(error_code::unavailable, "no process can be started");
  double figure = 0;
  const bool is_told = std::fscanf(child, "%lf", &figure) == 1;
  if (pclose(child) != 0 || !is_told || figure <= 0)
    return fail(error_code::unavailable, "the process that was measured has failed");
  return figure;
}

constexpr std::string_view our_name = "ours", beside_name = "beside";

}  // namespace

result<void> measure_context(harness& with) {
  if (auto done = measure_size(with, "10^4", 10'000, 1.0); !done) return done;
  if (auto done = measure_size(with, "10^5", 100'000, 1.25); !done) return done;
  if (!with.is_quick())
    if (auto done = measure_size(with, "10^6", 1'000'000, 1.25); !done) return done;
  if (auto done = measure_snapshots(with); !done) return done;
  if (auto done = measure_heal(with); !done) return done;
  if (auto done = measure_durable(with); !done) return done;
  if (!with.is_quick()) {
    if (auto done = measure_import(with); !done) return done;
    if (auto done = measure_peers(with); !done) return done;
  }
  const auto entries = static_cast<std::uint32_t>(with.operations(1'000'000));
  return with.compare(
      {.suite = "context",
       .name = fmt::format("memory of {} entries", entries),
       .unit = "entries/MiB",
       .ours = {"context engine", [&] { return measure_memory_of(our_name, entries); }},
       .beside = {"a map behind a lock", [&] { return measure_memory_of(beside_name, entries); }},
       .target = 2.5});
}

double measure_context_memory(std::string_view what, std::uint32_t entries) {
  if (what == our_name) return entries_per_mebibyte<our_context>(entries);
  return entries_per_mebibyte<locked_map>(entries);
}

}  // namespace troupe::bench
