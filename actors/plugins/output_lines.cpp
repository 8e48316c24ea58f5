#include <troupe/actors/plugins/output_lines.hpp>

#include <utility>

namespace troupe {

std::vector<std::string> output_lines::take(std::string_view bytes, time_point now) {
  std::vector<std::string> lines;
  for (const char c : bytes) {
    if (c == '\n') {
      emit(lines, now);
      continue;
    }
    if (partial_.size() == max_line_bytes) emit(lines, now);
    partial_ += c;
  }
  return lines;
}

void output_lines::emit(std::vector<std::string>& lines, time_point now) {
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

std::uint64_t output_lines::take_dropped() noexcept { return std::exchange(dropped_, 0); }

}  // namespace troupe
