#include <troupe/actors/commands/validation/argument_problem.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

constexpr std::size_t problems_in_message = 5;
constexpr std::size_t shown_bytes = 64;

/// Names and the texts of custom checks come from programs and may not be UTF-8.
value to_value(const argument_problem& problem) {
  std::vector<value::member> members{{"parameter", repaired_utf8(problem.parameter)},
                                     {"expected", repaired_utf8(problem.expected)},
                                     {"received", repaired_utf8(problem.received)}};
  if (!problem.suggestion.empty())
    members.emplace_back("suggestion", repaired_utf8(problem.suggestion));
  if (problem.where) members.emplace_back("where", *problem.where);
  return value::map(std::move(members));
}

std::string to_sentence(const argument_problem& problem) {
  std::string text =
      problem.parameter.empty() ? std::string{} : in_quotes(problem.parameter) + ": ";
  text += fmt::format("expected {}, received {}", problem.expected, problem.received);
  if (problem.where) text += fmt::format(" at byte {}", *problem.where);
  if (!problem.suggestion.empty())
    text += fmt::format(" (did you mean {}?)", in_quotes(problem.suggestion));
  return text;
}

}  // namespace

error invalid_arguments(std::string_view command, const std::vector<argument_problem>& problems) {
  std::string message = fmt::format("command {} was given wrong arguments: ", in_quotes(command));
  for (std::size_t i = 0; i < std::min(problems.size(), problems_in_message); ++i)
    message += (i > 0 ? "; " : "") + to_sentence(problems[i]);
  if (problems.size() > problems_in_message)
    message += fmt::format("; and {} more", problems.size() - problems_in_message);

  std::vector<value> listed;
  for (std::size_t i = 0; i < std::min(problems.size(), max_listed_problems); ++i)
    listed.push_back(to_value(problems[i]));
  std::vector<value::member> detail{{"problems", value::array(listed)}};
  if (problems.size() > max_listed_problems)
    detail.emplace_back("omitted", problems.size() - max_listed_problems);
  return error{error_code::invalid_argument, repaired_utf8(message),
               value::map(std::move(detail)).msgpack()};
}

std::string shown(const value& given) {
  switch (given.type()) {
    case value_type::string: return in_quotes(*given.as_string());
    case value_type::binary:
      return fmt::format("{} bytes of binary data", given.as_binary()->size());
    case value_type::array:
    case value_type::map:
      if (given.msgpack().size() > shown_bytes)
        return given.type() == value_type::array
                   ? fmt::format("an array of {} elements", given.size())
                   : fmt::format("a map of {} members", given.size());
      [[fallthrough]];
    default: return given.to_json();
  }
}

std::string in_quotes(std::string_view text) {
  const std::string_view start = utf8_prefix(text, shown_bytes);
  if (!is_utf8(start)) return fmt::format("{} bytes that are not UTF-8", text.size());
  std::string made = "\"";
  for (const char c : start) made += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return made + (start.size() < text.size() ? "…\"" : "\"");
}

}  // namespace troupe
