#include <troupe/actors/context/state/lost_transactions.hpp>

#include <algorithm>
#include <charconv>
#include <string>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

namespace {

constexpr std::string_view first_field = "first";

/// Takes the last part of a path as a number.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  const auto slash = text.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::uint64_t number = 0;
  const auto *const begin = text.data() + slash + 1, *const end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(begin, end, number);
  if (failed != std::errc{} || at != end) return std::nullopt;
  text.remove_suffix(text.size() - slash);
  return number;
}

/// The first change of a transaction that this value calls lost, if it does.
std::optional<std::uint64_t> first_in(const value& said) {
  const auto field = said.find(first_field);
  const auto number = field ? field->as_integer() : std::nullopt;
  return number && *number > 0 ? std::optional{static_cast<std::uint64_t>(*number)} : std::nullopt;
}

/// The same of the values of an entry.
std::optional<std::uint64_t> first_in(const tree_entry& entry) {
  for (const auto& each : entry.siblings())
    if (each.operation == operation::put)
      if (const auto first = first_in(each.copy_value())) return first;
  return std::nullopt;
}

}  // namespace

path lost_transactions::place_of(const dot& last) {
  return path{std::string{directory} + "/" + to_string(last.origin) + "/" +
              std::to_string(last.incarnation) + "/" + std::to_string(last.seq)};
}

std::optional<dot> lost_transactions::last_at(const path& where) {
  std::string_view text{where.text()};
  if (!text.starts_with(directory)) return std::nullopt;
  text.remove_prefix(directory.size());
  const auto seq = take_number(text);
  const auto incarnation = seq ? take_number(text) : std::nullopt;
  if (!incarnation || text.empty()) return std::nullopt;
  const auto origin = parse_uuid(text.substr(1));
  if (!origin || *incarnation == 0 || *seq == 0) return std::nullopt;
  const dot last{node_id{*origin}, *incarnation, *seq};
  return place_of(last) == where ? std::optional{last} : std::nullopt;
}

value lost_transactions::sought(std::uint64_t now_ms) {
  return value::map({{"sought_ms", value{static_cast<std::int64_t>(now_ms)}}});
}

value lost_transactions::lost(std::uint64_t first, std::uint64_t now_ms) {
  return value::map({{std::string{first_field}, value{static_cast<std::int64_t>(first)}},
                     {"lost_ms", value{static_cast<std::int64_t>(now_ms)}}});
}

bool lost_transactions::says_lost(const value& said) { return first_in(said).has_value(); }

bool lost_transactions::has_any(const context_tree& tree) {
  return tree.subtree(path{directory}).count > 0;
}

bool lost_transactions::has_any_of(const context_tree& tree, const node_id& origin) {
  return tree.subtree(path{std::string{directory} + "/" + to_string(origin)}).count > 0;
}

bool lost_transactions::has(const context_tree& tree, const dot& last) {
  const auto entry = tree.find(place_of(last));
  return entry && first_in(*entry);
}

bool lost_transactions::span::has(const dot& id) const noexcept {
  return incarnation_of(id) == incarnation_of(last) && first <= id.seq && id.seq <= last.seq;
}

std::vector<lost_transactions::span> lost_transactions::all(const context_tree& tree) {
  std::vector<span> found;
  tree.visit_subtree(path{directory}, [&](const tree_entry& entry) {
    const auto last = last_at(path::from_checked(std::string{entry.path()}));
    const auto first = last ? first_in(entry) : std::nullopt;
    if (first) found.push_back({*last, *first});
    return true;
  });
  std::ranges::sort(found, {}, &span::last);
  return found;
}

const lost_transactions::span* lost_transactions::find(const std::vector<span>& all,
                                                       const dot& id) {
  const auto at = std::ranges::lower_bound(all, id, {}, &span::last);
  return at != all.end() && at->has(id) ? &*at : nullptr;
}

std::vector<dot> lost_transactions::said_by(const context_tree& tree, const dot& last) {
  std::vector<dot> found;
  if (const auto entry = tree.find(place_of(last)))
    for (const auto& each : entry->siblings())
      if (each.operation == operation::put && says_lost(each.copy_value()))
        found.push_back(each.dot);
  return found;
}

}  // namespace troupe
