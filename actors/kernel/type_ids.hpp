#pragma once

// The ids that CAF needs for each type that actors exchange. Messages that may leave the process
// come from `messages/` and are listed here, once. Types that live inside one process (handles,
// functions, snapshots) are listed by the folder that owns them, in a block of its own. The
// distance to CAF's first free id leaves room for the host's own block.

#include <string>
#include <vector>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/type_id.hpp>

#include <troupe/actors/kernel/inspect.hpp>
#include <troupe/messages/audit.hpp>
#include <troupe/messages/command.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/context_upkeep.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/execution.hpp>
#include <troupe/messages/link.hpp>
#include <troupe/messages/node.hpp>
#include <troupe/messages/plugin.hpp>
#include <troupe/messages/plugin_requests.hpp>
#include <troupe/messages/wire/plugin_protocol.hpp>
#include <troupe/messages/wire/sync.hpp>

/// The messages that may leave the process: `X(type)` for each. The type ids, the method table and
/// the round-trip tests are generated from this list.
#define TROUPE_MESSAGES(X)        \
  X(troupe::value)                \
  X(troupe::payload)              \
  X(troupe::call_remote)          \
  X(troupe::notify_remote)        \
  X(troupe::close_link)           \
  X(troupe::service_call)         \
  X(troupe::service_notification) \
  X(troupe::session_open)         \
  X(troupe::session_accepted)     \
  X(troupe::session_closed)       \
  X(troupe::ping)                 \
  X(troupe::cancel_call)          \
  X(troupe::command_spec)         \
  X(troupe::invoke_command)       \
  X(troupe::execute_request)      \
  X(troupe::list_commands)        \
  X(troupe::command_list)         \
  X(troupe::describe_command)     \
  X(troupe::get_metrics)          \
  X(troupe::metrics_list)         \
  X(troupe::reset_metrics)        \
  X(troupe::remove_commands)      \
  X(troupe::change_record)        \
  X(troupe::get_value)            \
  X(troupe::value_found)          \
  X(troupe::set_value)            \
  X(troupe::erase_value)          \
  X(troupe::change_accepted)      \
  X(troupe::list_values)          \
  X(troupe::value_page)           \
  X(troupe::import_values)        \
  X(troupe::values_imported)      \
  X(troupe::explain_value)        \
  X(troupe::value_explained)      \
  X(troupe::check_clock)          \
  X(troupe::correct_clock)        \
  X(troupe::clock_checked)        \
  X(troupe::list_quarantine)      \
  X(troupe::clear_quarantine)     \
  X(troupe::quarantine_list)      \
  X(troupe::list_members)         \
  X(troupe::forget_member)        \
  X(troupe::member_list)          \
  X(troupe::verify_values)        \
  X(troupe::values_verified)      \
  X(troupe::sync_hello)           \
  X(troupe::sync_push)            \
  X(troupe::sync_ack)             \
  X(troupe::sync_heads)           \
  X(troupe::sync_pull)            \
  X(troupe::sync_range)           \
  X(troupe::sync_state)           \
  X(troupe::get_node_info)        \
  X(troupe::list_peers)           \
  X(troupe::stop_node)            \
  X(troupe::list_plugins)         \
  X(troupe::node_info)            \
  X(troupe::peer_info)            \
  X(troupe::peer_list)            \
  X(troupe::peers_known)          \
  X(troupe::load_plugin)          \
  X(troupe::unload_plugin)        \
  X(troupe::grant_capability)     \
  X(troupe::revoke_capability)    \
  X(troupe::get_usage)            \
  X(troupe::resource_usage)       \
  X(troupe::check_permission)     \
  X(troupe::permission_decision)  \
  X(troupe::plugin_info)          \
  X(troupe::plugin_list)          \
  X(troupe::start_plugin)         \
  X(troupe::stop_plugin)          \
  X(troupe::plugin_started)       \
  X(troupe::log_line)             \
  X(troupe::grants_changed)       \
  X(troupe::audit_record)         \
  X(troupe::search_audit)         \
  X(troupe::audit_list)

CAF_BEGIN_TYPE_ID_BLOCK(troupe_messages, caf::first_custom_type_id + 1000)
CAF_ADD_TYPE_ID(troupe_messages, (troupe::error_code))
#define TROUPE_ADD_TYPE_ID(type) CAF_ADD_TYPE_ID(troupe_messages, (type))
TROUPE_MESSAGES(TROUPE_ADD_TYPE_ID)
#undef TROUPE_ADD_TYPE_ID
CAF_END_TYPE_ID_BLOCK(troupe_messages)

CAF_ERROR_CODE_ENUM(troupe::error_code)

#define TROUPE_ADD_LOCAL_TYPE(block, type) CAF_ADD_TYPE_ID(block, (type))
#define TROUPE_ALLOW_LOCAL_TYPE(block, type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)

/// Declares the messages of a folder that never leave the process: a block of type ids that begins
/// `offset` after CAF's first free id. `list` is a macro with `X(block, type)` for each type.
#define TROUPE_LOCAL_TYPES(block, offset, list)                      \
  CAF_BEGIN_TYPE_ID_BLOCK(block, caf::first_custom_type_id + offset) \
  list(TROUPE_ADD_LOCAL_TYPE) CAF_END_TYPE_ID_BLOCK(block) list(TROUPE_ALLOW_LOCAL_TYPE)
