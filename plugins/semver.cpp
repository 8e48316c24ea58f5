#include <troupe/plugins/semver.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace troupe {

namespace {

constexpr std::size_t max_semver_bytes = 128;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_identifier_byte(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

bool is_numeric(std::string_view text) noexcept { return std::ranges::all_of(text, is_digit); }

bool has_leading_zero(std::string_view digits) noexcept {
  return digits.size() > 1 && digits.front() == '0';
}

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || !is_numeric(text) || has_leading_zero(text) || problem != std::errc{})
    return std::nullopt;
  return number;
}

/// Cuts at every dot; an empty text has one empty part.
std::vector<std::string> split_at_dots(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0;;) {
    const auto dot = text.find('.', begin);
    parts.emplace_back(text.substr(begin, dot - begin));
    if (dot == std::string_view::npos) return parts;
    begin = dot + 1;
  }
}

bool is_identifier(std::string_view part) noexcept {
  return !part.empty() && std::ranges::all_of(part, is_identifier_byte);
}

std::weak_ordering compare_identifiers(const std::string& a, const std::string& b) noexcept {
  const bool a_numeric = is_numeric(a), b_numeric = is_numeric(b);
  if (a_numeric != b_numeric)
    return a_numeric ? std::weak_ordering::less : std::weak_ordering::greater;
  // Without leading zeros, the longer number is the greater one.
  if (a_numeric && a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

}  // namespace

result<semver> semver::parse(std::string_view text) {
  const auto wrong = [&](std::string_view what) {
    return fail(error_code::invalid_argument,
                "the version \"" + std::string{text.substr(0, max_semver_bytes)} + "\" " +
                    std::string{what} + "; a version is like 1.4.0 or 2.0.0-rc.1");
  };
  if (text.size() > max_semver_bytes)
    return wrong("is longer than " + std::to_string(max_semver_bytes) + " bytes");

  semver parsed;
  std::string_view rest = text;
  if (const auto plus = rest.find('+'); plus != std::string_view::npos) {
    parsed.build = rest.substr(plus + 1);
    rest = rest.substr(0, plus);
    if (!std::ranges::all_of(split_at_dots(parsed.build), is_identifier))
      return wrong("has a malformed build after '+'");
  }
  if (const auto hyphen = rest.find('-'); hyphen != std::string_view::npos) {
    parsed.prerelease = split_at_dots(rest.substr(hyphen + 1));
    rest = rest.substr(0, hyphen);
    for (const auto& part : parsed.prerelease)
      if (!is_identifier(part) || (is_numeric(part) && has_leading_zero(part)))
        return wrong("has a malformed prerelease after '-'");
  }

  const auto parts = split_at_dots(rest);
  if (parts.size() != 3) return wrong("does not have the three numbers major.minor.patch");
  const std::array fields{&parsed.major, &parsed.minor, &parsed.patch};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto number = parse_number(parts[i]);
    if (!number) return wrong("has a part that is no number without leading zeros");
    *fields[i] = *number;
  }
  return parsed;
}

std::weak_ordering operator<=>(const semver& a, const semver& b) noexcept {
  if (const auto order = a.major <=> b.major; order != 0) return order;
  if (const auto order = a.minor <=> b.minor; order != 0) return order;
  if (const auto order = a.patch <=> b.patch; order != 0) return order;
  if (a.prerelease.empty() != b.prerelease.empty())
    return a.prerelease.empty() ? std::weak_ordering::greater : std::weak_ordering::less;
  return std::lexicographical_compare_three_way(a.prerelease.begin(), a.prerelease.end(),
                                                b.prerelease.begin(), b.prerelease.end(),
                                                compare_identifiers);
}

std::string to_string(const semver& version) {
  std::string text = std::to_string(version.major) + '.' + std::to_string(version.minor) + '.' +
                     std::to_string(version.patch);
  for (std::size_t i = 0; i < version.prerelease.size(); ++i)
    text += (i == 0 ? '-' : '.') + version.prerelease[i];
  if (!version.build.empty()) text += '+' + version.build;
  return text;
}

}  // namespace troupe
