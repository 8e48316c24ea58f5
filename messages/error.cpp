#include <troupe/messages/error.hpp>

namespace troupe {

namespace {

constexpr bool names_follow_values() {
  for (std::size_t i = 0; i < error_code_names.size(); ++i)
    if (static_cast<std::size_t>(error_code_names[i].code) != i) return false;
  return static_cast<std::size_t>(error_code::internal) + 1 == error_code_names.size();
}
static_assert(names_follow_values(), "every error code has one name, at the position of its value");

}  // namespace

std::string_view to_string(error_code code) noexcept {
  const auto index = static_cast<std::size_t>(code);
  return index < error_code_names.size() ? error_code_names[index].name : "internal";
}

std::optional<error_code> parse_error_code(std::string_view name) noexcept {
  for (const auto& entry : error_code_names)
    if (entry.name == name) return entry.code;
  return std::nullopt;
}

std::string to_string(const error& failure) {
  return std::string{to_string(failure.code)} + ": " + failure.message;
}

}  // namespace troupe
