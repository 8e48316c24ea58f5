#include <troupe/actors/context/store/store.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <troupe/messages/codec.hpp>

namespace troupe {

namespace {

constexpr const char* lock_name = "context.lock";

constexpr std::int64_t application_id = 0x54525043;  // "TRPC"
constexpr std::int64_t schema_version = 1;

constexpr const char* settings =
    "PRAGMA synchronous = FULL;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cache_size = -16384;"
    "PRAGMA wal_autocheckpoint = 4000;"
    "PRAGMA journal_size_limit = 67108864;";

constexpr const char* schema =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, bytes BLOB NOT NULL, hash INTEGER NOT NULL) WITHOUT "
    "ROWID;"
    "CREATE TABLE runs (run INTEGER PRIMARY KEY, origin BLOB NOT NULL, incarnation INTEGER NOT "
    "NULL, hash INTEGER NOT "
    "NULL,"
    "  UNIQUE (origin, incarnation));"
    "CREATE TABLE log (run INTEGER NOT NULL, seq INTEGER NOT NULL, record BLOB NOT NULL, hash "
    "INTEGER NOT NULL,"
    "  PRIMARY KEY (run, seq)) WITHOUT ROWID;"
    "CREATE TABLE entries (path TEXT PRIMARY KEY, siblings BLOB NOT NULL, hash INTEGER NOT NULL) "
    "WITHOUT ROWID;";

/// A sibling as a checkpoint holds it.
struct stored_sibling {
  struct dot dot;
  struct timestamp timestamp;
  enum operation operation = operation::put;
  class value value;
  std::string principal;
  std::uint64_t content = 0;

  static constexpr auto fields() {
    return std::tuple{
        required("dot", &stored_sibling::dot),      required("time", &stored_sibling::timestamp),
        required("op", &stored_sibling::operation), required("value", &stored_sibling::value),
        required("by", &stored_sibling::principal), required("content", &stored_sibling::content)};
  }
};

/// Everything of an `engine_state` but its entries, and what they sum up to.
struct checkpoint_head {
  version_vector vector;
  std::vector<dot> overwritten;
  timestamp clock;
  std::vector<equivocation> quarantine;
  std::uint64_t entries = 0;
  state_hash root;

  static constexpr auto fields() {
    return std::tuple{required("vector", &checkpoint_head::vector),
                      required("overwritten", &checkpoint_head::overwritten),
                      required("clock", &checkpoint_head::clock),
                      required("quarantine", &checkpoint_head::quarantine),
                      required("entries", &checkpoint_head::entries),
                      required("root", &checkpoint_head::root)};
  }
};

struct identity_row {
  cluster_id cluster;
  node_id node;
  static constexpr auto fields() {
    return std::tuple{required("cluster", &identity_row::cluster),
                      required("node", &identity_row::node)};
  }
};

/// What the store wrote itself is bounded by what it was given, not by the limits of a link.
codec_limits own_data_limits() {
  codec_limits limits;
  limits.frame_bytes = std::size_t{1} << 30;
  limits.string_bytes = std::size_t{1} << 30;
  limits.elements = std::uint64_t{1} << 28;
  return limits;
}

std::int64_t row_hash(std::string_view key, std::string_view content) {
  const auto seed = XXH3_64bits(key.data(), key.size());
  return static_cast<std::int64_t>(XXH3_64bits_withSeed(content.data(), content.size(), seed));
}

std::string log_key(const dot& id) {
  std::string key{reinterpret_cast<const char*>(id.origin.id.bytes.data()),
                  id.origin.id.bytes.size()};
  for (const auto number : {id.incarnation, id.seq})
    for (int shift = 0; shift < 64; shift += 8) key += static_cast<char>(number >> shift);
  return key;
}

tl::unexpected<error> damaged(const std::string& row, const std::string& how) {
  return fail(error_code::corrupt_data, row + " of the context store is damaged: " + how);
}

tl::unexpected<error> system_failure(const std::string& what, int number) {
  return fail(error_code::storage_failure, what + ": " + std::generic_category().message(number));
}

constexpr const char* wrong_hash = "its hash does not match";

}  // namespace

// -- opening --------------------------------------------------------------------------------------

