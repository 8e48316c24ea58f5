#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/ids.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/field.hpp>

namespace troupe {

/// A place in the context tree: non-empty UTF-8 segments, each after a `/`, escaped as in JSON
/// Pointer (RFC 6901: `~0` is `~`, `~1` is `/`). The empty path is the root.
class path {
public:
  /// Longer paths are rejected.
  static constexpr std::size_t max_bytes = 1024;

  /// The root.
  path() = default;

  /// Reads a path. The error names the path, what is wrong and what would be right.
  static result<path> parse(std::string_view text);
  /// For paths in source code. @throws std::invalid_argument when `text` is not a path.
  explicit path(std::string_view text);

  /// Takes text that `text()` returned, unchecked: only for text that this process has checked.
  static path from_checked(std::string text) noexcept;

  /// The path of the child with this unescaped name. Fails when it would be too long or the name is
  /// not UTF-8.
  result<path> child(std::string_view name) const;
  /// The path without its last segment; the root's parent is the root.
  path parent() const;
  /// The unescaped segments.
  std::vector<std::string> segments() const;
  /// True when `other` is this path or below it. The root contains everything.
  bool contains(const path& other) const noexcept;
  /// True for the empty path.
  bool is_root() const noexcept { return text_.empty(); }

  /// The escaped text, such as `/app/theme`; empty for the root.
  const std::string& text() const noexcept { return text_; }

  /// The byte order of the text. The subtree of a path is not contiguous in it; see
  /// `actors/context/state/tree/tree.hpp`.
  friend auto operator<=>(const path&, const path&) = default;

  friend void write(msgpack_writer& out, const path& x) { out.string(x.text()); }
  friend bool read(msgpack_reader& in, path& x, codec::problem& why);

private:
  std::string text_;
};

/// Names one change for ever: the `seq`-th (from 1) of one `incarnation` of one node, its
/// `origin`.
struct dot {
  node_id origin;
  std::uint64_t incarnation = 0;
  std::uint64_t seq = 0;

  static constexpr auto fields() {
    return std::tuple{required("origin", &dot::origin), required("incarnation", &dot::incarnation),
                      required("seq", &dot::seq)};
  }
  friend auto operator<=>(const dot&, const dot&) = default;
};

/// `"origin/incarnation/seq"`.
std::string to_string(const dot& id);

/// Hybrid logical time: the upper 48 bits are milliseconds since 1970, the lower 16 a counter.
/// Orders concurrent changes only; dots tell what happened before what (Kulkarni et al., "Logical
/// Physical Clocks", 2014).
struct timestamp {
  std::uint64_t ticks = 0;

  /// Milliseconds since 1970.
  std::uint64_t milliseconds() const noexcept { return ticks >> 16; }
  /// Orders changes within one millisecond.
  std::uint16_t counter() const noexcept { return static_cast<std::uint16_t>(ticks); }
  /// @param milliseconds Since 1970, below 2^48.
  static timestamp from_parts(std::uint64_t milliseconds, std::uint16_t counter) noexcept {
    return {milliseconds << 16 | counter};
  }
  friend auto operator<=>(const timestamp&, const timestamp&) = default;

  friend void write(msgpack_writer& out, const timestamp& x) { out.unsigned_integer(x.ticks); }
  friend bool read(msgpack_reader& in, timestamp& x, codec::problem& why) {
    return codec::read(in, x.ticks, why);
  }
};

/// The changes `1..seq` of one incarnation of one node.
struct version_entry {
  node_id origin;
  std::uint64_t incarnation = 0;
  std::uint64_t seq = 0;

  static constexpr auto fields() {
    return std::tuple{required("origin", &version_entry::origin),
                      required("incarnation", &version_entry::incarnation),
                      required("seq", &version_entry::seq)};
  }
  friend auto operator<=>(const version_entry&, const version_entry&) = default;
};

/// What a change does to its path.
enum class operation : std::uint8_t {
  put,
  erase,
  erase_subtree,  ///< Takes away what its writer saw at the path and below it. What others write
                  ///< there meanwhile stays.
  increment,      ///< Adds to the number at the path. Increments of all nodes add up.
};

template <>
struct enum_names<operation> {
  static constexpr std::array<enumerator<operation>, 4> names{
      {{operation::put, "put"},
       {operation::erase, "erase"},
       {operation::erase_subtree, "erase_subtree"},
       {operation::increment, "increment"}}};
};

/// A change that another one overwrote, as the writer of the other one saw it.
struct observed_change {
  struct dot dot;
  /// `content_hash` of the change: the claim to have overwritten it counts only for the change with
  /// this content. So nobody can overwrite a change that does not exist yet.
  std::uint64_t content = 0;

