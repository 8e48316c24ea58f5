#include <troupe/actors/kernel/log.hpp>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <fmt/format.h>

#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

/// Writes the message of a line as the content of a JSON string.
class json_text_flag : public spdlog::custom_flag_formatter {
public:
  void format(const spdlog::details::log_msg& line, const std::tm&,
              spdlog::memory_buf_t& out) override {
    for (const char c : repaired_utf8({line.payload.data(), line.payload.size()})) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out.push_back('\\');
        out.push_back(c);
      } else if (byte < 0x20) {
        fmt::format_to(fmt::appender(out), "\\u{:04x}", byte);
      } else {
        out.push_back(c);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<json_text_flag>();
  }
};

std::unique_ptr<spdlog::formatter> make_formatter(log_format format) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  if (format == log_format::text) {
    formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%L%$ %n %v");
  } else {
    formatter->add_flag<json_text_flag>('*');
    formatter->set_pattern(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","subsystem":"%n","line":"%*"})");
  }
  return formatter;
}

}  // namespace

log_target::log_target() : sink_(std::make_shared<spdlog::sinks::null_sink_mt>()) {}

log_target::log_target(spdlog::sink_ptr sink, log_format format, spdlog::level::level_enum level)
    : sink_(std::move(sink)), format_(format), level_(level) {
  sink_->set_formatter(make_formatter(format_));
}

std::shared_ptr<spdlog::logger> log_target::logger(std::string_view subsystem) const {
  auto made = std::make_shared<spdlog::logger>(std::string{subsystem}, sink_);
  made->set_level(level_);
  made->flush_on(spdlog::level::warn);
  return made;
}

log_target standard_error_log(log_format format, spdlog::level::level_enum level) {
  return {std::make_shared<spdlog::sinks::stderr_sink_mt>(), format, level};
}

spdlog::level::level_enum to_spdlog(log_severity severity) noexcept {
  switch (severity) {
    case log_severity::debug: return spdlog::level::debug;
    case log_severity::info: return spdlog::level::info;
    case log_severity::warning: return spdlog::level::warn;
    case log_severity::error: return spdlog::level::err;
    case log_severity::critical: break;
  }
  return spdlog::level::critical;
}

namespace {

/// Makes text fit for a line. @param marked Characters that get a `\` before them.
std::string escaped(std::string_view text, std::size_t max_bytes, std::string_view marked) {
  std::string shown;
  const std::string repaired = repaired_utf8(text.substr(0, max_bytes));
  for (std::size_t at = 0; at < repaired.size(); ++at) {
    const auto byte = static_cast<unsigned char>(repaired[at]);
    const auto next = at + 1 < repaired.size() ? static_cast<unsigned char>(repaired[at + 1]) : 0u;
    if (byte < 0x20 || byte == 0x7f) {
      shown += fmt::format("\\x{:02x}", byte);
    } else if (byte == 0xc2 &&
               next <
                   0xa0) {  // U+0080 to U+009F, among them another beginning of terminal sequences
      shown += fmt::format("\\u{:04x}", next);
      ++at;
    } else {
      if (marked.find(repaired[at]) != std::string_view::npos) shown += '\\';
      shown += repaired[at];
    }
  }
  if (text.size() > max_bytes) shown += fmt::format("… ({} bytes more)", text.size() - max_bytes);
  return shown;
}

}  // namespace

std::string printable(std::string_view text, std::size_t max_bytes) {
  return escaped(text, max_bytes, {});
}

std::string printable_quoted(std::string_view text, std::size_t max_bytes) {
  return '"' + escaped(text, max_bytes, "\"\\") + '"';
}

}  // namespace troupe
