#include <troupe/actors/context/state_transfers.hpp>

#include <utility>

namespace troupe {

bool state_transfers::want_offer(peer_id peer, const sync_range& asked) {
  const auto known = given_.find(peer);
  const bool is_on_its_way = known != given_.end() && !known->second.offered;
  given_[peer] = {asked.transfer, asked.ask, true, std::nullopt, 0};
  return !is_on_its_way;
}

sync_state state_transfers::offer(peer_id peer, std::shared_ptr<const engine_state> state,
                                  std::uint64_t now_ms) {
  auto& giving = given_[peer];
  giving.offered.emplace(giving.transfer, std::move(state));
  giving.used_ms = now_ms;
  return giving.offered->greeting(giving.ask);
}

const state_offer* state_transfers::offered(peer_id peer, std::uint64_t transfer,
                                            std::uint64_t now_ms) {
  const auto found = given_.find(peer);
  if (found == given_.end() || !found->second.offered ||
      found->second.offered->transfer() != transfer)
    return nullptr;
  found->second.used_ms = now_ms;
  return &*found->second.offered;
}

bool state_transfers::is_wanted(peer_id peer) const {
  const auto found = given_.find(peer);
  return found != given_.end() && found->second.is_wanted;
}

void state_transfers::withdraw(peer_id peer) {
  const auto found = given_.find(peer);
  if (found == given_.end()) return;
  if (found->second.offered)
    given_.erase(found);
  else
    found->second.is_wanted = false;  // one is on its way, so that not many are
}

const sync_range& state_transfers::begin(peer_id peer, transfer_purpose purpose,
                                         const context_tree& like, engine_limits limits,
                                         std::uint64_t now_ms) {
  const bool has_kept = purpose == transfer_purpose::join && kept_.has_value();
  auto kept = has_kept ? std::exchange(kept_, std::nullopt) : std::nullopt;
  taken_.emplace(taking{peer, purpose,
                        state_pull{like, ++begun_, limits, max_bytes, std::move(kept)}, has_kept,
                        now_ms, now_ms, now_ms});
  if (purpose == transfer_purpose::join) journal_.begin(has_kept);
  return taken_->pull.question();
}

state_pull* state_transfers::from(peer_id peer) noexcept {
  return taken_ && taken_->peer == peer ? &taken_->pull : nullptr;
}

void state_transfers::answered(const binary& entries, std::uint64_t now_ms) {
  taken_->asked_ms = taken_->answered_ms = now_ms;
  if (taken_->purpose == transfer_purpose::join && !entries.bytes.empty()) journal_.add(entries);
}

void state_transfers::stored() {
  const bool comes = taken_ && taken_->purpose == transfer_purpose::join;
  if (!comes && !kept_) journal_.drop();
}

void state_transfers::found(std::optional<kept_transfer> kept) {
  knows_kept_ = true;
  if (!kept) return;
  journal_.found(kept->bytes);
  kept_ = std::move(kept->tree);
}

void state_transfers::end(bool keeps, std::uint64_t now_ms) {
  kept_ms_ = now_ms;
  if (keeps && (taken_->has_kept || taken_->pull.received() > 0)) kept_ = taken_->pull.tree();
  if (!keeps && taken_->purpose == transfer_purpose::join) journal_.drop();
  taken_.reset();
}

void state_transfers::forget(peer_id peer, std::uint64_t now_ms) {
  given_.erase(peer);
  if (from(peer)) end(taken_->purpose == transfer_purpose::join, now_ms);
}

std::optional<state_transfers::due> state_transfers::tick(std::uint64_t now_ms) {
  std::erase_if(given_, [now_ms](const auto& each) {
    return each.second.offered && each.second.used_ms + offer_lasts_ms < now_ms;
  });
  if (!kept_ms_) kept_ms_ = now_ms;
  if (!taken_ && kept_ && *kept_ms_ + takes_at_most_ms < now_ms) {
    kept_.reset();
    journal_.drop();
  }
  if (!taken_) return std::nullopt;
  if (taken_->answered_ms + give_up_ms < now_ms || taken_->begun_ms + takes_at_most_ms < now_ms) {
    const due over{taken_->peer, taken_->purpose, std::nullopt};
    end(over.purpose == transfer_purpose::join, now_ms);
    return over;
  }
  if (taken_->asked_ms + ask_again_ms >= now_ms) return std::nullopt;
  taken_->asked_ms = now_ms;
  return due{taken_->peer, taken_->purpose, taken_->pull.question()};
}

}  // namespace troupe