  static constexpr auto fields() {
    return std::tuple{required("dot", &observed_change::dot),
                      required("content", &observed_change::content)};
  }
  friend auto operator<=>(const observed_change&, const observed_change&) = default;
};

/// The changes of one path that an erasure of a subtree overwrote.
struct observed_path {
  class path path;
  std::vector<observed_change> changes;  ///< Sorted; at least one.

  static constexpr auto fields() {
    return std::tuple{required("path", &observed_path::path),
                      required("changes", &observed_path::changes)};
  }
  friend bool operator==(const observed_path&, const observed_path&) = default;
};

/// The place of a change in its transaction. The changes of a transaction follow each other in one
/// incarnation, and readers see all of them or none.
struct transaction_place {
  std::uint32_t index = 0;  ///< From 0.
  std::uint32_t count = 1;  ///< Changes of the transaction. One for a change on its own.
  /// At least the sum of `change_record::weight` of its changes, so that who receives the first one
  /// knows how much is to come. 0 for a change on its own.
  std::uint64_t weight = 0;

  bool is_last() const noexcept { return index + 1 == count; }

  static constexpr auto fields() {
    return std::tuple{required("index", &transaction_place::index),
                      required("count", &transaction_place::count),
                      required("weight", &transaction_place::weight)};
  }
  friend bool operator==(const transaction_place&, const transaction_place&) = default;
};

/// One change of one path, the unit that nodes exchange and store.
struct change_record {
  /// The format that this build writes. A record of a newer format is rejected.
  static constexpr std::uint32_t current_format = 2;

  struct dot dot;              ///< Unique. Names the origin.
  struct timestamp timestamp;  ///< By the origin's hybrid clock.
  class path path;
  enum operation operation = operation::put;
  value new_value;  ///< For `put`; for `increment` what it adds, an integer; nil otherwise.
  /// The changes of this path by other incarnations that this one overwrote, as its writer saw
  /// them. Sorted. Earlier changes of its own incarnation are overwritten in any case.
  std::vector<observed_change> observed;
  /// For `erase_subtree`: all that it overwrote, in the order of the paths.
  std::vector<observed_path> below;
  /// What of a counter it has seen: see `actors/context/state/counter.hpp`. Empty at most paths.
  binary counts;
  transaction_place transaction;
  /// Changes of other incarnations that have to be there before this one. Sorted, one for each
  /// incarnation. In the first change of an incarnation: the earlier incarnations of its node that
  /// have not ended before. They end with the changes that are named. In the first change of a
  /// transaction: the latest that the transaction overwrote or counted.
  std::vector<version_entry> after;
  std::string principal;  ///< On whose behalf.
  trace_id trace;         ///< The request that caused it.
  std::uint32_t format = current_format;

  /// Set by the replica that shows a change to watchers; never sent between nodes.
  std::optional<value> previous_value;

  /// A UUID made from the dot: the same on every node.
  change_id id() const;
  /// About how many bytes of memory the change takes, equal on every machine. O(what it overwrote)
  std::uint64_t weight() const noexcept;
  /// The node on which the change was made.
  const node_id& origin() const noexcept { return dot.origin; }

