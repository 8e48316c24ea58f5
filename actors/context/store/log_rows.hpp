#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <troupe/actors/context/store/sqlite.hpp>
#include <troupe/actors/context/sync/change_batch.hpp>
#include <troupe/messages/wire/sync.hpp>

// What the rows of a change log hold besides their batches.

namespace troupe {

/// The bytes of an id, as a column holds them. A view of `node`.
std::string_view id_bytes(const node_id& node) noexcept;
/// The incarnation of a row of `?, origin, incarnation`; nothing when it names none.
std::optional<incarnation_id> source_in(const SQLite::Statement& row);
/// The hash of a row of `runs`.
std::int64_t hash_of(const incarnation_id& source, std::int64_t run);
/// The hash of a row of `log`: of its columns and its batch.
std::int64_t hash_of(std::int64_t number, const change_batch& batch);

}  // namespace troupe
