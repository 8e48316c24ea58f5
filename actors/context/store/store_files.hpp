#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <troupe/messages/error.hpp>

namespace troupe {

/// The files of a context store in its directory.
///
///     context.db, context.db-wal, context.db-shm   the database
///     context.lock       held by the process that uses the store
///     context.id         see `identity_file`
///     context.unsent/    see `write_unsent`
///     context.transfer   see `transfer_file`
///     context.salvage/   what is being saved of a damaged database
///     context.damaged/   the latest damaged database, as it was found; or a copy of the
///                        write-ahead file, when that was damaged, or the file itself, when the
///                        disk could not read all of it
class store_files {
public:
  static constexpr const char* lock = "context.lock";

  explicit store_files(std::string directory) : directory_(std::move(directory)) {}

  const std::string& directory() const noexcept { return directory_; }
  std::string database() const { return directory_ + "/context.db"; }
  std::string wal() const { return database() + "-wal"; }
  std::string salvage() const { return directory_ + "/context.salvage"; }
  std::string salvaged_database() const { return salvage() + "/context.db"; }
  std::string damaged() const { return directory_ + "/context.damaged"; }
  std::string unsent() const { return directory_ + "/context.unsent"; }
  std::string transfer() const { return directory_ + "/context.transfer"; }

  /// Makes the directory if there is none, with mode 0700.
  result<void> make_directory() const;
  /// Makes `unsent` if it is not there, with mode 0700; and has the names in it last.
  result<void> make_unsent_directory() const;
  result<void> sync_unsent_directory() const;
  /// Makes a file with mode 0600 if there is none, and gives it that mode if there is one.
  static result<void> make_private_file(const std::string& file);
  /// Copies the write-ahead file into `damaged`, as far as it can be read.
  result<void> keep_wal() const;
  /// Where the disk cannot read a part of the write-ahead file: puts a copy in its place that has
  /// zeros there, see `copy_readable`. The file itself goes to `damaged`. A crash leaves the one or
  /// the other in its place. @returns how many bytes are zeros; 0: nothing is new.
  result<std::uint64_t> make_wal_readable() const;
  /// Copies the database and the write-ahead file into `damaged`, as far as they are there and can
  /// be read.
  result<void> keep_copies() const;

  // -- a salvaged database ------------------------------------------------------------------------
  // The caller holds the lock.

  /// Makes an empty directory `salvage`.
  result<void> begin_salvage() const;
  /// Removes what was being saved.
  void drop_salvage() const;
  /// Puts the salvaged database in the place of the damaged one, which goes to `damaged`. A crash
  /// meanwhile leaves either, or something that `finish_salvage` ends.
  /// @param told what people are to know of it, also when only the next start ends it.
  result<void> take_salvaged(std::string_view told = {}) const;
  /// Ends what a crash has left of the above. @returns what people are to know of that; empty when
  /// there was nothing to end.
  result<std::string> finish_salvage() const;

private:
  std::string directory_;
};

}  // namespace troupe