  static constexpr auto fields() {
    return std::tuple{required("dot", &change_record::dot),
                      required("time", &change_record::timestamp),
                      required("path", &change_record::path),
                      required("op", &change_record::operation),
                      optional("value", &change_record::new_value),
                      optional("observed", &change_record::observed),
                      optional("below", &change_record::below),
                      optional("counts", &change_record::counts),
                      optional("transaction", &change_record::transaction),
                      optional("after", &change_record::after),
                      optional("principal", &change_record::principal),
                      optional("trace", &change_record::trace),
                      optional("format", &change_record::format)};
  }
  /// Equal in everything that travels.
  friend bool operator==(const change_record& a, const change_record& b) {
    return a.dot == b.dot && a.timestamp == b.timestamp && a.path == b.path &&
           a.operation == b.operation && a.new_value == b.new_value && a.observed == b.observed &&
           a.below == b.below && a.counts == b.counts && a.transaction == b.transaction &&
           a.after == b.after && a.principal == b.principal && a.trace == b.trace &&
           a.format == b.format;
  }
};

/// The changes that a replica has processed: the highest contiguous sequence number of each
/// incarnation. One entry for each incarnation, sorted. Look-up is O(log n) in their number. An
/// incarnation that a later one of its node has ended needs none: who has a change of the later one
/// has all of it (see `change_record::after`).
class version_vector {
public:
  version_vector() = default;
  /// Sorts. Of two entries for one incarnation the higher counts.
  explicit version_vector(std::vector<version_entry> entries);

  /// The highest contiguous sequence number of this incarnation; 0 when it is unknown.
  std::uint64_t at(const node_id& origin, std::uint64_t incarnation) const noexcept;
  /// True when this change has been processed.
  bool covers(const dot& id) const noexcept { return id.seq <= at(id.origin, id.incarnation); }
  /// True when this has every change that `other` has.
  bool covers(const version_vector& other) const noexcept;
  /// Raises one entry. Never lowers it.
  void raise(const node_id& origin, std::uint64_t incarnation, std::uint64_t seq);
  /// Removes the entries for which this holds.
  void remove_if(const std::function<bool(const version_entry&)>& holds) {
    std::erase_if(entries_, holds);
  }
  /// The entries of one node.
  std::span<const version_entry> of(const node_id& origin) const noexcept;

  /// One for each incarnation, sorted by node and incarnation.
  const std::vector<version_entry>& entries() const noexcept { return entries_; }
  friend bool operator==(const version_vector&, const version_vector&) = default;

  friend void write(msgpack_writer& out, const version_vector& x);
  friend bool read(msgpack_reader& in, version_vector& x, codec::problem& why);

private:
  std::vector<version_entry> entries_;
};

/// One path and its value, as lists, exports and imports carry them.
struct context_entry {
  class path path;
  class value value;

  static constexpr auto fields() {
    return std::tuple{required("path", &context_entry::path),
                      required("value", &context_entry::value)};
  }
  friend bool operator==(const context_entry&, const context_entry&) = default;
};

/// When a write is acknowledged. Each level includes the ones before it.
enum class durability : std::uint8_t {
  memory,    ///< It is part of this node's state.
  durable,   ///< It is on this node's disk.
  majority,  ///< It is on the disks of more than half of the members, this node among them.
  all,       ///< It is on the disks of all members.
};

template <>
struct enum_names<durability> {
  static constexpr std::array<enumerator<durability>, 4> names{{{durability::memory, "memory"},
                                                                {durability::durable, "durable"},
                                                                {durability::majority, "majority"},
                                                                {durability::all, "all"}}};
};

/// A 128-bit sum that two replicas compare.
struct state_hash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  static constexpr auto fields() {
    return std::tuple{required("high", &state_hash::high), required("low", &state_hash::low)};
  }
  friend bool operator==(const state_hash&, const state_hash&) = default;
};

/// 32 hexadecimal digits.
std::string to_string(const state_hash& hash);

/// The version of a path: which writes live there. A value that is written gives its path a version
/// that it never had before; without a value and without competing writes the version is zero,
/// whether there has been a value or not. Nodes that hold the same writes of a path agree on its
/// version. On the wire and for people it is a text.
struct value_version {
  state_hash writes;  ///< Zero for a path where nothing lives, or nothing but an erasure.

  /// Reads 32 hexadecimal digits.
  static result<value_version> parse(std::string_view text);
  friend bool operator==(const value_version&, const value_version&) = default;

  friend void write(msgpack_writer& out, const value_version& x);
  friend bool read(msgpack_reader& in, value_version& x, codec::problem& why);
};

/// 32 hexadecimal digits.
std::string to_string(const value_version& version);

}  // namespace troupe
