#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace troupe {

/// Whether a message without the field is an error.
enum class presence : std::uint8_t { required, optional };

/// One field of a message struct: its wire name and its member.
template <class Struct, class Member>
struct field {
  std::string_view name;
  Member Struct::*member;
  presence needed;
};

/// A field that must be present.
template <class Struct, class Member>
constexpr field<Struct, Member> required(std::string_view name, Member Struct::*member) {
  return {name, member, presence::required};
}

/// A field that keeps its default when absent.
template <class Struct, class Member>
constexpr field<Struct, Member> optional(std::string_view name, Member Struct::*member) {
  return {name, member, presence::optional};
}

/// A message struct: it lists its fields once, in a static `fields()` that returns a tuple of
/// `field`. CAF's `inspect` (actors/kernel/inspect.hpp) and the msgpack form
/// (messages/wire/codec.hpp) are both generated from that list.
///
///     struct greeting {
///       std::string name;
///       static constexpr auto fields() { return std::tuple{required("name", &greeting::name)}; }
///     };
template <class T>
concept described = requires {
  T::fields();
};

/// Calls `visit(field)` for each field, in order.
template <described T, class Visitor>
constexpr void for_each_field(Visitor&& visit) {
  std::apply([&](const auto&... each) { (visit(each), ...); }, T::fields());
}

/// One value of an enumeration and its wire name.
template <class Enum>
struct enumerator {
  Enum value;
  std::string_view name;
};

/// Specialise to give an enumeration its wire names: `static constexpr std::array<enumerator<E>, N>
/// names`.
template <class Enum>
struct enum_names;

/// An enumeration that travels by name.
template <class T>
concept named_enum = std::is_enum_v<T> && requires {
  enum_names<T>::names;
};

/// The wire name; `"?"` for a value without one.
template <named_enum E>
constexpr std::string_view name_of(E value) noexcept {
  for (const auto& entry : enum_names<E>::names)
    if (entry.value == value) return entry.name;
  return "?";
}

/// The value with this wire name, or nothing.
template <named_enum E>
constexpr std::optional<E> parse_enum(std::string_view name) noexcept {
  for (const auto& entry : enum_names<E>::names)
    if (entry.name == name) return entry.value;
  return std::nullopt;
}

}  // namespace troupe
