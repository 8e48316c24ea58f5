#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include <troupe/actors/context/sync/state_offer.hpp>
#include <troupe/actors/context/sync/state_pull.hpp>
#include <troupe/actors/context/sync_ids.hpp>
#include <troupe/actors/context/transfer_journal.hpp>

namespace troupe {

/// What the state of a peer is for.
enum class transfer_purpose : std::uint8_t {
  join,     ///< It has what this node lacks.
  compare,  ///< It should be equal, and is not.
};

/// The states that this node is giving to peers, one to each, and the one that it is taking from a
/// peer. Pure.
class state_transfers {
public:
  /// A state that nobody has asked for anything for so long is let go.
  static constexpr std::uint64_t offer_lasts_ms = 30'000;
  /// A question without an answer is asked again.
  static constexpr std::uint64_t ask_again_ms = 10'000;
  /// A transfer without an answer for so long is over.
  static constexpr std::uint64_t give_up_ms = 60'000;
  /// No transfer takes longer: the next one, perhaps from another peer, goes on with what has come.
  static constexpr std::uint64_t takes_at_most_ms = 30 * 60'000;
  /// Of a state that is taken: the bytes of all its entries.
  static constexpr std::uint64_t max_bytes = std::uint64_t{16} << 30;

  /// @param write_at see `transfer_journal`.
  explicit state_transfers(std::size_t write_at = transfer_journal::usual_part)
      : journal_(write_at) {}

  // -- giving -------------------------------------------------------------------------------------

  /// The peer has asked for a state that is not offered yet. False when one is on its way to it.
  bool want_offer(peer_id peer, const sync_range& asked);
  /// The state that a peer has asked for. @returns the answer to its latest question.
  sync_state offer(peer_id peer, std::shared_ptr<const engine_state> state, std::uint64_t now_ms);
  /// What is offered to a peer under this number, or null.
  const state_offer* offered(peer_id peer, std::uint64_t transfer, std::uint64_t now_ms);
  /// Whether the state that is on its way to a peer is still wanted.
  bool is_wanted(peer_id peer) const;
  /// The peer needs no more.
  void withdraw(peer_id peer);

  // -- taking -------------------------------------------------------------------------------------

  bool is_taking() const noexcept { return taken_.has_value(); }
  /// Whether a transfer may begin: none is under way, and it is known what is kept of earlier ones.
  bool may_begin() const noexcept { return !taken_ && knows_kept_; }
  /// Begins to take the state of a peer. None may be under way. @param like this node's own tree.
  const sync_range& begin(peer_id peer, transfer_purpose purpose, const context_tree& like,
                          engine_limits limits, std::uint64_t now_ms);
  /// Of the transfer under way.
  transfer_purpose purpose() const noexcept { return taken_->purpose; }
  /// The transfer from this peer, or null.
  state_pull* from(peer_id peer) noexcept;
  /// The peer has answered with what is of use. @param entries of the answer, packed; or empty.
  void answered(const binary& entries, std::uint64_t now_ms);
  /// The transfer is over. What has come is kept for the next one unless it is of no use.
  void end(bool keeps, std::uint64_t now_ms);
  /// What was kept is not needed any more, unless this node is started again.
  void drop_kept() noexcept { kept_.reset(); }
  /// A state that was taken is on the disk. Its file goes, unless another one is coming.
  void stored();

  // -- taking, over a restart ---------------------------------------------------------------------

  /// What an earlier life of this node has kept, if anything.
  void found(std::optional<kept_transfer> kept);
  /// What has come so far is on its way to a file.
  transfer_journal& journal() noexcept { return journal_; }

  // -- both ---------------------------------------------------------------------------------------

  /// The link is gone.
  void forget(peer_id peer, std::uint64_t now_ms);
  struct due {
    peer_id peer;  ///< That the transfer under way is from.
    transfer_purpose purpose;
    std::optional<sync_range> question;  ///< To ask again. Nothing when the transfer is over.
  };
  /// Lets go of what is over. @returns what is to be done about the transfer under way, if
  /// anything.
  std::optional<due> tick(std::uint64_t now_ms);

private:
  struct giving {
    std::uint64_t transfer = 0, ask = 0;  ///< Of the question that waits for an offer.
    bool is_wanted = true;
    std::optional<state_offer> offered;  ///< Nothing while it waits.
    std::uint64_t used_ms = 0;
  };
  struct taking {
    peer_id peer;
    transfer_purpose purpose;
    state_pull pull;
    bool has_kept;  ///< It began with what had come before.
    std::uint64_t begun_ms, asked_ms, answered_ms;
  };

  std::map<peer_id, giving> given_;
  std::optional<taking> taken_;
  std::optional<context_tree> kept_;      ///< What has come in the transfer before.
  std::optional<std::uint64_t> kept_ms_;  ///< Since when; nothing before the first tick.
  bool knows_kept_ = false;
  transfer_journal journal_;
  std::uint64_t begun_ = 0;
};

}  // namespace troupe
