#pragma once

#include <chrono>

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
/// checks that it is a context store of a format that this build reads and that its pages are
/// sound, which reads the whole file. Sets write-ahead mode and full synchronisation. A new
/// database can give free pages back; see `give_back_free_pages`.
/// @returns the time that the check of the pages took; corrupt_data, version_mismatch or
///          storage_failure.
result<std::chrono::milliseconds> prepare_schema(SQLite::Database& database,
                                                 const store_identity& fresh);

}  // namespace troupe
