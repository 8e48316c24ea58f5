#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// A change record in its stored and sent form, encoded once for all peers.
struct encoded_record {
  struct dot dot;
  std::string bytes;  ///< `encode(change_record)`.

  friend bool operator==(const encoded_record&, const encoded_record&) = default;
};

/// Encodes everything of a record that travels.
encoded_record encode_record(const change_record& record);

/// Committed changes in the form of one `sync_push`, made once and shared by all sessions.
/// Immutable.
class push_batch {
public:
  /// Upper bound of a batch. A larger record travels alone.
  static constexpr std::size_t max_bytes = std::size_t{64} << 10;
  /// Larger payloads are compressed.
  static constexpr std::size_t compress_above = std::size_t{1} << 10;

  /// @param records not empty; those of one incarnation in order.
  explicit push_batch(std::vector<encoded_record> records);

  const std::vector<encoded_record>& records() const noexcept { return records_; }
  /// The message, with its number in the session.
  sync_push to_message(std::uint64_t number) const { return {number, encoding_, payload_}; }
  /// Bytes of the payload on the wire.
  std::size_t wire_bytes() const noexcept { return payload_.bytes.size(); }

private:
  std::vector<encoded_record> records_;
  push_encoding encoding_ = push_encoding::plain;
  binary payload_;
};

/// A batch that goes to several peers.
using shared_batch = std::shared_ptr<const push_batch>;

/// Splits records into batches in order.
std::vector<shared_batch> make_batches(std::vector<encoded_record> records);

/// The records of a push. The payload is untrusted: nothing is allocated beyond
/// `limits.frame_bytes`.
/// @returns protocol_violation when it is malformed.
result<std::vector<change_record>> decode_push(const sync_push& push,
                                               const codec_limits& limits = {});

}  // namespace troupe
