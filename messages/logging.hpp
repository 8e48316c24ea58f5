#pragma once

#include <array>
#include <cstdint>

#include <troupe/messages/wire/field.hpp>

namespace troupe {

/// How important a log line is.
enum class log_severity : std::uint8_t { debug, info, warning, error, critical };
template <>
struct enum_names<log_severity> {
  static constexpr std::array<enumerator<log_severity>, 5> names{
      {{log_severity::debug, "debug"},
       {log_severity::info, "info"},
       {log_severity::warning, "warning"},
       {log_severity::error, "error"},
       {log_severity::critical, "critical"}}};
};

/// The form of log lines.
enum class log_format : std::uint8_t { text, json };
template <>
struct enum_names<log_format> {
  static constexpr std::array<enumerator<log_format>, 2> names{
      {{log_format::text, "text"}, {log_format::json, "json"}}};
};

}  // namespace troupe
