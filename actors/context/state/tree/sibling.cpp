#include <troupe/actors/context/state/tree/sibling.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <tuple>

// Inlined, because most of what is hashed here is shorter than 200 bytes: a call costs as much.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace troupe {

namespace {

/// An unambiguous byte form for hashing, equal on every machine: fixed-size integers in
/// little-endian order, strings after their length. Of a usual size it needs no allocation.
class digest_input {
public:
  /// @param bytes the most that will be added.
  explicit digest_input(std::size_t bytes) {
    if (bytes > here_.size()) {
      large_ = std::make_unique_for_overwrite<char[]>(bytes);
      begin_ = next_ = large_.get();
    }
  }
  digest_input(const digest_input&) = delete;
  digest_input& operator=(const digest_input&) = delete;

  static constexpr std::size_t number_bytes = 8;
  static constexpr std::size_t dot_bytes = 16 + 2 * number_bytes;
  static std::size_t text_bytes(std::string_view text) { return number_bytes + text.size(); }

  digest_input& number(std::uint64_t number) noexcept {
    if constexpr (std::endian::native == std::endian::little) return raw(&number, sizeof number);
    for (int shift = 0; shift < 64; shift += 8) *next_++ = static_cast<char>(number >> shift);
    return *this;
  }
  digest_input& text(std::string_view text) noexcept {
    number(text.size());
    return raw(text.data(), text.size());
  }
  digest_input& id(const uuid& id) noexcept { return raw(id.bytes.data(), id.bytes.size()); }
  digest_input& id(const dot& id) noexcept {
    return this->id(id.origin.id).number(id.incarnation).number(id.seq);
  }

  std::uint64_t hash64() const noexcept { return XXH3_64bits(begin_, size()); }
  state_hash hash128() const noexcept {
    const auto digest = XXH3_128bits(begin_, size());
    return {digest.high64, digest.low64};
  }

private:
  std::size_t size() const noexcept { return static_cast<std::size_t>(next_ - begin_); }
  digest_input& raw(const void* bytes, std::size_t size) noexcept {
    if (size > 0) std::memcpy(next_, bytes, size);
    next_ += size;
    return *this;
  }

  std::array<char, 512> here_;
  std::unique_ptr<char[]> large_;
  char* begin_ = here_.data();
  char* next_ = here_.data();
};

}  // namespace

sibling sibling::of(const change_record& record, std::uint64_t content) noexcept {
  return {record.dot,
          record.timestamp,
          content,
          record.operation,
          record.principal,
          record.operation == operation::put ? std::string_view{record.new_value.msgpack()}
                                             : std::string_view{},
          record.counts.bytes};
}

value sibling::copy_value() const {
  return value_bytes.empty() ? value{} : value::from_canonical(std::string{value_bytes});
}

change_record sibling::to_record(const path& where) const {
  change_record record;
  record.dot = dot;
  record.timestamp = timestamp;
  record.path = where;
  record.operation = operation;
  record.new_value = copy_value();
  record.counts.bytes = counts;
  record.principal = principal;
  return record;
}

bool sibling::earlier(const sibling& a, const sibling& b) noexcept {
  return std::tie(a.timestamp, a.dot) < std::tie(b.timestamp, b.dot);
}

std::uint64_t content_hash(const change_record& record) {
  using input_bytes = digest_input;
  constexpr auto claim_bytes = input_bytes::dot_bytes + input_bytes::number_bytes;
  auto bytes = 5 * input_bytes::number_bytes + input_bytes::text_bytes(record.path.text()) +
               input_bytes::text_bytes(record.new_value.msgpack()) +
               input_bytes::text_bytes(record.principal) +
               input_bytes::text_bytes(record.counts.bytes) + sizeof(record.trace.id.bytes) +
               (record.observed.size() + record.after.size()) * claim_bytes;
  for (const auto& each : record.below)
    bytes += input_bytes::text_bytes(each.path.text()) + input_bytes::number_bytes +
             each.changes.size() * claim_bytes;
  digest_input input{bytes};
  input.number(record.format)
      .number(record.timestamp.ticks)
      .number(static_cast<std::uint64_t>(record.operation))
      .number(std::uint64_t{record.transaction.index} << 32 | record.transaction.count)
      .number(record.transaction.weight)
      .text(record.path.text())
      .text(record.new_value.msgpack())
      .text(record.principal)
      .text(record.counts.bytes)
      .id(record.trace.id);
  const auto add_observed = [&](const std::vector<observed_change>& changes) {
    for (const auto& each : changes) input.id(each.dot).number(each.content);
  };
  add_observed(record.observed);
  for (const auto& each : record.below) {
    input.text(each.path.text()).number(each.changes.size());
    add_observed(each.changes);
  }
  for (const auto& each : record.after)
    input.id(dot{each.origin, each.incarnation, each.seq}).number(0);
  return std::max<std::uint64_t>(input.hash64(), 1);
}

bool is_collectable(std::span<const sibling> siblings) noexcept {
  return siblings.size() == 1 && siblings[0].is_tombstone() && siblings[0].counts.empty();
}

state_hash entry_hash(std::string_view path, std::span<const sibling> siblings) {
  auto bytes = digest_input::text_bytes(path);
  for (const auto& each : siblings)
    bytes += digest_input::dot_bytes + 3 * digest_input::number_bytes +
             digest_input::text_bytes(each.principal) + digest_input::text_bytes(each.value_bytes) +
             digest_input::text_bytes(each.counts);
  digest_input input{bytes};
  input.text(path);
  for (const auto& each : siblings) {
    constexpr std::uint64_t has_counts = 0x100;
    input.id(each.dot)
        .number(each.timestamp.ticks)
        .number(static_cast<std::uint64_t>(each.operation) | (each.counts.empty() ? 0 : has_counts))
        .number(each.content)
        .text(each.principal)
        .text(each.value_bytes);
    if (!each.counts.empty()) input.text(each.counts);
  }
  return input.hash128();
}

}  // namespace troupe
