#include <troupe/plugins/capability.hpp>

#include <algorithm>
#include <stdexcept>

#include <troupe/messages/text/spelling.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

char separator_of(resource_kind kind) noexcept { return kind == resource_kind::path ? '/' : '.'; }

/// Quotes at most a line of foreign text, for messages.
std::string quoted(std::string_view text) {
  return '"' + std::string{utf8_prefix(text, 80)} + (text.size() > 80 ? "…\"" : "\"");
}

/// Walks over the segments of a text without copying. A path's segments each follow a '/', a name's
/// are between dots.
class segment_cursor {
public:
  segment_cursor(std::string_view text, char separator) noexcept
      : text_{text}, separator_{separator} {
    if (separator == '/' && !text.empty()) begin_ = 1;
    done_ = text.empty();
    if (!done_) find_end();
  }

  bool done() const noexcept { return done_; }
  std::string_view segment() const noexcept { return text_.substr(begin_, end_ - begin_); }
  void advance() noexcept {
    if (end_ == text_.size()) {
      done_ = true;
      return;
    }
    begin_ = end_ + 1;
    find_end();
  }

private:
  void find_end() noexcept { end_ = std::min(text_.find(separator_, begin_), text_.size()); }

  std::string_view text_;
  char separator_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool done_ = false;
};

/// Matches a segment with at most one `*`. O(bytes).
bool matches_segment(std::string_view pattern, std::string_view text) noexcept {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  const auto head = pattern.substr(0, star), tail = pattern.substr(star + 1);
  return text.size() >= head.size() + tail.size() && text.starts_with(head) && text.ends_with(tail);
}

/// Whether the segments of a pattern match those of a text. `fits` compares one with one.
/// Backtracks to the latest `**` only, behind which few segments follow.
template <class Fits>
bool match_segments(segment_cursor pattern, segment_cursor text, Fits fits) noexcept {
  std::optional<segment_cursor> after_stars, resume;
  while (!text.done()) {
    if (!pattern.done() && pattern.segment() == "**") {
      pattern.advance();
      after_stars = pattern;
      resume = text;
    } else if (!pattern.done() && fits(pattern.segment(), text.segment())) {
      pattern.advance();
      text.advance();
    } else if (after_stars) {
      pattern = *after_stars;
      resume->advance();
      text = *resume;
    } else {
      return false;
    }
  }
  while (!pattern.done() && pattern.segment() == "**") pattern.advance();
  return pattern.done();
}

/// What is wrong with the segments of a pattern, or nothing.
std::optional<std::string> problem_of_segments(std::string_view pattern, char separator) {
  std::size_t wildcards = 0, since_stars = 0;
  bool has_stars = false;
  for (segment_cursor at{pattern, separator}; !at.done(); at.advance()) {
    const auto segment = at.segment();
    if (segment.empty()) return "has an empty segment";
    if (segment == "." || segment == "..")
      return "has the segment " + quoted(segment) + "; name the place itself";
    if (segment != "**" && segment.find("**") != std::string_view::npos)
      return "has '**' beside other characters; '**' stands alone between separators";
    const bool is_stars = segment == "**";
    if (!is_stars && std::ranges::count(segment, '*') > 1)
      return "has more than one '*' in the segment " + quoted(segment);
    has_stars = has_stars || is_stars;
    since_stars = is_stars ? 0 : since_stars + 1;
    if (has_stars && since_stars > glob::max_segments_behind_stars)
      return "has more than " + std::to_string(glob::max_segments_behind_stars) +
             " segments behind a '**'";
    wildcards += segment.find('*') == std::string_view::npos ? 0 : 1;
  }
  if (wildcards > glob::max_wildcards)
    return "has " + std::to_string(wildcards) + " wildcards; at most " +
           std::to_string(glob::max_wildcards) + " are accepted";
  return std::nullopt;
}

struct verb_and_rest {
  capability_verb verb;
  std::string_view rest;
  bool has_rest;
};

/// Cuts `verb:rest`. The verb must be known, and a rest be given exactly if the verb has resources.
result<verb_and_rest> split_verb(std::string_view text) {
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  const auto verb = parse_enum<capability_verb>(name);
  if (!verb) {
    std::vector<std::string_view> known;
    for (const auto& entry : enum_names<capability_verb>::names) known.push_back(entry.name);
    const auto close = nearest(name, known);
    return fail(
        error_code::invalid_argument,
        quoted(name) + " is not a capability" +
            (close.empty() ? "; one is a verb with what it is for, such as \"context.read:/app/**\""
                           : did_you_mean(close)));
  }
  const bool has_rest = colon != std::string_view::npos;
  const auto kind = resource_kind_of(*verb);
  if (kind == resource_kind::none && has_rest)
    return fail(error_code::invalid_argument, "the capability " + quoted(text) +
                                                  " names a resource, but \"" + std::string{name} +
                                                  "\" has none; write it alone");
  if (kind != resource_kind::none && !has_rest)
    return fail(error_code::invalid_argument,
                "the capability " + quoted(text) + " names no resource; write \"" +
                    std::string{name} + (kind == resource_kind::path ? ":/…\"" : ":…\""));
  return verb_and_rest{*verb, has_rest ? text.substr(colon + 1) : std::string_view{}, has_rest};
}

}  // namespace

