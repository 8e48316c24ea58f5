#include <troupe/actors/context/store/store.hpp>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/store/change_log.hpp>
#include <troupe/actors/context/store/checkpoint_table.hpp>
#include <troupe/actors/context/store/directory_lock.hpp>
#include <troupe/actors/context/store/file_presence.hpp>
#include <troupe/actors/context/store/free_pages.hpp>
#include <troupe/actors/context/store/meta_table.hpp>
#include <troupe/actors/context/store/sqlite.hpp>

namespace troupe {

namespace {

constexpr const char* lock_name = "context.lock";
constexpr const char* identity_key = "identity";
constexpr const char* incarnation_key = "incarnation";

tl::unexpected<error> system_failure(const std::string& what, int number) {
  return fail(error_code::storage_failure, what + ": " + std::generic_category().message(number));
}

result<void> make_directory(const std::string& directory) {
  std::error_code failure;
  const bool existed = std::filesystem::exists(directory, failure);
  std::filesystem::create_directories(directory, failure);
  if (failure)
    return system_failure("the directory '" + directory + "' cannot be made", failure.value());
  // An existing directory may have other users. The files are private in any case.
  if (!existed && ::chmod(directory.c_str(), 0700) != 0)
    return system_failure("'" + directory + "' cannot be made private", errno);
  return {};
}

/// SQLite gives its side files the mode of the database file, so this makes all of them private.
result<void> make_private_file(const std::string& file) {
  const int made = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (made < 0) return system_failure("'" + file + "' cannot be opened", errno);
  const bool is_private = ::fchmod(made, 0600) == 0;
  const int reason = errno;
  ::close(made);
  if (!is_private) return system_failure("'" + file + "' cannot be made private", reason);
  return {};
}

void set_max_bytes(SQLite::Database& database, std::uint64_t bytes) {
  const auto page = database.execAndGet("PRAGMA page_size").getInt64();
  database.exec("PRAGMA max_page_count = " +
                std::to_string(bytes / static_cast<std::uint64_t>(page)));
}

}  // namespace

/// The members are destroyed from the last to the first: statements before their database, and the
/// database before the lock is released.
struct context_store::contents {
  contents(directory_lock taken, SQLite::Database opened)
      : lock(std::move(taken)), database(std::move(opened)) {}

