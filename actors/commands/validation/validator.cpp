#include <troupe/actors/commands/validation/validator.hpp>

#include <algorithm>
#include <bitset>
#include <map>
#include <ranges>
#include <string>

#include <fmt/format.h>

#include <troupe/actors/commands/validation/conversion.hpp>
#include <troupe/messages/text/spelling.hpp>

namespace troupe {

namespace {

constexpr auto rule_name = [](const parameter_rule& rule) -> std::string_view {
  return rule.spec().name;
};

}  // namespace

result<validator> validator::make(std::shared_ptr<const command_spec> spec,
                                  std::vector<custom_check> checks) {
  if (spec->parameters.size() > max_parameters)
    return fail(error_code::limit_exceeded,
                fmt::format("it has {} parameters; at most {} are accepted",
                            spec->parameters.size(), max_parameters));
  validator made{std::move(spec)};
  std::size_t pattern_size = 0;
  for (const parameter_spec& parameter : made.spec_->parameters) {
    if (made.find_rule(parameter.name, 0) != made.rules_.size())
      return fail(error_code::invalid_argument,
                  fmt::format("parameter {}: it is defined twice", in_quotes(parameter.name)));
    const auto own = std::ranges::find(checks, parameter.name, &custom_check::parameter);
    auto rule = parameter_rule::make(parameter,
                                     own != checks.end() ? std::move(own->check) : value_check{});
    if (!rule) return fail(std::move(rule.error()));
    pattern_size += rule->pattern_size();
    if (pattern_size > max_pattern_size)
      return fail(error_code::limit_exceeded,
                  fmt::format("parameter {}: with its pattern, all patterns have {} instructions; "
                              "at most {} are accepted",
                              in_quotes(parameter.name), pattern_size, max_pattern_size));
    made.rules_.push_back(*std::move(rule));
    if (own != checks.end()) checks.erase(own);
  }
  if (!checks.empty())
    return fail(
        error_code::invalid_argument,
        fmt::format("there is a check for {}, which is not a parameter or has a check already{}",
                    in_quotes(checks.front().parameter),
                    did_you_mean(nearest(checks.front().parameter,
                                         made.rules_ | std::views::transform(rule_name)))));
  return made;
}

std::size_t validator::find_rule(std::string_view name, std::size_t hint) const noexcept {
  if (hint < rules_.size() && rule_name(rules_[hint]) == name) return hint;
  return static_cast<std::size_t>(std::ranges::find(rules_, name, rule_name) - rules_.begin());
}

/// One validation: the parameters seen so far, and the problems found.
class validator::run {
public:
  run(const validator& rules, arguments& given)
      : rules_(rules.rules_), validator_(rules), given_(given.entries()) {}

  void add(std::vector<argument_problem> found) { problems_ = std::move(found); }

  /// Replaces each text that is a value of its parameter's type by that value.
  void read_values() {
    for (std::size_t i = 0; i < given_.size(); ++i) {
      const std::size_t at = validator_.find_rule(given_[i].first, i);
      const auto text = at < rules_.size() ? given_[i].second.as_string() : std::nullopt;
      if (!text) continue;
      auto meant = read_text(*text, rules_[at].spec().type);
      if (meant)
        given_[i].second = *std::move(meant);
      else if (meant.error().code == error_code::limit_exceeded)
        beyond_limits_.emplace(i, std::move(meant.error().message));
    }
  }

  /// @param offsets of the entries, or empty for arguments that were not typed.
  void check(std::span<const std::size_t> offsets) {
    std::bitset<max_parameters> absent_by_nil;
    for (std::size_t i = 0; i < given_.size(); ++i) {
      auto& [name, given] = given_[i];
      const std::size_t before = problems_.size();
      const std::size_t at = validator_.find_rule(name, i);
      if (at == rules_.size()) {
        note_unknown(name, given);
      } else if (seen_[at]) {
        problems_.push_back({name, "one value", "a second value, " + shown(given), {}});
      } else if (seen_[at] = true; given.is_nil() && rules_[at].takes_nil_as_absent()) {
        absent_by_nil[at] = true;
      } else if (const auto beyond = beyond_limits_.find(i); beyond != beyond_limits_.end()) {
        problems_.push_back(
            {name,
             fmt::format("{} within limits ({})", rules_[at].expectation(), beyond->second),
             shown(given),
             {}});
      } else if (auto problem = rules_[at].check(given)) {
        problems_.push_back(*std::move(problem));
      }
      if (problems_.size() > before && i < offsets.size()) problems_.back().where = offsets[i];
    }
    for (std::size_t at = 0; at < rules_.size(); ++at) {
      if (absent_by_nil[at])
        std::erase_if(given_,
                      [&](const auto& entry) { return entry.first == rules_[at].spec().name; });
      if (!seen_[at]) complete(rules_[at]);
    }
  }

  result<void> outcome(std::string_view command) const {
    if (problems_.empty()) return {};
    return fail(invalid_arguments(command, problems_));
  }

private:
  void note_unknown(const std::string& name, const value& given) {
    const auto names = rules_ | std::views::transform(rule_name);
    std::string expected = rules_.empty() ? "no parameters" : "one of the parameters";
    for (std::size_t i = 0; i < rules_.size(); ++i)
      expected += (i > 0 ? ", " : " ") + rules_[i].spec().name;
    auto close =
        problems_.size() < max_listed_problems ? nearest(name, names) : std::vector<std::string>{};
    problems_.push_back(
        {name, std::move(expected), shown(given), close.empty() ? std::string{} : close.front()});
  }

  void complete(const parameter_rule& rule) {
    if (rule.default_value())
      given_.emplace_back(rule.spec().name, *rule.default_value());
    else if (rule.is_required())
      problems_.push_back({rule.spec().name, rule.expectation(), "nothing", {}});
  }

  const std::vector<parameter_rule>& rules_;
  const validator& validator_;
  std::vector<arguments::entry>& given_;
  std::bitset<max_parameters> seen_;
  std::vector<argument_problem> problems_;
  /// Why a typed value passes the limits of values, by its index.
  std::map<std::size_t, std::string> beyond_limits_;
};

namespace {

result<void> bounded(const command_spec& spec, const arguments& given) {
  if (given.entries().size() <= validator::max_arguments) return {};
  return fail(error_code::limit_exceeded,
              fmt::format("command {} was given {} arguments; no command takes more than {}",
                          in_quotes(spec.name), given.entries().size(), validator::max_arguments));
}

}  // namespace

/// The fast path: each parameter is given once, in the order of the specification.
bool validator::accepts_in_order(arguments& given) const {
  auto& entries = given.entries();
  if (entries.size() != rules_.size()) return false;
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (entries[i].first != rule_name(rules_[i]) || !rules_[i].accepts(entries[i].second))
      return false;
  return true;
}

result<void> validator::validate(arguments& given) const {
  if (accepts_in_order(given)) return {};
  if (auto few = bounded(*spec_, given); !few) return few;
  run checking{*this, given};
  checking.check({});
  return checking.outcome(spec_->name);
}

result<void> validator::validate(text_arguments& given) const {
  if (auto few = bounded(*spec_, given.values); !few) return few;
  run checking{*this, given.values};
  checking.add(given.problems);
  checking.read_values();
  checking.check(given.offsets);
  return checking.outcome(spec_->name);
}

}  // namespace troupe
