#pragma once

#include <troupe/messages/error.hpp>
#include <troupe/messages/ids.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace SQLite {
class Database;
}

namespace troupe {

/// The cluster and the node that a store belongs to.
struct store_identity {
  cluster_id cluster;
  node_id node;

  static constexpr auto fields() {
    return std::tuple{required("cluster", &store_identity::cluster),
                      required("node", &store_identity::node)};
  }
  friend bool operator==(const store_identity&, const store_identity&) = default;
};

/// Makes the tables in an empty database, with `fresh` as the identity. In any other database,
/// checks that it is a context store of a format that this build reads. Sets write-ahead mode and
/// full synchronisation. A new database can give free pages back; see `give_back_free_pages`.
/// @returns invalid_argument when it belongs to another program; corrupt_data, version_mismatch or
///          storage_failure.
result<void> prepare_schema(SQLite::Database& database, const store_identity& fresh);

/// Makes a store of format 5 one of the current format, whose entries are yet to be written. Call
/// it in the transaction that does that. @throws SQLite::Exception
void upgrade_schema(SQLite::Database& database);

/// Checks that a database that is not empty is a context store of a format that this build reads.
/// Fails as `prepare_schema`. @throws SQLite::Exception
result<void> check_format(SQLite::Database& database);

/// Writes what is in the write-ahead file into the database and empties the file, so that the
/// database is whole without it. @returns storage_failure.
result<void> empty_wal(SQLite::Database& database);

/// Checks all pages of a database. Reads the whole file. @returns corrupt_data or storage_failure.
result<void> check_pages(SQLite::Database& database);

}  // namespace troupe
