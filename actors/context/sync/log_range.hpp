#pragma once

#include <cstdint>
#include <utility>

#include <troupe/messages/wire/sync.hpp>

namespace troupe {

/// The changes of one node from `first` to `last`, both included, in the order of incarnation and
/// sequence number.
struct log_range {
  dot first, last;

  /// Whether some of the changes `first..last` of an incarnation are in the range.
  bool overlaps(const incarnation_id& source, std::uint64_t from, std::uint64_t to) const {
    return source.origin == first.origin &&
           std::pair{source.incarnation, to} >= std::pair{first.incarnation, first.seq} &&
           std::pair{source.incarnation, from} <= std::pair{last.incarnation, last.seq};
  }
};

}  // namespace troupe
