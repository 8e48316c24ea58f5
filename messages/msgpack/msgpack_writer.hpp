#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <msgpack/pack.hpp>

namespace troupe {

/// Appends msgpack to a string, with msgpack-c's packer.
class msgpack_writer {
public:
  /// @param out must outlive the writer.
  explicit msgpack_writer(std::string& out) : sink_{&out}, packer_(sink_) {}
  msgpack_writer(const msgpack_writer&) = delete;
  msgpack_writer& operator=(const msgpack_writer&) = delete;

  // Each appends one element. Lengths must be below 2^32; `codec_limits` are far below.

  void nil() { packer_.pack_nil(); }
  void boolean(bool flag) { flag ? packer_.pack_true() : packer_.pack_false(); }
  void integer(std::int64_t number) { packer_.pack_int64(number); }
  void unsigned_integer(std::uint64_t number) { packer_.pack_uint64(number); }
  /// Always 64 bits. msgpack-c's `pack_double` turns 7.0 into the integer 7 and loses the sign of
  /// -0.0.
  void floating(double number) {
    auto bits = std::bit_cast<std::uint64_t>(number);
    if constexpr (std::endian::native == std::endian::little) bits = __builtin_bswap64(bits);
    sink_.out->push_back('\xcb');
    sink_.out->append(reinterpret_cast<const char*>(&bits), sizeof bits);
  }
  void string(std::string_view text) {
    packer_.pack_str(static_cast<std::uint32_t>(text.size()));
    packer_.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
  }
  void binary(std::string_view bytes) {
    packer_.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer_.pack_bin_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  }
  /// Appends the header only. Write the elements next, or keys and values in turn.
  void array(std::size_t elements) { packer_.pack_array(static_cast<std::uint32_t>(elements)); }
  void map(std::size_t pairs) { packer_.pack_map(static_cast<std::uint32_t>(pairs)); }
  /// Appends bytes that are msgpack already.
  void raw(std::string_view msgpack) { sink_.out->append(msgpack); }

private:
  struct sink {
    std::string* out;
    void write(const char* bytes, std::size_t count) { out->append(bytes, count); }
  };

  sink sink_;
  msgpack::packer<sink> packer_;
};

}  // namespace troupe
