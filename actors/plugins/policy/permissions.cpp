#include <troupe/actors/plugins/policy/permissions.hpp>

#include <algorithm>
#include <optional>

namespace troupe {

namespace {

/// Whether a segment of a file's path may lead elsewhere than its text says.
bool has_deceptive_segment(std::string_view path) noexcept {
  for (std::size_t begin = 1; begin <= path.size();) {
    const auto end = std::min(path.find('/', begin), path.size());
    const auto segment = path.substr(begin, end - begin);
    if (segment.empty() || segment == "." || segment == "..") return true;
    begin = end + 1;
  }
  return false;
}

bool is_well_formed(capability_verb verb, std::string_view resource) noexcept {
  switch (resource_kind_of(verb)) {
    case resource_kind::none: return resource.empty();
    case resource_kind::name: return !resource.empty();
    case resource_kind::path: break;
  }
  if (verb == capability_verb::fs_read)
    return resource.starts_with('/') && !has_deceptive_segment(resource);
  return resource.empty() || resource.starts_with('/');
}

std::vector<std::string> default_capabilities(std::string_view plugin, permission_level level) {
  const std::string name{plugin};
  std::vector<std::string> all{"log", "command.provide:" + name + ".**",
                               "command.execute:" + name + ".**"};
  if (level == permission_level::user)
    all.insert(all.end(),
               {"context.read:/plugins/" + name + "/**", "context.write:/plugins/" + name + "/**"});
  return all;
}

/// The denial of a verb that this build does not enforce, or nothing.
std::optional<permission_decision> refuse_missing(capability_verb verb) {
  const auto missing = missing_for(verb);
  if (missing.empty()) return std::nullopt;
  return permission_decision{false, "not enforced by this build: " + std::string{missing}};
}

}  // namespace

permissions::permissions(std::string_view plugin, permission_level level) : level_{level} {
  if (level_ == permission_level::system) return;
  for (const auto& text : default_capabilities(plugin, level))
    (void)defaults_.add(capability{text}, "defaults");
}

permission_decision permissions::check(capability_verb verb, std::string_view resource) const {
  if (!is_well_formed(verb, resource)) return {false, "malformed resource"};
  if (auto refused = refuse_missing(verb)) return *refused;
  if (const auto* rule = denied_.find(verb, resource)) return {false, "denied by " + rule->text()};
  if (level_ == permission_level::system) return {true, "level system"};
  if (const auto* rule = defaults_.find(verb, resource)) return {true, rule->text()};
  const auto* granted = granted_.find(verb, resource);
  if (!granted) return {false, "not granted"};
  if (!requested_.find(verb, resource))
    return {false, "granted by " + granted->text() + " but not requested"};
  return {true, granted->text()};
}

permission_decision permissions::check_subtree(capability_verb verb, std::string_view path) const {
  if (!is_well_formed(verb, path)) return {false, "malformed resource"};
  if (const auto* rule = denied_.find_overlap(verb, path))
    return {false, "denied by " + rule->text()};
  if (level_ == permission_level::system) return {true, "level system"};
  if (const auto* rule = defaults_.find_subtree(verb, path)) return {true, rule->text()};
  const auto* granted = granted_.find_subtree(verb, path);
  if (!granted) return {false, "not granted"};
  if (!requested_.find_subtree(verb, path))
    return {false, "granted by " + granted->text() + " but not requested"};
  return {true, granted->text()};
}

result<permission_decision> permissions::check(std::string_view operation) const {
  const auto parsed = operation_request::parse(operation);
  if (!parsed) return fail(parsed.error());
  std::string_view resource = parsed->resource;
  const bool is_tree =
      resource_kind_of(parsed->verb) == resource_kind::path && resource.ends_with("/**");
  if (is_tree) resource.remove_suffix(3);
  if (resource.find('*') != std::string_view::npos)
    return fail(
        error_code::invalid_argument,
        "\"" + std::string{operation} +
            "\" asks about a pattern; ask about one resource, such as context.read:/app/theme, " +
            "or about a path and everything below it, such as context.read:/app/**");
  return is_tree ? check_subtree(parsed->verb, resource) : check(parsed->verb, resource);
}

result<void> permissions::request(capability asked) {
  if (auto enforced = check_enforced(asked); !enforced) return enforced;
  return requested_.add(std::move(asked), "requests");
}
result<void> permissions::grant(capability granted) {
  if (auto enforced = check_enforced(granted); !enforced) return enforced;
  return granted_.add(std::move(granted), "grants");
}
result<void> permissions::deny(capability denied) {
  return denied_.add(std::move(denied), "denials");
}
result<void> permissions::revoke(const capability& granted) {
  return granted_.remove(granted, "grants");
}
result<void> permissions::allow(const capability& denied) {
  return denied_.remove(denied, "denials");
}

bool permissions::gives_some_of(const capability& what) const noexcept {
  return level_ == permission_level::system || defaults_.meets(what) || granted_.meets(what);
}

std::vector<std::string> permissions::requested() const { return requested_.texts(); }
std::vector<std::string> permissions::granted() const { return granted_.texts(); }
std::vector<std::string> permissions::denied() const { return denied_.texts(); }

std::vector<std::string> permissions::effective() const {
  auto all = defaults();
  const auto add = [&](const capability& rule) {
    if (std::ranges::find(all, rule.text()) == all.end()) all.push_back(rule.text());
  };
  for (const auto& text : requested_.texts()) {
    const capability asked{text};
    const auto& granted = granted_.of(asked.verb());
    if (std::ranges::any_of(granted,
                            [&](const capability& given) { return given.includes(asked); })) {
      add(asked);
      continue;
    }
    for (const auto& given : granted)
      if (asked.includes(given)) add(given);
  }
  const auto denied = denied_.texts();
  std::erase_if(all, [&](const std::string& text) {
    return std::ranges::find(denied, text) != denied.end();
  });
  return all;
}

std::vector<std::string> permissions::defaults() const {
  if (level_ == permission_level::system) return {"*"};
  return defaults_.texts();
}

const capability* permissions::rule_set::find(capability_verb verb,
                                              std::string_view resource) const noexcept {
  const auto& rules = by_verb_[static_cast<std::size_t>(verb)];
  const auto found =
      std::ranges::find_if(rules, [&](const capability& rule) { return rule.covers(resource); });
  return found == rules.end() ? nullptr : &*found;
}

const capability* permissions::rule_set::find_subtree(capability_verb verb,
                                                      std::string_view path) const noexcept {
  // A pattern that ends in `**` and covers a path covers all that is below it; no other pattern
  // does.
  const auto& rules = by_verb_[static_cast<std::size_t>(verb)];
  const auto found = std::ranges::find_if(rules, [&](const capability& rule) {
    return rule.pattern().ends_with("**") && rule.covers(path);
  });
  return found == rules.end() ? nullptr : &*found;
}

const capability* permissions::rule_set::find_overlap(capability_verb verb,
                                                      std::string_view path) const noexcept {
  const auto& rules = by_verb_[static_cast<std::size_t>(verb)];
  const auto found = std::ranges::find_if(rules, [&](const capability& rule) {
    // All matches begin with the literal beginning of the pattern. What follows a wildcard is
    // ignored, which refuses too much rather than too little.
    const auto wildcard = rule.pattern().find('*');
    const auto literal = rule.pattern().substr(0, wildcard);
    const bool is_below =
        literal.starts_with(path) && (literal.size() == path.size() || literal[path.size()] == '/');
    const bool may_reach = wildcard != std::string_view::npos && path.starts_with(literal);
    return is_below || may_reach || rule.covers(path);
  });
  return found == rules.end() ? nullptr : &*found;
}

bool permissions::rule_set::meets(const capability& what) const noexcept {
  return std::ranges::any_of(of(what.verb()),
                             [&](const capability& rule) { return rule.may_meet(what); });
}

result<void> permissions::rule_set::add(capability rule, std::string_view set_name) {
  if (std::ranges::find(texts_, rule.text()) != texts_.end()) return {};
  if (texts_.size() >= max_rules)
    return fail(error_code::limit_exceeded,
                "the " + std::string{set_name} + " of a plugin are full with " +
                    std::to_string(max_rules) + "; remove one before adding " + rule.text());
  texts_.push_back(rule.text());
  by_verb_[static_cast<std::size_t>(rule.verb())].push_back(std::move(rule));
  return {};
}

result<void> permissions::rule_set::remove(const capability& rule, std::string_view set_name) {
  if (std::erase(texts_, rule.text()) == 0)
    return fail(error_code::not_found, rule.text() + " is not among the " + std::string{set_name} +
                                           " of the plugin; give its exact text");
  std::erase(by_verb_[static_cast<std::size_t>(rule.verb())], rule);
  return {};
}

std::vector<std::string> permissions::rule_set::texts() const { return texts_; }

}  // namespace troupe
