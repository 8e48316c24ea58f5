#pragma once

#include <string>

#include <troupe/messages/context.hpp>
#include <troupe/runtime/cli/app.hpp>

namespace troupe::cli {

/// Writes a JSON file into the tree, a value for each leaf, in several messages. All are checked
/// before the first is written.
/// @param prefix the path to write below. @param level when the node answers each message.
result<void> import_file(app_state& app, client& node, const std::string& file, const path& prefix,
                         enum durability level);

}  // namespace troupe::cli
