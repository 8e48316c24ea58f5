#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/plugin.hpp>
#include <troupe/plugins/capability.hpp>

namespace troupe {

/// The policy of one plugin at this moment: what its level gives, what it asked for and the
/// operator granted, and what is denied.
///
///     effective = (level defaults ∪ (requested ∩ granted)) − denied
///
/// An operation is within `requested ∩ granted` when one requested and one granted capability both
/// cover it: of a wide request and a narrow grant, or the reverse, the narrower counts. Denials win
/// over everything. What this build does not enforce is refused to every level, see `missing_for`.
///
/// The defaults of a plugin `notes`:
///
/// | level      | capabilities                                                        |
/// |------------|---------------------------------------------------------------------|
/// | restricted | `log`, `command.provide:notes.**`, `command.execute:notes.**`       |
/// | user       | also `context.read:/plugins/notes/**`, `context.write:/plugins/notes/**` |
/// | system     | everything                                                          |
///
/// Pure: no clock, no I/O. Changes take effect with the next check. Each set holds at most
/// `max_rules` capabilities.
class permissions {
public:
  static constexpr std::size_t max_rules = 256;

  /// @param plugin its validated name; it becomes part of the default patterns.
  permissions(std::string_view plugin, permission_level level);

  /// Whether the plugin may do this now. `rule` is the capability that decided, or says in words
  /// why none did; `operation` stays empty. A resource that is not of its verb's kind (a path
  /// without '/', or with "", "." or ".." as a file's segment) is refused. Linear in the rules of
  /// this verb; allocates the rule's text only.
  permission_decision check(capability_verb verb, std::string_view resource) const;
  /// Whether the plugin may do this with a context path and everything below it. A denial anywhere
  /// below refuses it.
  permission_decision check_subtree(capability_verb verb, std::string_view path) const;
  /// The same for a written operation: one resource, such as `context.read:/app/theme`, or a path
  /// and everything below it, such as `context.read:/app/**`. Fails when the text is malformed or
  /// has any other wildcard.
  result<permission_decision> check(std::string_view operation) const;

  /// Adds to the requests, grants or denials. Adding what is there changes nothing. Fails with
  /// `limit_exceeded` when the set is full, and for requests and grants as `check_enforced`.
  result<void> request(capability asked);
  result<void> grant(capability granted);
  result<void> deny(capability denied);

  /// Removes a grant or a denial, by its exact text; `not_found` when there is none.
  result<void> revoke(const capability& granted);
  result<void> allow(const capability& denied);

  /// Whether the level, its defaults or a grant still give some of this, or may, denials aside; see
  /// `glob::may_meet`.
  bool gives_some_of(const capability& what) const noexcept;

  permission_level level() const noexcept { return level_; }
  /// The texts, in the order in which they came.
  std::vector<std::string> requested() const;
  std::vector<std::string> granted() const;
  std::vector<std::string> denied() const;
  /// Everything that allows something now, but for denials of the same text: the defaults, and of
  /// each request and grant that overlap the narrower one. Never more than both; what two patterns
  /// share of which neither includes the other is not listed. Other denials are not taken out, see
  /// `denied`. A system plugin has one entry, `*`. O(requests × grants).
  std::vector<std::string> effective() const;
  /// What the level gives; a system plugin has one entry, `*`.
  std::vector<std::string> defaults() const;

private:
  /// One set of capabilities, sorted into a list per verb so that a check sees only rules of its
  /// own verb.
  class rule_set {
  public:
    /// The first rule that covers the operation, or null.
    const capability* find(capability_verb verb, std::string_view resource) const noexcept;
    /// The first rule that covers a path and all that can be below it, or null.
    const capability* find_subtree(capability_verb verb, std::string_view path) const noexcept;
    /// The first rule that covers something at or below a path, or may, or null.
    const capability* find_overlap(capability_verb verb, std::string_view path) const noexcept;
    /// Whether any rule covers some of this, or may.
    bool meets(const capability& what) const noexcept;
    /// The rules of one verb, in the order in which they came.
    const std::vector<capability>& of(capability_verb verb) const noexcept {
      return by_verb_[static_cast<std::size_t>(verb)];
    }
    result<void> add(capability rule, std::string_view set_name);
    result<void> remove(const capability& rule, std::string_view set_name);
    std::vector<std::string> texts() const;

  private:
    std::array<std::vector<capability>, enum_names<capability_verb>::names.size()> by_verb_;
    std::vector<std::string> texts_;
  };

  permission_level level_;
  rule_set defaults_;
  rule_set requested_;
  rule_set granted_;
  rule_set denied_;
};

}  // namespace troupe
