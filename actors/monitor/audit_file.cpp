#include <troupe/actors/monitor/audit_file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include <troupe/messages/text/utf8.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/plugins/write_all.hpp>

namespace troupe {

namespace {

std::string text_of(const value& line, std::string_view key) {
  const auto found = line.find(key);
  return found ? std::string{found->as_string().value_or("")} : std::string{};
}

/// True when the last line was cut off, by a full disk or a crash. The next line must not become
/// part of it.
bool ends_torn(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary | std::ios::ate};
  return in.tellg() > 0 && in.seekg(-1, std::ios::end).get() != '\n';
}

}  // namespace

std::string to_json_line(const audit_record& record) {
  return value::map({{"time_ms", record.time_ms},
                     {"event", repaired_utf8(record.event)},
                     {"principal", repaired_utf8(record.principal)},
                     {"subject", repaired_utf8(record.subject)},
                     {"rule", repaired_utf8(record.rule)},
                     {"trace", record.trace.is_nil() ? value{} : value{to_string(record.trace)}}})
      .to_json();
}

result<audit_record> parse_json_line(std::string_view line) {
  auto parsed = value::from_json(line);
  if (!parsed) return fail(std::move(parsed.error()));
  const auto time = parsed->find("time_ms");
  if (!time || !time->as_unsigned())
    return fail(error_code::corrupt_data, "an audit line has no time");
  return audit_record{.time_ms = *time->as_unsigned(),
                      .event = text_of(*parsed, "event"),
                      .principal = text_of(*parsed, "principal"),
                      .subject = text_of(*parsed, "subject"),
                      .rule = text_of(*parsed, "rule"),
                      .trace = {parse_uuid(text_of(*parsed, "trace")).value_or(uuid{})}};
}

audit_file::audit_file(std::filesystem::path directory, std::size_t max_bytes)
    : current_(directory / "audit.jsonl"),
      previous_(directory / "audit.1.jsonl"),
      max_bytes_(max_bytes) {}

std::vector<audit_record> audit_file::load(std::size_t max_records) const {
  std::vector<audit_record> all;
  for (const auto& file : {previous_, current_}) {
    std::ifstream in{file};
    for (std::string line; std::getline(in, line);)
      if (auto record = parse_json_line(line)) all.push_back(std::move(*record));
  }
  if (all.size() > max_records)
    all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(max_records));
  return all;
}

result<void> audit_file::open() {
  if (out_) return {};
  const bool torn = ends_torn(current_);
  out_.reset(::open(current_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  struct stat status {};
  if (!out_ || fstat(out_.get(), &status) != 0) {
    out_.reset();
    return failed("cannot be opened");
  }
  if (S_ISREG(status.st_mode))
    fchmod(out_.get(), 0600);  // others could read files of older versions
  bytes_ = static_cast<std::size_t>(status.st_size);
  if (torn && !write_all(out_.get(), "\n")) {
    out_.reset();
    return failed("cannot be written");
  }
  return {};
}

result<void> audit_file::start_new_file() {
  out_.reset();
  std::error_code problem;
  std::filesystem::rename(current_, previous_, problem);
  if (problem) return failed("is full and cannot be renamed: " + problem.message());
  return open();
}

result<void> audit_file::append(const audit_record& record) {
  const std::string line = to_json_line(record) + '\n';
  if (auto opened = open(); !opened) return opened;
  if (bytes_ > 0 && bytes_ + line.size() > max_bytes_)
    if (auto started = start_new_file(); !started) return started;
  if (!write_all(out_.get(), line)) {
    out_.reset();
    return failed("cannot be written");
  }
  bytes_ += line.size();
  return {};
}

tl::unexpected<error> audit_file::failed(std::string_view how) const {
  return fail(error_code::storage_failure,
              "the audit file " + current_.native() + " " + std::string{how});
}

}  // namespace troupe
