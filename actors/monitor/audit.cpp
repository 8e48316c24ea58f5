#include <troupe/actors/monitor/audit.hpp>

#include <deque>

#include <troupe/actors/kernel/shell.hpp>
#include <troupe/actors/links/serving.hpp>
#include <troupe/actors/monitor/audit_file.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

constexpr std::uint32_t max_results = 1000;
constexpr std::size_t max_text_bytes = 1024;

/// Cuts a text at `max_text_bytes`, in whole characters. It may come from a party that sends any
/// amount.
std::string shortened(std::string_view text) {
  constexpr std::string_view mark = "…";
  if (text.size() <= max_text_bytes) return repaired_utf8(text);
  return repaired_utf8(utf8_prefix(text, max_text_bytes - mark.size())).append(mark);
}

/// Cuts all texts of a record, so that the bound on records bounds the memory.
audit_record shortened(audit_record record) {
  for (auto* text : {&record.event, &record.principal, &record.subject, &record.rule})
    *text = shortened(*text);
  return record;
}

class audit_state {
public:
  using interface = audit_actor;
  static constexpr const char* name = "audit";

  audit_state(interface::pointer, audit_setup setup)
      : setup_(std::move(setup)),
        file_(setup_.directory, setup_.max_file_bytes),
        log_(setup_.log.logger("audit")) {
    for (auto& record : file_.load(setup_.max_in_memory))
      newest_.push_back(shortened(std::move(record)));
  }

  interface::behavior_type make_behavior() {
    return {
        [this](audit_record& record) -> caf::result<void> { return reply(add(std::move(record))); },
        [this](const search_audit& wanted) { return search(wanted); },
        [this](service_call& call) {
          return serve_method(message_types<search_audit>{}, call,
                              [this](const search_audit& wanted, auto&) { return search(wanted); });
        },
        [](const service_notification&) {},
    };
  }

private:
  result<void> add(audit_record record) {
    record = shortened(std::move(record));
    if (record.time_ms == 0) record.time_ms = setup_.clock();
    log_->info("audit.{} principal={} subject={} rule={}", printable(record.event),
               printable_quoted(record.principal, 128), printable_quoted(record.subject, 1024),
               printable_quoted(record.rule, 1024));
    auto written = file_.append(record);
    if (!written)
      log_->error("audit.write_failed reason={}", printable_quoted(written.error().message));
    newest_.push_back(std::move(record));
    if (newest_.size() > setup_.max_in_memory) newest_.pop_front();
    return written;
  }

  audit_list search(const search_audit& wanted) const {
    audit_list found;
    const auto limit = std::min(wanted.limit, max_results);
    for (auto at = newest_.rbegin(); at != newest_.rend() && found.records.size() < limit; ++at) {
      const bool matches = (wanted.principal.empty() || at->principal == wanted.principal) &&
                           (wanted.event.empty() || at->event == wanted.event);
      if (matches) found.records.push_back(*at);
    }
    return found;
  }

  audit_setup setup_;
  audit_file file_;
  std::shared_ptr<spdlog::logger> log_;
  std::deque<audit_record> newest_;
};

}  // namespace

audit_actor spawn_audit(caf::actor_system& system, audit_setup setup) {
  return spawn_blocking<audit_state>(system, std::move(setup));
}

child_spec audit_child(caf::actor_system& system, audit_setup setup,
                       on_started<audit_actor> started) {
  return make_child(
      "audit", [&system, setup = std::move(setup)] { return spawn_audit(system, setup); },
      std::move(started));
}

}  // namespace troupe
