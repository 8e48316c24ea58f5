#include <troupe/actors/context/store/log_rows.hpp>

#include <cstring>
#include <initializer_list>
#include <string>

#include <troupe/actors/context/store/row_check.hpp>

namespace troupe {

namespace {

/// The key that the hash of a row covers: its columns but the batch.
std::string row_key(std::string_view origin, std::initializer_list<std::uint64_t> numbers) {
  std::string key{origin};
  for (const auto number : numbers)
    for (int shift = 0; shift < 64; shift += 8) key += static_cast<char>(number >> shift);
  return key;
}

}  // namespace

std::string_view id_bytes(const node_id& node) noexcept {
  return {reinterpret_cast<const char*>(node.id.bytes.data()), node.id.bytes.size()};
}

std::optional<incarnation_id> source_in(const SQLite::Statement& row) {
  incarnation_id source{{}, static_cast<std::uint64_t>(row.getColumn(2).getInt64())};
  const auto column = row.getColumn(1);
  const auto origin = bytes_of(column);
  if (origin.size() != source.origin.id.bytes.size()) return std::nullopt;
  std::memcpy(source.origin.id.bytes.data(), origin.data(), origin.size());
  return source;
}

std::int64_t hash_of(const incarnation_id& source, std::int64_t run) {
  return row_hash(row_key(id_bytes(source.origin), {source.incarnation}), std::to_string(run));
}

std::int64_t hash_of(std::int64_t number, const change_batch& batch) {
  const auto& [origin, incarnation] = batch.source();
  return row_hash(row_key(id_bytes(origin), {incarnation, static_cast<std::uint64_t>(number),
                                             batch.first(), batch.last()}),
                  batch.bytes());
}

}  // namespace troupe
