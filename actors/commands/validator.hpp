#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/actors/commands/argument_problem.hpp>
#include <troupe/actors/commands/parameter_rule.hpp>
#include <troupe/actors/commands/parse_text.hpp>
#include <troupe/messages/command.hpp>

namespace troupe {

/// A check of one parameter that is registered beside its specification.
struct custom_check {
  std::string parameter;
  value_check check;
};

/// The third step of a command: are these arguments what the command takes? Compiled once from the
/// specification and immutable afterwards.
class validator {
public:
  /// A specification with more parameters is refused.
  static constexpr std::size_t max_parameters = 64;
  /// Of the compiled patterns of one specification together: bounds the time that one request can
  /// take to match.
  static constexpr std::size_t max_pattern_size = 4000;
  /// Requests with more arguments are refused without looking at each.
  static constexpr std::size_t max_arguments = troupe::max_arguments;

  /// The error names the parameter and what is wrong with its specification; see
  /// `parameter_rule::make`. Parameters have unique names, and there is at most one check for each
  /// of them.
  static result<validator> make(std::shared_ptr<const command_spec> spec,
                                std::vector<custom_check> checks = {});

  /// Checks values, converts them where nothing is lost (see `convert_exactly`) and adds the
  /// defaults of absent parameters. Nil for an optional parameter without a default value counts as
  /// absent and is taken out.
  ///
  /// Finds all problems at once: unknown, repeated and missing parameters, wrong types, ranges,
  /// choices, patterns, custom checks. The error is that of `invalid_arguments`; the arguments may
  /// be partly converted then. O(arguments) when they come in the order of the specification.
  /// Allocates only for defaults, conversions and problems.
  result<void> validate(arguments& given) const;

  /// The same for arguments that came as text: reads every value by its parameter's type first, and
  /// says where in the text each problem is.
  result<void> validate(text_arguments& given) const;

private:
  class run;

  explicit validator(std::shared_ptr<const command_spec> spec) : spec_(std::move(spec)) {}
  /// The position of the rule for this name, or that of no rule. `hint` is tried first.
  std::size_t find_rule(std::string_view name, std::size_t hint) const noexcept;
  bool accepts_in_order(arguments& given) const;

  std::shared_ptr<const command_spec> spec_;
  std::vector<parameter_rule> rules_;
};

}  // namespace troupe
