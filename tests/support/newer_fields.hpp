#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <troupe/messages/assert.hpp>
#include <troupe/messages/msgpack/msgpack_reader.hpp>
#include <troupe/messages/msgpack/msgpack_writer.hpp>

namespace troupe::test {

namespace detail {

inline void copy_newer(msgpack_reader& in, msgpack_writer& out) {
  if (in.peek() == msgpack_kind::array) {
    const auto length = *in.read_array();
    out.array(length);
    for (std::uint32_t i = 0; i < length; ++i) copy_newer(in, out);
  } else if (in.peek() == msgpack_kind::map) {
    const auto pairs = *in.read_map();
    out.map(pairs + 1);
    out.string("of_a_newer_build");
    out.array(2);
    out.nil();
    out.string("unknown");
    for (std::uint32_t i = 0; i < pairs; ++i) {
      out.raw(*in.skip());
      copy_newer(in, out);
    }
  } else {
    const auto element = in.skip();
    TROUPE_ASSERT(element, "a message is well-formed");
    out.raw(*element);
  }
}

}  // namespace detail

/// A message as a newer build of the same format may write it: each of its structs has one more
/// field, which this build does not know.
inline std::string with_newer_fields(std::string_view message) {
  std::string bytes;
  msgpack_reader in{message};
  msgpack_writer out{bytes};
  detail::copy_newer(in, out);
  return bytes;
}

}  // namespace troupe::test
