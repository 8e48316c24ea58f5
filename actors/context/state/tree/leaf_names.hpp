#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The incarnations and principals that the entries of a leaf name by small numbers. Immutable, and
/// usually shared by most leaves of a tree: most of them were written by the same few parties.
class leaf_names {
public:
  /// A leaf whose names are this many drops the ones that it no longer uses before it adds another.
  static constexpr std::size_t many = 64;

  const incarnation_id& source(std::size_t number) const noexcept { return sources_[number]; }
  std::string_view principal(std::size_t number) const noexcept { return principals_[number]; }
  std::optional<std::size_t> find_source(const incarnation_id& source) const noexcept;
  std::optional<std::size_t> find_principal(std::string_view principal) const noexcept;

  bool have(const incarnation_id& source, std::string_view principal) const noexcept {
    return find_source(source) && find_principal(principal);
  }
  bool are_many() const noexcept { return sources_.size() >= many || principals_.size() >= many; }
  /// Whether every number of `other` means the same here.
  bool extend(const leaf_names& other) const noexcept;
  /// These and the ones that are missing of the two, with the same numbers for those that are here.
  std::shared_ptr<const leaf_names> with(const incarnation_id& source,
                                         std::string_view principal) const;

private:
  std::vector<incarnation_id> sources_;
  std::vector<std::string> principals_;
};

}  // namespace troupe
