#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include <troupe/actors/commands/argument_problem.hpp>
#include <troupe/messages/command.hpp>

namespace troupe {

/// Arguments as a person typed them: every value is still the string that was typed, and its place
/// is remembered. `validator::validate` turns the strings into values of the parameters' types.
struct text_arguments {
  arguments values;
  std::vector<std::size_t>
      offsets;  ///< Where the value of each entry of `values` begins, in the same order.
  std::vector<argument_problem>
      problems;  ///< What was wrong already before any value was looked at.
};

/// Sorts the words of a command line into the arguments of a command.
///
/// - `name=value`, where the part before the first `=` could be a parameter's name, gives that
/// parameter. Whether there
///   is such a parameter is for the validator to say.
/// - Any other word goes to the next parameter, in the order of the specification, that no word
/// names.
/// - A word `--` is left out and makes all words after it positional, also those with a `=`.
///
/// Values are read by their parameter's type (see `read_text`), so `tags=["a","b"]` is a list and
/// `42` stays text where text is wanted. Words for which there is no parameter left become
/// problems.
///
/// Offsets count bytes in the words joined by single spaces. O(words × parameters).
text_arguments parse_text(const command_spec& spec, std::span<const std::string_view> words);

}  // namespace troupe
