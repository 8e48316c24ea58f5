#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// Longer words, in bytes, are never compared. The bound keeps the work small.
inline constexpr std::size_t max_spelling_bytes = 128;

/// The number of insertions, deletions, substitutions and swaps of neighbours that turn one word
/// into the other. Nothing when it exceeds `limit` or a word is longer than `max_spelling_bytes`.
/// Counts bytes.
///
/// The unrestricted Damerau-Levenshtein distance (Lowrance and Wagner, "An Extension of the
/// String-to-String Correction Problem", 1975), which is a metric, computed on the diagonals that
/// can stay within the limit. O(limit × length) time, no allocation.
std::optional<std::size_t> edit_distance(std::string_view a, std::string_view b,
                                         std::size_t limit) noexcept;

/// How many typing errors a word of this length may have and still be recognised: 1 up to 3 bytes,
/// 2 up to 7, else 3.
std::size_t typo_allowance(std::string_view word) noexcept;

/// Keeps the words nearest to one word, best first, equally near ones in byte order. Usually used
/// through `nearest`.
class nearest_words {
public:
  /// @param word must outlive this object. At most `max_results` words within `max_distance` are
  /// kept.
  nearest_words(std::string_view word, std::size_t max_distance, std::size_t max_results);

  /// Considers one candidate; it must outlive this object. A candidate equal to the word counts as
  /// nearest of all.
  void offer(std::string_view candidate);
  /// The words kept so far, best first.
  std::vector<std::string> take() const;

private:
  struct scored {
    std::size_t distance;
    std::string_view text;
    friend auto operator<=>(const scored&, const scored&) = default;
  };

  std::string_view word_;
  std::size_t max_distance_;
  std::size_t max_results_;
  std::vector<scored> best_;
};

/// The candidates within `max_distance` of `word`, nearest first, at most `max_results`.
/// @param candidates a range of anything that converts to `std::string_view` and outlives the call.
template <std::ranges::input_range Candidates>
std::vector<std::string> nearest(std::string_view word, Candidates&& candidates,
                                 std::size_t max_distance, std::size_t max_results) {
  nearest_words best{word, max_distance, max_results};
  for (const auto& candidate : candidates) best.offer(candidate);
  return best.take();
}

/// The same with `typo_allowance(word)` and at most three results, as people are shown.
template <std::ranges::input_range Candidates>
std::vector<std::string> nearest(std::string_view word, Candidates&& candidates) {
  return nearest(word, std::forward<Candidates>(candidates), typo_allowance(word), 3);
}

/// `; did you mean "a", "b" or "c"?`, to follow the sentence that names what is wrong. Empty
/// without suggestions.
std::string did_you_mean(const std::vector<std::string>& suggestions);

}  // namespace troupe
