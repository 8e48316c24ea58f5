#pragma once

#include <vector>

#include <troupe/messages/context.hpp>

namespace troupe {

/// Splits nested JSON into one entry per leaf, so that its parts can be read, watched and merged on
/// their own:
///
///     {"name": "Ada", "tags": ["x", "y"], "more": {}}   below /user becomes
///     /user/name = "Ada"   /user/tags = []   /user/tags/0 = "x"   /user/tags/1 = "y"   /user/more
///     = {}
///
/// An array leaves an empty array at its own path as its mark, and an empty map an empty map. A map
/// with members leaves nothing. A container with a member that no path can name (an empty key, or a
/// path that would be too long) stays one leaf. Sorted in the order of the context tree.
/// O(bytes * depth).
std::vector<context_entry> flatten(const path& prefix, const value& json);

/// The inverse of `flatten`: builds one JSON value from the entries at and below `prefix`, in any
/// order. For every value, `render(p, flatten(p, v)) == v`. When others have written too, the
/// elements of an array come in the order of their numbers, gaps close, and a map may carry the
/// mark of an empty map.
///
/// @returns not_found without entries; invalid_argument when an entry lies outside `prefix`, a path
///          occurs twice or holds a value beside children, a child of an array is not a number, or
///          the result is nested deeper than a value can be. Read such paths one by one, as flat
///          entries.
result<value> render(const path& prefix, std::vector<context_entry> entries);

}  // namespace troupe