bool context_store::is_in_use(const std::string& directory) {
  return directory_lock::is_taken(directory, lock_name);
}

result<context_store> context_store::open(const std::string& directory, const store_identity& fresh,
                                          store_options options) {
  std::error_code failure;
  const bool was_there = std::filesystem::exists(directory, failure);
  std::filesystem::create_directories(directory, failure);
  if (failure)
    return system_failure("the directory '" + directory + "' cannot be made", failure.value());
  // One that was there may serve others too; the files are private in any case.
  if (!was_there && ::chmod(directory.c_str(), 0700) != 0)
    return system_failure("'" + directory + "' cannot be made private", errno);
  auto lock = directory_lock::take(directory, lock_name);
  if (!lock) return fail(std::move(lock.error()));

  const auto file = directory + "/context.db";
  // SQLite gives its side files the mode of the database, so making that private first makes all
  // private.
  const int made = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (made < 0) return system_failure("'" + file + "' cannot be opened", errno);
  const bool is_private = ::fchmod(made, 0600) == 0;
  ::close(made);
  if (!is_private) return system_failure("'" + file + "' cannot be made private", errno);

  auto database = sqlite_database::open(file);
  if (!database) return fail(std::move(database.error()));
  context_store store{std::move(*lock), std::move(*database)};
  const auto step = [](result<void> done, auto&& next) { return done ? next() : done; };
  auto ready = store.prepare_schema(fresh);
  ready = step(std::move(ready), [&] { return store.prepare_statements(); });
  ready = step(std::move(ready), [&] { return store.read_identity(); });
  ready = step(std::move(ready), [&] { return store.read_log_vector(); });
  if (!ready) return fail(std::move(ready.error()));
  const auto page = store.database_.number("PRAGMA page_size");
  if (!page) return fail(page.error());
  const auto pages = options.max_bytes / static_cast<std::uint64_t>(*page);
  if (auto bounded = store.database_.execute("PRAGMA max_page_count = " + std::to_string(pages));
      !bounded)
    return fail(std::move(bounded.error()));
  return store;
}

result<void> context_store::prepare_schema(const store_identity& fresh) {
  const auto found = database_.number("PRAGMA application_id");
  if (!found) return fail(found.error());
  const auto tables = database_.number("SELECT count(*) FROM sqlite_schema");
  if (!tables) return fail(tables.error());
  if (*tables > 0 && *found != application_id)
    return fail(error_code::corrupt_data,
                "'context.db' is a database of another program; choose another data directory");
  const auto version = database_.number("PRAGMA user_version");
  if (!version) return fail(version.error());
  if (*version > schema_version)
    return fail(error_code::version_mismatch,
                "the context store has format " + std::to_string(*version) +
                    "; this build reads up to " + std::to_string(schema_version));
  const auto mode = database_.text("PRAGMA journal_mode = WAL");
  if (!mode) return fail(mode.error());
  if (*mode != "wal")
    return fail(error_code::storage_failure,
                "the file system cannot hold a write-ahead log; use a local disk");
  if (auto set = database_.execute(settings); !set) return set;
  if (*tables > 0) {
    const auto began = std::chrono::steady_clock::now();
    const auto sound = database_.text("PRAGMA quick_check(1)");
    check_took_ = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - began);
    if (!sound) return fail(sound.error());
    return *sound == "ok"
               ? result<void>{}
               : fail(error_code::corrupt_data, "the context store is damaged: " + *sound);
  }
  return database_.transact([&]() -> result<void> {
    const auto pragmas = "PRAGMA application_id = " + std::to_string(application_id) +
                         "; PRAGMA user_version = " + std::to_string(schema_version) + ";";
    if (auto made = database_.execute(schema + pragmas); !made) return made;
    if (auto prepared = prepare_statements(); !prepared) return prepared;
    return write_meta("identity", encode(identity_row{fresh.cluster, fresh.node}));
  });
}

