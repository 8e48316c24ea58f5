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

void write(msgpack_writer& out, const arguments& x) {
  out.map(x.entries().size());
  for (const auto& [name, given] : x.entries()) {
    codec::write(out, name);
    out.raw(given.msgpack());
  }
}

bool read(msgpack_reader& in, arguments& x, codec::problem& why) {
  const auto count = in.read_map();
  if (!count) return codec::expected(why, "a map of arguments");
  if (*count > max_arguments)
    return why.what = "has " + std::to_string(*count) + " arguments; at most " +
                      std::to_string(max_arguments) + " are accepted",
           false;
  x = arguments{};
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto name = in.read_string();
    if (!name) return codec::expected(why, "a map with string keys");
    value given;
    if (!codec::read(in, given, why))
      return why.where = "." + std::string{*name} + why.where, false;
    if (x.find(*name) != nullptr) return why = {"." + std::string{*name}, "is given twice"}, false;
    x.entries().emplace_back(*name, std::move(given));
  }
  return true;
}

}  // namespace troupe
