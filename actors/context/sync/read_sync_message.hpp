#pragma once

#include <string_view>

#include <troupe/messages/error.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// Reads a notification as a message of a session. Fails for a malformed one, and with `not_found`
/// for a method that no session knows.
result<sync_message> read_sync_message(std::string_view method, std::string_view params);

}  // namespace troupe
