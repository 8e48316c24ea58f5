#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include <troupe/actors/commands/validation/argument_problem.hpp>
#include <troupe/messages/command.hpp>

namespace troupe {

/// Typed arguments: each value is still its text, with its offset. `validator::validate` turns the
/// texts into values of the parameters' types.
struct text_arguments {
  arguments values;
  std::vector<std::size_t> offsets;        ///< Of the values, in the order of `values`.
  std::vector<argument_problem> problems;  ///< Of words that became no value.
};

/// Sorts the words of a command line into the arguments of a command.
///
/// - `name=value` gives the named parameter, when the part before the first `=` is a valid
///   parameter name. The validator reports an unknown one.
/// - Any other word gives the next parameter, in the order of the specification, that no word
///   names.
/// - A word `--` is left out. All words after it are positional, even those with a `=`.
///
/// The parameter's type decides how its value is read (see `read_text`): `tags=["a","b"]` is a
/// list, and `42` stays text for a string. Words without a parameter become problems.
///
/// Offsets count bytes in the words joined by single spaces. O(words × parameters).
text_arguments parse_text(const command_spec& spec, std::span<const std::string_view> words);

}  // namespace troupe
