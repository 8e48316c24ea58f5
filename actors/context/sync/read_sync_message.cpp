#include <troupe/actors/context/sync/read_sync_message.hpp>

#include <string>
#include <type_traits>
#include <utility>

#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

namespace troupe {

result<sync_message> read_sync_message(std::string_view method, std::string_view params) {
  using known =
      message_types<sync_hello, sync_push, sync_ack, sync_heads, sync_pull, sync_range, sync_state>;
  result<sync_message> outcome =
      fail(error_code::not_found, "no sync session has a method " + std::string{method});
  visit_method(known{}, method, [&]<class Message>(std::type_identity<Message>) {
    auto read = decode_checked<Message>(params);
    if (read)
      outcome = std::move(*read);
    else
      outcome = fail(std::move(read.error()));
  });
  return outcome;
}

}  // namespace troupe
