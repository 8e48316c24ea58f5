#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/command.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe::cli {

/// The text of a path as on the command line: `/` for the root.
inline std::string show_path(const path& x) { return x.is_root() ? "/" : x.text(); }

// -- messages as JSON, for `--json` ---------------------------------------------------------------

inline value to_value(bool x) { return value{x}; }
template <std::integral T>
value to_value(T x) {
  return value{x};
}
inline value to_value(double x) { return value{x}; }
inline value to_value(const std::string& x) { return value{x}; }
inline value to_value(const value& x) { return x; }
inline value to_value(const path& x) { return value{show_path(x)}; }
inline value to_value(const uuid& x) { return x.is_nil() ? value{} : value{to_string(x)}; }
template <class Tag>
value to_value(const strong_id<Tag>& x) {
  return to_value(x.id);
}
inline value to_value(const timestamp& x) { return value{x.milliseconds()}; }
inline value to_value(const state_hash& x) { return value{to_string(x)}; }
template <class Rep, class Period>
value to_value(std::chrono::duration<Rep, Period> x) {
  return value{static_cast<std::int64_t>(x.count())};
}
template <named_enum E>
value to_value(E x) {
  return value{name_of(x)};
}
template <class T>
value to_value(const std::optional<T>& x);
template <class T>
value to_value(const std::vector<T>& x);
template <described T>
value to_value(const T& x);

inline value to_value(const version_vector& x) { return to_value(x.entries()); }

template <class T>
value to_value(const std::optional<T>& x) {
  return x ? to_value(*x) : value{};
}

template <class T>
value to_value(const std::vector<T>& x) {
  std::vector<value> all;
  for (const auto& each : x) all.push_back(to_value(each));
  return value::array(all);
}

/// A map with the field names as keys. Ids are text, hashes hexadecimal, times milliseconds since
/// 1970.
template <described T>
value to_value(const T& x) {
  std::vector<value::member> all;
  for_each_field<T>([&](const auto& each) {
    all.emplace_back(std::string{each.name}, to_value(x.*each.member));
  });
  return value::map(std::move(all));
}

// -- tables for people ----------------------------------------------------------------------------

/// Makes text from outside fit for a terminal: control characters become `\xNN`.
std::string safe_text(std::string_view text);

/// Prints rows under a heading, with aligned columns. Prints only `empty` when there are no rows.
class table {
public:
  explicit table(std::vector<std::string> heading) : heading_(std::move(heading)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(std::string_view empty) const;

private:
  std::vector<std::string> heading_;
  std::vector<std::vector<std::string>> rows_;
};

/// `"1.23 ms"`: three digits and the unit that fits. From a minute on the two largest units, as in
/// `"37 min 50 s"`.
std::string show_duration(std::chrono::nanoseconds duration);
/// The same of milliseconds, as nodes say them: what is longer than 292 years is shown as these.
std::string show_milliseconds(std::uint64_t milliseconds);
/// `"2026-01-31 12:30:45.123"`, UTC.
std::string show_time(std::uint64_t milliseconds);
/// `"12,345"`
std::string show_count(std::uint64_t number);
/// `"1 value"`, `"12,345 values"`. @param noun Its plural ends in s.
std::string show_count(std::uint64_t number, std::string_view noun);

}  // namespace troupe::cli
