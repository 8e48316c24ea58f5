#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/msgpack/msgpack_writer.hpp>
#include <troupe/messages/wire/sync.hpp>

namespace troupe {

// The body of a `change_batch`: an array of five parts.
//
// 1. The principals, as strings.
// 2. The traces, 16 bytes each.
// 3. The incarnations of what was overwritten or must be there before: origin (16 bytes) and number
//    in turn.
// 4. The transactions: for each one that occurs, the place in the batch of its first change, the
//    index of that change in the transaction, and the count and the weight of the transaction.
// 5. The changes. Each is an array of
//    - the operation (0 put, 1 erase, 2 erase_subtree, 3 increment),
//    - the difference of its time to that of the change before, in ticks,
//    - how many bytes of its path are those of the path before, and the rest,
//    - the place of its principal,
//    - the place of its trace and one, or 0 for none,
//    - its value, or what it adds; nil for an erasure,
//    - if it overwrote something: an array of place of the incarnation, seq and content in turn,
//    - for `erase_subtree`: an array of paths, each an array of how many bytes are those of the
//      path before, the rest, and then as above,
//    - if it counts: `change_record::counts`, a binary,
//    - `change_record::after`: an array of place of the incarnation and seq in turn.
//    A change may end before any of the last four. One that comes before another may be empty.
// Origin, incarnation and seq of the changes are those of the batch.

/// Writes the body of a batch. Pure.
class batch_body_writer {
public:
  batch_body_writer() = default;
  batch_body_writer(const batch_body_writer&) = delete;
  batch_body_writer& operator=(const batch_body_writer&) = delete;

  /// About how many bytes the body has with this change. O(what it overwrote).
  std::size_t bytes_with(const change_record& record) const noexcept;
  /// Appends a change. It must outlive the writer. O(bytes).
  void add(const change_record& record);
  /// The body. Call once.
  std::string finish();

private:
  struct run {
    std::uint32_t at;
    transaction_place first;
  };

  void write_path(const path& where, std::string_view& before);
  void write_observed(const std::vector<observed_change>& changes);

  std::string changes_;
  msgpack_writer out_{changes_};
  std::uint32_t count_ = 0;
  std::uint64_t ticks_ = 0;  ///< This and the next: of the change before.
  std::string_view path_;
  transaction_place place_;
  std::vector<std::string_view> principals_;
  std::vector<trace_id> traces_;
  std::vector<incarnation_id> sources_;
  std::vector<run> transactions_;
};

/// The changes of a body. @param body untrusted. @param start the dot of the first change.
/// @param count how many changes there must be. @param max_weight of them together: what is alike
/// is in the body once, so they may take far more memory than the body.
/// @returns protocol_violation when it is malformed.
result<std::vector<change_record>> read_batch_body(std::string_view body, const dot& start,
                                                   std::uint32_t count, std::uint64_t max_weight);

}  // namespace troupe
