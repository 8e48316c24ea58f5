#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include <troupe/messages/error.hpp>
#include <troupe/messages/principal.hpp>
#include <troupe/messages/wire/method.hpp>

namespace troupe {

/// One row of the method table: a method that can be called over a link, and its callers.
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

/// Finds the rule of a method. Fails with `not_found`, which suggests the nearest name.
result<const method_rule*> find_method(std::string_view name);

/// Whether principals of this kind may call the method.
bool may_call(const method_rule& rule, principal_kind kind) noexcept;

/// A set of services.
class service_set {
public:
  constexpr service_set() = default;
  constexpr service_set(std::initializer_list<service> members) noexcept {
    for (const auto each : members) insert(each);
  }

  constexpr void insert(service one) noexcept { bits_ |= bit(one); }
  constexpr bool contains(service one) const noexcept { return (bits_ & bit(one)) != 0; }

private:
  static constexpr std::uint32_t bit(service one) noexcept {
    return 1u << static_cast<std::uint32_t>(one);
  }

  std::uint32_t bits_ = 0;
};

/// Routes a message that came over a link: its method must exist and be of this kind, the caller
/// must be allowed to call it, and this node must serve it. The service is in the rule.
result<const method_rule*> find_route(service_set served, principal_kind caller,
                                      std::string_view method, method_kind kind);

}  // namespace troupe
