#include <troupe/actors/monitor/audit_trail.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

std::string shortened(std::string_view text) {
  constexpr std::string_view mark = "…";
  constexpr auto most = audit_trail::max_text_bytes;
  if (text.size() <= most) return repaired_utf8(text);
  return repaired_utf8(utf8_prefix(text, most - mark.size())).append(mark);
}

}  // namespace

audit_record audit_trail::admit(audit_record record, std::uint64_t now_ms) {
  for (auto* text : {&record.event, &record.principal, &record.subject, &record.rule})
    *text = shortened(*text);
  if (record.time_ms == 0) record.time_ms = now_ms;
  return record;
}

void audit_trail::add(audit_record record) {
  newest_.push_back(std::move(record));
  if (newest_.size() > max_records_) newest_.pop_front();
}

audit_list audit_trail::search(const search_audit& wanted) const {
  audit_list found;
  const auto limit = std::min(wanted.limit, max_results);
  for (auto at = newest_.rbegin(); at != newest_.rend() && found.records.size() < limit; ++at) {
    const bool matches = (wanted.principal.empty() || at->principal == wanted.principal) &&
                         (wanted.event.empty() || at->event == wanted.event);
    if (matches) found.records.push_back(*at);
  }
  return found;
}

}  // namespace troupe
