#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include <troupe/messages/error.hpp>
#include <troupe/messages/msgpack/limits.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe::rpc {

// MessagePack-RPC frames (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md). On the
// wire `params` is an array with one map of named parameters; here it is the bytes of that map.

/// `[0, msgid, method, [params]]`
struct request {
  std::uint32_t id = 0;
  std::string_view method;
  std::string_view params;
};

/// `[1, msgid, error, result]`
struct response {
  std::uint32_t id = 0;
  error failure;             ///< Code `none` when the call succeeded.
  std::string_view payload;  ///< The msgpack bytes of the result; nil when it failed.
};

/// `[2, method, [params]]`
struct notification {
  std::string_view method;
  std::string_view params;
};

/// Any of the three messages of the protocol.
using frame = std::variant<request, response, notification>;

/// The bytes of an empty parameter map.
inline constexpr std::string_view no_params{"\x80", 1};
/// The bytes of nil.
inline constexpr std::string_view nil{"\xc0", 1};

/// Parses a complete message that has passed `msgpack_scanner`. The views point into `bytes`. Fails
/// with `protocol_violation` when it is not one of the three frames.
result<frame> parse(std::string_view bytes);

/// Appends frames to an output buffer. `params` and `payload` are msgpack bytes.
void append_request(std::string& out, std::uint32_t id, std::string_view method,
                    std::string_view params);
void append_response(std::string& out, std::uint32_t id, std::string_view payload);
void append_failure(std::string& out, std::uint32_t id, const error& failure);
void append_notification(std::string& out, std::string_view method, std::string_view params);

/// The parameters that any request may have beside its own.
struct envelope {
  std::chrono::milliseconds deadline{
      0};  ///< The time that the caller has left; 0 when it set none.
  trace_id trace;

  static constexpr auto fields() {
    return std::tuple{optional("deadline_ms", &envelope::deadline),
                      optional("trace", &envelope::trace)};
  }
};

/// The bytes of a parameter map with the envelope's parameters added. @param params The bytes of a
/// map.
std::string with_envelope(std::string_view params, const envelope& beside);

}  // namespace troupe::rpc
