#pragma once

// What the bare CAF actors beside ours exchange, and its type ids.

#include <string>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/type_id.hpp>
#include <caf/typed_actor.hpp>

#include <troupe/bench/echo_text.hpp>

namespace troupe::bench {

/// A frame of fixed length: the text and nothing else. Answered with the same.
struct bare_frame {
  echo_text text;
};

/// A request with one text, answered with the same text.
struct bare_request {
  std::string text;
};

}  // namespace troupe::bench

CAF_BEGIN_TYPE_ID_BLOCK(troupe_bench, caf::first_custom_type_id)
CAF_ADD_TYPE_ID(troupe_bench, (troupe::bench::bare_frame))
CAF_ADD_TYPE_ID(troupe_bench, (troupe::bench::bare_request))
CAF_END_TYPE_ID_BLOCK(troupe_bench)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::bench::bare_frame)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::bench::bare_request)
