#include <troupe/actors/context/store/entry_block.hpp>

#include <algorithm>
#include <utility>

#include <troupe/actors/context/state/counter.hpp>
#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/tree/packed_leaf.hpp>
#include <troupe/actors/context/state/tree/path_order.hpp>
#include <troupe/actors/context/store/row_check.hpp>
#include <troupe/actors/context/sync/zstd_frame.hpp>

namespace troupe {

namespace {

constexpr std::size_t content_bytes = sizeof(std::uint64_t);

/// The place of a name; one that is new gets the next one.
template <class Places, class Names, class Name>
std::uint64_t place_of(Places& places, Names& names, const Name& name) {
  auto found = places.find(name);
  if (found == places.end()) {
    found = places.emplace(typename Names::value_type{name}, names.size()).first;
    names.emplace_back(name);
  }
  return found->second;
}

/// Reads the columns of a block, from the first entry to the last.
class block_reader {
public:
  explicit block_reader(const entry_columns& columns)
      : columns_(columns), seqs_(columns.sources.size()) {}

  /// Why these cannot be the columns of entries, or nothing.
  const char* misfit() const {
    const auto& c = columns_;
    const auto entries = c.shared.size(), siblings = c.source.size();
    const auto have = [](std::size_t count, const auto&... columns) {
      return ((columns.size() == count) && ...);
    };
    if (!have(entries, c.rest, c.siblings) ||
        !have(siblings, c.seq, c.ms, c.tick, c.operation, c.principal) ||
        c.contents.bytes.size() != siblings * content_bytes ||
        (!c.counts.empty() && c.counts.size() != siblings))
      return "its columns have different lengths";
    const auto puts = std::ranges::count(c.operation, static_cast<std::uint8_t>(operation::put));
    if (c.values.size() != static_cast<std::size_t>(puts)) return "it lacks values";
    return nullptr;
  }

  struct entry {
    path where;
    std::vector<sibling> siblings;
  };
  /// The next entry.
  result<entry> next() {
    auto where = next_path();
    if (!where) return fail(error_code::corrupt_data, "a path is malformed or not in order");
    entry made{std::move(*where), {}};
    const auto count = columns_.siblings[entry_++];
    if (count == 0) return fail(error_code::corrupt_data, "it holds no write");
    if (count > packed_leaf::max_siblings)
      return fail(error_code::corrupt_data,
                  "it holds " + std::to_string(count) + " concurrent writes");
    for (std::uint64_t i = 0; i < count; ++i) {
      auto each = next_sibling();
      if (!each) return fail(std::move(each.error()));
      made.siblings.push_back(*each);
    }
    return made;
  }
  bool at_end() const noexcept { return entry_ == columns_.shared.size(); }
  /// Whether nothing is left over.
  bool is_used_up() const noexcept {
    return at_end() && sibling_ == columns_.source.size() &&
           path_bytes_ == columns_.paths.bytes.size();
  }

private:
  std::optional<path> next_path() {
    const auto shared = columns_.shared[entry_], rest = columns_.rest[entry_];
    if (shared > path_.size() || rest > columns_.paths.bytes.size() - path_bytes_)
      return std::nullopt;
    auto text = path_.substr(0, shared) + columns_.paths.bytes.substr(path_bytes_, rest);
    path_bytes_ += rest;
    if (entry_ > 0 && compare_paths(path_, text) >= 0) return std::nullopt;
    path_ = std::move(text);
    auto parsed = path::parse(path_);
    if (!parsed || parsed->text() != path_) return std::nullopt;
    return std::move(*parsed);
  }

