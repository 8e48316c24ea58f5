#include <troupe/actors/context/value_queries.hpp>

#include <algorithm>

namespace troupe {

namespace {

constexpr std::uint32_t max_entries = 10'000;
constexpr std::size_t max_page_bytes = std::size_t{4} << 20;

}  // namespace

value_page list_page(const context_engine& engine, const list_values& wanted) {
  const auto& tree = engine.tree();
  value_page page;
  page.hash = tree.subtree(wanted.prefix).hash;
  const std::size_t limit = std::clamp<std::uint32_t>(wanted.limit, 1, max_entries);
  std::size_t bytes = 0;
  const bool resumed = !wanted.after.is_root();
  tree.visit_from(resumed ? wanted.after : wanted.prefix, [&](const tree_entry& entry) {
    if (!wanted.prefix.contains(entry.path)) return false;
    if (resumed && entry.path == wanted.after) return true;
    const auto record = resolve_siblings(engine.rule(), entry.path, entry.siblings.all());
    if (record.operation == operation::erase) return true;
    if (page.entries.size() == limit || bytes > max_page_bytes) {
      page.more = true;
      return false;
    }
    bytes += entry.path.text().size() + record.new_value.msgpack().size();
    page.entries.push_back({entry.path, record.new_value});
    return true;
  });
  return page;
}

values_verified verify_subtree(const context_engine& engine, const path& prefix) {
  const auto& tree = engine.tree();
  values_verified report{.sound = tree.verify().has_value(),
                         .hash = tree.subtree(prefix).hash,
                         .entries = 0,
                         .conflicts = engine.conflicts(),
                         .vector = engine.vector()};
  state_hash recomputed;
  tree.visit_subtree(prefix, [&](const tree_entry& entry) {
    recomputed = add(recomputed, entry_hash(entry.path.text(), entry.siblings.all()));
    if (resolve_siblings(engine.rule(), entry.path, entry.siblings.all()).operation == operation::put) ++report.entries;
    return true;
  });
  report.sound = report.sound && recomputed == report.hash;
  return report;
}

}  // namespace troupe
