#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/messages/principal.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe::test {

/// How much of what may be absent or empty is there.
enum class fullness : std::uint8_t { full, sparse };

/// Fills messages with values that are not the defaults and differ from field to field. Follows the
/// field lists, so a new message or field is covered without more code; a new kind of field needs
/// one overload here, as it does in the codec.
class sample_maker {
public:
  /// @param seed Different ones give different samples.
  /// @param how With `sparse` nothing optional is there, and lists and arguments are empty.
  explicit sample_maker(std::uint64_t seed = 1, fullness how = fullness::full)
      : next_(seed), how_(how) {}

  template <class T>
  T make() {
    T sample{};
    fill(sample);
    return sample;
  }

private:
  std::uint64_t number() { return next_++; }
  std::string text() { return "text " + std::to_string(number()); }

  void fill(bool& x) { x = !x; }
  void fill(double& x) { x = static_cast<double>(number()) + 0.25; }
  void fill(std::string& x) { x = text(); }
  void fill(binary& x) { x.bytes = "\xff" + text(); }
  void fill(timestamp& x) { x.ticks = number(); }
  void fill(path& x) { x = path{"/" + text() + "/below"}; }
  void fill(uuid& x) { x.bytes = {static_cast<std::uint8_t>(number()), 0xff, 0, 7}; }
  void fill(value& x) {
    x = value::map({{text(), number()}, {text(), value::array({text(), -1.5, nullptr, true})}});
  }
  void fill(arguments& x) {
    x = {};
    if (how_ == fullness::full) x = arguments{{text(), make<value>()}, {text(), make<value>()}};
  }
  void fill(value_version& x) { x.writes = make<state_hash>(); }
  void fill(version_vector& x) { x = version_vector{make<std::vector<version_entry>>()}; }
  void fill(error& x) { x = {error_code::not_found, text(), "\x81\xa1k\x01"}; }

  template <std::integral T>
  void fill(T& x) {
    x = static_cast<T>(number());
  }
  template <class Tag>
  void fill(strong_id<Tag>& x) {
    fill(x.id);
  }
  template <class Rep, class Period>
  void fill(std::chrono::duration<Rep, Period>& x) {
    x = std::chrono::duration<Rep, Period>{static_cast<Rep>(number())};
  }
  template <named_enum E>
  void fill(E& x) {
    const auto& names = enum_names<E>::names;
    const E before = x;
    while (x == before) x = names[number() % names.size()].value;
  }
  template <class T>
  void fill(std::optional<T>& x) {
    x.reset();
    if (how_ == fullness::full) x = make<T>();
  }
  template <class T>
  void fill(std::vector<T>& x) {
    x.clear();
    if (how_ == fullness::sparse) return;
    x.push_back(make<T>());
    x.push_back(make<T>());
  }
  template <described T>
  void fill(T& x) {
    for_each_field<T>([&](const auto& each) { fill(x.*each.member); });
  }
  template <described T>
  void fill(std::shared_ptr<const T>& x) {
    x = std::make_shared<const T>(make<T>());
  }

  std::uint64_t next_;
  fullness how_;
};

}  // namespace troupe::test
