#include <troupe/actors/context/state/tree/leaf_codec.hpp>

#include <algorithm>

#include <troupe/actors/context/state/incarnation_of.hpp>

namespace troupe {

namespace {

// The first byte of a sibling: the operation and three flags.
constexpr unsigned operation_bits = 0x07;
constexpr unsigned is_outside = 0x08;
constexpr unsigned another_follows = 0x10;
constexpr unsigned has_counts = 0x20;

/// Differences in both directions as small numbers: 0, -1, 1, -2, …
std::uint64_t zigzag(std::uint64_t difference) noexcept {
  return (difference << 1) ^ (0 - (difference >> 63));
}
std::uint64_t unzigzag(std::uint64_t number) noexcept { return (number >> 1) ^ (0 - (number & 1)); }

}  // namespace

sibling_content::sibling_content(const sibling& from) : bytes_(from.value_bytes) {
  if (from.counts.empty()) return;
  std::array<char, max_varint_bytes> size;
  joined_.append(size.data(), put_varint(size.data(), from.counts.size()));
  joined_.append(from.counts).append(from.value_bytes);
  bytes_ = joined_;
}

char* encode_sibling(char* out, const sibling& from, std::string_view content,
                     const leaf_names& names, const leaf_bases& bases, shared_value* outside,
                     bool is_last) noexcept {
  *out++ =
      static_cast<char>(static_cast<unsigned>(from.operation) | (outside ? is_outside : 0) |
                        (is_last ? 0 : another_follows) | (from.counts.empty() ? 0 : has_counts));
  out = put_varint(out, *names.find_source(incarnation_of(from.dot)));
  out = put_varint(out, *names.find_principal(from.principal));
  out = put_varint(out, zigzag(from.dot.seq - bases.seq));
  out = put_varint(out, zigzag(from.timestamp.milliseconds() - bases.time_ms));
  out = put_varint(out, from.timestamp.counter());
  out = put_raw(out, from.content);
  if (outside) return put_raw(out, outside);
  if (content.empty()) return out;
  out = put_varint(out, content.size());
  return std::copy(content.begin(), content.end(), out);
}

const char* decode_sibling(const char* in, const leaf_names& names, const leaf_bases& bases,
                           decoded_sibling& into) noexcept {
  const auto head = static_cast<unsigned char>(*in++);
  auto& what = into.what;
  into.is_last = (head & another_follows) == 0;
  into.outside = nullptr;
  what.operation = static_cast<enum operation>(head & operation_bits);
  std::uint64_t source, principal, seq, time_ms, counter;
  in = get_varint(in, source);
  in = get_varint(in, principal);
  in = get_varint(in, seq);
  in = get_varint(in, time_ms);
  in = get_varint(in, counter);
  in = get_raw(in, what.content);
  const auto& incarnation = names.source(source);
  what.dot = {incarnation.origin, incarnation.incarnation, bases.seq + unzigzag(seq)};
  what.timestamp =
      timestamp::from_parts(bases.time_ms + unzigzag(time_ms), static_cast<std::uint16_t>(counter));
  what.principal = names.principal(principal);
  what.value_bytes = what.counts = {};
  if ((head & is_outside) != 0) {
    in = get_raw(in, into.outside);
    what.value_bytes = into.outside->bytes();
  } else if (what.operation == operation::put || (head & has_counts) != 0) {
    std::uint64_t size;
    in = get_varint(in, size);
    what.value_bytes = {in, static_cast<std::size_t>(size)};
    in += size;
  }
  if ((head & has_counts) != 0) {
    std::uint64_t size;
    const auto* const counts = get_varint(what.value_bytes.data(), size);
    what.counts = {counts, static_cast<std::size_t>(size)};
    what.value_bytes.remove_prefix(static_cast<std::size_t>(counts - what.value_bytes.data()) +
                                   what.counts.size());
  }
  return in;
}

}  // namespace troupe
