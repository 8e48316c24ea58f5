#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/ids.hpp>
#include <troupe/messages/msgpack/limits.hpp>
#include <troupe/messages/msgpack/msgpack_reader.hpp>
#include <troupe/messages/msgpack/msgpack_scanner.hpp>
#include <troupe/messages/msgpack/msgpack_writer.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/messages/wire/field.hpp>

namespace troupe {

/// Raw bytes in a message struct: a msgpack binary on the wire.
struct binary {
  std::string bytes;
  friend bool operator==(const binary&, const binary&) = default;
};

namespace codec {

// The msgpack form of each type that a field may have. A described struct is a map with its field
// names as keys, an enumeration is its name, an id is 16 bytes of binary, a duration is the integer
// count of its unit.
//
// For each type, `write` appends its form and `read` takes the next value of the input. When the
// input is something else, `read` returns false and says why; its target is then unspecified.
//
// A class of another header that is not a described struct declares both as friends:
//
//     friend void write(msgpack_writer& out, const path& x);
//     friend bool read(msgpack_reader& in, path& x, codec::problem& why);

/// Why decoding stopped: the field, outermost first, and what was expected.
struct problem {
  std::string where;
  std::string what;
};

/// Records what was expected. Always false, so that a reader can return it.
inline bool expected(problem& why, std::string_view what) {
  why.what = "must be " + std::string{what};
  return false;
}

inline void write(msgpack_writer& out, bool x) { out.boolean(x); }
inline bool read(msgpack_reader& in, bool& x, problem& why) {
  const auto got = in.read_bool();
  return got ? (x = *got, true) : expected(why, "a boolean");
}

template <std::integral T>
void write(msgpack_writer& out, T x) {
  if constexpr (std::is_signed_v<T>)
    out.integer(x);
  else
    out.unsigned_integer(x);
}
template <std::integral T>
bool read(msgpack_reader& in, T& x, problem& why) {
  const auto got = [&] {
    if constexpr (std::is_signed_v<T>)
      return in.read_signed();
    else
      return in.read_unsigned();
  }();
  if (!got || !std::in_range<T>(*got))
    return expected(
        why, std::is_signed_v<T> ? "an integer in range" : "a non-negative integer in range");
  x = static_cast<T>(*got);
  return true;
}

inline void write(msgpack_writer& out, double x) { out.floating(x); }
inline bool read(msgpack_reader& in, double& x, problem& why) {
  const auto got = in.read_double();
  return got ? (x = *got, true) : expected(why, "a number");
}

/// Repairs text that is not UTF-8: the other side would refuse the whole message for it.
void write(msgpack_writer& out, const std::string& x);
inline bool read(msgpack_reader& in, std::string& x, problem& why) {
  const auto got = in.read_string();
  return got ? (x = *got, true) : expected(why, "a string");
}

inline void write(msgpack_writer& out, const binary& x) { out.binary(x.bytes); }
inline bool read(msgpack_reader& in, binary& x, problem& why) {
  const auto got = in.read_binary();
  return got ? (x.bytes = *got, true) : expected(why, "binary");
}

inline void write(msgpack_writer& out, const uuid& x) {
  out.binary({reinterpret_cast<const char*>(x.bytes.data()), x.bytes.size()});
}
inline bool read(msgpack_reader& in, uuid& x, problem& why) {
  const auto got = in.read_binary();
  if (!got || got->size() != x.bytes.size()) return expected(why, "an id (16 bytes of binary)");
  std::memcpy(x.bytes.data(), got->data(), got->size());
  return true;
}

template <class Tag>
void write(msgpack_writer& out, const strong_id<Tag>& x) {
  write(out, x.id);
}
template <class Tag>
bool read(msgpack_reader& in, strong_id<Tag>& x, problem& why) {
  return read(in, x.id, why);
}

inline void write(msgpack_writer& out, const value& x) { out.raw(x.msgpack()); }
bool read(msgpack_reader& in, value& x, problem& why);

/// `[code, message, detail]`, or nil for the code `none`. A detail that is not one msgpack value is
/// written as a string.
void write(msgpack_writer& out, const error& x);
bool read(msgpack_reader& in, error& x, problem& why);

template <class Rep, class Period>
void write(msgpack_writer& out, std::chrono::duration<Rep, Period> x) {
  out.integer(x.count());
}
template <class Rep, class Period>
bool read(msgpack_reader& in, std::chrono::duration<Rep, Period>& x, problem& why) {
  const auto got = in.read_signed();
  return got ? (x = std::chrono::duration<Rep, Period>{*got}, true)
             : expected(why, "a duration (an integer)");
}

template <named_enum E>
void write(msgpack_writer& out, E x) {
  out.string(name_of(x));
}
template <named_enum E>
bool read(msgpack_reader& in, E& x, problem& why) {
  const auto name = in.read_string();
  const auto got = name ? parse_enum<E>(*name) : std::nullopt;
  if (got) return x = *got, true;
  std::string names;
  for (const auto& entry : enum_names<E>::names)
    names += (names.empty() ? "" : ", ") + std::string{entry.name};
  return expected(why, "one of " + names);
}

template <class T>
void write(msgpack_writer& out, const std::optional<T>& x);
template <class T>
bool read(msgpack_reader& in, std::optional<T>& x, problem& why);
template <class T>
void write(msgpack_writer& out, const std::vector<T>& x);
template <class T>
bool read(msgpack_reader& in, std::vector<T>& x, problem& why);
template <described T>
void write(msgpack_writer& out, const T& x);
template <described T>
bool read(msgpack_reader& in, T& x, problem& why);
template <described T>
void write(msgpack_writer& out, const std::shared_ptr<const T>& x);
template <described T>
bool read(msgpack_reader& in, std::shared_ptr<const T>& x, problem& why);

/// An optional `value` that holds nil is written as an absent one: as nil.
template <class T>
void write(msgpack_writer& out, const std::optional<T>& x) {
  if (x)
    write(out, *x);
  else
    out.nil();
}
template <class T>
bool read(msgpack_reader& in, std::optional<T>& x, problem& why) {
  if (in.read_nil()) return x.reset(), true;
  return read(in, x.emplace(), why);
}

template <class T>
void write(msgpack_writer& out, const std::vector<T>& x) {
  out.array(x.size());
  for (const auto& each : x) write(out, each);
}
template <class T>
bool read(msgpack_reader& in, std::vector<T>& x, problem& why) {
  const auto count = in.read_array();
  if (!count) return expected(why, "an array");
  x.clear();
  // The announced count is not trusted: reserve no more memory than bytes have arrived.
  x.reserve(std::min<std::size_t>(*count, in.rest().size() / sizeof(T)));
  for (std::uint32_t i = 0; i < *count; ++i) {
    if (!read(in, x.emplace_back(), why)) {
      why.where = "[" + std::to_string(i) + "]" + why.where;
      return false;
    }
  }
  return true;
}

template <described T>
void write(msgpack_writer& out, const T& x) {
  constexpr auto count = std::tuple_size_v<decltype(T::fields())>;
  out.map(count);
  for_each_field<T>([&](const auto& each) {
    out.string(each.name);
    write(out, x.*each.member);
  });
}

/// Skips unknown fields, which a newer peer may send. The last of a repeated field counts.
template <described T>
bool read(msgpack_reader& in, T& x, problem& why) {
  const auto pairs = in.read_map();
  if (!pairs) return expected(why, "a map");
  std::uint64_t seen = 0;
  for (std::uint32_t i = 0; i < *pairs; ++i) {
    const auto key = in.read_string();
    if (!key) return expected(why, "a map with string keys");
    bool known = false, good = true;
    std::size_t position = 0;
    for_each_field<T>([&](const auto& each) {
      if (!known && each.name == *key) {
        known = true;
        seen |= std::uint64_t{1} << position;
        good = read(in, x.*each.member, why);
        if (!good) why.where = "." + std::string{each.name} + why.where;
      }
      ++position;
    });
    if (!good) return false;
    if (!known && !in.skip()) return expected(why, "complete");
  }
  std::size_t position = 0;
  bool complete = true;
  for_each_field<T>([&](const auto& each) {
    if (complete && each.needed == presence::required && (seen >> position & 1) == 0) {
      why = {"." + std::string{each.name}, "is missing"};
      complete = false;
    }
    ++position;
  });
  static_assert(std::tuple_size_v<decltype(T::fields())> <= 64);
  return complete;
}

/// An immutable object that is shared inside the process and copied over the wire. Never empty.
template <described T>
void write(msgpack_writer& out, const std::shared_ptr<const T>& x) {
  write(out, *x);
}
template <described T>
bool read(msgpack_reader& in, std::shared_ptr<const T>& x, problem& why) {
  auto made = std::make_shared<T>();
  if (!read(in, *made, why)) return false;
  x = std::move(made);
  return true;
}

/// The error for a problem, such as "the message.path[3].value must be a string".
error to_error(const problem& why);

}  // namespace codec

/// The msgpack bytes of a message.
template <class T>
std::string encode(const T& message) {
  std::string bytes;
  msgpack_writer writer{bytes};
  using codec::write;
  write(writer, message);
  return bytes;
}

/// Reads a message from bytes that have passed `msgpack_scanner` already, such as a link's.
template <class T>
result<T> decode_checked(std::string_view bytes) {
  T message{};
  codec::problem why;
  msgpack_reader reader{bytes};
  using codec::read;
  if (!read(reader, message, why)) return fail(codec::to_error(why));
  return message;
}

/// Reads a message from bytes of any origin: exactly one message within the limits. The error names
/// the wrong field.
template <class T>
result<T> decode(std::string_view bytes, const codec_limits& limits = {}) {
  if (auto checked = check_msgpack(bytes, limits); !checked)
    return fail(std::move(checked.error()));
  return decode_checked<T>(bytes);
}

}  // namespace troupe
