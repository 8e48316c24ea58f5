#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/byte_buffer.hpp>
#include <caf/init_global_meta_objects.hpp>
#include <caf/message.hpp>

#include <troupe/actors/kernel/type_ids.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/tests/support/message_samples.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

struct field_note {
  std::string_view name;
  presence needed;
};

/// What the tests ask of a message type, without the type: it would make each check once for every
/// message.
struct message_type {
  std::string_view name;
  std::vector<field_note> fields;  ///< None for `value`, which is no struct.

  std::string (*encoded)(std::uint64_t seed);                     ///< A sample.
  result<std::string> (*reencoded)(std::string_view bytes);       ///< Decodes and encodes again.
  bool (*is_sample)(std::string_view bytes, std::uint64_t seed);  ///< Decodes and compares.
  bool (*reads_unchecked)(std::string_view bytes);
  bool (*crosses_msgpack)(fullness how);
  bool (*crosses_caf)(fullness how);             ///< Alone.
  bool (*crosses_caf_in_message)(fullness how);  ///< With its type id.
};

template <class T>
T sample(std::uint64_t seed, fullness how = fullness::full) {
  return sample_maker{seed, how}.make<T>();
}

template <class T>
bool crosses_msgpack(fullness how) {
  const auto sent = sample<T>(1, how);
  return decode<T>(encode(sent)).value() == sent;
}

template <class T>
bool crosses_caf(fullness how) {
  const auto sent = sample<T>(1, how);
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  T received{};
  if (!sink.apply(sent)) return false;
  caf::binary_deserializer source{nullptr, bytes};
  return source.apply(received) && source.remaining() == 0 && received == sent;
}

template <class T>
bool crosses_caf_in_message(fullness how) {
  const auto sent = sample<T>(1, how);
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  caf::message received;
  if (!sink.apply(caf::make_message(sent))) return false;
  caf::binary_deserializer source{nullptr, bytes};
  return source.apply(received) && received.match_elements<T>() && received.get_as<T>(0) == sent;
}

template <class T>
message_type type_of(std::string_view name) {
  message_type made{
      .name = name,
      .fields = {},
      .encoded = [](std::uint64_t seed) { return encode(sample<T>(seed)); },
      .reencoded = [](std::string_view bytes) -> result<std::string> {
        return decode<T>(bytes).map(&encode<T>);
      },
      .is_sample = [](std::string_view bytes,
                      std::uint64_t seed) { return decode<T>(bytes).value() == sample<T>(seed); },
      .reads_unchecked =
          [](std::string_view bytes) { return decode_checked<T>(bytes).has_value(); },
      .crosses_msgpack = &crosses_msgpack<T>,
      .crosses_caf = &crosses_caf<T>,
      .crosses_caf_in_message = &crosses_caf_in_message<T>};
  if constexpr (described<T>)
    for_each_field<T>([&](const auto& each) { made.fields.push_back({each.name, each.needed}); });
  return made;
}

std::vector<message_type> all_messages() {
#define TROUPE_TYPE_OF(type) type_of<type>(#type),
  return {TROUPE_MESSAGES(TROUPE_TYPE_OF)};
#undef TROUPE_TYPE_OF
}

/// The msgpack map of a message without one of its keys.
std::string without(std::string_view message, std::string_view key) {
  auto members = value::from_msgpack(message).value().members();
  std::erase_if(members, [&](const auto& member) { return member.first == key; });
  return value::map(std::move(members)).msgpack();
}

}  // namespace

TEST_CASE("every message comes back from msgpack as it was") {
  for (const auto& message : all_messages()) {
    CAPTURE(message.name);
    for (const std::uint64_t seed : {1, 500}) {
      const auto bytes = message.encoded(seed);
      const auto back = message.reencoded(bytes);
      REQUIRE_MESSAGE(back.has_value(), back.error().message);
      CHECK(*back == bytes);
      CHECK(message.is_sample(bytes, seed));
    }
    if (!message.fields.empty()) CHECK_FALSE(message.is_sample(message.encoded(500), 1));
  }
}

TEST_CASE(
    "every message comes back from msgpack when nothing optional is in it and its lists are "
    "empty") {
  for (const auto& message : all_messages()) {
    CAPTURE(message.name);
    CHECK(message.crosses_msgpack(fullness::sparse));
  }
}

TEST_CASE("every message is a map of the fields that it lists") {
  for (const auto& message : all_messages()) {
    if (message.name == "troupe::value") continue;
    CAPTURE(message.name);
    const auto map = value::from_msgpack(message.encoded(1));
    REQUIRE_MESSAGE(map.has_value(), map.error().message);
    CHECK(map->type() == value_type::map);
    CHECK(map->size() == message.fields.size());
    for (const auto& field : message.fields) {
      CAPTURE(field.name);
      CHECK(map->find(field.name).has_value());
    }
  }
}

TEST_CASE("every message misses what is required of it and does without the rest") {
  for (const auto& message : all_messages()) {
    for (const auto& field : message.fields) {
      CAPTURE(message.name);
      CAPTURE(field.name);
      const auto bytes = without(message.encoded(1), field.name);
      const auto partial = message.reencoded(bytes);
      if (field.needed == presence::required) {
        REQUIRE_FALSE(partial.has_value());
        CHECK(partial.error().message == std::string{field.name} + " is missing");
      } else {
        REQUIRE_MESSAGE(partial.has_value(), partial.error().message);
        CHECK_FALSE(message.is_sample(bytes, 1));
      }
    }
  }
}

TEST_CASE("no message is read from a part of its bytes") {
  for (const auto& message : all_messages()) {
    const auto bytes = message.encoded(1);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut)
      if (message.reads_unchecked(std::string_view{bytes}.substr(0, cut)))
        FAIL(message.name, " cut after ", cut, " bytes");
  }
}

TEST_CASE("every message crosses between actors as it was") {
  caf::core::init_global_meta_objects();
  caf::init_global_meta_objects<caf::id_block::troupe_messages>();
  for (const auto& message : all_messages()) {
    CAPTURE(message.name);
    for (const auto how : {fullness::full, fullness::sparse}) {
      CHECK(message.crosses_caf(how));
      CHECK(message.crosses_caf_in_message(how));
    }
  }
}

TEST_CASE("what is local to a node does not travel with a message") {
  auto record = sample<change_record>(1);
  record.previous_value = value{"before"};
  CHECK_FALSE(decode<change_record>(encode(record))->previous_value.has_value());
  auto caller = sample<principal>(1);
  caller.same_user = true;
  CHECK_FALSE(decode<principal>(encode(caller))->same_user);
}

TEST_CASE("an error crosses between actors with its code, its message and its detail") {
  CHECK(crosses_caf<error>(fullness::full));
}

TEST_CASE("bytes in CAF's form that are no value, path, code or enumerator are refused") {
  const auto refuses = [](const auto& written, auto read) {
    caf::byte_buffer bytes;
    caf::binary_serializer sink{nullptr, bytes};
    REQUIRE(sink.apply(written));
    caf::binary_deserializer source{nullptr, bytes};
    return !source.apply(read);
  };
  CHECK(refuses(std::string{"\xc1"}, value{}));
  CHECK(refuses(std::string{"no path"}, path{}));
  CHECK(refuses(std::uint8_t{99}, error_code{}));
  CHECK(refuses(std::uint8_t{99}, operation{}));
}
