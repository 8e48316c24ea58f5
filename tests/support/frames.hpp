// Frames as the other side would send them.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <troupe/messages/value.hpp>
#include <troupe/messages/wire/rpc.hpp>

namespace troupe::test {

inline std::string request_frame(std::uint32_t id, std::string_view method = "m",
                                 std::string_view params = rpc::no_params) {
  std::string bytes;
  rpc::append_request(bytes, id, method, params);
  return bytes;
}
inline std::string response_frame(std::uint32_t id, std::string_view payload = rpc::nil) {
  std::string bytes;
  rpc::append_response(bytes, id, payload);
  return bytes;
}
inline std::string failure_frame(std::uint32_t id, const error& failure) {
  std::string bytes;
  rpc::append_failure(bytes, id, failure);
  return bytes;
}
inline std::string cancel_frame(std::uint32_t id) {
  std::string bytes;
  rpc::append_notification(bytes, "cancel", value::map({{"msgid", id}}).msgpack());
  return bytes;
}
inline std::string notification_frame(std::string_view method,
                                      std::string_view params = rpc::no_params) {
  std::string bytes;
  rpc::append_notification(bytes, method, params);
  return bytes;
}

}  // namespace troupe::test
