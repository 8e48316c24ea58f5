#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <troupe/messages/error.hpp>

namespace troupe {

/// Damage in a write-ahead file: behind it are commits that SQLite will not see.
struct wal_damage {
  std::uint64_t frame = 0;    ///< The first damaged one, from 1 on; 0 for the header of the file.
  std::uint64_t commits = 0;  ///< At least so many commits are lost.
  bool is_certain = false;    ///< False when a commit that a power cut left unfinished may look so.
};

/// Puts single wrong bits of a write-ahead file right: in its header, and in frames whose next one
/// is sound. A bit is changed only where all checksums fit then, of the frame and of the one
/// behind it, and with no other bit: so what comes out is what was written. That is so for about
/// three of four bits. Call before SQLite opens the database, and keep a copy of the file. O(bytes
/// of the file), and O(bits of a frame * bytes of a frame) for each wrong bit.
/// @param database The file beside which the write-ahead file is. @returns how many bits were
/// wrong; storage_failure.
result<unsigned> repair_wal(const std::string& database);

/// What is damaged and what is lost, in words.
std::string describe(const wal_damage& damage);

/// Looks for damage in the write-ahead file of an SQLite database, before SQLite opens it: SQLite
/// takes the first frame that fails its checksum for the end of the file, and forgets the commits
/// behind it without a word. A commit that was cut off looks the same, but nothing of the file's
/// current generation follows it: the next commit begins when the one before is on the disk.
///
/// A power cut may leave the later frames of one commit on the disk and not the earlier ones. Then
/// one commit ends behind the bad frame, and what it was cannot be told.
///
/// The format: "WAL-mode File Format", sqlite.org. O(bytes of the file), which has a few thousand
/// pages at most.
/// @param database The file beside which the write-ahead file is.
/// @returns nothing when that is sound, empty or missing; storage_failure when it cannot be read.
result<std::optional<wal_damage>> find_wal_damage(const std::string& database);

}  // namespace troupe
