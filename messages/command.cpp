#include <troupe/messages/command.hpp>

#include <algorithm>
#include <stdexcept>

namespace troupe {

const value* arguments::find(std::string_view name) const noexcept {
  for (const entry& each : entries_)
    if (each.first == name) return &each.second;
  return nullptr;
}

void arguments::set(std::string_view name, value given) {
  const auto known = std::ranges::find(entries_, name, &entry::first);
  if (known != entries_.end())
    known->second = std::move(given);
  else
    entries_.emplace_back(std::string{name}, std::move(given));
}

const value& arguments::require(std::string_view name) const {
  if (const value* given = find(name)) return *given;
  throw std::out_of_range{"parameter \"" + std::string{name} + "\" was not given"};
}

void arguments::wrong_type(std::string_view name, const value& given, std::string_view wanted) {
  throw std::invalid_argument{"parameter \"" + std::string{name} + "\" is of type " +
                              std::string{to_string(given.type())} + " where " +
                              std::string{wanted} + " is needed"};
}

}  // namespace troupe
