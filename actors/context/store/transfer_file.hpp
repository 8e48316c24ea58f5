#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <troupe/actors/context/transfer_journal.hpp>
#include <troupe/messages/error.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

/// The file with what has come of the state of a peer (`transfer_journal`): frames, each with its
/// length and a hash. Nothing is lost with it, so it is not synced, and a part of it that cannot be
/// read is nothing but removed. Private to the user of the process. Blocking.
class transfer_file {
public:
  /// Bytes of one frame.
  static constexpr std::size_t max_frame = std::size_t{16} << 20;

  explicit transfer_file(std::string name) : name_(std::move(name)) {}

  /// Writes frames after those that are there. When that fails, what was there stays, or nothing.
  /// @param frames each of at most `max_frame` bytes.
  result<void> append(std::span<const binary> frames) const;
  /// Passes the frames to `take`, in order, until it returns false, and cuts the file off before a
  /// frame that was not taken or cannot be read. A file of another build's format is removed.
  /// @returns the bytes that the file has then; 0 when there is none; storage_failure.
  result<std::uint64_t> read(const std::function<bool(std::string_view)>& take) const;
  /// Removes the file, if there is one.
  result<void> remove() const;

  /// Does to the file what a `transfer_journal` wants.
  result<void> carry_out(const transfer_part& part) const;
  /// What a start goes on with, if anything: what it has already is of no use. O(entries in the
  /// file * log entries). @param own the tree of this node.
  result<std::optional<kept_transfer>> load(context_tree own) const;

private:
  std::string name_;
};

}  // namespace troupe
