#pragma once

// CAF's `inspect` for all message types, generated from the field lists of `messages/`.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <caf/inspector_access.hpp>
#include <caf/string_view.hpp>

#include <troupe/messages/command.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/principal.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/field.hpp>

namespace troupe {

namespace detail {

inline caf::string_view to_caf(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace detail

/// A described struct: an object with its fields by name.
template <class Inspector, described T>
bool inspect(Inspector& f, T& x) {
  return std::apply(
      [&](const auto&... each) {
        return f.object(x).fields(f.field(detail::to_caf(each.name), x.*each.member)...);
      },
      T::fields());
}

/// An enumeration: its number.
template <class Inspector, named_enum E>
bool inspect(Inspector& f, E& x) {
  using number = std::underlying_type_t<E>;
  auto get = [&] { return static_cast<number>(x); };
  auto set = [&](number n) {
    for (const auto& entry : enum_names<E>::names)
      if (static_cast<number>(entry.value) == n) return x = entry.value, true;
    return false;
  };
  return f.apply(get, set);
}

template <class Inspector>
bool inspect(Inspector& f, error_code& x) {
  auto get = [&] { return static_cast<std::uint8_t>(x); };
  auto set = [&](std::uint8_t n) {
    if (n >= error_code_names.size()) return false;
    return x = static_cast<error_code>(n), true;
  };
  return f.apply(get, set);
}

template <class Inspector>
bool inspect(Inspector& f, error& x) {
  return f.object(x).fields(f.field("code", x.code), f.field("message", x.message),
                            f.field("detail", x.detail));
}

template <class Inspector>
bool inspect(Inspector& f, value_version& x) {
  return f.object(x).fields(f.field("writes", x.writes));
}

template <class Inspector>
bool inspect(Inspector& f, uuid& x) {
  return f.object(x).fields(f.field("bytes", x.bytes));
}

template <class Inspector, class Tag>
bool inspect(Inspector& f, strong_id<Tag>& x) {
  return f.object(x).fields(f.field("id", x.id));
}

template <class Inspector>
bool inspect(Inspector& f, binary& x) {
  return f.object(x).fields(f.field("bytes", x.bytes));
}

template <class Inspector>
bool inspect(Inspector& f, timestamp& x) {
  return f.object(x).fields(f.field("ticks", x.ticks));
}

template <class Inspector>
bool inspect(Inspector& f, value& x) {
  auto get = [&]() -> decltype(auto) { return x.msgpack(); };
  auto set = [&](std::string bytes) {
    auto read = value::from_msgpack(bytes);
    if (read) x = std::move(*read);
    return read.has_value();
  };
  return f.object(x).fields(f.field("msgpack", get, set));
}

template <class Inspector>
bool inspect(Inspector& f, path& x) {
  auto get = [&]() -> decltype(auto) { return x.text(); };
  auto set = [&](std::string text) {
    auto read = path::parse(text);
    if (read) x = std::move(*read);
    return read.has_value();
  };
  return f.object(x).fields(f.field("text", get, set));
}

template <class Inspector>
bool inspect(Inspector& f, version_vector& x) {
  auto get = [&]() -> decltype(auto) { return x.entries(); };
  auto set = [&](std::vector<version_entry> entries) {
    return x = version_vector{std::move(entries)}, true;
  };
  return f.object(x).fields(f.field("entries", get, set));
}

template <class Inspector>
bool inspect(Inspector& f, std::shared_ptr<const principal>& x) {
  principal shared = x ? *x : principal{};
  if (!inspect(f, shared)) return false;
  if constexpr (Inspector::is_loading) x = std::make_shared<const principal>(std::move(shared));
  return true;
}

template <class Inspector>
bool inspect(Inspector& f, arguments& x) {
  return f.object(x).fields(f.field("entries", x.entries()));
}

}  // namespace troupe
