#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <troupe/messages/wire/sync.hpp>

namespace troupe {

class change_batch;

/// A batch that the store and several peers share.
using shared_batch = std::shared_ptr<const change_batch>;

/// Consecutive changes of one incarnation in the form in which they are stored and sent. Encoded
/// once, by the node that made them; others store and forward the bytes as they came.
///
/// The form is msgpack: an array of format, origin (16 bytes), incarnation, seq of the first
/// change, number of changes, signature and body. The signature is empty until nodes have keys. The
/// body is described in `batch_body.hpp`; a large one is a binary with a zstd frame of it.
///
/// Immutable, so any thread may read it.
class change_batch {
public:
  /// About the most bytes of an uncompressed body. A larger change is a batch of its own.
  static constexpr std::size_t max_body_bytes = std::size_t{64} << 10;
  /// Larger bodies are compressed.
  static constexpr std::size_t compress_above = std::size_t{1} << 10;
  /// Changes of one batch.
  static constexpr std::uint32_t max_changes = 1U << 16;
  /// Bytes of a batch, with one change and with several, and of its body when it is unpacked. Above
  /// what `of` makes, and such that a batch fits into a message.
  static constexpr std::size_t max_bytes_of_one = std::size_t{4} << 20;
  static constexpr std::size_t max_bytes_of_many = std::size_t{256} << 10;
  /// `change_record::weight` of all changes.
  static constexpr std::uint64_t max_weight = std::uint64_t{32} << 20;

  /// Encodes the first of these changes as one batch: as many as fit into a body of this size, and
  /// at least one, that follow each other in one incarnation. O(bytes). @param records not empty,
  /// well-formed.
  static shared_batch of(std::span<const change_record> records,
                         std::size_t body_bytes = max_body_bytes);
  /// Takes bytes from outside or from the disk. Reads all but the body. O(1) besides the copy.
  /// @returns protocol_violation when they are no batch.
  static result<shared_batch> read(std::string bytes);

  /// The changes. The body is untrusted. O(bytes) @param weight the most that all may have.
  /// @returns protocol_violation when it is malformed or passes a bound. Of a format that this
  /// build
  ///          cannot read: one record with the dot of the first change and that format.
  result<std::vector<change_record>> records(std::uint64_t weight = max_weight) const;

  const incarnation_id& source() const noexcept { return source_; }
  /// The seq of the first and of the last change.
  std::uint64_t first() const noexcept { return first_; }
  std::uint64_t last() const noexcept { return first_ + count_ - 1; }
  /// How many changes. At least one.
  std::size_t size() const noexcept { return count_; }
  /// The stored and sent form.
  const std::string& bytes() const noexcept { return bytes_; }

  friend bool operator==(const change_batch& a, const change_batch& b) {
    return a.bytes_ == b.bytes_;
  }

private:
  change_batch() = default;
  /// The bound of the bytes of this batch, and of its unpacked body.
  std::size_t max_bytes() const noexcept {
    return count_ == 1 ? max_bytes_of_one : max_bytes_of_many;
  }

  incarnation_id source_;
  std::uint32_t format_ = change_record::current_format;
  std::uint64_t first_ = 0;
  std::uint32_t count_ = 0;
  std::string bytes_;
  std::size_t body_ = 0;  ///< Where the body begins in `bytes_`.
};

/// Encodes changes as batches, in order. @param body_bytes see `change_batch::of`.
std::vector<shared_batch> make_batches(std::span<const change_record> records,
                                       std::size_t body_bytes = change_batch::max_body_bytes);

}  // namespace troupe
