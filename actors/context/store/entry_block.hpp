#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <troupe/actors/context/state/tree/tree_entry.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/sync.hpp>

// A block: neighbouring entries of a tree in the form in which a checkpoint keeps them.

namespace troupe {

/// What a block holds, by columns: what is alike lies side by side, so that it compresses well.
struct entry_columns {
  std::vector<incarnation_id> sources;  ///< Which `source` names by their places.
  std::vector<std::string> principals;  ///< Which `principal` names.
  // One number for each entry:
  std::vector<std::uint64_t> shared;  ///< How many bytes of its path are those of the path before.
  std::vector<std::uint64_t> rest;    ///< How many are not; they are in `paths`.
  std::vector<std::uint64_t> siblings;  ///< How many it has.
  binary paths;
  // One for each sibling:
  std::vector<std::uint64_t> source;
  std::vector<std::int64_t> seq;    ///< The difference to the last one of this source, or to 0.
  std::vector<std::int64_t> ms;     ///< The milliseconds, as a difference to the last ones.
  std::vector<std::uint16_t> tick;  ///< The counter of the timestamp.
  std::vector<std::uint8_t> operation;
  std::vector<std::uint64_t> principal;
  binary contents;             ///< 8 bytes each, the lowest first.
  std::vector<value> values;   ///< Of those that are a put.
  std::vector<binary> counts;  ///< Empty when no sibling counts anything.

  static constexpr auto fields() {
    return std::tuple{required("sources", &entry_columns::sources),
                      required("principals", &entry_columns::principals),
                      required("shared", &entry_columns::shared),
                      required("rest", &entry_columns::rest),
                      required("siblings", &entry_columns::siblings),
                      required("paths", &entry_columns::paths),
                      required("source", &entry_columns::source),
                      required("seq", &entry_columns::seq),
                      required("ms", &entry_columns::ms),
                      required("tick", &entry_columns::tick),
                      required("operation", &entry_columns::operation),
                      required("principal", &entry_columns::principal),
                      required("contents", &entry_columns::contents),
                      required("values", &entry_columns::values),
                      optional("counts", &entry_columns::counts)};
  }
};

/// Writes blocks. Pure.
class entry_block_writer {
public:
  /// About how many bytes an entry takes before it is compressed. O(siblings).
  static std::size_t bytes_of(const tree_entry& entry) noexcept;

  /// Appends an entry, which comes after all others in tree order. O(bytes).
  void add(const tree_entry& entry);
  bool is_empty() const noexcept { return columns_.shared.empty(); }
  /// The block: a zstd frame of `entry_columns`. Then the next one begins. O(bytes).
  std::string finish();

private:
  void add(const sibling& each);

  entry_columns columns_;
  std::string path_;  ///< Of the entry before.
  std::map<incarnation_id, std::size_t> sources_;
  std::map<std::string, std::size_t, std::less<>> principals_;
  std::vector<std::uint64_t> seqs_;  ///< The last one of each source.
  std::uint64_t ms_ = 0;
  bool counts_ = false;  ///< Whether a sibling does.
};

/// The entries of a block, in tree order. Unpacks all before it passes the first one. O(bytes).
/// @param block untrusted. @param take gets each path with its siblings, valid during the call.
/// @returns corrupt_data, which says what is wrong.
result<void> read_entry_block(
    std::string_view block,
    const std::function<void(const path& where, std::span<const sibling> siblings)>& take);

}  // namespace troupe