std::string_view missing_for(capability_verb verb) noexcept {
  switch (verb) {
    case capability_verb::event_publish:
    case capability_verb::event_subscribe: return "it has no events yet";
    case capability_verb::net_connect: return "it has no network for plugins yet";
    case capability_verb::state: return "it keeps no state for plugins yet";
    case capability_verb::context_read:
    case capability_verb::context_write:
    case capability_verb::command_execute:
    case capability_verb::command_provide:
    case capability_verb::fs_read:
    case capability_verb::log: break;
  }
  return {};
}

resource_kind resource_kind_of(capability_verb verb) noexcept {
  switch (verb) {
    case capability_verb::context_read:
    case capability_verb::context_write:
    case capability_verb::fs_read: return resource_kind::path;
    case capability_verb::command_execute:
    case capability_verb::command_provide:
    case capability_verb::event_publish:
    case capability_verb::event_subscribe:
    case capability_verb::net_connect: return resource_kind::name;
    case capability_verb::state:
    case capability_verb::log: break;
  }
  return resource_kind::none;
}

result<glob> glob::compile(std::string_view pattern, resource_kind kind) {
  const auto wrong = [&](const std::string& what) {
    return fail(error_code::invalid_argument, "the pattern " + quoted(pattern) + ' ' + what);
  };
  if (pattern.empty()) return wrong("is empty");
  if (pattern.size() > max_bytes)
    return wrong("is longer than " + std::to_string(max_bytes) + " bytes");
  if (!is_utf8(pattern) || pattern.find('\0') != std::string_view::npos)
    return fail(error_code::invalid_argument, "a pattern is not UTF-8 text");
  const char separator = separator_of(kind);
  if (kind == resource_kind::path && pattern.front() != '/') return wrong("must start with '/'");
  if (const auto problem = problem_of_segments(pattern, separator)) return wrong(*problem);

  glob compiled;
  compiled.text_ = pattern;
  compiled.separator_ = separator;
  const auto first_star = std::min(pattern.find('*'), pattern.size());
  const bool is_tree = pattern.substr(first_star).starts_with("**");
  // Where `**` stands for nothing, the separator before it is missing too.
  compiled.literal_bytes_ = is_tree && first_star > 0 ? first_star - 1 : first_star;
  if (first_star == pattern.size())
    compiled.shape_ = shape::literal;
  else
    compiled.shape_ = is_tree && first_star + 2 == pattern.size() ? shape::subtree : shape::general;
  return compiled;
}

bool glob::matches(std::string_view resource) const noexcept {
  if (!resource.starts_with(std::string_view{text_}.substr(0, literal_bytes_))) return false;
  switch (shape_) {
    case shape::literal: return resource.size() == literal_bytes_;
    case shape::subtree:
      return literal_bytes_ == 0 || resource.size() == literal_bytes_ ||
             resource[literal_bytes_] == separator_;
    case shape::general: break;
  }
  return matches_segments(resource);
}

bool glob::matches_segments(std::string_view resource) const noexcept {
  return match_segments(segment_cursor{text_, separator_}, segment_cursor{resource, separator_},
                        matches_segment);
}

bool glob::includes(const glob& other) const noexcept {
  // Only a `*` of this pattern covers a `*` of the other one. The same holds for `**`.
  return separator_ == other.separator_ &&
         match_segments(segment_cursor{text_, separator_}, segment_cursor{other.text_, separator_},
                        [](std::string_view mine, std::string_view its) {
                          return its != "**" && matches_segment(mine, its);
                        });
}

bool glob::may_meet(const glob& other) const noexcept {
  if (separator_ != other.separator_) return false;
  if (shape_ == shape::literal) return other.matches(text_);
  if (other.shape_ == shape::literal) return matches(other.text_);
  const auto mine = std::string_view{text_}.substr(0, literal_bytes_);
  const auto its = std::string_view{other.text_}.substr(0, other.literal_bytes_);
  return mine.starts_with(its) || its.starts_with(mine);
}

result<capability> capability::parse(std::string_view text) {
  const auto parts = split_verb(text);
  if (!parts) return fail(parts.error());
  capability parsed;
  parsed.verb_ = parts->verb;
  parsed.text_ = text;
  if (parts->has_rest) {
    auto pattern = glob::compile(parts->rest, resource_kind_of(parts->verb));
    if (!pattern) return fail(std::move(pattern.error()));
    parsed.pattern_ = std::move(*pattern);
  }
  return parsed;
}

capability::capability(std::string_view text) {
  auto parsed = parse(text);
  if (!parsed) throw std::invalid_argument{parsed.error().message};
  *this = std::move(*parsed);
}

result<void> check_enforced(const capability& asked) {
  const auto missing = missing_for(asked.verb());
  if (missing.empty()) return {};
  return fail(error_code::invalid_argument,
              "the capability " + quoted(asked.text()) +
                  " is not enforced by this build: " + std::string{missing} + "; leave it out");
}

result<operation_request> operation_request::parse(std::string_view text) {
  const auto parts = split_verb(text);
  if (!parts) return fail(parts.error());
  return operation_request{parts->verb, std::string{parts->rest}};
}

}  // namespace troupe
