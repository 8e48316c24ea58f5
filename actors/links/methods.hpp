#pragma once

#include <optional>
#include <span>
#include <string_view>

#include <troupe/messages/error.hpp>
#include <troupe/messages/principal.hpp>

namespace troupe {

/// The actor that serves a method.
enum class service : std::uint8_t { commands, context, plugins, audit, node, mesh, link };

/// Whether a method has an answer.
enum class method_kind : std::uint8_t { request, notice };

/// Who may call a method at all; plugins need the capability as well.
struct method_callers {
  bool client = false;
  bool plugin = false;
  bool peer = false;
};

/// What a capability check of a method is about.
enum class resource_scope : std::uint8_t {
  none,     ///< Nothing in particular: the capability is the verb alone.
  exact,    ///< The thing that the parameter names.
  subtree,  ///< The context path that the parameter names and everything below it.
};

/// One row of the method table: what can be called over a link, by whom, and what a plugin must be
/// allowed for it.
struct method_rule {
  std::string_view name;
  enum service service;
  method_callers callers;
  std::string_view verb;  ///< Of the capability, such as `context.read`; empty when none is needed.
  resource_scope scope = resource_scope::none;
  std::string_view parameter;  ///< Names the resource.
  std::string_view summary;
  method_kind kind = method_kind::request;
  bool reads = false;  ///< Its answer may be large and is made at once: few of one link are worked
                       ///< on together.
};

/// All methods, in the order of their names.
std::span<const method_rule> all_methods() noexcept;

/// The rule of a method, or `not_found` with the nearest name.
result<const method_rule*> find_method(std::string_view name);

/// Whether this kind of principal may call the method at all.
bool may_call(const method_rule& rule, principal_kind kind) noexcept;

}  // namespace troupe