result<void> context_store::prepare_statements() {
  const std::pair<sqlite_statement*, const char*> wanted[] = {
      {&insert_log_, "INSERT INTO log (run, seq, record, hash) VALUES (?, ?, ?, ?)"},
      {&select_log_, "SELECT seq, record, hash FROM log WHERE run = ? AND seq >= ? ORDER BY seq"},
      {&insert_run_, "INSERT INTO runs (run, origin, incarnation, hash) VALUES (?, ?, ?, ?)"},
      {&upsert_entry_,
       "INSERT INTO entries (path, siblings, hash) VALUES (?1, ?2, ?3)"
       " ON CONFLICT (path) DO UPDATE SET siblings = ?2, hash = ?3"},
      {&delete_entry_, "DELETE FROM entries WHERE path = ?"},
      {&select_meta_, "SELECT bytes, hash FROM meta WHERE key = ?"},
      {&upsert_meta_,
       "INSERT INTO meta (key, bytes, hash) VALUES (?1, ?2, ?3)"
       " ON CONFLICT (key) DO UPDATE SET bytes = ?2, hash = ?3"},
  };
  for (const auto& [statement, sql] : wanted) {
    auto prepared = database_.prepare(sql);
    if (!prepared) return fail(std::move(prepared.error()));
    *statement = std::move(*prepared);
  }
  return {};
}

result<void> context_store::read_identity() {
  const auto bytes = read_meta("identity");
  if (!bytes) return fail(bytes.error());
  const auto row = decode<identity_row>(*bytes);
  if (!row) return damaged("row 'identity'", row.error().message);
  identity_ = {row->cluster, row->node};
  return {};
}

result<void> context_store::read_log_vector() {
  auto runs = database_.prepare(
      "SELECT run, origin, incarnation, hash, (SELECT max(seq) FROM log WHERE log.run = runs.run) "
      "FROM runs");
  if (!runs) return fail(std::move(runs.error()));
  for (;;) {
    const auto row = runs->step();
    if (!row) return fail(row.error());
    if (!*row) break;
    incarnation_id run{{}, static_cast<std::uint64_t>(runs->integer(2))};
    const auto origin = runs->blob(1);
    const auto name = "run " + std::to_string(runs->integer(0));
    if (origin.size() != run.origin.id.bytes.size())
      return damaged(name, "its origin is not an id");
    std::memcpy(run.origin.id.bytes.data(), origin.data(), origin.size());
    if (runs->integer(3) !=
        row_hash(log_key({run.origin, run.incarnation, 0}), std::to_string(runs->integer(0))))
      return damaged(name, wrong_hash);
    runs_[run] = runs->integer(0);
    log_vector_.raise(run.origin, run.incarnation, static_cast<std::uint64_t>(runs->integer(4)));
  }
  since_checkpoint_ = records_beyond({});
  return {};
}

// -- metadata -------------------------------------------------------------------------------------

/// The bytes under a key; empty when there are none.
result<std::string> context_store::read_meta(const std::string& key) {
  const auto row = select_meta_.bind_text(1, key).step();
  if (!row) return fail(row.error());
  if (!*row) return std::string{};
  std::string bytes{select_meta_.blob(0)};
  const bool sound = select_meta_.integer(1) == row_hash(key, bytes);
  select_meta_.reset();
  if (!sound) return damaged("row '" + key + "'", wrong_hash);
  return bytes;
}

result<void> context_store::write_meta(const std::string& key, const std::string& bytes) {
  return upsert_meta_.bind_text(1, key).bind_blob(2, bytes).bind(3, row_hash(key, bytes)).run();
}

result<std::uint64_t> context_store::begin_incarnation(std::uint64_t at_least) {
  const auto stored = read_meta("incarnation");
  if (!stored) return fail(stored.error());
  std::uint64_t last = 0;
  if (!stored->empty()) {
    const auto number = decode<std::uint64_t>(*stored);
    if (!number) return damaged("row 'incarnation'", number.error().message);
    last = *number;
  }
  for (const auto& [run, row] : runs_)
    if (run.origin == identity_.node) last = std::max(last, run.incarnation);
  const auto next = std::max(last + 1, at_least);
  auto taken = database_.transact([&] { return write_meta("incarnation", encode(next)); });
  if (!taken) return fail(std::move(taken.error()));
  return next;
}

// -- log ------------------------------------------------------------------------------------------

