#pragma once

#include <troupe/actors/context/store/sqlite.hpp>

namespace troupe {

/// Gives pages of a database that hold nothing back to the disk: the file becomes smaller. A few
/// stay, because what is written next takes them. A call gives back a bounded number. The last one
/// also empties the write-ahead log.
/// @returns whether there are more to give back; storage_failure.
result<bool> give_back_free_pages(SQLite::Database& database);

}  // namespace troupe
