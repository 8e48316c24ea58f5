#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/wire/field.hpp>

namespace troupe {

/// What a capability lets its holder do. The wire names are those of `enum_names`.
enum class capability_verb : std::uint8_t {
  context_read,     ///< Get, list and watch context paths.
  context_write,    ///< Set and delete context paths.
  command_execute,  ///< Execute commands, by name.
  command_provide,  ///< Contribute commands, by name.
  event_publish,    ///< Publish to topics.
  event_subscribe,  ///< Receive from topics.
  net_connect,      ///< Reach `host:port` through the host.
  fs_read,          ///< See files of the host, read-only.
  state,            ///< Keep its own durable state.
  log,              ///< Write to the node's log.
};

template <>
struct enum_names<capability_verb> {
  static constexpr std::array<enumerator<capability_verb>, 10> names{{
      {capability_verb::context_read, "context.read"},
      {capability_verb::context_write, "context.write"},
      {capability_verb::command_execute, "command.execute"},
      {capability_verb::command_provide, "command.provide"},
      {capability_verb::event_publish, "event.publish"},
      {capability_verb::event_subscribe, "event.subscribe"},
      {capability_verb::net_connect, "net.connect"},
      {capability_verb::fs_read, "fs.read"},
      {capability_verb::state, "state"},
      {capability_verb::log, "log"},
  }};
};

/// What this build lacks to enforce capabilities of this verb, as a clause such as "it has no
/// events yet". Empty when it enforces them. A capability that is not enforced is never granted;
/// denials of it hold trivially.
std::string_view missing_for(capability_verb verb) noexcept;

/// What the resources of a verb look like: paths (`/a/b`), dotted names (`a.b`, also `host:port`),
/// or none at all.
enum class resource_kind : std::uint8_t { path, name, none };

/// Total: every verb has one kind.
resource_kind resource_kind_of(capability_verb verb) noexcept;

/// A compiled glob pattern over segments: `*`, once in a segment, stands for any run of bytes
/// within it, `**`, alone in its segment, for any number of whole segments, also none. So `/app/**`
/// matches `/app`, `/app/x` and `/app/x/y`; `/app/*` only `/app/x`. Every other byte stands for
/// itself.
class glob {
public:
  /// Bounds that keep every match cheap.
  static constexpr std::size_t max_bytes = 256;
  static constexpr std::size_t max_wildcards = 8;
  /// Counted up to the next `**`, or to the end.
  static constexpr std::size_t max_segments_behind_stars = 4;

  /// @param kind `path` or `name`. The error names the pattern, the mistake and the correction.
  static result<glob> compile(std::string_view pattern, resource_kind kind);

  /// Cuts both into segments and compares; backtracks to the latest `**` only (the greedy method:
  /// an earlier one never needs to be tried again), behind which at most
  /// `max_segments_behind_stars` are compared anew: O(pattern + resource) byte steps. No
  /// allocation. A pattern that is literal, or literal up to a final `**`, costs one comparison of
  /// bytes.
  bool matches(std::string_view resource) const noexcept;
  /// Whether this pattern certainly matches everything that the other one matches. False for some
  /// pairs that differ in the order of their wildcards only, such as `**/*` and `*/**`. Costs as
  /// much as a match.
  bool includes(const glob& other) const noexcept;

  /// Whether both patterns may match the same resource. True in doubt: what follows the first
  /// wildcards is not compared.
  bool may_meet(const glob& other) const noexcept;

  const std::string& text() const noexcept { return text_; }

private:
  enum class shape : std::uint8_t { literal, subtree, general };

  bool matches_segments(std::string_view resource) const noexcept;

  std::string text_;
  std::size_t literal_bytes_ = 0;  ///< Every match begins with these.
  char separator_ = '/';
  shape shape_ = shape::literal;
};

/// One right: `verb:pattern`, such as `context.read:/app/**`, or a verb without resources alone,
/// such as `state`.
class capability {
public:
  /// The error names the text, the mistake and the nearest known verb.
  static result<capability> parse(std::string_view text);
  /// For capabilities that are written in a program.
  /// @throws std::invalid_argument when `text` is not a capability.
  explicit capability(std::string_view text);

  capability_verb verb() const noexcept { return verb_; }
  /// Whether this right covers `resource`; verbs without resources cover every one.
  bool covers(std::string_view resource) const noexcept {
    return !pattern_ || pattern_->matches(resource);
  }
  /// Whether this right certainly covers all that the other one covers; see `glob::includes`.
  bool includes(const capability& other) const noexcept {
    return verb_ == other.verb_ &&
           (!pattern_ || (other.pattern_ && pattern_->includes(*other.pattern_)));
  }
  /// Whether both rights may cover the same resource; see `glob::may_meet`.
  bool may_meet(const capability& other) const noexcept {
    return verb_ == other.verb_ &&
           (!pattern_ || (other.pattern_ && pattern_->may_meet(*other.pattern_)));
  }
  /// `verb:pattern`, as it was written.
  const std::string& text() const noexcept { return text_; }
  /// The pattern alone; empty for verbs without resources.
  std::string_view pattern() const noexcept {
    return pattern_ ? std::string_view{pattern_->text()} : std::string_view{};
  }

  friend bool operator==(const capability& a, const capability& b) noexcept {
    return a.text_ == b.text_;
  }

private:
  capability() = default;

  capability_verb verb_ = capability_verb::state;
  std::optional<glob> pattern_;
  std::string text_;
};

/// Fails with `invalid_argument` for a capability that this build does not enforce, see
/// `missing_for`.
result<void> check_enforced(const capability& asked);

/// An operation to check: a verb and one concrete resource, such as
/// `context.read:/app/theme`.
struct operation_request {
  capability_verb verb = capability_verb::state;
  std::string resource;  ///< Empty for verbs without resources, and for the context's root.

  /// Reads `verb:resource`. The error names the text and the correction.
  static result<operation_request> parse(std::string_view text);
};

}  // namespace troupe
