#include <troupe/actors/context/change_reports.hpp>

#include <utility>

namespace troupe {

std::string changes_are(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " change is" : " changes are");
}

void change_reports::conflict(const change_record& change, std::vector<sync_effect>& effects) {
  if (!conflicts_.admit()) return;
  effects.push_back(sync_log_line{log_severity::info,
                                  "context.conflict",
                                  {{"path", foreign_text{change.path.text(), path::max_bytes}},
                                   {"dot", to_string(change.dot)}}});
}

void change_reports::problem(const dot& id, const node_id& from, const apply_outcome& outcome,
                             std::vector<sync_effect>& effects) {
  if (!(outcome.alarm ? alarms_ : refusals_).admit()) return;
  const auto* event = !outcome.alarm ? "context.change_refused"
                      : outcome.problem->code == error_code::corrupt_data
                          ? "context.equivocation"
                          : "context.identity_claimed";
  effects.push_back(sync_log_line{outcome.alarm ? log_severity::critical : log_severity::warning,
                                  event,
                                  {{"dot", to_string(id)},
                                   {"from", to_string(from)},
                                   {"reason", foreign_text{outcome.problem->message}}}});
}

void change_reports::lost(const dot& last, std::vector<sync_effect>& effects) {
  if (!losses_.admit()) return;
  effects.push_back(sync_log_line{
      log_severity::warning,
      "context.transaction_lost",
      {{"node", to_string(last.origin)}, {"incarnation", last.incarnation}, {"seq", last.seq}}});
}

void change_reports::loss_denied(const node_id& by, const node_id& of,
                                 std::vector<sync_effect>& effects) {
  if (!denials_.admit()) return;
  effects.push_back(sync_log_line{
      log_severity::error, "context.loss_denied", {{"by", to_string(by)}, {"of", to_string(of)}}});
}

void change_reports::tick(std::uint64_t steady_ms, std::vector<sync_effect>& effects) {
  if (steady_ms < next_second_ms_) return;
  next_second_ms_ = steady_ms + 1000;
  const auto report = [&](rate_window& lines, log_severity severity, std::string_view event) {
    if (const auto more = lines.renew())
      effects.push_back(sync_log_line{severity, event, {{"more", more}}});
  };
  report(conflicts_, log_severity::info, "context.conflicts");
  report(refusals_, log_severity::warning, "context.changes_refused");
  report(alarms_, log_severity::critical, "context.alarms");
  report(losses_, log_severity::warning, "context.transactions_lost");
  report(denials_, log_severity::error, "context.losses_denied");
}

}  // namespace troupe
