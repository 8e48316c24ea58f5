#include <troupe/actors/context/store/kept_erasures.hpp>

#include <set>

namespace troupe {

void keep_erasures(change_log& log, context_tree& state) {
  std::set<path> added;  // of several erasures the latest is told
  log.visit([&](const change_record& record) {
    if (record.operation != operation::erase_subtree) return;
    auto erased = record;
    erased.operation = operation::erase;
    erased.below.clear();
    const auto tombstone = sibling::of(erased, 0);
    for (const auto& each : record.below)
      if (!state.find(each.path) || added.contains(each.path)) {
        state.put(each.path, {&tombstone, 1});
        added.insert(each.path);
      }
  });
}

}  // namespace troupe
