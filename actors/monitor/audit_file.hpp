#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

#include <troupe/messages/audit.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/plugins/unique_fd.hpp>

namespace troupe {

/// The audit trail on disk: JSON lines in `audit.jsonl`, and older ones in `audit.1.jsonl`. Each
/// file has at most `max_bytes`. Only the owner may read them, and started programs do not inherit
/// them.
class audit_file {
public:
  audit_file(std::filesystem::path directory, std::size_t max_bytes);

  /// Reads the newest records, oldest first. Skips lines that are torn or are no records.
  std::vector<audit_record> load(std::size_t max_records) const;

  /// Appends a line, to a new file when this one has no room. Fails with `storage_failure`, also
  /// when the full file cannot be renamed. The next call tries again.
  result<void> append(const audit_record& record);

private:
  result<void> open();
  result<void> start_new_file();
  tl::unexpected<error> failed(std::string_view how) const;

  std::filesystem::path current_;
  std::filesystem::path previous_;
  std::size_t max_bytes_;
  unique_fd out_;
  std::size_t bytes_ = 0;
};

/// One JSON object without line breaks.
std::string to_json_line(const audit_record& record);
/// Reads such a line. Fails with `corrupt_data`, or as `value::from_json` does.
result<audit_record> parse_json_line(std::string_view line);

}  // namespace troupe
