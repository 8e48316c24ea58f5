#include <troupe/actors/commands/validation/parse_text.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <troupe/actors/commands/validation/parameter_rule.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

struct placed_word {
  std::string_view text;
  std::size_t offset;
};

/// The name in `name=value`, or nothing.
std::string_view name_in(std::string_view word) noexcept {
  const auto equals = word.find('=');
  if (equals == std::string_view::npos || !is_parameter_name(word.substr(0, equals))) return {};
  return word.substr(0, equals);
}

class word_sorter {
public:
  explicit word_sorter(const command_spec& spec) : spec_(spec) {}

  void add_named(placed_word word, std::string_view name) {
    add(name, {word.text.substr(name.size() + 1), word.offset + name.size() + 1});
  }

  void add_positional(placed_word word) {
    while (next_ < spec_.parameters.size() &&
           found_.values.find(spec_.parameters[next_].name) != nullptr)
      ++next_;
    if (next_ < spec_.parameters.size()) return add(spec_.parameters[next_].name, word);
    found_.problems.push_back({{}, no_more_words(), in_quotes(word.text), {}, word.offset});
  }

  text_arguments take() { return std::move(found_); }

private:
  void add(std::string_view name, placed_word word) {
    if (!is_utf8(word.text)) {
      found_.values.entries().emplace_back(std::string{name}, value::binary(word.text));
    } else {
      found_.values.entries().emplace_back(std::string{name}, value{word.text});
    }
    found_.offsets.push_back(word.offset);
  }

  std::string no_more_words() const {
    const std::size_t count = spec_.parameters.size();
    return count == 0 ? "no arguments"
                      : fmt::format("at most {} argument{}", count, count == 1 ? "" : "s");
  }

  const command_spec& spec_;
  std::size_t next_ = 0;
  text_arguments found_;
};

}  // namespace

text_arguments parse_text(const command_spec& spec, std::span<const std::string_view> words) {
  word_sorter sorter{spec};
  std::vector<placed_word> positional;
  bool only_positional = false;
  std::size_t offset = 0;
  for (const std::string_view word : words) {
    const std::string_view name = only_positional ? std::string_view{} : name_in(word);
    if (!name.empty())
      sorter.add_named({word, offset}, name);
    else if (!only_positional && word == "--")
      only_positional = true;
    else
      positional.push_back({word, offset});
    offset += word.size() + 1;
  }
  for (const placed_word& word : positional) sorter.add_positional(word);
  return sorter.take();
}

}  // namespace troupe
