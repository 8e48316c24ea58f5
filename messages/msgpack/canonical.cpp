#include <troupe/messages/msgpack/canonical.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <troupe/messages/assert.hpp>
#include <troupe/messages/msgpack/limit_visitor.hpp>
#include <troupe/messages/msgpack/msgpack_scanner.hpp>
#include <troupe/messages/msgpack/msgpack_writer.hpp>

namespace troupe {

namespace {

error wrong_key(std::string message) {
  return {error_code::invalid_argument, std::move(message), {}};
}

/// Writes the message that msgpack-c's parser reads, in canonical form.
class canonical_writer : public limit_visitor {
public:
  canonical_writer(std::string& out, const codec_limits& limits)
      : limit_visitor(limits), out_(out), writer_(out) {}

  /// The key that ended the parser; nothing when a limit did.
  std::optional<error>& problem() noexcept { return problem_; }

  bool visit_nil() {
    if (!limit_visitor::visit_nil() || stands_for_key()) return false;
    writer_.nil();
    return true;
  }
  bool visit_boolean(bool flag) {
    if (!limit_visitor::visit_boolean(flag) || stands_for_key()) return false;
    writer_.boolean(flag);
    return true;
  }
  bool visit_positive_integer(std::uint64_t number) {
    if (!limit_visitor::visit_positive_integer(number) || stands_for_key()) return false;
    writer_.unsigned_integer(number);
    return true;
  }
  bool visit_negative_integer(std::int64_t number) {
    if (!limit_visitor::visit_negative_integer(number) || stands_for_key()) return false;
    writer_.integer(number);
    return true;
  }
  bool visit_float32(float number) { return visit_float64(static_cast<double>(number)); }
  bool visit_float64(double number) {
    if (!limit_visitor::visit_float64(number) || stands_for_key()) return false;
    writer_.floating(number);
    return true;
  }
  bool visit_str(const char* text, std::uint32_t bytes) {
    if (!limit_visitor::visit_str(text, bytes)) return false;
    const auto start = out_.size();
    writer_.string({text, bytes});
    if (std::exchange(key_is_next_, false)) members_.push_back({start, out_.size() - bytes, bytes});
    return true;
  }
  bool visit_bin(const char* data, std::uint32_t bytes) {
    if (!limit_visitor::visit_bin(data, bytes) || stands_for_key()) return false;
    writer_.binary({data, bytes});
    return true;
  }
  bool start_array(std::uint32_t elements) {
    if (!limit_visitor::start_array(elements) || stands_for_key()) return false;
    writer_.array(elements);
    return true;
  }
  bool start_map(std::uint32_t pairs) {
    if (!limit_visitor::start_map(pairs) || stands_for_key()) return false;
    writer_.map(pairs);
    maps_.push_back({out_.size(), members_.size()});
    return true;
  }
  bool start_map_key() {
    key_is_next_ = true;
    return true;
  }
  bool end_map() {
    const auto map = maps_.back();
    maps_.pop_back();
    if (!sort_members(map)) return false;
    members_.resize(map.first_member);
    return limit_visitor::end_map();
  }

private:
  /// A member of an open map, by positions in the output.
  struct member {
    std::size_t start;
    std::size_t key;
    std::size_t key_bytes;
  };
  struct open_map {
    std::size_t content;       ///< Where its first member begins in the output.
    std::size_t first_member;  ///< In `members_`.
  };

  /// True, with the problem noted, when what is not a string stands where a key belongs.
  bool stands_for_key() {
    if (key_is_next_) problem_ = wrong_key("a map has a key that is not a string; use string keys");
    return key_is_next_;
  }

  std::string_view key_of(const member& each) const {
    return std::string_view{out_}.substr(each.key, each.key_bytes);
  }

  /// Orders the members of a map by their keys. False, with the problem noted, when a key occurs
  /// twice.
  bool sort_members(const open_map& map) {
    const auto first = members_.begin() + static_cast<std::ptrdiff_t>(map.first_member);
    const auto not_ascending = [this](const member& a, const member& b) {
      return key_of(a) >= key_of(b);
    };
    if (std::adjacent_find(first, members_.end(), not_ascending) == members_.end()) return true;

    std::vector<std::pair<member, std::size_t>> sorted;  // each with the end of its value
    sorted.reserve(static_cast<std::size_t>(members_.end() - first));
    for (auto each = first; each != members_.end(); ++each)
      sorted.emplace_back(*each, each + 1 == members_.end() ? out_.size() : (each + 1)->start);
    std::sort(sorted.begin(), sorted.end(),
              [this](const auto& a, const auto& b) { return key_of(a.first) < key_of(b.first); });
    const auto twice = std::adjacent_find(
        sorted.begin(), sorted.end(),
        [this](const auto& a, const auto& b) { return key_of(a.first) == key_of(b.first); });
    if (twice != sorted.end()) {
      problem_ = wrong_key("a map has the key \"" + std::string{key_of(twice->first)} + "\" twice");
      return false;
    }
    std::string content;
    content.reserve(out_.size() - map.content);
    for (const auto& [each, end] : sorted) content.append(out_, each.start, end - each.start);
    out_.replace(map.content, content.size(), content);
    return true;
  }

  std::string& out_;
  msgpack_writer writer_;
  bool key_is_next_ = false;
  std::vector<open_map> maps_;   ///< The innermost last.
  std::vector<member> members_;  ///< Of all open maps.
  std::optional<error> problem_;
};

}  // namespace

result<std::string> canonical_msgpack(std::string_view bytes, const codec_limits& limits) {
  std::string canonical;
  canonical.reserve(bytes.size());
  canonical_writer writer{canonical, limits};
  if (parse_whole(bytes, limits, writer)) return canonical;
  if (auto checked = check_msgpack(bytes, limits); !checked)
    return fail(std::move(checked.error()));
  TROUPE_ASSERT(writer.problem(), "the parser ends early at a limit or at a key");
  return fail(std::move(*writer.problem()));
}

}  // namespace troupe
