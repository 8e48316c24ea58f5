#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <troupe/messages/ids.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

namespace troupe {

/// One line of the audit trail: what happened to a principal, its subject, and the rule.
struct audit_record {
  std::uint64_t time_ms = 0;  ///< Since 1970.
  std::string event;  ///< `plugin.denied`, `plugin.granted`, `plugin.revoked`, `plugin.started`,
                      ///< `plugin.ended` …
  std::string principal;
  std::string subject;  ///< The capability or thing in question.
  std::string rule;     ///< What decided.
  trace_id trace;
  static constexpr auto fields() {
    return std::tuple{required("time_ms", &audit_record::time_ms),
                      required("event", &audit_record::event),
                      required("principal", &audit_record::principal),
                      required("subject", &audit_record::subject),
                      required("rule", &audit_record::rule),
                      optional("trace", &audit_record::trace)};
  }
  friend bool operator==(const audit_record&, const audit_record&) = default;
};

/// `audit.search`: the newest records, newest first.
struct search_audit {
  static constexpr std::string_view method = "audit.search";
  using answer = struct audit_list;
  static constexpr method_access access{.service = service::audit,
                                        .callers = called_by::clients,
                                        .summary = "the newest audit records",
                                        .reads = true};

  std::string principal;      ///< Only of this principal; empty for all.
  std::string event;          ///< Only this event; empty for all.
  std::uint32_t limit = 100;  ///< At most 1,000.
  static constexpr auto fields() {
    return std::tuple{optional("principal", &search_audit::principal),
                      optional("event", &search_audit::event),
                      optional("limit", &search_audit::limit)};
  }
  friend bool operator==(const search_audit&, const search_audit&) = default;
};

/// The answer to `search_audit`.
struct audit_list {
  std::vector<audit_record> records;
  static constexpr auto fields() { return std::tuple{required("records", &audit_list::records)}; }
  friend bool operator==(const audit_list&, const audit_list&) = default;
};

}  // namespace troupe
