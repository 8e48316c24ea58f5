#pragma once

#include <optional>
#include <string>

#include <troupe/actors/context/store/schema.hpp>

namespace troupe {

/// The file `context.id` beside a store: text for people that says which cluster and node the
/// directory belongs to. A directory with this file and without a database has lost its database.
/// It is also a second copy of the identity.
class identity_file {
public:
  /// @param directory of the store.
  explicit identity_file(const std::string& directory) : name_(directory + "/context.id") {}

  const std::string& name() const noexcept { return name_; }
  bool exists() const;
  /// What the file says; nothing when it is not there or says something else.
  std::optional<store_identity> read() const;
  /// Writes the file in one step, with mode 0600: a crash leaves all of it or the one before.
  /// @returns storage_failure.
  result<void> write(const store_identity& identity) const;

private:
  std::string name_;
};

}  // namespace troupe