  result<sibling> next_sibling() {
    const auto& c = columns_;
    const auto at = sibling_;
    if (at == c.source.size()) return fail(error_code::corrupt_data, "it lacks writes");
    ++sibling_;
    const auto source = c.source[at], principal = c.principal[at];
    if (source >= c.sources.size() || principal >= c.principals.size() ||
        c.operation[at] > static_cast<std::uint8_t>(operation::increment))
      return fail(error_code::corrupt_data, "it names what it does not have");
    sibling made;
    made.dot = {c.sources[source].origin, c.sources[source].incarnation,
                seqs_[source] += static_cast<std::uint64_t>(c.seq[at])};
    made.timestamp = timestamp::from_parts(ms_ += static_cast<std::uint64_t>(c.ms[at]), c.tick[at]);
    for (std::size_t i = content_bytes; i-- > 0;)
      made.content =
          made.content << 8 | static_cast<unsigned char>(c.contents.bytes[at * content_bytes + i]);
    made.operation = static_cast<operation>(c.operation[at]);
    made.principal = c.principals[principal];
    if (made.operation == operation::put) made.value_bytes = c.values[put_++].msgpack();
    if (!c.counts.empty()) made.counts = c.counts[at].bytes;
    if (!unpack_counts(made.counts))
      return fail(error_code::corrupt_data, "what it counts is malformed");
    return made;
  }

  const entry_columns& columns_;
  std::string path_;
  std::vector<std::uint64_t> seqs_;
  std::uint64_t ms_ = 0;
  std::size_t entry_ = 0, sibling_ = 0, put_ = 0, path_bytes_ = 0;
};

}  // namespace

std::size_t entry_block_writer::bytes_of(const tree_entry& entry) noexcept {
  constexpr std::size_t numbers = 24;
  auto bytes = entry.path().size();
  for (const auto& each : entry.siblings())
    bytes += numbers + each.value_bytes.size() + each.counts.size();
  return bytes;
}

void entry_block_writer::add(const tree_entry& entry) {
  const auto shared = common_prefix(path_, entry.path());
  columns_.shared.push_back(shared);
  columns_.rest.push_back(entry.path().size() - shared);
  columns_.paths.bytes.append(entry.path().substr(shared));
  columns_.siblings.push_back(entry.siblings().size());
  path_ = entry.path();
  for (const auto& each : entry.siblings()) add(each);
}

void entry_block_writer::add(const sibling& each) {
  const auto source = place_of(sources_, columns_.sources, incarnation_of(each.dot));
  seqs_.resize(columns_.sources.size());
  const auto difference = [](std::uint64_t now, std::uint64_t& before) {
    return static_cast<std::int64_t>(now - std::exchange(before, now));
  };
  columns_.source.push_back(source);
  columns_.seq.push_back(difference(each.dot.seq, seqs_[source]));
  columns_.ms.push_back(difference(each.timestamp.milliseconds(), ms_));
  columns_.tick.push_back(each.timestamp.counter());
  columns_.operation.push_back(static_cast<std::uint8_t>(each.operation));
  columns_.principal.push_back(place_of(principals_, columns_.principals, each.principal));
  for (std::size_t shift = 0; shift < 64; shift += 8)
    columns_.contents.bytes.push_back(static_cast<char>(each.content >> shift));
  if (each.operation == operation::put) columns_.values.push_back(each.copy_value());
  columns_.counts.push_back({std::string{each.counts}});
  counts_ = counts_ || !each.counts.empty();
}

std::string entry_block_writer::finish() {
  if (!counts_) columns_.counts.clear();
  auto block = compress(encode(columns_));
  *this = {};
  return block;
}

result<void> read_entry_block(
    std::string_view block,
    const std::function<void(const path& where, std::span<const sibling> siblings)>& take) {
  const auto limits = stored_data_limits();
  const auto plain = decompress(block, limits.frame_bytes);
  if (!plain) return fail(error_code::corrupt_data, plain.error().message);
  const auto columns = decode<entry_columns>(*plain, limits);
  if (!columns) return fail(error_code::corrupt_data, columns.error().message);
  block_reader reader{*columns};
  if (const auto* const why = reader.misfit()) return fail(error_code::corrupt_data, why);
  std::vector<block_reader::entry> entries;
  while (!reader.at_end()) {
    auto next = reader.next();
    if (!next) return fail(std::move(next.error()));
    entries.push_back(std::move(*next));
  }
  if (!reader.is_used_up()) return fail(error_code::corrupt_data, "it has more than its entries");
  for (const auto& [where, siblings] : entries) take(where, siblings);
  return {};
}

}  // namespace troupe
