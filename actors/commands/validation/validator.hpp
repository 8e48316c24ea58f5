#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/commands/validation/argument_problem.hpp>
#include <troupe/actors/commands/validation/parameter_rule.hpp>
#include <troupe/actors/commands/validation/parse_text.hpp>
#include <troupe/messages/command.hpp>

namespace troupe {

/// A check of one parameter that is registered beside its specification.
struct custom_check {
  std::string parameter;
  value_check check;
};

/// The third step of a command: checks and converts its arguments. Compiled once from the
/// specification, then immutable.
class validator {
public:
  /// Specifications with more parameters are refused.
  static constexpr std::size_t max_parameters = 64;
  /// Bounds the compiled patterns of one specification together, and so the time to match one
  /// request.
  static constexpr std::size_t max_pattern_size = 4000;
  /// Requests with more arguments are refused unseen.
  static constexpr std::size_t max_arguments = troupe::max_arguments;

  /// The error names the parameter and the defect of its specification; see `parameter_rule::make`.
  /// Parameters need unique names and have at most one check each.
  static result<validator> make(std::shared_ptr<const command_spec> spec,
                                std::vector<custom_check> checks = {});

  /// Checks values, converts them where nothing is lost (see `convert_exactly`) and adds the
  /// defaults of absent parameters. Removes nil for an optional parameter whose default is nil: it
  /// means absent.
  ///
  /// Reports all problems at once: unknown, repeated and missing parameters, wrong types, ranges,
  /// choices, patterns, custom checks. The error is that of `invalid_arguments`, and the arguments
  /// may be partly converted then. O(arguments) for arguments in the order of the specification.
  /// Allocates only for defaults, conversions and problems.
  result<void> validate(arguments& given) const;

  /// The same for typed arguments: reads each value by its parameter's type first, and gives the
  /// offset of each problem.
  result<void> validate(text_arguments& given) const;

private:
  class run;

  explicit validator(std::shared_ptr<const command_spec> spec) : spec_(std::move(spec)) {}
  /// The index of the rule for this name, or `rules_.size()`. Tries `hint` first.
  std::size_t find_rule(std::string_view name, std::size_t hint) const noexcept;
  bool accepts_in_order(arguments& given) const;

  std::shared_ptr<const command_spec> spec_;
  std::vector<parameter_rule> rules_;
};

}  // namespace troupe
