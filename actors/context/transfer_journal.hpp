#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <troupe/actors/context/state/tree/tree.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

/// What a start finds of a transfer.
struct kept_transfer {
  context_tree tree;          ///< This node's own, with what had come.
  std::uint64_t entries = 0;  ///< How many of them this node did not have.
  std::uint64_t bytes = 0;    ///< Of the file.

  /// Adds what is in a frame, see `pack_entries`. @returns false when it is malformed.
  bool add(std::string_view frame);
};

/// What is to be done to the file of a transfer, in this order.
struct transfer_part {
  bool begins_anew = false;    ///< What the file had is of no use: remove it.
  std::vector<binary> frames;  ///< To be appended. See `pack_entries`.
};

/// What has come of the state of a peer, on its way to a file with which the next start goes on.
///
/// The file is of use, not of need: what is missing there comes from the peer again. So what comes
/// while the disk is slow is left out beyond `max_waiting`, and when the disk has refused a part,
/// the file goes and nothing more is kept of that transfer. Pure.
class transfer_journal {
public:
  /// Bytes that are written at once, unless said otherwise.
  static constexpr std::size_t usual_part = std::size_t{256} << 10;
  /// Bytes that wait for the disk.
  static constexpr std::size_t max_waiting = std::size_t{16} << 20;
  /// Bytes of the file, about: some millions of entries. A start reads them in some seconds.
  static constexpr std::uint64_t max_bytes = std::uint64_t{256} << 20;

  /// @param write_at bytes that are written at once. A smaller state never touches the disk.
  explicit transfer_journal(std::size_t write_at) noexcept : write_at_(write_at) {}

  /// A transfer begins. @param goes_on with what the file has.
  void begin(bool goes_on);
  /// A start has found a file of this size that is of use.
  void found(std::uint64_t bytes) noexcept {
    has_file_ = true;
    bytes_ = bytes;
  }
  /// Entries have come, see `pack_entries`.
  void add(const binary& frame);
  /// What has come is of no use any more.
  void drop();
  /// The disk has other needs: the file goes, and no more is kept of this transfer.
  void give_up();

  /// What is to be done now, if anything. It is under way until `done`.
  std::optional<transfer_part> next();
  /// @param is_written whether the disk has done it.
  /// @returns whether a failure is news.
  bool done(bool is_written);

private:
  std::size_t write_at_;
  bool has_file_ = false;    ///< There may be one.
  bool drops_ = false;       ///< The file is to be removed.
  bool is_writing_ = false;  ///< A part is under way.
  bool is_removal_ = false;  ///< That part removes the file, and appends nothing.
  bool is_off_ = false;      ///< The disk has refused a part of this transfer.
  std::vector<binary> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t bytes_ = 0;  ///< In the file, or on their way.
};

}  // namespace troupe
