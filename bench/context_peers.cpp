// Changes of other replicas beside the fastest of three libraries that merge documents. They run in
// Node.js; `bench/peers/merge.mjs` drives them.

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/actors/context/store/store.hpp>
#include <troupe/actors/context/sync/change_batch.hpp>
#include <troupe/bench/scratch_directory.hpp>
#include <troupe/bench/suites.hpp>

namespace troupe::bench {

namespace {

constexpr std::uint32_t replicas = 4;
constexpr std::uint64_t start_ms = 1'700'000'000'000;
constexpr std::size_t batched = 1000, single = 1;
constexpr std::array libraries{"yjs", "loro", "automerge"};

/// The numbers that the libraries draw as well.
struct drawn_numbers {
  std::uint32_t state;
  std::uint32_t operator()() noexcept { return state = state * 1664525U + 1013904223U; }
};

/// The sets of one comparison.
struct trace {
  std::uint32_t keys, sets;  ///< Sets of each replica.
  std::size_t per_batch;

  std::size_t changes() const noexcept { return std::size_t{replicas} * sets; }
};

// -- ours -----------------------------------------------------------------------------------------

/// The changes of all replicas in the form in which they are sent.
class our_changes {
public:
  static result<our_changes> make(const trace& wanted) {
    our_changes made{wanted};
    for (std::uint32_t replica = 0; replica < replicas; ++replica)
      if (auto done = made.add_replica(replica); !done) return fail(done.error());
    if (auto merged = made.merge(0); !merged) return fail(merged.error());
    return made;
  }

  /// A new replica takes the changes of all others. @returns changes a second.
  result<double> merge(std::uint32_t turn) {
    const auto begin = std::chrono::steady_clock::now();
    context_engine engine{node_id{uuid{{9}}}, 1};
    for (std::uint32_t i = 0; i < replicas; ++i)
      for (const auto& bytes : streams_[(turn + i) % replicas])
        if (auto done = apply(bytes, engine); !done) return fail(done.error());
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    if (!expected_) expected_ = engine.root_hash();
    if (engine.root_hash() != *expected_)
      return fail(error_code::corrupt_data, "two replicas differ");
    return static_cast<double>(trace_.changes()) / passed.count();
  }
  /// The state with all changes, as a node saves it that has taken it. @returns bytes.
  result<double> saved_bytes() {
    context_engine engine{node_id{uuid{{9}}}, 1};
    for (const auto& stream : streams_)
      for (const auto& bytes : stream)
        if (auto done = apply(bytes, engine); !done) return fail(done.error());
    const scratch_directory place;
    {
      const store_identity identity{cluster_id{uuid{{8}}}, node_id{uuid{{9}}}};
      auto store = context_store::open(place.path().native(), identity);
      if (!store) return fail(store.error());
      const auto state = engine.state();
      if (auto saved = store->adopt(state, state.processed, nullptr); !saved)
        return fail(saved.error());
    }
    return static_cast<double>(std::filesystem::file_size(place.path() / "context.db"));
  }
  double bytes_per_change() const {
    std::size_t bytes = 0;
    for (const auto& stream : streams_)
      for (const auto& each : stream) bytes += each.size();
    return static_cast<double>(bytes) / static_cast<double>(trace_.changes());
  }

private:
  explicit our_changes(const trace& wanted) : trace_(wanted) {}

  result<void> add_replica(std::uint32_t replica) {
    node_id node;
    for (std::size_t i = 0; i < node.id.bytes.size(); ++i)
      node.id.bytes[i] = static_cast<std::uint8_t>(replica * 37 + i * 11 + 1);
    context_engine engine{node, start_ms << 12};
    drawn_numbers draw{replica + 1};
    std::vector<change_record> records;
    auto& stream = streams_.emplace_back();
    for (std::uint32_t i = 0; i < trace_.sets; ++i) {
      auto text = fmt::format("payload-{}-{}", replica, i);
      text.resize(32, 'x');
      auto record = engine.write(operation::put, path{fmt::format("/m/k{}", draw() % trace_.keys)},
                                 value{text}, "host", {}, start_ms + i / 10);
      if (!record) return fail(record.error());
      records.push_back(std::move(*record));
      if (records.size() < trace_.per_batch && i + 1 < trace_.sets) continue;
      for (const auto& each : make_batches(records)) stream.push_back(each->bytes());
      records.clear();
    }
    return {};
  }
  static result<void> apply(const std::string& bytes, context_engine& engine) {
    const auto batch = change_batch::read(bytes);
    if (!batch) return fail(batch.error());
    auto records = (*batch)->records();
    if (!records) return fail(records.error());
    for (auto& each : *records)
      if (engine.apply(std::move(each), start_ms).status != apply_status::applied)
        return fail(error_code::corrupt_data, "a change was not applied");
    return {};
  }

