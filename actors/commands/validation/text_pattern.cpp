#include <troupe/actors/commands/validation/text_pattern.hpp>

#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <re2/re2.h>

#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

/// Bounds the compiled pattern and the caches of matching. A larger pattern is refused, or matched
/// more slowly.
constexpr std::int64_t max_memory_bytes = std::int64_t{1} << 18;

re2::RE2::Options options() {
  re2::RE2::Options made;
  made.set_max_mem(max_memory_bytes);
  made.set_log_errors(false);
  return made;
}

/// RE2 takes a `StringPiece`, later versions a `std::string_view`.
re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

text_pattern::text_pattern(std::shared_ptr<const re2::RE2> compiled) noexcept
    : compiled_(std::move(compiled)) {}

result<text_pattern> text_pattern::compile(std::string_view pattern) {
  if (pattern.size() > max_pattern_bytes)
    return fail(error_code::invalid_argument,
                fmt::format("a pattern of {} bytes is too long; at most {} are accepted",
                            pattern.size(), max_pattern_bytes));
  if (!is_utf8(pattern)) return fail(error_code::invalid_argument, "the pattern is not UTF-8");
  auto compiled = std::make_shared<const re2::RE2>(piece(pattern), options());
  if (!compiled->ok())
    return fail(error_code::invalid_argument,
                fmt::format("the pattern \"{}\" is not an RE2 regular expression: {}", pattern,
                            compiled->error()));
  return text_pattern{std::move(compiled)};
}

std::size_t text_pattern::size() const {
  return static_cast<std::size_t>(compiled_->ProgramSize());
}

bool text_pattern::matches(std::string_view text) const {
  return text.size() <= max_text_bytes && re2::RE2::FullMatch(piece(text), *compiled_);
}

}  // namespace troupe
