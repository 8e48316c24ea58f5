#include <troupe/actors/context/state/sibling.hpp>

#include <algorithm>
#include <stdexcept>
#include <tuple>

#include <xxhash.h>

namespace troupe {

namespace {

constexpr std::size_t header_bytes = 3;

/// An unambiguous byte form for hashing, equal on every machine: fixed-size integers in
/// little-endian order, strings after their length.
class digest_input {
public:
  digest_input() { bytes_.reserve(256); }

  digest_input& number(std::uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) bytes_ += static_cast<char>(number >> shift);
    return *this;
  }
  digest_input& text(std::string_view text) {
    number(text.size());
    bytes_ += text;
    return *this;
  }
  digest_input& id(const uuid& id) {
    bytes_.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
    return *this;
  }
  digest_input& id(const dot& id) {
    return this->id(id.origin.id).number(id.incarnation).number(id.seq);
  }

  std::uint64_t hash64() const noexcept { return XXH3_64bits(bytes_.data(), bytes_.size()); }
  state_hash hash128() const noexcept {
    const auto digest = XXH3_128bits(bytes_.data(), bytes_.size());
    return {digest.high64, digest.low64};
  }

private:
  std::string bytes_;
};

}  // namespace

sibling::sibling(const change_record& record, std::uint64_t content)
    : dot_(record.dot), timestamp_(record.timestamp), content_(content) {
  const bool erased = record.operation == operation::erase;
  const std::string_view value =
      erased ? std::string_view{} : std::string_view{record.new_value.msgpack()};
  if (record.principal.size() > 0xffff)
    throw std::invalid_argument("a principal has at most 65535 bytes");
  packed_.reserve(header_bytes + record.principal.size() + value.size());
  packed_ += static_cast<char>(record.operation);
  packed_ += static_cast<char>(record.principal.size());
  packed_ += static_cast<char>(record.principal.size() >> 8);
  packed_ += record.principal;
  packed_ += value;
}

enum operation sibling::operation() const noexcept {
  return static_cast<enum operation>(packed_[0]);
}

std::string_view sibling::body() const noexcept {
  return std::string_view{packed_}.substr(header_bytes);
}

std::string_view sibling::principal() const noexcept {
  const auto low = static_cast<unsigned char>(packed_[1]),
             high = static_cast<unsigned char>(packed_[2]);
  return body().substr(0, static_cast<std::size_t>(low | high << 8));
}

std::string_view sibling::value_bytes() const noexcept { return body().substr(principal().size()); }

value sibling::copy_value() const {
  return is_tombstone() ? value{} : value::from_canonical(std::string{value_bytes()});
}

change_record sibling::to_record(const path& where) const {
  change_record record;
  record.dot = dot_;
  record.timestamp = timestamp_;
  record.path = where;
  record.operation = operation();
  record.new_value = copy_value();
  record.principal = principal();
  return record;
}

bool sibling::earlier(const sibling& a, const sibling& b) noexcept {
  return std::tie(a.timestamp_, a.dot_) < std::tie(b.timestamp_, b.dot_);
}

sibling_list::sibling_list(std::vector<sibling> sorted)
    : first_(sorted.empty() ? throw std::invalid_argument("a list of siblings has at least one")
                            : sorted.front()) {
  if (sorted.size() > 1) rest_ = std::make_unique<std::vector<sibling>>(std::move(sorted));
}

sibling_list::sibling_list(const sibling_list& other)
    : first_(other.first_),
      rest_(other.rest_ ? std::make_unique<std::vector<sibling>>(*other.rest_) : nullptr) {}

sibling_list& sibling_list::operator=(const sibling_list& other) {
  return *this = sibling_list{other};
}

std::span<const sibling> sibling_list::all() const noexcept {
  return rest_ ? std::span<const sibling>{*rest_} : std::span<const sibling>{&first_, 1};
}

bool operator==(const sibling_list& a, const sibling_list& b) noexcept {
  return std::ranges::equal(a.all(), b.all());
}

std::uint64_t content_hash(const change_record& record) {
  digest_input input;
  input.number(record.format)
      .number(record.timestamp.ticks)
      .number(static_cast<std::uint64_t>(record.operation));
  input.text(record.path.text())
      .text(record.new_value.msgpack())
      .text(record.principal)
      .id(record.trace.id);
  for (const auto& seen : record.observed) input.id(seen);
  return std::max<std::uint64_t>(input.hash64(), 1);
}

state_hash entry_hash(std::string_view path, std::span<const sibling> siblings) {
  digest_input input;
  input.text(path);
  for (const auto& each : siblings) {
    input.id(each.dot())
        .number(each.timestamp().ticks)
        .number(static_cast<std::uint64_t>(each.operation()));
    input.text(each.principal()).text(each.value_bytes());
  }
  return input.hash128();
}

state_hash add(const state_hash& a, const state_hash& b) noexcept {
  const auto low = a.low + b.low;
  return {a.high + b.high + (low < a.low ? 1 : 0), low};
}

state_hash subtract(const state_hash& a, const state_hash& b) noexcept {
  return {a.high - b.high - (a.low < b.low ? 1 : 0), a.low - b.low};
}

}  // namespace troupe
