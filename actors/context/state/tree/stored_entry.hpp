#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <troupe/actors/context/state/tree/sibling.hpp>
#include <troupe/actors/context/state/tree/tree_entry.hpp>
#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

/// A sibling as it is stored and sent.
struct stored_sibling {
  struct dot dot;
  struct timestamp timestamp;
  enum operation operation = operation::put;
  class value value;
  std::string principal;
  std::uint64_t content = 0;
  binary counts;

  static constexpr auto fields() {
    return std::tuple{
        required("dot", &stored_sibling::dot),      required("time", &stored_sibling::timestamp),
        required("op", &stored_sibling::operation), required("value", &stored_sibling::value),
        required("by", &stored_sibling::principal), required("content", &stored_sibling::content),
        optional("counts", &stored_sibling::counts)};
  }
  friend bool operator==(const stored_sibling&, const stored_sibling&) = default;
};

/// A path of the tree with its siblings as it is sent.
struct stored_entry {
  std::string path;
  std::vector<stored_sibling> siblings;

  static constexpr auto fields() {
    return std::tuple{required("path", &stored_entry::path),
                      required("siblings", &stored_entry::siblings)};
  }
  friend bool operator==(const stored_entry&, const stored_entry&) = default;
};

/// Copies of siblings.
std::vector<stored_sibling> store(std::span<const sibling> siblings);

/// The siblings of stored ones, as views of them.
/// @returns corrupt_data when there are none, more than a path may have, or they count what is
///          malformed.
result<std::vector<sibling>> siblings_of(const std::vector<stored_sibling>& stored);

}  // namespace troupe
