// This file is long because it has all that is asked of a store, in the order of its header.
#include <troupe/actors/context/store/store.hpp>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include <sqlite3.h>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/store/change_log.hpp>
#include <troupe/actors/context/store/checkpoint_table.hpp>
#include <troupe/actors/context/store/directory_lock.hpp>
#include <troupe/actors/context/store/file_presence.hpp>
#include <troupe/actors/context/store/free_pages.hpp>
#include <troupe/actors/context/store/identity_file.hpp>
#include <troupe/actors/context/store/kept_erasures.hpp>
#include <troupe/actors/context/store/meta_table.hpp>
#include <troupe/actors/context/store/salvage.hpp>
#include <troupe/actors/context/store/sqlite.hpp>
#include <troupe/actors/context/store/store_files.hpp>
#include <troupe/actors/context/store/unsent_file.hpp>

namespace troupe {

namespace {

/// What the owner of a directory without its database is told.
error database_is_missing(const store_files& files, const identity_file& id) {
  std::error_code ignored;
  const bool is_there = std::filesystem::exists(files.database(), ignored);
  const auto whose = id.read();
  const auto owner = whose ? " of node " + to_string(whose->node) : std::string{};
  return {error_code::storage_failure,
          "'" + files.database() + "' is " + (is_there ? "empty" : "missing") +
              ", but this directory held the context" + owner +
              ". Put the file back, or a backup of it; remove 'context.db-wal' there unless it "
              "belongs to that file. To begin anew, as a new node with an empty context, delete "
              "'context.id' and 'context.db-wal' there",
          {}};
}

/// Whether the database is gone from a directory that had one.
bool has_lost_database(const store_files& files, const identity_file& id) {
  const auto size = [](const std::string& file) {
    std::error_code failure;
    const auto bytes = std::filesystem::file_size(file, failure);
    return failure ? 0 : bytes;
  };
  return size(files.database()) == 0 && (id.exists() || size(files.wal()) > 0);
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
  explicit contents(SQLite::Database opened) : database(std::move(opened)) {}

  directory_lock lock;
  SQLite::Database database;
  meta_table meta{database};
  change_log log{database, meta};
  checkpoint_table checkpoints{database, meta};
  store_identity identity;
  file_presence files;
  store_options options;
  store_files where{{}};
  class scrub scrub;
  std::uint64_t since_checkpoint = 0;
  std::vector<store_note> notes;
  bool needs_state = false;
  bool knows_base = true;  ///< See `saved_parts`.
};

context_store::context_store(std::unique_ptr<contents> opened) noexcept
    : contents_(std::move(opened)) {}
context_store::context_store(context_store&&) noexcept = default;
context_store& context_store::operator=(context_store&&) noexcept = default;
context_store::~context_store() = default;

// -- opening --------------------------------------------------------------------------------------

bool context_store::is_in_use(const std::string& directory) {
  return directory_lock::is_taken(directory, store_files::lock);
}

result<context_store> context_store::open(const std::string& directory, const store_identity& fresh,
                                          store_options options) {
  const store_files files{directory};
  if (auto made = files.make_directory(); !made) return fail(std::move(made.error()));
  auto lock = directory_lock::take(directory, store_files::lock);
  if (!lock) return fail(std::move(lock.error()));
  auto ended = files.finish_salvage();
  if (!ended) return fail(std::move(ended.error()));
  auto opened = open_contents(files, *lock, fresh, options);
  if (!opened) return fail(std::move(opened.error()));
  if (!ended->empty()) (*opened)->notes.push_back({"context.damaged", std::move(*ended)});
  return context_store{std::move(*opened)};
}

/// Opens the database of a directory. @param lock of the directory. Moves from it on success.
result<std::unique_ptr<context_store::contents>> context_store::open_contents(
    const store_files& files, directory_lock& lock, const store_identity& fresh,
    store_options options) {
  const identity_file id{files.directory()};
  if (has_lost_database(files, id)) return fail(database_is_missing(files, id));
  const auto file = files.database();
  if (auto made = store_files::make_private_file(file); !made) return fail(std::move(made.error()));
  auto wal = guard_wal(files);
  if (!wal) return fail(std::move(wal.error()));
  const auto& damage = wal->damage;

  return without_exceptions(file, [&]() -> result<std::unique_ptr<contents>> {
    SQLite::Database database{file, SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX};
    const bool is_empty = database.execAndGet("SELECT count(*) FROM sqlite_schema").getInt() == 0;
    if (is_empty && id.exists())
      return damage ? fail(error_code::corrupt_data, describe(*damage))
                    : fail(database_is_missing(files, id));
    if (auto prepared = prepare_schema(database, fresh); !prepared)
      return fail(std::move(prepared.error()));
    // Pages of the commits that are lost may be in the database already.
    if (damage)
      if (auto sound = check_pages(database); !sound) return fail(std::move(sound.error()));
    auto opened = std::make_unique<contents>(std::move(database));
    opened->notes = std::move(wal->notes);
    const auto identity = opened->meta.find<store_identity>(meta_key::identity);
    if (!identity) return fail(identity.error());
    if (!*identity) return damaged_row("row 'identity'", "it is missing");
    opened->identity = **identity;
    if (id.read() != **identity)
      if (auto written = id.write(**identity); !written) return fail(std::move(written.error()));
    // What is wrong with the checkpoint is said when it is loaded.
    opened->checkpoints.load_head();
    const auto is_salvaged = opened->checkpoints.is_salvaged();
    if (!is_salvaged) return fail(is_salvaged.error());
    opened->needs_state = *is_salvaged;
    if (auto loaded = opened->log.load(opened->checkpoints.replay_from()); !loaded)
      return fail(std::move(loaded.error()));
    opened->since_checkpoint = opened->log.records_beyond(opened->checkpoints.processed());
    opened->options = options;
    set_max_bytes(opened->database, options.max_bytes);
    for (const auto* end : {"", "-wal"}) opened->files.watch(file + end);
    // What is there now is what a later check looks for.
    if (auto there = opened->files.check(); !there) return fail(std::move(there.error()));
    opened->where = files;
    opened->lock = std::move(lock);
    return opened;
  });
}

const store_identity& context_store::identity() const noexcept { return contents_->identity; }

const std::vector<store_note>& context_store::notes() const noexcept { return contents_->notes; }

bool context_store::needs_state() const noexcept { return contents_->needs_state; }

/// Opens the file again, as a start does. @param meanwhile is called while it is closed.
/// @throws std::runtime_error when that fails, or the file cannot be opened.
void context_store::reopen(const std::function<result<void>()>& meanwhile) {
  const auto files = contents_->where;
  const auto identity = contents_->identity;
  const auto options = contents_->options;
  auto lock = std::move(contents_->lock);
  contents_.reset();
  const auto done = meanwhile();
  auto opened = done ? open_contents(files, lock, identity, options) : fail(done.error());
  if (!opened) throw std::runtime_error{opened.error().message};
  contents_ = std::move(*opened);
}

result<void> context_store::set_aside(const engine_state& state,
                                      const version_vector& overruled_by) {
  auto& log = contents_->log;
  auto entries = state.tree;
  if (!contents_->needs_state) {
    if (auto sound = check_whole(state, log.base()); !sound) return sound;
    keep_erasures(log, entries);
  }
  const auto without_log = [&] {
    auto cut = log.cut({});
    return cut ? log.store_base({}) : cut;
  };
  // What was coming is of a state that this node has no part in any more. If it cannot be removed,
  // the next transfer says so, and begins with it.
  static_cast<void>(transfer().remove());
  auto marked = contents_->checkpoints.set_aside(contents_->needs_state ? nullptr : &entries,
                                                 overruled_by, without_log);
  if (marked) reopen();
  return marked;
}

void context_store::give_back_memory() noexcept {
  sqlite3_db_release_memory(contents_->database.getHandle());
}

transfer_file context_store::transfer() const { return transfer_file{contents_->where.transfer()}; }

result<std::string> context_store::keep_unsent(const context_tree& entries) {
  const auto incarnation = contents_->meta.find<std::uint64_t>(meta_key::incarnation);
  if (!incarnation) return fail(incarnation.error());
  return write_unsent(contents_->where.directory(), incarnation->value_or(0), entries);
}

result<saved_parts> context_store::load_salvaged() {
  auto found = contents_->checkpoints.load_salvaged();
  if (!found) return fail(std::move(found.error()));
  auto all = logged();
  if (!all) return fail(std::move(all.error()));
  contents_->knows_base = found->knows_base;
  return saved_parts{std::move(found->tree), contents_->log.base(), found->knows_base,
                     std::move(*all), std::move(found->overruled_by)};
}

result<processed_changes> context_store::logged() { return contents_->log.all(); }

result<std::uint64_t> context_store::begin_incarnation(std::uint64_t at_least,
                                                       std::uint64_t apart) {
  const auto stored = contents_->meta.find<std::uint64_t>(meta_key::incarnation);
  if (!stored) return fail(stored.error());
  const auto logged = contents_->log.last_incarnation(contents_->identity.node);
  if (!logged) return logged;
  const auto last = std::max(stored->value_or(0), *logged);
  const auto next = std::max(last + std::max<std::uint64_t>(apart, 1), at_least);
  if (auto taken = contents_->meta.put(meta_key::incarnation, next); !taken)
    return fail(std::move(taken.error()));
  return next;
}

result<void> context_store::want_clock_correction() {
  return contents_->meta.put(meta_key::clock_correction, clock_mark{});
}

result<bool> context_store::correct_clock(std::uint64_t since) {
  auto& meta = contents_->meta;
  const auto wanted = meta.find<clock_mark>(meta_key::clock_correction);
  if (!wanted) return fail(wanted.error());
  if (!*wanted || contents_->needs_state) return false;
  auto done = transact(contents_->database, [&] {
    auto corrected = contents_->checkpoints.forget_clock();
    if (corrected) corrected = meta.put(meta_key::clock_since, since);
    return corrected ? meta.erase(meta_key::clock_correction) : corrected;
  });
  if (!done) return fail(std::move(done.error()));
  return true;
}

result<std::uint64_t> context_store::clock_since() {
  return contents_->meta.find<std::uint64_t>(meta_key::clock_since).map([](const auto& since) {
    return since.value_or(0);
  });
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

result<bool> context_store::mend_log() {
  return contents_->log.give_up(contents_->checkpoints.processed(),
                                contents_->checkpoints.replay_from());
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

/// Whether nothing would be lost if the log had this base and a checkpoint this state.
result<void> context_store::check_whole(const engine_state& state,
                                        const processed_changes& base) const {
  if (!state.processed.covers(base.latest()))
    return fail(error_code::internal,
                "a checkpoint was to lack changes that are in no other place; join the latest "
                "checkpoint first");
  for (const auto& each : state.processed.vector().entries()) {
    if (base.covers(dot{each.origin, each.incarnation, each.seq})) continue;
    const auto last = contents_->log.last_of(incarnation_of(each));
    if (!last) return fail(last.error());
    if (*last < each.seq)
      return fail(error_code::internal, "a checkpoint was to hold changes that are not in the log");
  }
  return {};
}

/// Writes a checkpoint, and with it the base of the log, if that is another one now. @param keeps
/// See `adopt`; or null.
result<void> context_store::write_checkpoint(const engine_state& state,
                                             const processed_changes& base,
                                             const processed_changes* keeps) {
  auto& log = contents_->log;
  if (auto sound = check_whole(state, base); !sound) return sound;
  const auto replay_from = log.first_beyond(state.processed);
  if (!replay_from) return fail(replay_from.error());
  const bool is_new = base != log.base();
  const auto beside = [&]() -> result<void> {
    if (keeps)
      if (auto cut = log.cut(*keeps); !cut) return cut;
    return is_new ? log.store_base(base) : result<void>{};
  };
  if (auto done = contents_->checkpoints.write(state, *replay_from, beside); !done) return done;
  if (is_new) log.take_base(base);
  if (keeps) log.forget_all();
  contents_->needs_state = false;
  contents_->since_checkpoint = log.records_beyond(state.processed);
  log.forget_before(state.processed);
  return contents_->files.check();
}

result<void> context_store::checkpoint(const engine_state& state) {
  return write_checkpoint(state, contents_->log.base());
}

result<void> context_store::adopt(const engine_state& state, const processed_changes& foreign,
                                  const processed_changes* keeps) {
  if (!state.processed.covers(contents_->checkpoints.processed().vector()))
    return fail(error_code::internal,
                "a state was to be adopted that lacks changes of the latest checkpoint; join that "
                "first");
  auto base = contents_->log.base();
  if (contents_->needs_state && !contents_->knows_base) base = common_part(base, state.processed);
  base.join(foreign);
  return write_checkpoint(state, base, keeps);
}

result<engine_state> context_store::load_checkpoint() {
  auto state = contents_->checkpoints.load();
  if (!state) return state;
  contents_->since_checkpoint = contents_->log.records_beyond(state->processed);
  const auto since = clock_since();
  if (!since) return fail(since.error());
  state->clock_since = *since;
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
  const auto changes = log.changes(), history = contents_->options.history_changes;
  const auto first_recent = changes > history ? changes - history + 1 : 0;
  const auto more_rows =
      log.collect(upto, std::min(checkpoints.replay_from(), first_recent), max_rows);
  if (!more_rows) return more_rows;
  const auto more_pages = give_back_free_pages(contents_->database);
  if (!more_pages) return more_pages;
  if (auto there = contents_->files.check(); !there) return fail(std::move(there.error()));
  return *more_rows || *more_pages;
}

// -- damage ---------------------------------------------------------------------------------------

result<void> context_store::check_files() { return contents_->files.check(); }

result<scrub_step> context_store::scrub(std::size_t max_rows) {
  if (!contents_->checkpoints.latest())
    return fail(error_code::internal,
                "a store was to be checked before its checkpoint was read or written");
  auto done = contents_->scrub.step(contents_->checkpoints, contents_->log, max_rows);
  if (done || done.error().code != error_code::corrupt_data) return done;
  return rebuild();
}

/// Writes the file anew: the latest checkpoint from memory, and the log. When changes of the log
/// that no checkpoint holds cannot be read, nothing is done: they are still in the state.
result<scrub_step> context_store::rebuild() {
  const auto files = contents_->where;
  const auto saved = salvage_store(files, known_checkpoint{*contents_->checkpoints.latest(),
                                                           contents_->checkpoints.replay_from()});
  if (!saved) return fail(saved.error());
  if (!saved->is_whole()) {
    files.drop_salvage();
    return scrub_step{.needs_checkpoint = true};
  }
  reopen([&] { return files.take_salvaged(); });
  if (const auto loaded = load_checkpoint(); !loaded)
    throw std::runtime_error{loaded.error().message};
  return scrub_step{.is_done = true, .mended = 1, .has_given_up_log = true};
}

}  // namespace troupe