  trace trace_;
  std::vector<std::vector<std::string>> streams_;
  std::optional<state_hash> expected_;
};

// -- beside it ------------------------------------------------------------------------------------

/// One of the libraries in a process of its own, with its changes made.
class peer_program {
public:
  /// @param place where the libraries are installed.
  static result<std::unique_ptr<peer_program>> start(const std::filesystem::path& place,
                                                     const std::string& library,
                                                     const trace& wanted) {
    auto made = std::unique_ptr<peer_program>{new peer_program};
    made->answers_ = place / fmt::format("answers-{}-{}", ::getpid(), library);
    std::filesystem::remove(made->answers_);
    if (::mkfifo(made->answers_.c_str(), 0600) != 0)
      return fail(error_code::unavailable, "no pipe can be made");
    made->in_ = ::open(made->answers_.c_str(), O_RDWR | O_CLOEXEC);
    const auto command =
        fmt::format("cd '{}' && exec node merge.mjs {} {} {} {} {} '{}'", place.string(), library,
                    wanted.per_batch == single ? "single" : "batched", replicas, wanted.keys,
                    wanted.sets, made->answers_.string());
    made->program_ = ::popen(command.c_str(), "w");
    if (made->in_ < 0 || made->program_ == nullptr)
      return fail(error_code::unavailable, "no process can be started");
    const auto ready = made->answer();
    if (!ready) return fail(ready.error());
    char* rest = nullptr;
    made->bytes_per_change_ = std::strtod(ready->c_str() + ready->find(' '), &rest);
    made->saved_bytes_ = std::strtod(rest, nullptr);
    return made;
  }
  peer_program(const peer_program&) = delete;
  peer_program& operator=(const peer_program&) = delete;
  ~peer_program() {
    if (program_ != nullptr) ::pclose(program_);
    if (in_ >= 0) ::close(in_);
    std::filesystem::remove(answers_);
  }

  /// As `our_changes::merge`.
  result<double> merge(std::uint32_t turn) {
    std::fprintf(program_, "%u\n", turn);
    std::fflush(program_);
    const auto figure = answer();
    if (!figure) return fail(figure.error());
    return std::strtod(figure->c_str(), nullptr);
  }
  double bytes_per_change() const noexcept { return bytes_per_change_; }
  double saved_bytes() const noexcept { return saved_bytes_; }

private:
  static constexpr int patience_ms = 600'000;

  peer_program() = default;

  result<std::string> answer() {
    std::string line;
    for (char c = 0; c != '\n'; line += c) {
      pollfd readable{in_, POLLIN, 0};
      if (::poll(&readable, 1, patience_ms) != 1 || ::read(in_, &c, 1) != 1)
        return fail(error_code::unavailable, "the library beside does not answer");
    }
    return line;
  }

  std::filesystem::path answers_;
  std::FILE* program_ = nullptr;
  int in_ = -1;
  double bytes_per_change_ = 0, saved_bytes_ = 0;
};

/// The libraries, each of which has merged once.
struct raced_peers {
  std::unique_ptr<peer_program> fastest;
  std::string fastest_name, smallest_name;
  double least_bytes = 0;  ///< For each change.
  std::string smallest_saved_name;
  double least_saved = 0;  ///< The whole document.
};

result<raced_peers> race(const std::filesystem::path& place, const trace& wanted) {
  raced_peers raced;
  double best = 0;
  for (const std::string library : libraries) {
    auto peer = peer_program::start(place, library, wanted);
    if (!peer) return fail(peer.error());
    if (raced.least_bytes == 0 || (*peer)->bytes_per_change() < raced.least_bytes) {
      raced.least_bytes = (*peer)->bytes_per_change();
      raced.smallest_name = library;
    }
    if (raced.least_saved == 0 || (*peer)->saved_bytes() < raced.least_saved) {
      raced.least_saved = (*peer)->saved_bytes();
      raced.smallest_saved_name = library;
    }
    const auto rate = (*peer)->merge(0);
    if (!rate) return fail(rate.error());
    if (*rate <= best) continue;
    best = *rate;
    raced.fastest = std::move(*peer);
    raced.fastest_name = library;
  }
  return raced;
}

result<void> compare(harness& with, const std::filesystem::path& place, const trace& wanted,
                     const std::string& how, double target) {
  auto ours = our_changes::make(wanted);
  if (!ours) return fail(ours.error());
  const auto raced = race(place, wanted);
  if (!raced) return fail(raced.error());
  std::uint32_t turn = 0;
  if (auto done = with.compare(
          {.suite = "context",
           .name = "remote changes, " + how,
           .unit = "changes/s",
           .ours = {"context engine", [&] { return ours->merge(++turn); }},
           .beside = {raced->fastest_name, [&] { return raced->fastest->merge(++turn); }},
           .target = target});
      !done)
    return done;
  const auto per_kibibyte = [](double bytes) { return result<double>{1024 / bytes}; };
  const auto saved = ours->saved_bytes();
  if (!saved) return fail(saved.error());
  if (auto done = with.compare(
          {.suite = "context",
           .name = "saved state, " + how,
           .unit = "entries/KiB",
           .ours = {"context store", [&] { return per_kibibyte(*saved / wanted.keys); }},
           .beside = {raced->smallest_saved_name,
                      [&] { return per_kibibyte(raced->least_saved / wanted.keys); }},
           .target = 1.0});
      !done)
    return done;
  return with.compare(
      {.suite = "context",
       .name = "sent changes, " + how,
       .unit = "changes/KiB",
       .ours = {"change batches", [&] { return per_kibibyte(ours->bytes_per_change()); }},
       .beside = {raced->smallest_name, [&] { return per_kibibyte(raced->least_bytes); }},
       .target = 1.0});
}

}  // namespace

result<void> measure_peers(harness& with) {
  const auto place =
      std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bench-peers";
  if (!std::filesystem::exists(place / "node_modules")) {
    std::fprintf(stderr,
                 "remote changes: not measured; `make bench` installs the libraries to compare "
                 "with, which needs Node.js and npm\n");
    return {};
  }
  const auto sets = static_cast<std::uint32_t>(with.operations(100'000));
  if (auto done = compare(with, place, {10'000, sets, batched}, "batched by 1,000", 5.0); !done)
    return done;
  // The slowest library needs hours for as many single changes.
  return compare(with, place, {10'000, sets / 20, single}, "one by one", 10.0);
}

}  // namespace troupe::bench
