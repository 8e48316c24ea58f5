#pragma once

#include <functional>
#include <optional>
#include <string>

#include <troupe/actors/commands/validation/argument_problem.hpp>
#include <troupe/actors/commands/validation/text_pattern.hpp>
#include <troupe/messages/command.hpp>

namespace troupe {

/// A check that a specification cannot express. Returns nothing for an accepted value, else what is
/// expected, such as `"an even number"`. Called only for values of the parameter's type that pass
/// all other constraints.
using value_check = std::function<std::optional<std::string>(const value&)>;

/// What one parameter accepts, compiled from its specification.
class parameter_rule {
public:
  /// @param spec must outlive this object. @param check may be empty.
  /// The error names the parameter and its defect: a malformed name, bounds that do not fit the
  /// type or each other, choices or a pattern for another type than string, a pattern that does not
  /// compile, a default that the rule refuses.
  static result<parameter_rule> make(const parameter_spec& spec, value_check check);

  /// The rule's specification, not owned by the rule.
  const parameter_spec& spec() const noexcept { return *spec_; }
  /// The value of an absent parameter, of the parameter's type. Nothing for a required parameter,
  /// and for an optional one whose default is nil.
  const std::optional<value>& default_value() const noexcept { return default_; }
  /// True when a request must give the parameter.
  bool is_required() const noexcept { return !spec_->default_value.has_value(); }
  /// True when nil means that the parameter is absent instead of being its value.
  bool takes_nil_as_absent() const noexcept {
    return spec_->type != parameter_type::any && !is_required() && !default_.has_value();
  }

  /// Converts the value to the parameter's type. Returns nothing for an accepted value, without
  /// allocation.
  std::optional<argument_problem> check(value& given) const;

  /// A quick `check`: converts the value and returns true when it is accepted. May return false for
  /// an accepted value that needs the custom check or means an absent parameter.
  bool accepts(value& given) const;

  /// `text_pattern::size` of its pattern; 0 without one.
  std::size_t pattern_size() const { return pattern_ ? pattern_->size() : 0; }

  /// What the rule accepts, in words: `an integer from 1 to 10`.
  std::string expectation() const;

private:
  explicit parameter_rule(const parameter_spec& spec, value_check check)
      : spec_(&spec), check_(std::move(check)) {}

  std::optional<std::string> find_defect() const;
  bool within_bounds(const value& given) const noexcept;
  bool within_strings(const value& given) const;
  std::string suggestion_for(const value& given) const;
  argument_problem problem(const value& given, std::string expected) const;

  const parameter_spec* spec_;
  value_check check_;
  std::optional<text_pattern> pattern_;
  std::optional<value> default_;
};

/// True for a valid parameter name: a letter or `_`, then letters, digits, `_` and `-`, at most 64
/// bytes.
bool is_parameter_name(std::string_view name) noexcept;

}  // namespace troupe
