#include <troupe/runtime/cli/show.hpp>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include <troupe/actors/kernel/log.hpp>

namespace troupe::cli {

namespace {

/// The columns that a UTF-8 text takes, in scripts whose letters take one each.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

std::string safe_text(std::string_view text) { return printable(text, text.size()); }

void table::print(std::string_view empty) const {
  if (rows_.empty()) {
    std::printf("%.*s\n", static_cast<int>(empty.size()), empty.data());
    return;
  }
  std::vector<std::size_t> widths;
  for (const auto& title : heading_) widths.push_back(columns(title));
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  const auto print_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - columns(row[i]) + 2, ' ');
    }
    std::printf("%s\n", line.c_str());
  };
  print_row(heading_);
  for (const auto& row : rows_) print_row(row);
}

namespace {

/// Its two largest units.
std::string show_long_duration(std::int64_t seconds) {
  const auto two = [](std::int64_t large, const char* unit, std::int64_t small,
                      const char* smaller_unit) {
    return std::to_string(large) + unit + std::to_string(small) + smaller_unit;
  };
  if (seconds < 3600) return two(seconds / 60, " min ", seconds % 60, " s");
  if (seconds < 86'400) return two(seconds / 3600, " h ", seconds / 60 % 60, " min");
  return two(seconds / 86'400, " d ", seconds / 3600 % 24, " h");
}

}  // namespace

std::string show_duration(std::chrono::nanoseconds duration) {
  if (duration >= std::chrono::minutes{1})
    return show_long_duration(std::chrono::floor<std::chrono::seconds>(duration).count());
  const auto ns = static_cast<double>(duration.count());
  char text[32];
  if (ns < 1e3)
    std::snprintf(text, sizeof text, "%.0f ns", ns);
  else if (ns < 1e6)
    std::snprintf(text, sizeof text, "%.3g µs", ns / 1e3);
  else if (ns < 1e9)
    std::snprintf(text, sizeof text, "%.3g ms", ns / 1e6);
  else
    std::snprintf(text, sizeof text, "%.3g s", ns / 1e9);
  return text;
}

std::string show_milliseconds(std::uint64_t milliseconds) {
  constexpr auto most =
      std::chrono::floor<std::chrono::milliseconds>(std::chrono::nanoseconds::max());
  const auto shown = std::min(milliseconds, static_cast<std::uint64_t>(most.count()));
  return show_duration(std::chrono::milliseconds{shown});
}

std::string show_time(std::uint64_t milliseconds) {
  const auto seconds = static_cast<std::time_t>(milliseconds / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  const auto length = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%03u",
                static_cast<unsigned>(milliseconds % 1000));
  return text;
}

std::string show_count(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

std::string show_count(std::uint64_t number, std::string_view noun) {
  return show_count(number) + " " + std::string{noun} + (number == 1 ? "" : "s");
}

}  // namespace troupe::cli
