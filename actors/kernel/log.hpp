#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <spdlog/logger.h>

#include <troupe/messages/logging.hpp>

namespace troupe {

/// Where the lines of all subsystems go. Each actor that logs has a copy. The sinks are spdlog's
/// and may be used from any thread.
class log_target {
public:
  /// Discards everything.
  log_target();
  /// @param sink Shared by all subsystems. @param format JSON lines or text.
  log_target(spdlog::sink_ptr sink, log_format format, spdlog::level::level_enum level);

  /// The logger of one subsystem. A line is a stable event id and `key=value` fields:
  ///
  ///     log->warn("plugin.denied plugin={} operation={}", name, printable_quoted(operation));
  std::shared_ptr<spdlog::logger> logger(std::string_view subsystem) const;

private:
  spdlog::sink_ptr sink_;
  log_format format_ = log_format::text;
  spdlog::level::level_enum level_ = spdlog::level::off;
};

/// The target that `troupe run` uses: standard error.
log_target standard_error_log(log_format format, spdlog::level::level_enum level);

/// The same severity in spdlog's words.
spdlog::level::level_enum to_spdlog(log_severity severity) noexcept;

/// Makes text from outside fit for one log line: control characters become `\xNN`, bytes that are
/// not UTF-8 become `?`, and at most `max_bytes` of the text are kept.
std::string printable(std::string_view text, std::size_t max_bytes = 4096);

/// The same in double quotes, for a value that may contain blanks. A `"` or `\` in it is escaped,
/// so that no text can end its field and forge another.
std::string printable_quoted(std::string_view text, std::size_t max_bytes = 4096);

}  // namespace troupe
