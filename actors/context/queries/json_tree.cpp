#include <troupe/actors/context/queries/json_tree.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <troupe/actors/context/state/tree/path_order.hpp>

namespace troupe {

namespace {

bool in_tree_order(const context_entry& a, const context_entry& b) {
  return compare_paths(a.path.text(), b.path.text()) < 0;
}

bool is_mark(const value& value) {
  return (value.type() == value_type::array || value.type() == value_type::map) &&
         value.size() == 0;
}

// -- flatten --------------------------------------------------------------------------------------

void explode(const path& where, const value& json, std::vector<context_entry>& out) {
  const auto before = out.size();
  const auto explode_child = [&](const std::string& name, const value& child) {
    const auto below = where.child(name);
    if (below) explode(*below, child, out);
    return below.has_value();
  };
  bool complete = json.size() > 0;
  if (json.type() == value_type::array) {
    out.push_back({where, value::array({})});
    std::size_t position = 0;
    for (const auto& element : json.elements())
      complete = complete && explode_child(std::to_string(position++), element);
  } else {
    for (const auto& [name, member] : json.members())
      complete = complete && explode_child(name, member);
  }
  if (complete) return;
  out.resize(before);
  out.push_back({where, json});
}

// -- render ---------------------------------------------------------------------------------------

using entries_view = std::span<context_entry>;

std::string name_for_people(const path& where) {
  return where.is_root() ? "the root" : "'" + where.text() + "'";
}

tl::unexpected<error> not_nested(const path& where, const std::string& why) {
  return fail(error_code::invalid_argument,
              name_for_people(where) + " " + why +
                  ", which nested JSON cannot show; read it as flat entries");
}

/// The escaped name of the child of `where` that holds this path or lies above it.
std::string_view child_segment(const path& where, const path& below) {
  const auto rest = std::string_view{below.text()}.substr(where.text().size() + 1);
  return rest.substr(0, rest.find('/'));
}

std::optional<std::uint64_t> to_index(std::string_view name) {
  std::uint64_t index = 0;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), index);
  const bool canonical = problem == std::errc{} && end == name.data() + name.size() &&
                         (name.size() == 1 || name[0] != '0');
  return canonical ? std::optional{index} : std::nullopt;
}

/// @param entries at and below `where`, in tree order and not empty.
result<value> assemble(const path& where, entries_view entries) {
  std::optional<value> own;
  if (entries.front().path == where) {
    own = std::move(entries.front().value);
    entries = entries.subspan(1);
  }
  if (entries.empty()) return std::move(*own);
  if (own && !is_mark(*own)) return not_nested(where, "holds a value of its own and has children");

  const bool is_array = own && own->type() == value_type::array;
  std::vector<std::pair<std::uint64_t, value>> elements;
  std::vector<value::member> members;
  while (!entries.empty()) {
    const path& first = entries.front().path;
    const path below{std::string_view{first.text()}.substr(
        0, where.text().size() + 1 + child_segment(where, first).size())};
    const auto end = std::ranges::find_if_not(
        entries, [&](const context_entry& each) { return below.contains(each.path); });
    const auto count = static_cast<std::size_t>(end - entries.begin());
    const auto name = below.segments().back();
    auto child = assemble(below, entries.first(count));
    if (!child) return child;
    entries = entries.subspan(count);
    if (!is_array) {
      members.emplace_back(name, std::move(*child));
    } else if (const auto index = to_index(name)) {
      elements.emplace_back(*index, std::move(*child));
    } else {
      return not_nested(where, "is an array and has the child '" + name + "'");
    }
  }
  if (!is_array) return value::map(std::move(members));
  std::ranges::sort(elements, {}, &std::pair<std::uint64_t, value>::first);
  std::vector<value> in_order;
  for (auto& [index, element] : elements) in_order.push_back(std::move(element));
  return value::array(in_order);
}

}  // namespace

std::vector<context_entry> flatten(const path& prefix, const value& json) {
  std::vector<context_entry> entries;
  explode(prefix, json, entries);
  std::ranges::sort(entries, in_tree_order);
  return entries;
}

result<value> render(const path& prefix, std::vector<context_entry> entries) {
  if (entries.empty())
    return fail(error_code::not_found, "there is nothing at or below " + name_for_people(prefix));
  for (const auto& each : entries)
    if (!prefix.contains(each.path))
      return fail(error_code::invalid_argument,
                  name_for_people(each.path) + " does not lie below " + name_for_people(prefix));
  std::ranges::sort(entries, in_tree_order);
  const auto twice = std::ranges::adjacent_find(entries, {}, &context_entry::path);
  if (twice != entries.end())
    return fail(error_code::invalid_argument, name_for_people(twice->path) + " occurs twice");
  try {
    return assemble(prefix, entries);
  } catch (const std::invalid_argument&) {
    return not_nested(prefix,
                      "is nested deeper than " + std::to_string(codec_limits{}.depth) + " levels");
  }
}

}  // namespace troupe