result<std::int64_t> context_store::row_of_run(const incarnation_id& run) {
  if (const auto known = runs_.find(run); known != runs_.end()) return known->second;
  const auto row = static_cast<std::int64_t>(runs_.size()) + 1;
  const std::string_view origin{reinterpret_cast<const char*>(run.origin.id.bytes.data()),
                                run.origin.id.bytes.size()};
  insert_run_.bind(1, row).bind_blob(2, origin).bind(3, static_cast<std::int64_t>(run.incarnation));
  auto added =
      insert_run_.bind(4, row_hash(log_key({run.origin, run.incarnation, 0}), std::to_string(row)))
          .run();
  if (!added) return fail(std::move(added.error()));
  return runs_[run] = row;
}

result<void> context_store::check_logged(const encoded_record& record) {
  const auto known = read_log({record.dot.origin, record.dot.incarnation}, record.dot.seq, 0);
  if (!known) return fail(known.error());
  // What a checkpoint holds may have left the log.
  if (!known->empty() && known->front().dot == record.dot && known->front().bytes != record.bytes)
    return fail(error_code::corrupt_data,
                "another change " + to_string(record.dot) + " is in the log already");
  return {};
}

result<void> context_store::append(std::span<const encoded_record> records) {
  const auto runs_before = static_cast<std::int64_t>(runs_.size());
  auto vector = log_vector_;
  auto done = database_.transact([&]() -> result<void> {
    for (const auto& each : records) {
      const auto& [origin, incarnation, seq] = each.dot;
      if (seq <= vector.at(origin, incarnation)) {
        if (auto same = check_logged(each); !same) return same;
        continue;
      }
      if (seq != vector.at(origin, incarnation) + 1)
        return fail(error_code::internal,
                    "change " + to_string(each.dot) + " was to be logged after change " +
                        std::to_string(vector.at(origin, incarnation)) + " of its run");
      const auto row = row_of_run({origin, incarnation});
      if (!row) return fail(row.error());
      insert_log_.bind(1, *row).bind(2, static_cast<std::int64_t>(seq)).bind_blob(3, each.bytes);
      if (auto added = insert_log_.bind(4, row_hash(log_key(each.dot), each.bytes)).run(); !added)
        return added;
      vector.raise(origin, incarnation, seq);
    }
    return {};
  });
  if (!done) {
    std::erase_if(runs_, [&](const auto& each) { return each.second > runs_before; });
    return done;
  }
  log_vector_ = std::move(vector);
  since_checkpoint_ += records.size();
  return {};
}

result<encoded_record> context_store::read_record(const sqlite_statement& row,
                                                  const incarnation_id& run) const {
  encoded_record record{{run.origin, run.incarnation, static_cast<std::uint64_t>(row.integer(0))},
                        std::string{row.blob(1)}};
  if (row.integer(2) != row_hash(log_key(record.dot), record.bytes))
    return damaged("log row " + to_string(record.dot), wrong_hash);
  return record;
}

result<std::vector<encoded_record>> context_store::read_log(const incarnation_id& run,
                                                            std::uint64_t first,
                                                            std::size_t max_bytes) {
  std::vector<encoded_record> records;
  const auto known = runs_.find(run);
  if (known == runs_.end()) return records;
  select_log_.bind(1, known->second).bind(2, static_cast<std::int64_t>(first));
  for (std::size_t bytes = 0;;) {
    const auto row = select_log_.step();
    if (!row) return fail(row.error());
    if (!*row) return records;
    bytes += select_log_.blob(1).size();
    if (bytes > max_bytes && !records.empty()) break;
    auto record = read_record(select_log_, run);
    if (!record) {
      select_log_.reset();
      return fail(std::move(record.error()));
    }
    records.push_back(std::move(*record));
  }
  select_log_.reset();
  return records;
}

result<void> context_store::replay(const version_vector& checkpointed,
                                   const std::function<result<void>(change_record&&)>& take) {
  constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
  since_checkpoint_ = records_beyond(checkpointed);
  for (const auto& [run, row] : runs_) {
    for (auto next = checkpointed.at(run.origin, run.incarnation) + 1;;) {
      const auto records = read_log(run, next, chunk_bytes);
      if (!records) return fail(records.error());
      if (records->empty()) break;
      for (const auto& each : *records) {
        auto record = decode<change_record>(each.bytes, own_data_limits());
        if (!record) return damaged("log row " + to_string(each.dot), record.error().message);
        if (record->dot != each.dot)
          return damaged("log row " + to_string(each.dot), "it holds another change");
        if (auto taken = take(std::move(*record)); !taken) return taken;
      }
      next = records->back().dot.seq + 1;
    }
  }
  return {};
}

