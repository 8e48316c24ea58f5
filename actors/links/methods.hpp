#pragma once

#include <optional>
#include <span>
#include <string_view>

#include <troupe/messages/error.hpp>
#include <troupe/messages/method.hpp>
#include <troupe/messages/principal.hpp>

namespace troupe {

/// One row of the method table: a method that can be called over a link, and who may call it.
struct method_rule {
  std::string_view name;
  method_kind kind = method_kind::request;
  method_access access;
};

/// The row that a message type makes.
template <served_message Message>
constexpr method_rule rule_of() {
  return {Message::method,
          request_message<Message> ? method_kind::request : method_kind::notification,
          Message::access};
}

/// All methods, in the order of their names.
std::span<const method_rule> all_methods() noexcept;

/// The rule of a method, or `not_found` with the nearest name.
result<const method_rule*> find_method(std::string_view name);

/// Whether this kind of principal may call the method at all.
bool may_call(const method_rule& rule, principal_kind kind) noexcept;

}  // namespace troupe