  directory_lock lock;
  SQLite::Database database;
  meta_table meta{database};
  change_log log{database, meta};
  checkpoint_table checkpoints{database, meta};
  store_identity identity;
  file_presence files;
  std::uint64_t history_changes = 0;
  std::uint64_t since_checkpoint = 0;
  std::chrono::milliseconds check_took{0};
};

context_store::context_store(std::unique_ptr<contents> opened) noexcept
    : contents_(std::move(opened)) {}
context_store::context_store(context_store&&) noexcept = default;
context_store& context_store::operator=(context_store&&) noexcept = default;
context_store::~context_store() = default;

// -- opening --------------------------------------------------------------------------------------

bool context_store::is_in_use(const std::string& directory) {
  return directory_lock::is_taken(directory, lock_name);
}

result<context_store> context_store::open(const std::string& directory, const store_identity& fresh,
                                          store_options options) {
  if (auto made = make_directory(directory); !made) return fail(std::move(made.error()));
  auto lock = directory_lock::take(directory, lock_name);
  if (!lock) return fail(std::move(lock.error()));
  const auto file = directory + "/context.db";
  if (auto made = make_private_file(file); !made) return fail(std::move(made.error()));

  return without_exceptions(file, [&]() -> result<context_store> {
    SQLite::Database database{file, SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX};
    const auto checked = prepare_schema(database, fresh);
    if (!checked) return fail(checked.error());
    auto opened = std::make_unique<contents>(std::move(*lock), std::move(database));
    opened->check_took = *checked;
    const auto identity = opened->meta.find<store_identity>(identity_key);
    if (!identity) return fail(identity.error());
    if (!*identity) return damaged_row("row 'identity'", "it is missing");
    opened->identity = **identity;
    // What is wrong with the checkpoint is said when it is loaded.
    opened->checkpoints.load_head();
    if (auto loaded = opened->log.load(opened->checkpoints.replay_from()); !loaded)
      return fail(std::move(loaded.error()));
    opened->since_checkpoint = opened->log.records_beyond(opened->checkpoints.processed());
    opened->history_changes = options.history_changes;
    set_max_bytes(opened->database, options.max_bytes);
    for (const auto* end : {"", "-wal"}) opened->files.watch(file + end);
    return context_store{std::move(opened)};
  });
}

const store_identity& context_store::identity() const noexcept { return contents_->identity; }

std::chrono::milliseconds context_store::check_took() const noexcept {
  return contents_->check_took;
}

result<std::uint64_t> context_store::begin_incarnation(std::uint64_t at_least) {
  const auto stored = contents_->meta.find<std::uint64_t>(incarnation_key);
  if (!stored) return fail(stored.error());
  const auto logged = contents_->log.last_incarnation(contents_->identity.node);
  if (!logged) return logged;
  const auto last = std::max(stored->value_or(0), *logged);
  const auto next = std::max(last + 1, at_least);
  if (auto taken = contents_->meta.put(incarnation_key, next); !taken)
    return fail(std::move(taken.error()));
  return next;
}

// -- log ------------------------------------------------------------------------------------------

result<void> context_store::append(std::span<const shared_batch> batches) {
  const auto before = contents_->log.changes();
  auto done = contents_->log.append(batches);
  contents_->since_checkpoint += contents_->log.changes() - before;
  return done ? contents_->files.check() : done;
}

result<std::vector<shared_batch>> context_store::read_log(std::span<const log_range> wanted,
                                                          std::size_t max_bytes) {
  return contents_->log.read(wanted, max_bytes);
}

result<std::uint64_t> context_store::last_logged(const incarnation_id& source) {
  return contents_->log.last_of(source);
}

result<void> context_store::replay(const processed_changes& checkpointed,
                                   const std::function<result<void>(change_record&&)>& take) {
  contents_->since_checkpoint = contents_->log.records_beyond(checkpointed);
  return contents_->log.replay(checkpointed, take);
}

// -- checkpoint -----------------------------------------------------------------------------------

/// Writes a checkpoint, and with it the base of the log, if that is another one now.
result<void> context_store::write_checkpoint(const engine_state& state,
                                             const processed_changes& base) {
  auto& log = contents_->log;
  if (!state.processed.covers(base.vector()))
    return fail(error_code::internal,
                "a checkpoint was to lack changes that are in no other place; join the latest "
                "checkpoint first");
  for (const auto& each : state.processed.vector().entries()) {
    if (base.covers(dot{each.origin, each.incarnation, each.seq})) continue;
    const auto last = log.last_of(incarnation_of(each));
    if (!last) return fail(last.error());
    if (*last < each.seq)
      return fail(error_code::internal, "a checkpoint was to hold changes that are not in the log");
  }
  const auto replay_from = log.first_beyond(state.processed);
  if (!replay_from) return fail(replay_from.error());
  const bool is_new = base != log.base();
  const auto store_base = [&] { return is_new ? log.store_base(base) : result<void>{}; };
  if (auto done = contents_->checkpoints.write(state, *replay_from, store_base); !done) return done;
  if (is_new) log.take_base(base);
  contents_->since_checkpoint = log.records_beyond(state.processed);
  log.forget_before(state.processed);
  return contents_->files.check();
}

result<void> context_store::checkpoint(const engine_state& state) {
  return write_checkpoint(state, contents_->log.base());
}

result<void> context_store::adopt(const engine_state& state, const processed_changes& foreign) {
  if (!state.processed.covers(contents_->checkpoints.processed().vector()))
    return fail(error_code::internal,
                "a state was to be adopted that lacks changes of the latest checkpoint; join that "
                "first");
  auto base = contents_->log.base();
  base.join(foreign);
  return write_checkpoint(state, base);
}

result<engine_state> context_store::load_checkpoint() {
  auto state = contents_->checkpoints.load();
  if (state) contents_->since_checkpoint = contents_->log.records_beyond(state->processed);
  return state;
}

std::uint64_t context_store::records_since_checkpoint() const noexcept {
  return contents_->since_checkpoint;
}

// -- collecting -----------------------------------------------------------------------------------

const processed_changes& context_store::log_base() const noexcept { return contents_->log.base(); }

result<bool> context_store::collect(const processed_changes& upto, std::size_t max_rows) {
  auto& log = contents_->log;
  const auto& checkpoints = contents_->checkpoints;
  if (!checkpoints.processed().covers(upto.vector()))
    return fail(error_code::internal,
                "changes were to be collected that the latest checkpoint lacks; write one first");
  const auto changes = log.changes(), history = contents_->history_changes;
  const auto first_recent = changes > history ? changes - history + 1 : 0;
  const auto more_rows =
      log.collect(upto, std::min(checkpoints.replay_from(), first_recent), max_rows);
  if (!more_rows) return more_rows;
  const auto more_pages = give_back_free_pages(contents_->database);
  if (!more_pages) return more_pages;
  if (auto there = contents_->files.check(); !there) return fail(std::move(there.error()));
  return *more_rows || *more_pages;
}

}  // namespace troupe
