#include <troupe/actors/plugins/output_lines.hpp>

#include <algorithm>
#include <utility>

namespace troupe {

namespace {

/// Puts a line behind others, of which the first goes when they are too many.
void keep_line(std::deque<std::string>& lines, std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
  if (line.empty()) return;
  lines.emplace_back(
      line.substr(line.size() - std::min(line.size(), output_lines::max_last_bytes)));
  if (lines.size() > output_lines::max_last_lines) lines.pop_front();
}

}  // namespace

std::vector<std::string> output_lines::take(std::string_view bytes, time_point now) {
  std::vector<std::string> lines;
  while (!bytes.empty()) {
    const auto end = std::min(bytes.find('\n'), bytes.size());
    for (auto line = bytes.substr(0, end); !line.empty();) {
      if (partial_.size() == max_line_bytes) emit(lines, now);
      const auto piece = line.substr(0, max_line_bytes - partial_.size());
      partial_ += piece;
      line.remove_prefix(piece.size());
    }
    if (end == bytes.size()) break;
    emit(lines, now);
    bytes.remove_prefix(end + 1);
  }
  return lines;
}

void output_lines::emit(std::vector<std::string>& lines, time_point now) {
  keep_line(last_, partial_);
  if (now - second_ >= std::chrono::seconds{1}) {
    second_ = now;
    this_second_ = 0;
  }
  if (this_second_ < max_lines_per_second) {
    ++this_second_;
    lines.push_back(std::move(partial_));
  } else {
    ++dropped_;
  }
  partial_.clear();
}

std::vector<std::string> output_lines::finish() {
  std::vector<std::string> lines;
  if (!partial_.empty()) lines.push_back(std::exchange(partial_, {}));
  return lines;
}

std::string output_lines::last() const {
  auto lines = last_;
  keep_line(lines, partial_);
  std::string text;
  for (const auto& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text.substr(text.size() - std::min(text.size(), max_last_bytes));
}

std::uint64_t output_lines::take_dropped() noexcept { return std::exchange(dropped_, 0); }

}  // namespace troupe
