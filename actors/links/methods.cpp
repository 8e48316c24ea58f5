#include <troupe/actors/links/methods.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <troupe/actors/kernel/type_ids.hpp>
#include <troupe/messages/text/spelling.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

#define TROUPE_COUNT_SERVED(type) +(served_message<type> ? 1 : 0)
constexpr std::size_t number_of_methods = 0 TROUPE_MESSAGES(TROUPE_COUNT_SERVED);
#undef TROUPE_COUNT_SERVED

template <class Message>
constexpr void add_row(std::array<method_rule, number_of_methods>& rows, std::size_t& next) {
  if constexpr (served_message<Message>) rows[next++] = rule_of<Message>();
}

/// One row for each message that a node serves over links, by name.
constexpr auto make_table() {
  std::array<method_rule, number_of_methods> rows{};
  std::size_t next = 0;
#define TROUPE_ADD_ROW(type) add_row<type>(rows, next);
  TROUPE_MESSAGES(TROUPE_ADD_ROW)
#undef TROUPE_ADD_ROW
  std::ranges::sort(rows, {}, &method_rule::name);
  return rows;
}

constexpr auto table = make_table();

static_assert(std::ranges::adjacent_find(table, {}, &method_rule::name) == table.end(),
              "two messages have the same method");

}  // namespace

std::span<const method_rule> all_methods() noexcept { return table; }

result<const method_rule*> find_method(std::string_view name) {
  const auto found = std::lower_bound(
      table.begin(), table.end(), name,
      [](const method_rule& rule, std::string_view wanted) { return rule.name < wanted; });
  if (found != table.end() && found->name == name) return &*found;
  std::vector<std::string_view> names;
  for (const auto& rule : table) names.push_back(rule.name);
  return fail(error_code::not_found,
              "there is no method \"" + std::string{utf8_prefix(name, 64)} + "\"" +
                  did_you_mean(nearest(name, names, typo_allowance(name), 1)));
}

bool may_call(const method_rule& rule, principal_kind kind) noexcept {
  switch (kind) {
    case principal_kind::host:
    case principal_kind::system: return true;
    case principal_kind::client: return rule.access.callers.client;
    case principal_kind::plugin: return rule.access.callers.plugin;
    case principal_kind::peer: return rule.access.callers.peer;
  }
  return false;
}

result<const method_rule*> find_route(service_set served, principal_kind caller,
                                      std::string_view method, method_kind kind) {
  const auto rule = find_method(method);
  if (!rule) return rule;
  if ((*rule)->name == session_open::method)
    return fail(error_code::protocol_violation, "the session is open already");
  if (!may_call(**rule, caller))
    return fail(error_code::permission_denied,
                "a " + std::string{name_of(caller)} + " may not call " + std::string{method});
  if ((*rule)->kind != kind)
    return fail(error_code::protocol_violation,
                std::string{method} + (kind == method_kind::request
                                           ? " is a notification, which has no answer"
                                           : " is a request, and needs an id"));
  if (!served.contains((*rule)->access.service))
    return fail(error_code::unavailable, "this node does not serve " + std::string{method});
  return rule;
}

}  // namespace troupe