std::uint64_t context_store::records_beyond(const version_vector& vector) const {
  std::uint64_t count = 0;
  for (const auto& each : log_vector_.entries()) {
    const auto held = vector.at(each.origin, each.incarnation);
    if (each.seq > held) count += each.seq - held;
  }
  return count;
}

// -- checkpoint -----------------------------------------------------------------------------------

result<void> context_store::write_entry(const tree_entry* before, const tree_entry* after) {
  if (!after) return delete_entry_.bind_text(1, before->path.text()).run();
  std::vector<stored_sibling> siblings;
  for (const auto& each : after->siblings.all())
    siblings.push_back({each.dot(), each.timestamp(), each.operation(), each.copy_value(),
                        std::string{each.principal()}, each.content()});
  const auto bytes = encode(siblings);
  const auto& key = after->path.text();
  return upsert_entry_.bind_text(1, key).bind_blob(2, bytes).bind(3, row_hash(key, bytes)).run();
}

result<void> context_store::checkpoint(const engine_state& state) {
  if (!log_vector_.covers(state.vector))
    return fail(error_code::internal, "a checkpoint was to hold changes that are not in the log");
  auto done = database_.transact([&]() -> result<void> {
    result<void> written;
    context_tree::diff(checkpointed_, state.tree,
                       [&](const tree_entry* before, const tree_entry* after) {
                         written = write_entry(before, after);
                         return written.has_value();
                       });
    if (!written) return written;
    return write_meta("checkpoint", encode(checkpoint_head{state.vector, state.overwritten,
                                                           state.clock, state.quarantine,
                                                           state.tree.size(), state.tree.hash()}));
  });
  if (!done) return done;
  checkpointed_ = state.tree;
  since_checkpoint_ = records_beyond(state.vector);
  return {};
}

result<engine_state> context_store::load_checkpoint() {
  engine_state state;
  const auto bytes = read_meta("checkpoint");
  if (!bytes) return fail(bytes.error());
  if (bytes->empty()) return state;
  auto head = decode<checkpoint_head>(*bytes, own_data_limits());
  if (!head) return damaged("row 'checkpoint'", head.error().message);

  auto rows = database_.prepare("SELECT path, siblings, hash FROM entries");
  if (!rows) return fail(std::move(rows.error()));
  for (;;) {
    const auto row = rows->step();
    if (!row) return fail(row.error());
    if (!*row) break;
    const std::string key{rows->blob(0)};
    const auto name = "entry '" + key + "'";
    if (rows->integer(2) != row_hash(key, rows->blob(1))) return damaged(name, wrong_hash);
    const auto where = path::parse(key);
    if (!where) return damaged(name, where.error().message);
    auto stored = decode<std::vector<stored_sibling>>(rows->blob(1), own_data_limits());
    if (!stored) return damaged(name, stored.error().message);
    if (stored->empty()) return damaged(name, "it holds no write");
    std::vector<sibling> siblings;
    for (auto& each : *stored) {
      change_record record;
      record.dot = each.dot;
      record.timestamp = each.timestamp;
      record.operation = each.operation;
      record.new_value = std::move(each.value);
      record.principal = std::move(each.principal);
      siblings.emplace_back(record, each.content);
    }
    state.tree.put(*where, sibling_list{std::move(siblings)});
  }
  if (state.tree.size() != head->entries || state.tree.hash() != head->root)
    return damaged("the checkpoint", "its entries do not add up to its hash");
  state.vector = std::move(head->vector);
  state.overwritten = std::move(head->overwritten);
  state.clock = head->clock;
  state.quarantine = std::move(head->quarantine);
  checkpointed_ = state.tree;
  since_checkpoint_ = records_beyond(state.vector);
  return state;
}

}  // namespace troupe
