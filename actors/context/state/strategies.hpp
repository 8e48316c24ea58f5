#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <troupe/actors/context/state/tree/sibling.hpp>
#include <troupe/messages/context.hpp>

namespace troupe {

/// A conflict strategy: how concurrent writes of one path become the one value that readers see.
/// Implementations are pure and repeatable: equal arguments give equal results on every node, at
/// every time. Resolving writes nothing: the writes stay siblings until the next write overwrites
/// them.
///
/// Records made from siblings carry no `observed` and no `trace`: the state keeps neither.
class conflict_resolution {
public:
  virtual ~conflict_resolution() = default;

  /// Names the strategy and its version. Nodes compare it: same name, same results.
  virtual std::string_view name() const noexcept = 0;
  /// Which write wins, in half a sentence.
  virtual std::string_view reason() const noexcept = 0;

  /// Resolves two records to one. `local` is the earlier sibling by (timestamp, dot).
  virtual change_record resolve(const change_record& local, const change_record& remote) const = 0;

  /// Which of these writes, which are in the order of siblings, is what folding `resolve` over them
  /// gives; or nothing, where that may be another record than each of them. Readers pay for no
  /// copies then.
  virtual std::optional<std::size_t> winner(std::span<const sibling>) const { return std::nullopt; }

  /// True when the writes are concurrent: same path, different dots, neither observed the other.
  virtual bool conflicts(const change_record& local, const change_record& remote) const;
};

/// The later write by (timestamp, dot) wins. A tombstone competes like a value.
class last_writer_wins final : public conflict_resolution {
public:
  std::string_view name() const noexcept override { return "last_writer_wins/1"; }
  std::string_view reason() const noexcept override {
    return "of concurrent writes the latest by (timestamp, dot) counts";
  }
  change_record resolve(const change_record& local, const change_record& remote) const override;
  std::optional<std::size_t> winner(std::span<const sibling> writes) const override {
    return writes.size() - 1;
  }
};

/// The record that readers of `where` see: `strategy.resolve` folded over the siblings in their
/// order, plus the increments among them. O(siblings).
change_record resolve_siblings(const conflict_resolution& strategy, const path& where,
                               std::span<const sibling> siblings);

/// The sibling whose value, or erasure, is what readers see; null when there is none, or when what
/// they see has to be made of several. O(siblings), without a copy.
const sibling* winning_sibling(const conflict_resolution& strategy,
                               std::span<const sibling> siblings);

/// What readers of `where` see, or nothing. O(siblings).
std::optional<value> view_of(const conflict_resolution& strategy, const path& where,
                             std::span<const sibling> siblings);
/// Whether readers of `where` see a value. As `view_of`, without copying the value of a winner.
bool shows_value(const conflict_resolution& strategy, const path& where,
                 std::span<const sibling> siblings);

/// Nodes compare this at the handshake: equal hashes resolve alike.
std::uint64_t strategies_hash(const conflict_resolution& strategy) noexcept;

}  // namespace troupe
