#pragma once

#include <troupe/plugins/sdk/cpp/plugin.hpp>

namespace troupe::examples {

/// Keeps short notes in the context, at `/plugins/notes/notes/<id>` as `{text, tags}`, so that they
/// are on all nodes. The plugin may run on every node at once. Commands:
///
/// - `notes.add {text, tags?}` keeps a note of at most 65,536 characters durably and returns
///   `{id}`. Ids are unique among all nodes, and in the order in which the notes were added as far
///   as the nodes knew of each other's.
/// - `notes.find {text, limit?}` returns up to `limit` (20) notes `{id, text, tags}` that contain
///   `text`, in the order of their ids. Letters a-z match in upper and lower case, all others
///   exactly. Reads notes until enough are found; fails with `limit_exceeded` when they take more
///   than 4 MiB together and a lower `limit` would do.
/// - `notes.count {}` returns how many notes there are. Reads every note.
sdk::plugin notes_plugin();

}  // namespace troupe::examples
