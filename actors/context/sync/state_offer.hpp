#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <troupe/actors/context/state/engine.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// A state that this node gives to a peer, range by range: it stays as it is while the peer asks,
/// whatever is written meanwhile. Costs the nodes of the tree that are changed meanwhile. Pure.
class state_offer {
public:
  /// Ranges of one question.
  static constexpr std::size_t max_wanted = 32;
  /// About the bytes of the entries in one answer, not compressed. One entry always fits.
  static constexpr std::size_t max_entry_bytes = std::size_t{256} << 10;
  /// Of the entries in one answer, compressed. A link takes a little more.
  static constexpr std::size_t max_answer_bytes = std::size_t{7} << 20;
  /// A range with no more entries is sent as it is.
  static constexpr std::uint64_t few_entries = 64;
  /// Entries whose numbers are computed for one answer. One range always counts.
  static constexpr std::uint64_t max_numbered_entries = std::uint64_t{1} << 17;
  /// Symbols of one answer. Those of one range always fit.
  static constexpr std::uint64_t max_coded_symbols = std::uint64_t{1} << 14;
  /// A range with more is answered with the summaries of this many parts.
  static constexpr std::uint64_t split_into = 16;

  /// @param state committed, and never null. @param transfer that the peer has given it.
  state_offer(std::uint64_t transfer, std::shared_ptr<const engine_state> state)
      : transfer_(transfer), state_(std::move(state)) {}

  std::uint64_t transfer() const noexcept { return transfer_; }
  /// The answer that offers the state.
  sync_state greeting(std::uint64_t ask) const;
  /// The answer to a question: coded symbols or single entries where it asks for those; elsewhere
  /// entries where there are few or the peer has nothing, and summaries of parts where there are
  /// more.
  /// @returns protocol_violation when the question is malformed; limit_exceeded when an entry does
  ///          not fit into a message.
  result<sync_state> answer(const sync_range& asked) const;

private:
  class answer_writer;
  static std::optional<std::string> malformed(const sync_range& asked);

  std::uint64_t transfer_;
  std::shared_ptr<const engine_state> state_;
};

}  // namespace troupe
