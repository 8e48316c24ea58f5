#include <troupe/plugins/toml_reader.hpp>

#include <algorithm>
#include <stdexcept>

#include <troupe/messages/text/spelling.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

constexpr std::size_t max_quoted = 80;
constexpr std::size_t max_nesting = 64;

std::string_view type_name(toml::node_type type) noexcept {
  switch (type) {
    case toml::node_type::none: return "nothing";
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "an array";
    case toml::node_type::string: return "a string";
    case toml::node_type::integer: return "an integer";
    case toml::node_type::floating_point: return "a float";
    case toml::node_type::boolean: return "a boolean";
    case toml::node_type::date: return "a date";
    case toml::node_type::time: return "a time";
    case toml::node_type::date_time: break;
  }
  return "a date and time";
}

/// Quotes at most a line of foreign text, for messages.
std::string cut(std::string_view text) {
  return std::string{utf8_prefix(text, max_quoted)} + (text.size() > max_quoted ? "…" : "");
}

template <class Words>
std::string joined(const Words& words) {
  std::string all;
  for (const auto each : words) all += (all.empty() ? "" : ", ") + std::string{each};
  return all;
}

std::string hint(std::string_view key, std::initializer_list<std::string_view> known) {
  const auto close = nearest(key, known, typo_allowance(key), 1);
  return close.empty() ? "; known here are " + joined(known) : did_you_mean(close);
}

/// Refuses a text whose tables and arrays are nested too deep. toml++ bounds the nesting of values
/// in brackets, but not of the parts of a dotted key, and destroys its tables by recursion. Skips
/// strings and comments and treats all other text as TOML; where it is not, the parser stops at the
/// same place or before. O(bytes).
class nesting_check {
public:
  nesting_check(std::string_view text, const toml_reporter& report)
      : text_{text}, report_{report} {}

  void run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        begin_key();
        skip_string(c);
        continue;
      }
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (c == '.')
        count_dot();
      else if (c == '[' || c == '{')
        open();
      else if (c == ']' || c == '}')
        close();
      else if (c == '\n')
        end_line();
      else if (c == '=')
        begin_value();
      else if (c == ',')
        end_value();
      else if (c != ' ' && c != '\t')
        begin_key();
      ++at_;
    }
  }

private:
  void begin_key() {
    if (key_begin_ == std::string_view::npos) key_begin_ = at_;
  }
  void begin_value() {
    key_dots_ = dots_;
    dots_ = 0;
    key_begin_ = std::string_view::npos;
  }
  void end_value() {
    begin_value();
    key_dots_ = 0;
  }
  void new_line() {
    ++line_;
    line_begin_ = at_ + 1;
  }
  void end_line() {
    end_value();
    new_line();
  }
  void count_dot() {
    begin_key();
    ++dots_;
    check();
  }
  void open() {
    begin_key();
    outside_.push_back(key_dots_);
    around_ += key_dots_ + 1;
    dots_ = 0;
    check();
    end_value();
  }
  void close() {
    end_value();
    if (outside_.empty()) return;
    around_ -= outside_.back() + 1;
    outside_.pop_back();
  }
  void check() const {
    if (around_ + dots_ < max_nesting) return;
    const auto before = text_.substr(line_begin_, key_begin_ - line_begin_);
    const auto column =
        1 + std::ranges::count_if(before, [](char c) { return (c & 0xc0) != 0x80; });
    const toml::source_position place{line_, static_cast<toml::source_index>(column)};
    report_.reject({place, place, nullptr}, "",
                   "the key is nested too deep; there may be at most " +
                       std::to_string(max_nesting) + " levels");
  }

  /// A string of one line, or of several when it begins with three quotes. An unclosed one ends
  /// with its line or with the text.
  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool several = text_.substr(at_).starts_with(three);
    for (at_ += several ? 3 : 1; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n' && !several) return;
      if (c == '\n')
        new_line();
      else if (c == '\\' && quote == '"' && at_ + 1 < text_.size() && text_[at_ + 1] != '\n')
        ++at_;
      else if (several && text_.substr(at_).starts_with(three))
        return skip_end(quote);
      else if (!several && c == quote)
        return void(++at_);
    }
  }
  /// Up to two quotes may stand before the three that close.
  void skip_end(char quote) {
    for (int quotes = 0; quotes < 5 && at_ < text_.size() && text_[at_] == quote; ++quotes) ++at_;
  }

  std::string_view text_;
  const toml_reporter& report_;
  std::size_t at_ = 0;
  std::size_t line_begin_ = 0;
  toml::source_index line_ = 1;
  std::size_t key_begin_ =
      std::string_view::npos;  ///< Of the key or value at hand, if one has begun.
  std::size_t dots_ = 0;       ///< In it.
  std::size_t key_dots_ = 0;   ///< In the key, while it is the value that is at hand.
  std::vector<std::size_t>
      outside_;             ///< For each bracket that is open, the dots of the key before it.
  std::size_t around_ = 0;  ///< The sum of those, and one for each bracket.
};

}  // namespace

