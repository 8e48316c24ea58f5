#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {
/// Ends the parsing of a malformed file. Called by toml++ alone.
[[noreturn]] void give_up_toml();
}  // namespace troupe

// toml++ 3.3 asserts that a table's name begins well. A malformed file such as `[=` fails the
// assertion, which ends the program, or is undefined behaviour where assertions are off. The files
// read here come from others, so a failed assertion throws. Only this header includes toml++, so
// that this holds everywhere.
#if __has_include(<toml++/impl/preprocessor.hpp>)
#include <toml++/impl/preprocessor.hpp>
#else
#include <toml++/impl/preprocessor.h>
#endif
#undef TOML_ASSERT
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT(condition) ((condition) ? void() : ::troupe::give_up_toml())
#define TOML_ASSERT_ASSUME(condition) TOML_ASSERT(condition)
#include <toml++/toml.h>

#include <troupe/messages/error.hpp>
#include <troupe/messages/wire/field.hpp>

namespace troupe {

/// The first mistake of a TOML file. The readers below throw it; the parsing function catches it
/// and returns its error.
struct toml_mistake {
  error failure;
};

/// Makes errors about places in a TOML file, of the form `file:line:column: key: mistake`.
class toml_reporter {
public:
  explicit toml_reporter(std::string_view file_name) : file_name_{file_name} {}

  /// Quotes at most the beginning of a long key. @throws toml_mistake always.
  [[noreturn]] void reject(const toml::source_region& place, std::string_view key,
                           const std::string& what,
                           error_code code = error_code::invalid_argument) const;

private:
  std::string file_name_;
};

/// The table that `text` is.
/// @throws toml_mistake when it is no TOML, or has tables and arrays more than 64 deep within each
/// other.
toml::table parse_toml(std::string_view text, const toml_reporter& report);

/// One value of the file and the dotted key it stands under. Refers to the reporter and the parsed
/// file, which outlive it. Every function throws `toml_mistake` when the value is not what it asks
/// for.
class toml_entry {
public:
  toml_entry(const toml_reporter& report, const toml::node& node, std::string key)
      : report_{&report}, node_{&node}, key_{std::move(key)} {}

  [[noreturn]] void reject(const std::string& what,
                           error_code code = error_code::invalid_argument) const;

  /// The parsed value. Its error gets the place in the file before it.
  template <class T>
  T unwrap(const result<T>& parsed) const {
    if (!parsed) reject(parsed.error().message, parsed.error().code);
    if constexpr (!std::is_void_v<T>) return *parsed;
  }

  /// A string within these bounds, without zero bytes.
  std::string text(std::size_t min_bytes, std::size_t max_bytes) const;
  /// An integer within these bounds, both included.
  std::int64_t integer(std::int64_t least, std::int64_t most) const;
  /// `true` or `false`.
  bool boolean() const;
  /// The value of an enumeration with this wire name.
  template <named_enum E>
  E enumeration() const {
    const auto written = text(0, 1024);
    if (const auto value = parse_enum<E>(written)) return *value;
    std::vector<std::string_view> known;
    for (const auto& each : enum_names<E>::names) known.push_back(each.name);
    reject_choice(written, known);
  }
  /// The elements of an array.
  std::vector<toml_entry> elements(std::size_t max_count) const;
  /// The table that this value is.
  const toml::table& table() const;

  bool is_string() const noexcept { return node_->is_string(); }
  const std::string& key() const noexcept { return key_; }
  const toml_reporter& reporter() const noexcept { return *report_; }

private:
  [[noreturn]] void reject_type(std::string_view wanted) const;
  [[noreturn]] void reject_choice(const std::string& written,
                                  const std::vector<std::string_view>& known) const;

  const toml_reporter* report_;
  const toml::node* node_;
  std::string key_;
};

/// A table of the file. All its keys are known. Must not outlive the reporter and the parsed file.
class toml_table {
public:
  /// @param prefix the table's dotted key and a dot; empty for the file itself.
  /// @throws toml_mistake for the first unknown key, with the nearest known one.
  toml_table(const toml_reporter& report, const toml::table& table, std::string prefix,
             std::initializer_list<std::string_view> known);
  /// The table that an entry is.
  toml_table(const toml_entry& entry, std::initializer_list<std::string_view> known);

  std::optional<toml_entry> find(std::string_view key) const;
  /// The sub-table with this key and these keys, if there is one.
  std::optional<toml_table> find_table(std::string_view key,
                                       std::initializer_list<std::string_view> known) const;
  /// @throws toml_mistake when the key is missing.
  toml_entry require(std::string_view key) const;

private:
  const toml_reporter* report_;
  const toml::table* table_;
  std::string prefix_;
};

}  // namespace troupe
