#include <troupe/actors/commands/validation/parameter_rule.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include <troupe/actors/commands/validation/conversion.hpp>
#include <troupe/messages/text/spelling.hpp>

namespace troupe {

namespace {

constexpr std::size_t max_name_bytes = 64;
constexpr std::size_t choices_in_words = 8;

constexpr bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

constexpr bool is_number(parameter_type type) noexcept {
  return type == parameter_type::integer || type == parameter_type::floating;
}

constexpr bool has_length(parameter_type type) noexcept {
  return type == parameter_type::string || type == parameter_type::binary ||
         type == parameter_type::array;
}

std::size_t length_of(const value& given) noexcept {
  if (const auto text = given.as_string())
    return static_cast<std::size_t>(std::ranges::count_if(
        *text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
  if (const auto bytes = given.as_binary()) return bytes->size();
  return given.size();
}

std::string_view noun_of(parameter_type type) noexcept {
  switch (type) {
    case parameter_type::any: return "any value";
    case parameter_type::boolean: return "true or false";
    case parameter_type::integer: return "an integer";
    case parameter_type::floating: return "a number";
    case parameter_type::string: return "a string";
    case parameter_type::binary: return "binary data";
    case parameter_type::array: return "an array";
    case parameter_type::map: return "a map";
  }
  return "a value";
}

std::string_view unit_of(parameter_type type) noexcept {
  switch (type) {
    case parameter_type::string: return " characters";
    case parameter_type::binary: return " bytes";
    case parameter_type::array: return " elements";
    default: return "";
  }
}

/// As a person types it: exact whole numbers have no exponent.
std::string in_digits(double number) {
  constexpr double exact_whole = 0x1p63;
  if (std::abs(number) < exact_whole && number == std::trunc(number))
    return fmt::format("{}", static_cast<std::int64_t>(number));
  return fmt::format("{}", number);
}

std::string bounds_in_words(const parameter_spec& spec) {
  const auto unit = unit_of(spec.type);
  if (spec.minimum && spec.maximum)
    return fmt::format(" {} {} to {}{}", unit.empty() ? "from" : "of", in_digits(*spec.minimum),
                       in_digits(*spec.maximum), unit);
  if (spec.minimum) return fmt::format(" of at least {}{}", in_digits(*spec.minimum), unit);
  if (spec.maximum) return fmt::format(" of at most {}{}", in_digits(*spec.maximum), unit);
  return {};
}

std::string choices_in_list(const std::vector<std::string>& choices) {
  std::string text = "one of ";
  for (std::size_t i = 0; i < std::min(choices.size(), choices_in_words); ++i)
    text += (i > 0 ? ", " : "") + in_quotes(choices[i]);
  if (choices.size() > choices_in_words)
    text += fmt::format(" and {} more", choices.size() - choices_in_words);
  return text;
}

}  // namespace

bool is_parameter_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= max_name_bytes && is_letter(name.front()) &&
         std::ranges::all_of(
             name, [](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '-'; });
}

result<parameter_rule> parameter_rule::make(const parameter_spec& spec, value_check check) {
  const auto refuse = [&](std::string_view why) {
    return fail(error_code::invalid_argument,
                fmt::format("parameter {}: {}", in_quotes(spec.name), why));
  };
  parameter_rule rule{spec, std::move(check)};
  if (const auto defect = rule.find_defect()) return refuse(*defect);
  if (!spec.pattern.empty()) {
    auto compiled = text_pattern::compile(spec.pattern);
    if (!compiled) return refuse(compiled.error().message);
    rule.pattern_ = *std::move(compiled);
  }
  if (spec.default_value && !spec.default_value->is_nil()) {
    value initial = *spec.default_value;
    if (const auto problem = rule.check(initial))
      return refuse(
          fmt::format("its default is {}, which is not {}", problem->received, problem->expected));
    rule.default_ = std::move(initial);
  }
  return rule;
}

std::optional<std::string> parameter_rule::find_defect() const {
  if (!is_parameter_name(spec_->name))
    return fmt::format(
        "a name is a letter or _ followed by letters, digits, _ and -, {} bytes at most",
        max_name_bytes);
  if ((spec_->minimum || spec_->maximum) && !is_number(spec_->type) && !has_length(spec_->type))
    return fmt::format("bounds do not apply to the type {}", name_of(spec_->type));
  if ((spec_->minimum && std::isnan(*spec_->minimum)) ||
      (spec_->maximum && std::isnan(*spec_->maximum)))
    return "a bound is not a number";
  if (spec_->minimum && spec_->maximum && *spec_->minimum > *spec_->maximum)
    return fmt::format("its minimum {} is above its maximum {}", *spec_->minimum, *spec_->maximum);
  if (spec_->type == parameter_type::string) return std::nullopt;
  if (!spec_->choices.empty())
    return fmt::format("choices apply to strings, not to the type {}", name_of(spec_->type));
  if (!spec_->pattern.empty())
    return fmt::format("a pattern applies to strings, not to the type {}", name_of(spec_->type));
  return std::nullopt;
}

std::optional<argument_problem> parameter_rule::check(value& given) const {
  if (!convert_exactly(given, spec_->type) || !within_bounds(given) || !within_strings(given))
    return problem(given, expectation());
  if (!check_) return std::nullopt;
  try {
    auto wanted = check_(given);
    if (!wanted) return std::nullopt;
    return problem(given, *std::move(wanted));
  } catch (const std::exception& thrown) {
    return problem(given, fmt::format("{} that its own check can judge (which threw: {})",
                                      expectation(), thrown.what()));
  } catch (...) {
    return problem(given,
                   fmt::format("{} that its own check can judge (which threw)", expectation()));
  }
}

bool parameter_rule::accepts(value& given) const {
  if (check_ || (given.is_nil() && takes_nil_as_absent())) return false;
  return convert_exactly(given, spec_->type) && within_bounds(given) && within_strings(given);
}

bool parameter_rule::within_bounds(const value& given) const noexcept {
  if (!spec_->minimum && !spec_->maximum) return true;
  if (is_number(spec_->type))
    return (!spec_->minimum || compare(given, *spec_->minimum) >= 0) &&
           (!spec_->maximum || compare(given, *spec_->maximum) <= 0);
  const auto length = static_cast<double>(length_of(given));
  return (!spec_->minimum || length >= *spec_->minimum) &&
         (!spec_->maximum || length <= *spec_->maximum);
}

bool parameter_rule::within_strings(const value& given) const {
  if (spec_->choices.empty() && !pattern_) return true;
  const std::string_view text = given.as_string().value_or(std::string_view{});
  return (spec_->choices.empty() ||
          std::ranges::find(spec_->choices, text) != spec_->choices.end()) &&
         (!pattern_ || pattern_->matches(text));
}

argument_problem parameter_rule::problem(const value& given, std::string expected) const {
  return {spec_->name, std::move(expected), shown(given), suggestion_for(given)};
}

std::string parameter_rule::suggestion_for(const value& given) const {
  static constexpr std::array<std::string_view, 2> booleans{"true", "false"};
  const auto nearest_of = [&](const auto& candidates) {
    const auto text = given.as_string();
    auto found = text ? nearest(*text, candidates) : std::vector<std::string>{};
    return found.empty() ? std::string{} : std::move(found.front());
  };
  if (spec_->type == parameter_type::boolean) return nearest_of(booleans);
  if (!spec_->choices.empty()) return nearest_of(spec_->choices);
  if (is_number(spec_->type) &&
      (given.type() == value_type::integer || given.type() == value_type::floating)) {
    const bool whole = spec_->type == parameter_type::integer;
    const auto if_within = [&](double number) {
      return within_bounds(value{number}) ? in_digits(number) : std::string{};
    };
    if (spec_->minimum && compare(given, *spec_->minimum) < 0)
      return if_within(whole ? std::ceil(*spec_->minimum) : *spec_->minimum);
    if (spec_->maximum && compare(given, *spec_->maximum) > 0)
      return if_within(whole ? std::floor(*spec_->maximum) : *spec_->maximum);
  }
  return {};
}

std::string parameter_rule::expectation() const {
  if (!spec_->choices.empty()) return choices_in_list(spec_->choices);
  std::string text = std::string{noun_of(spec_->type)} + bounds_in_words(*spec_);
  if (!spec_->pattern.empty())
    text += fmt::format(" of at most {} bytes that matches {}", text_pattern::max_text_bytes,
                        spec_->pattern);
  return text;
}

}  // namespace troupe
