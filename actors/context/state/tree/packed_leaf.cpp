#include <troupe/actors/context/state/tree/packed_leaf.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/messages/assert.hpp>

namespace troupe {

namespace {

constexpr std::size_t largest_capacity = 0xfffe;

/// The next size of which there are eight in each power of two. Allocators round to these or finer
/// ones, so the bytes of the rounding are used instead of lost.
std::size_t size_class(std::size_t bytes) noexcept {
  const auto step = std::max<std::size_t>(std::bit_floor(bytes) / 8, 16);
  return (bytes + step - 1) / step * step;
}

std::size_t most_bytes(std::string_view rest, std::span<const sibling> siblings) noexcept {
  auto bytes = max_varint_bytes + rest.size();
  for (const auto& each : siblings)
    bytes += max_sibling_bytes +
             std::min(sibling_content::most_bytes(each), packed_leaf::max_inline_value);
  return bytes;
}

}  // namespace

packed_leaf::packed_leaf(const packed_leaf& other)
    : tree_node(0),
      bytes_(std::make_unique_for_overwrite<char[]>(other.capacity_)),
      capacity_(other.capacity_),
      used_(other.used_),
      count_(other.count_),
      prefix_(other.prefix_),
      outside_(other.outside_),
      bases_(other.bases_),
      names_(other.names_) {
  std::memcpy(bytes_.get(), other.bytes_.get(), used_);
  const auto slots = slot_bytes * count_;
  std::memcpy(bytes_.get() + capacity_ - slots, other.bytes_.get() + capacity_ - slots, slots);
  visit_outside(0, count_, [](shared_value* each) { each->add_reference(); });
}

packed_leaf::~packed_leaf() {
  visit_outside(0, count_, [](shared_value* each) { each->drop_reference(); });
}

// -- reading --------------------------------------------------------------------------------------

const char* packed_leaf::body(std::size_t at) const noexcept {
  const auto text = rest(at);
  return text.data() + text.size();
}

std::size_t packed_leaf::first_not_before(std::string_view rest_of_key) const noexcept {
  std::size_t low = 0, high = count_;
  while (low < high) {
    const auto middle = (low + high) / 2;
    if (compare_paths(rest(middle), rest_of_key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

std::size_t packed_leaf::count_before(const tree_bound& bound) const noexcept {
  if (!bound.path.starts_with(prefix())) {
    // All keys are on one side, and the prefix shows on which.
    if (count_ == 0) return 0;
    return bound.is_behind(prefix()) ? count_ : 0;
  }
  const tree_bound rest_of_bound{bound.path.substr(prefix_), bound.is_past_subtree};
  if (!bound.is_past_subtree) return first_not_before(rest_of_bound.path);
  std::size_t low = 0, high = count_;
  while (low < high) {
    const auto middle = (low + high) / 2;
    if (rest_of_bound.is_behind(rest(middle)))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

leaf_place packed_leaf::place_of(std::string_view key) const noexcept {
  if (!key.starts_with(prefix())) return {count_before({key}), false};
  key.remove_prefix(prefix_);
  const auto at = first_not_before(key);
  return {at, at < count_ && rest(at) == key};
}

void packed_leaf::read_key(std::size_t at, std::string& into) const {
  into.assign(prefix());
  into.append(rest(at));
}

void packed_leaf::read(std::size_t at, std::string_view key, tree_entry& into) const {
  into.path_ = key;
  into.all_.clear();
  visit_siblings(at, [&](const decoded_sibling& each) {
    if (each.is_last && into.all_.empty()) {
      into.only_ = each.what;
      return;
    }
    if (into.all_.empty()) into.all_.reserve(usual_siblings);
    into.all_.push_back(each.what);
  });
}

template <class Visit>
void packed_leaf::visit_siblings(std::size_t at, const Visit& visit) const {
  decoded_sibling each;
  each.is_last = false;
  for (const auto* next = body(at); !each.is_last;) {
    next = decode_sibling(next, *names_, bases_, each);
    visit(each);
  }
}

/// Calls `visit` with each value that lies outside, of the entries from `from` up to `to`.
template <class Visit>
void packed_leaf::visit_outside(std::size_t from, std::size_t to, const Visit& visit) const {
  if (outside_ == 0) return;
  for (auto at = from; at < to; ++at)
    visit_siblings(at, [&](const decoded_sibling& each) {
      if (each.outside) visit(each.outside);
    });
}

bool packed_leaf::has_room_for(const packed_leaf& other) const noexcept {
  const auto common = common_prefix(prefix(), other.prefix());
  return count_ + other.count_ <= max_entries * 3 / 4 &&
         bytes_with_prefix(common) + other.bytes_with_prefix(common) <= max_bytes * 3 / 4;
}

bool packed_leaf::is_too_foreign(std::string_view key) const noexcept {
  return count_ > 0 && !key.starts_with(prefix()) &&
         bytes_with_prefix(common_prefix(key, prefix())) > max_bytes;
}

// -- changing -------------------------------------------------------------------------------------

/// Gives numbers to the names of these siblings.
void packed_leaf::name(std::span<const sibling> siblings, latest_names& latest) {
  const auto has = [](const leaf_names& names, const sibling& each) {
    return names.have(incarnation_of(each.dot), each.principal);
  };
  const auto has_all = [&](const leaf_names& names) {
    return std::ranges::all_of(siblings, [&](const sibling& each) { return has(names, each); });
  };
  if (!names_) names_ = std::make_shared<const leaf_names>();
  if (has_all(*names_)) return;
  // Even if the latest names lack one, leaves that extend them go on sharing.
  if (latest && latest->extend(*names_) && (!latest->are_many() || has_all(*latest)))
    names_ = latest;
  if (has_all(*names_)) return;
  if (names_->are_many()) drop_unused_names();
  for (const auto& each : siblings)
    if (!has(*names_, each)) names_ = names_->with(incarnation_of(each.dot), each.principal);
  latest = names_;
}

void packed_leaf::put(leaf_place place, std::string_view key, std::span<const sibling> siblings,
                      latest_names& latest) {
  put(place, key, siblings, {}, latest);
}

/// @param outside For each sibling its value, if that lies outside already; or empty.
void packed_leaf::put(leaf_place place, std::string_view key, std::span<const sibling> siblings,
                      std::span<shared_value* const> outside, latest_names& latest) {
  TROUPE_ASSERT(!siblings.empty() && siblings.size() <= max_siblings,
                "an entry has a bounded number of siblings");
  const auto& first = siblings.front();
  if (count_ == 0) bases_ = {first.dot.seq, first.timestamp.milliseconds()};
  if (!key.starts_with(prefix()))
    set_prefix(std::string{prefix().substr(0, common_prefix(key, prefix()))});
  name(siblings, latest);
  const auto rest_of_key = key.substr(prefix_);
  const auto inline_limit =
      siblings.size() <= few_siblings ? max_inline_value : max_inline_value_of_many;

  entry_memory memory{most_bytes(rest_of_key, siblings)};
  auto* end = put_varint(memory.begin(), rest_of_key.size());
  end = std::copy(rest_of_key.begin(), rest_of_key.end(), end);
  std::uint32_t added = 0;
  for (std::size_t i = 0; i < siblings.size(); ++i) {
    const auto& each = siblings[i];
    const sibling_content content{each};
    shared_value* value = nullptr;
    if (content.bytes().size() > inline_limit) {
      ++added;
      value = outside.empty() ? nullptr : outside[i];
      if (value)
        value->add_reference();
      else
        value = shared_value::make(content.bytes());
    }
    end = encode_sibling(end, each, content.bytes(), *names_, bases_, value,
                         i + 1 == siblings.size());
  }
  splice(place.at, place.is_taken,
         {memory.begin(), static_cast<std::size_t>(end - memory.begin())});
  outside_ += added;
}

/// Inserts the bytes of an entry at `at`, or replaces the entry there. Empty bytes remove it.
void packed_leaf::splice(std::size_t at, bool replaces, std::string_view entry) {
  const bool adds = !replaces, removes = entry.empty();
  const std::size_t before = replaces ? end_of(at) - slot(at) : 0;
  reserve(bytes() - before + entry.size() + (adds ? slot_bytes : 0));
  if (replaces)
    visit_outside(at, at + 1, [this](shared_value* each) {
      each->drop_reference();
      --outside_;
    });
  const std::size_t offset = at < count_ ? slot(at) : used_;
  auto* place = bytes_.get() + offset;
  if (before == entry.size()) {
    std::copy(entry.begin(), entry.end(), place);
    return;
  }
  std::memmove(place + entry.size(), place + before, used_ - offset - before);
  std::copy(entry.begin(), entry.end(), place);

  auto* const slots_end = bytes_.get() + capacity_;
  auto* const later_slots = slots_end - slot_bytes * count_;
  const auto later = count_ - at - (replaces ? 1 : 0);
  if (adds) {
    std::memmove(later_slots - slot_bytes, later_slots, slot_bytes * later);
    ++count_;
  } else if (removes) {
    std::memmove(later_slots + slot_bytes, later_slots, slot_bytes * later);
    --count_;
  }
  if (!removes) set_slot(at, offset);
  for (auto i = removes ? at : at + 1; i < count_; ++i)
    set_slot(i, slot(i) + entry.size() - before);
  used_ = static_cast<std::uint32_t>(used_ + entry.size() - before);
}

void packed_leaf::set_slot(std::size_t at, std::size_t offset) noexcept {
  put_raw(bytes_.get() + capacity_ - slot_bytes * (at + 1), static_cast<std::uint16_t>(offset));
}

void packed_leaf::erase(std::size_t at) {
  splice(at, true, {});
  if (count_ > 0 && bytes() * 2 + 256 < capacity_) set_prefix(longest_prefix(0, count_));
}

/// Grows the buffer to at least these bytes.
void packed_leaf::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return;
  TROUPE_ASSERT(bytes <= largest_capacity, "a slot addresses the whole leaf");
  const auto wanted = std::min(size_class(bytes + 32), largest_capacity);
  auto larger = std::make_unique_for_overwrite<char[]>(wanted);
  const auto slots = slot_bytes * count_;
  if (capacity_ > 0) {
    std::memcpy(larger.get(), bytes_.get(), used_);
    std::memcpy(larger.get() + wanted - slots, bytes_.get() + capacity_ - slots, slots);
  }
  bytes_ = std::move(larger);
  capacity_ = static_cast<std::uint32_t>(wanted);
}

/// Copies the entries from `from` up to `to` into an empty leaf. Counts no references: afterwards
/// one of the two leaves owns the outside values. @param new_prefix common to the copied keys.
void packed_leaf::copy_to(packed_leaf& into, std::size_t from, std::size_t to,
                          std::string_view new_prefix) const {
  into.bases_ = bases_;
  into.names_ = names_;
  const auto size = to - from;
  // What the rest of each key loses to the prefix, or gets from it.
  const std::size_t loses = std::max(new_prefix.size(), std::size_t{prefix_}) - prefix_;
  const auto gets = prefix().substr(std::min(new_prefix.size(), std::size_t{prefix_}));
  const auto entries = size == 0 ? 0 : end_of(to - 1) - slot(from);
  into.reserve(new_prefix.size() + entries + size * (slot_bytes + gets.size() + 1));
  into.prefix_ = static_cast<std::uint16_t>(new_prefix.size());
  auto* out = std::copy(new_prefix.begin(), new_prefix.end(), into.bytes_.get());
  for (auto at = from; at < to; ++at) {
    const auto old = rest(at).substr(loses);
    into.count_ = static_cast<std::uint16_t>(into.count_ + 1);
    into.set_slot(at - from, static_cast<std::size_t>(out - into.bytes_.get()));
    out = put_varint(out, gets.size() + old.size());
    out = std::copy(gets.begin(), gets.end(), out);
    out = std::copy(old.data(), static_cast<const char*>(bytes_.get() + end_of(at)), out);
  }
  into.used_ = static_cast<std::uint32_t>(out - into.bytes_.get());
}

/// The longest prefix that the keys of these entries have in common. There is at least one.
std::string packed_leaf::longest_prefix(std::size_t from, std::size_t to) const {
  std::string first;
  read_key(from, first);
  // A single key keeps its last segment, in which its neighbours will differ.
  const auto common = to - from == 1 ? std::min(rest(from).rfind('/') + 1, rest(from).size())
                                     : common_prefix(rest(from), rest(to - 1));
  first.resize(prefix_ + common);
  return first;
}

/// Takes over the bytes of another leaf. Counts no references: the caller says how many outside
/// values the leaf now owns.
void packed_leaf::take(packed_leaf& other, std::uint32_t outside) noexcept {
  bytes_ = std::move(other.bytes_);
  capacity_ = std::exchange(other.capacity_, 0);
  used_ = std::exchange(other.used_, 0);
  count_ = std::exchange(other.count_, std::uint16_t{0});
  prefix_ = std::exchange(other.prefix_, std::uint16_t{0});
  outside_ = outside;
  bases_ = other.bases_;
  names_ = std::move(other.names_);
}

void packed_leaf::set_prefix(std::string_view new_prefix) {
  packed_leaf other;
  copy_to(other, 0, count_, new_prefix);
  take(other, outside_);
}

std::size_t packed_leaf::middle() const noexcept {
  const auto half = (std::size_t{prefix_} + used_) / 2;
  std::size_t at = 1;
  while (at + 1 < count_ && slot(at) < half) ++at;
  return at;
}

std::unique_ptr<packed_leaf> packed_leaf::split(std::size_t from) {
  TROUPE_ASSERT(from > 0 && from < count_, "a split leaves entries on both sides");
  auto upper = std::make_unique<packed_leaf>();
  packed_leaf lower;
  copy_to(*upper, from, count_, longest_prefix(from, count_));
  copy_to(lower, 0, from, longest_prefix(0, from));
  std::uint32_t outside = 0;
  visit_outside(from, count_, [&](shared_value*) { ++outside; });
  upper->outside_ = outside;
  take(lower, outside_ - outside);
  return upper;
}

std::unique_ptr<packed_leaf> packed_leaf::move_all() {
  auto upper = std::make_unique<packed_leaf>();
  upper->take(*this, std::exchange(outside_, 0));
  return upper;
}

void packed_leaf::append(const packed_leaf& other, latest_names& latest) {
  std::string key;
  std::vector<sibling> siblings;
  std::vector<shared_value*> outside;
  for (std::size_t at = 0; at < other.count_; ++at) {
    other.read_key(at, key);
    siblings.clear();
    outside.clear();
    other.visit_siblings(at, [&](const decoded_sibling& each) {
      siblings.push_back(each.what);
      outside.push_back(each.outside);
    });
    put({count_, false}, key, siblings, outside, latest);
  }
}

/// Rebuilds the leaf with only the names that its entries use.
void packed_leaf::drop_unused_names() {
  auto used = std::make_shared<const leaf_names>();
  for (std::size_t at = 0; at < count_; ++at)
    visit_siblings(at, [&](const decoded_sibling& each) {
      const auto source = incarnation_of(each.what.dot);
      if (!used->have(source, each.what.principal)) used = used->with(source, each.what.principal);
    });
  packed_leaf fresh;
  fresh.names_ = used;
  fresh.set_prefix(prefix());
  fresh.append(*this, used);
  visit_outside(0, count_, [](shared_value* each) { each->drop_reference(); });
  take(fresh, std::exchange(fresh.outside_, 0));
}

}  // namespace troupe
