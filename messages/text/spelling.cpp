#include <troupe/messages/text/spelling.hpp>

#include <array>
#include <cstdint>

namespace troupe {

namespace {

static_assert(max_spelling_bytes < 255, "distances and positions are kept in single bytes");

/// The dynamic programme of Lowrance and Wagner. Cell (i, j) is the distance of the first i bytes
/// of `a` from the first j of `b`. A cell further than `limit` from the diagonal is worth more than
/// `limit`, so none of them is ever stored.
class distance_table {
public:
  distance_table(std::string_view a, std::string_view b, std::size_t limit) noexcept
      : a_(a), b_(b), limit_(limit) {}

  std::size_t run() noexcept {
    for (std::size_t j = 0; j <= std::min(b_.size(), limit_); ++j)
      cells_[0][j] = static_cast<std::uint8_t>(j);
    for (std::size_t i = 1; i <= a_.size(); ++i) {
      // Each path to the last row has a cell in every row, with a distance no larger than the final
      // one.
      if (fill_row(i) > limit_) return limit_ + 1;
      last_row_with_[static_cast<unsigned char>(a_[i - 1])] = static_cast<std::uint8_t>(i);
    }
    return at(a_.size(), b_.size());
  }

private:
  std::size_t at(std::size_t i, std::size_t j) const noexcept {
    return (i > j ? i - j : j - i) > limit_ ? limit_ + 1 : cells_[i][j];
  }

  std::size_t fill_row(std::size_t i) noexcept {
    const std::size_t first = i > limit_ ? i - limit_ : 0;
    const std::size_t last = std::min(b_.size(), i + limit_);
    std::size_t last_match = 0;
    std::size_t smallest = limit_ + 1;
    for (std::size_t j = first; j <= last; ++j) {
      std::size_t best = i;
      if (j > 0) {
        const bool same = a_[i - 1] == b_[j - 1];
        best = std::min({at(i - 1, j) + 1, j > first ? at(i, j - 1) + 1 : limit_ + 1,
                         at(i - 1, j - 1) + (same ? 0 : 1)});
        const std::size_t row = last_row_with_[static_cast<unsigned char>(b_[j - 1])];
        if (row > 0 && last_match > 0)
          best = std::min(best,
                          at(row - 1, last_match - 1) + (i - row - 1) + 1 + (j - last_match - 1));
        if (same) last_match = j;
      }
      best = std::min(best, limit_ + 1);
      cells_[i][j] = static_cast<std::uint8_t>(best);
      smallest = std::min(smallest, best);
    }
    return smallest;
  }

  std::string_view a_;
  std::string_view b_;
  std::size_t limit_;
  std::array<std::uint8_t, 256> last_row_with_{};
  std::array<std::array<std::uint8_t, max_spelling_bytes + 1>, max_spelling_bytes + 1> cells_;
};

}  // namespace

std::optional<std::size_t> edit_distance(std::string_view a, std::string_view b,
                                         std::size_t limit) noexcept {
  if (a.size() > max_spelling_bytes || b.size() > max_spelling_bytes) return std::nullopt;
  limit = std::min(limit, max_spelling_bytes);
  if ((a.size() > b.size() ? a.size() - b.size() : b.size() - a.size()) > limit)
    return std::nullopt;
  if (a == b) return 0;
  const std::size_t distance = distance_table{a, b, limit}.run();
  return distance <= limit ? std::optional{distance} : std::nullopt;
}

std::size_t typo_allowance(std::string_view word) noexcept {
  return word.size() <= 3 ? 1 : word.size() <= 7 ? 2 : 3;
}

nearest_words::nearest_words(std::string_view word, std::size_t max_distance,
                             std::size_t max_results)
    : word_(word), max_distance_(max_distance), max_results_(max_results) {}

void nearest_words::offer(std::string_view candidate) {
  if (max_results_ == 0) return;
  const bool full = best_.size() == max_results_;
  const auto distance =
      edit_distance(word_, candidate, full ? best_.back().distance : max_distance_);
  if (!distance) return;
  const scored found{*distance, candidate};
  if (full && !(found < best_.back())) return;
  if (full) best_.pop_back();
  best_.insert(std::ranges::upper_bound(best_, found), found);
}

std::vector<std::string> nearest_words::take() const {
  std::vector<std::string> words;
  words.reserve(best_.size());
  for (const scored& each : best_) words.emplace_back(each.text);
  return words;
}

std::string did_you_mean(const std::vector<std::string>& suggestions) {
  if (suggestions.empty()) return {};
  std::string text = "; did you mean ";
  for (std::size_t i = 0; i < suggestions.size(); ++i) {
    if (i > 0) text += i + 1 == suggestions.size() ? " or " : ", ";
    text += '"' + suggestions[i] + '"';
  }
  return text + '?';
}

}  // namespace troupe
