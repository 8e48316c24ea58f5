#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/value.hpp>

namespace troupe {

/// One thing that is wrong with the arguments of a command.
struct argument_problem {
  std::string parameter;               ///< As given. Empty for a word that belongs to no parameter.
  std::string expected;                ///< What would be right, such as `an integer from 1 to 10`.
  std::string received;                ///< What came, shortened JSON, or `nothing`.
  std::string suggestion;              ///< The nearest valid spelling or value, or empty.
  std::optional<std::size_t> where{};  ///< Byte offset in the text of the arguments.

  friend bool operator==(const argument_problem&, const argument_problem&) = default;
};

/// Further problems are counted, not listed.
inline constexpr std::size_t max_listed_problems = 64;

/// The `invalid_argument` error for a command with these problems (at least one). The message names
/// the first few; the detail is the map `{problems: [{parameter, expected, received, suggestion?,
/// where?}...], omitted?: count}`.
error invalid_arguments(std::string_view command, const std::vector<argument_problem>& problems);

/// A value for an error message: its JSON, or kind and size when the JSON is long.
std::string shown(const value& given);

/// Untrusted text for an error message: quoted, shortened between characters, without control
/// characters.
std::string in_quotes(std::string_view text);

}  // namespace troupe
