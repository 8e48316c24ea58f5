#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include <troupe/messages/audit.hpp>

namespace troupe {

/// The newest records of the audit trail, for searches: which are kept, how long their texts may
/// be, and which match. At most `max_records` records of at most about 4 KiB each. Pure.
class audit_trail {
public:
  static constexpr std::size_t max_text_bytes = 1024;
  static constexpr std::uint32_t max_results = 1000;

  explicit audit_trail(std::size_t max_records) : max_records_(max_records) {}

  /// The record as the trail keeps it: texts are cut between characters, because they may come from
  /// a party that sends any amount, and a record without a time gets this one.
  /// @param now_ms milliseconds since 1970.
  static audit_record admit(audit_record record, std::uint64_t now_ms);

  /// Keeps an admitted record. At the bound the oldest goes.
  void add(audit_record record);

  /// The newest records that match, newest first. O(records).
  audit_list search(const search_audit& wanted) const;

private:
  std::size_t max_records_;
  std::deque<audit_record> newest_;
};

}  // namespace troupe
