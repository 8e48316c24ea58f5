#pragma once

#include <vector>

#include <troupe/messages/context.hpp>

namespace troupe {

/// Explodes nested JSON into one entry for each leaf, so that parts of it can be read, watched and
/// merged on their own:
///
///     {"name": "Ada", "tags": ["x", "y"], "more": {}}   below /user becomes
///     /user/name = "Ada"   /user/tags = []   /user/tags/0 = "x"   /user/tags/1 = "y"   /user/more
///     = {}
///
/// An array leaves an empty array at its own path as its mark, an empty map an empty map; a map
/// with members leaves nothing. A container with a member that no path can name (its key is empty,
/// or the path would be too long) stays whole, as one leaf. Sorted in the order of the context
/// tree. O(bytes * depth).
std::vector<context_entry> flatten(const path& prefix, const value& json);

/// The inverse of `flatten`: makes one JSON value of the entries at and below `prefix`, in any
/// order. For every value, `render(p, flatten(p, v)) == v`. Where others have written too: the
/// elements of an array come in the order of their numbers, and gaps close; a map may carry the
/// mark of an empty one.
///
/// @returns not_found when there are no entries; invalid_argument when an entry lies outside of
/// `prefix`, a path occurs
///          twice, a path holds a value of its own beside children, an array has a child that is
///          not a number, or the whole is nested deeper than a value can be. Read such paths one by
///          one, as flat entries.
result<value> render(const path& prefix, std::vector<context_entry> entries);

}  // namespace troupe
