#pragma once

#include <functional>
#include <optional>
#include <string>

#include <troupe/actors/commands/argument_problem.hpp>
#include <troupe/actors/commands/text_pattern.hpp>
#include <troupe/messages/command.hpp>

namespace troupe {

/// A check beyond what a specification can say. Returns nothing when the value is fine, else what
/// would be right, such as `"an even number"`. Called only with values of the parameter's type that
/// pass all its other constraints.
using value_check = std::function<std::optional<std::string>(const value&)>;

/// What one parameter accepts, compiled from its specification.
class parameter_rule {
public:
  /// @param spec must outlive this object. @param check may be empty.
  /// The error names the parameter and what is wrong: a malformed name, bounds that do not fit the
  /// type or each other, choices or a pattern for what is not a string, a pattern that does not
  /// compile, a default that the rule refuses.
  static result<parameter_rule> make(const parameter_spec& spec, value_check check);

  /// The specification that the rule was made from; it is not owned by the rule.
  const parameter_spec& spec() const noexcept { return *spec_; }
  /// What an absent parameter becomes, of the parameter's own type. Nothing for a required one, and
  /// for an optional one without a value of its own (whose specified default is nil).
  const std::optional<value>& default_value() const noexcept { return default_; }
  /// True when a request must name the parameter.
  bool is_required() const noexcept { return !spec_->default_value.has_value(); }
  /// True when nil says that the parameter is absent, rather than being a value of it.
  bool takes_nil_as_absent() const noexcept {
    return spec_->type != parameter_type::any && !is_required() && !default_.has_value();
  }

  /// Nothing when the value is accepted, after it was made one of the parameter's type. Does not
  /// allocate then.
  std::optional<argument_problem> check(value& given) const;

  /// True for a value that `check` accepts, after it was made one of the parameter's type. May be
  /// false for one that has to pass a check of its own or that stands for an absent parameter;
  /// `check` and `takes_nil_as_absent` tell of these.
  bool accepts(value& given) const;

  /// `text_pattern::size` of its pattern; 0 without one.
  std::size_t pattern_size() const { return pattern_ ? pattern_->size() : 0; }

  /// What is accepted, in words: `an integer from 1 to 10`.
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

/// True for a name that a parameter may have: a letter or `_`, then letters, digits, `_` and `-`;
/// at most 64 bytes.
bool is_parameter_name(std::string_view name) noexcept;

}  // namespace troupe