void give_up_toml() { throw std::logic_error{"malformed"}; }

void toml_reporter::reject(const toml::source_region& place, std::string_view key,
                           const std::string& what, error_code code) const {
  std::string text = file_name_ + ':' + std::to_string(std::max(place.begin.line, 1u)) + ':' +
                     std::to_string(std::max(place.begin.column, 1u)) + ": ";
  if (!key.empty()) text += cut(key) + ": ";
  throw toml_mistake{{code, text + what, {}}};
}

toml::table parse_toml(std::string_view text, const toml_reporter& report) {
  nesting_check{text, report}.run();
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& problem) {
    report.reject(problem.source(), "", std::string{problem.description()});
  } catch (const std::logic_error&) {
    report.reject({}, "", "is not TOML; the name of a table or key is malformed");
  }
}

void toml_entry::reject(const std::string& what, error_code code) const {
  report_->reject(node_->source(), key_, what, code);
}

void toml_entry::reject_type(std::string_view wanted) const {
  reject("must be " + std::string{wanted} + ", not " + std::string{type_name(node_->type())});
}

void toml_entry::reject_choice(const std::string& written,
                               const std::vector<std::string_view>& known) const {
  reject("must be one of " + joined(known) + ", not \"" + cut(written) + '"');
}

std::string toml_entry::text(std::size_t min_bytes, std::size_t max_bytes) const {
  const auto* found = node_->as_string();
  if (!found) reject_type("a string");
  const std::string& taken = found->get();
  if (taken.size() < min_bytes || taken.size() > max_bytes)
    reject("must have " + std::to_string(min_bytes) + " to " + std::to_string(max_bytes) +
           " bytes, not " + std::to_string(taken.size()));
  if (taken.find('\0') != std::string::npos) reject("must not contain a zero byte");
  return taken;
}

bool toml_entry::boolean() const {
  const auto value = node_->value_exact<bool>();
  if (!value) reject_type("true or false");
  return *value;
}

std::int64_t toml_entry::integer(std::int64_t least, std::int64_t most) const {
  const auto* found = node_->as_integer();
  if (!found) reject_type("an integer");
  if (found->get() < least || found->get() > most)
    reject("must be between " + std::to_string(least) + " and " + std::to_string(most) + ", not " +
           std::to_string(found->get()));
  return found->get();
}

std::vector<toml_entry> toml_entry::elements(std::size_t max_count) const {
  const auto* found = node_->as_array();
  if (!found) reject_type("an array");
  if (found->size() > max_count)
    reject("must have at most " + std::to_string(max_count) + " elements, not " +
           std::to_string(found->size()));
  std::vector<toml_entry> all;
  for (std::size_t i = 0; i < found->size(); ++i)
    all.emplace_back(*report_, *found->get(i), key_ + '[' + std::to_string(i) + ']');
  return all;
}

const toml::table& toml_entry::table() const {
  const auto* found = node_->as_table();
  if (!found) reject_type("a table");
  return *found;
}

toml_table::toml_table(const toml_reporter& report, const toml::table& table, std::string prefix,
                       std::initializer_list<std::string_view> known)
    : report_{&report}, table_{&table}, prefix_{std::move(prefix)} {
  for (const auto& [key, node] : table)
    if (std::ranges::find(known, key.str()) == known.end())
      report.reject(key.source(), prefix_ + std::string{key.str()},
                    "is not a known key" + hint(utf8_prefix(key.str(), max_quoted), known));
}

toml_table::toml_table(const toml_entry& entry, std::initializer_list<std::string_view> known)
    : toml_table{entry.reporter(), entry.table(), entry.key() + '.', known} {}

std::optional<toml_entry> toml_table::find(std::string_view key) const {
  const auto* node = table_->get(key);
  if (!node) return std::nullopt;
  return toml_entry{*report_, *node, prefix_ + std::string{key}};
}

std::optional<toml_table> toml_table::find_table(
    std::string_view key, std::initializer_list<std::string_view> known) const {
  const auto entry = find(key);
  if (!entry) return std::nullopt;
  return toml_table{*entry, known};
}

toml_entry toml_table::require(std::string_view key) const {
  const auto entry = find(key);
  if (!entry) report_->reject(table_->source(), prefix_ + std::string{key}, "is missing");
  return *entry;
}

}  // namespace troupe
