#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace troupe {

/// All kinds of failures. The host API, the actors, the wire and the exit codes of the command line
/// use these and no others. The names travel on the wire; the numbers do not.
enum class error_code : std::uint8_t {
  none = 0,             ///< No error. Never sent.
  invalid_argument,     ///< A parameter, file, path or setting is malformed.
  not_found,            ///< The named thing does not exist.
  already_exists,       ///< The name is taken.
  failed_precondition,  ///< What the request requires of the state does not hold.
  permission_denied,    ///< The principal may not do this.
  limit_exceeded,       ///< A documented bound was passed.
  overloaded,           ///< Refused for now; the detail may carry `retry_after_ms`.
  deadline_exceeded,    ///< No answer in time. The work may or may not have happened.
  cancelled,            ///< The caller cancelled the request.
  unavailable,          ///< The other side has ended, is stopping or has not started.
  plugin_crashed,       ///< The plugin died while the call was in flight.
  protocol_violation,   ///< The other side broke the protocol.
  version_mismatch,     ///< No protocol or format version is shared.
  storage_failure,      ///< The disk refused, is full or failed.
  corrupt_data,         ///< Stored or received data fails its check.
  handler_failed,       ///< A command's handler reported or threw an error.
  internal,             ///< A defect of Troupe itself.
};

/// The wire name of a code, such as `"not_found"`; `"internal"` for an unlisted value.
std::string_view to_string(error_code code) noexcept;

/// The code with this wire name, or nothing.
std::optional<error_code> parse_error_code(std::string_view name) noexcept;

/// All codes with their wire names, in the order of their values.
struct error_code_name {
  error_code code;
  std::string_view name;
};
inline constexpr std::array<error_code_name, 18> error_code_names{{
    {error_code::none, "none"},
    {error_code::invalid_argument, "invalid_argument"},
    {error_code::not_found, "not_found"},
    {error_code::already_exists, "already_exists"},
    {error_code::failed_precondition, "failed_precondition"},
    {error_code::permission_denied, "permission_denied"},
    {error_code::limit_exceeded, "limit_exceeded"},
    {error_code::overloaded, "overloaded"},
    {error_code::deadline_exceeded, "deadline_exceeded"},
    {error_code::cancelled, "cancelled"},
    {error_code::unavailable, "unavailable"},
    {error_code::plugin_crashed, "plugin_crashed"},
    {error_code::protocol_violation, "protocol_violation"},
    {error_code::version_mismatch, "version_mismatch"},
    {error_code::storage_failure, "storage_failure"},
    {error_code::corrupt_data, "corrupt_data"},
    {error_code::handler_failed, "handler_failed"},
    {error_code::internal, "internal"},
}};

/// A failure: its kind, its description for people, and structured detail for programs.
struct error {
  error_code code = error_code::internal;
  std::string message;  ///< One sentence that names what is wrong and what would be right. UTF-8;
                        ///< other bytes are repaired when it is sent.
  std::string detail;   ///< A msgpack map, or empty. See `value::from_msgpack`. Other text is sent
                        ///< as a string.

  friend bool operator==(const error&, const error&) = default;
};

/// `"code: message"`, for logs and terminals.
std::string to_string(const error& failure);

/// A value or an error. Actor handlers, public calls and parsers return this.
template <class T>
using result = tl::expected<T, error>;

/// Makes a failed `result` of any type.
inline tl::unexpected<error> fail(error_code code, std::string message, std::string detail = {}) {
  return tl::unexpected<error>(error{code, std::move(message), std::move(detail)});
}

/// The same from the error of another result.
inline tl::unexpected<error> fail(error failure) {
  return tl::unexpected<error>(std::move(failure));
}

}  // namespace troupe
