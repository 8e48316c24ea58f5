#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <troupe/messages/context.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/method.hpp>

namespace troupe {

/// `context.get`
struct get_value {
  static constexpr std::string_view method = "context.get";
  using answer = struct value_found;
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::clients_and_plugins,
                                        .summary = "one value",
                                        .verb = "context.read",
                                        .scope = resource_scope::exact,
                                        .parameter = "path",
                                        .reads = true};

  class path path;
  bool with_version = false;  ///< Whether the answer names the version of the path.
  /// While the context is being restored after a damage, answer from what could be read of it
  /// instead of failing with `unavailable`. Without a version then.
  bool salvaged = false;
  static constexpr auto fields() {
    return std::tuple{required("path", &get_value::path),
                      optional("with_version", &get_value::with_version),
                      optional("salvaged", &get_value::salvaged)};
  }
  friend bool operator==(const get_value&, const get_value&) = default;
};

/// The answer to `get_value`.
struct value_found {
  bool found = false;
  class value value;
  std::optional<value_version> version;  ///< If it was asked for; also of a path without a value.
  static constexpr auto fields() {
    return std::tuple{required("found", &value_found::found),
                      optional("value", &value_found::value),
                      optional("version", &value_found::version)};
  }
  friend bool operator==(const value_found&, const value_found&) = default;
};

/// `context.set`
struct set_value {
  static constexpr std::string_view method = "context.set";
  using answer = struct change_accepted;
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::clients_and_plugins,
                                        .summary = "writes a value",
                                        .verb = "context.write",
                                        .scope = resource_scope::exact,
                                        .parameter = "path"};

  class path path;
  class value value;
  enum durability durability = durability::durable;  ///< When the write is acknowledged.
  /// Write only if the path has this version. Fails with `failed_precondition` otherwise, so a
  /// writer that may not read learns whether the path has it.
  std::optional<value_version> if_version;
  static constexpr auto fields() {
    return std::tuple{required("path", &set_value::path), required("value", &set_value::value),
                      optional("durability", &set_value::durability),
                      optional("if_version", &set_value::if_version)};
  }
  friend bool operator==(const set_value&, const set_value&) = default;
};

/// `context.delete`
struct erase_value {
  static constexpr std::string_view method = "context.delete";
  using answer = struct change_accepted;
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::clients_and_plugins,
                                        .summary = "deletes a value",
                                        .verb = "context.write",
                                        .scope = resource_scope::exact,
                                        .parameter = "path"};

  class path path;
  enum durability durability = durability::durable;
  std::optional<value_version> if_version;  ///< As in `set_value`.
  static constexpr auto fields() {
    return std::tuple{required("path", &erase_value::path),
                      optional("durability", &erase_value::durability),
                      optional("if_version", &erase_value::if_version)};
  }
  friend bool operator==(const erase_value&, const erase_value&) = default;
};

/// The answer to a write: the change that it made.
struct change_accepted {
  change_id id;
  static constexpr auto fields() { return std::tuple{required("id", &change_accepted::id)}; }
  friend bool operator==(const change_accepted&, const change_accepted&) = default;
};

/// `context.list`: the entries at and below a path, in the order of the tree.
struct list_values {
  static constexpr std::string_view method = "context.list";
  using answer = struct value_page;
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::clients_and_plugins,
                                        .summary = "the values below a path, page by page",
                                        .verb = "context.read",
                                        .scope = resource_scope::subtree,
                                        .parameter = "prefix",
                                        .reads = true};

  path prefix;
  path after;                  ///< The last path of the page before; the root for the first page.
  std::uint32_t limit = 1000;  ///< A page has at most 10,000 entries and about 4 MiB. The first
                               ///< page may have one more entry when the root has a value.
  bool salvaged = false;       ///< As in `get_value`.
  static constexpr auto fields() {
    return std::tuple{
        optional("prefix", &list_values::prefix), optional("after", &list_values::after),
        optional("limit", &list_values::limit), optional("salvaged", &list_values::salvaged)};
  }
  friend bool operator==(const list_values&, const list_values&) = default;
};

/// One page of `context.list`.
struct value_page {
  std::vector<context_entry> entries;
  bool more = false;
  state_hash hash;  ///< Of the subtree when the page was made. Pages with equal hashes are of one
                    ///< state.
  static constexpr auto fields() {
    return std::tuple{required("entries", &value_page::entries),
                      required("more", &value_page::more), optional("hash", &value_page::hash)};
  }
  friend bool operator==(const value_page&, const value_page&) = default;
};

/// `context.import`: writes many entries in one group commit, each as a change of its own. Writes
/// none when one is rejected.
struct import_values {
  static constexpr std::string_view method = "context.import";
  using answer = struct values_imported;
  static constexpr method_access access{
      .service = service::context, .callers = called_by::clients, .summary = "writes many values"};

  std::vector<context_entry> entries;
  enum durability durability = durability::durable;
  bool only_check = false;  ///< Write nothing, only check whether the entries would be accepted.
  static constexpr auto fields() {
    return std::tuple{required("entries", &import_values::entries),
                      optional("durability", &import_values::durability),
                      optional("only_check", &import_values::only_check)};
  }
  friend bool operator==(const import_values&, const import_values&) = default;
};

/// The answer to `import_values`.
struct values_imported {
  std::uint64_t written = 0;
  std::uint64_t unchanged = 0;  ///< Entries that had this value already and were not written.
  static constexpr auto fields() {
    return std::tuple{required("written", &values_imported::written),
                      required("unchanged", &values_imported::unchanged)};
  }
  friend bool operator==(const values_imported&, const values_imported&) = default;
};

/// `context.explain`
struct explain_value {
  static constexpr std::string_view method = "context.explain";
  using answer = struct value_explained;
  static constexpr method_access access{
      .service = service::context,
      .callers = called_by::clients_and_plugins,
      .summary = "the writes that compete for a path and which one wins",
      .verb = "context.read",
      .scope = resource_scope::exact,
      .parameter = "path",
      .reads = true};

  class path path;
  static constexpr auto fields() { return std::tuple{required("path", &explain_value::path)}; }
  friend bool operator==(const explain_value&, const explain_value&) = default;
};

/// One of the writes that compete for a path.
struct competing_write {
  struct dot dot;
  change_id id;
  struct timestamp timestamp;
  enum operation operation = operation::put;
  class value value;
  std::string principal;
  bool wins = false;
  static constexpr auto fields() {
    return std::tuple{required("dot", &competing_write::dot),
                      required("id", &competing_write::id),
                      required("time", &competing_write::timestamp),
                      required("op", &competing_write::operation),
                      required("value", &competing_write::value),
                      optional("principal", &competing_write::principal),
                      required("wins", &competing_write::wins)};
  }
  friend bool operator==(const competing_write&, const competing_write&) = default;
};

/// The answer to `explain_value`.
struct value_explained {
  bool conflict = false;
  std::string rule;  ///< The strategy that decides, and why.
  std::vector<competing_write> writes;
  static constexpr auto fields() {
    return std::tuple{required("conflict", &value_explained::conflict),
                      required("rule", &value_explained::rule),
                      required("writes", &value_explained::writes)};
  }
  friend bool operator==(const value_explained&, const value_explained&) = default;
};

/// `context.verify`: recomputes the hash of a subtree from its entries and compares it with the one
/// that is kept.
struct verify_values {
  static constexpr std::string_view method = "context.verify";
  using answer = struct values_verified;
  static constexpr method_access access{.service = service::context,
                                        .callers = called_by::clients,
                                        .summary = "recomputes and compares hashes"};

  path prefix;
  static constexpr auto fields() { return std::tuple{optional("prefix", &verify_values::prefix)}; }
  friend bool operator==(const verify_values&, const verify_values&) = default;
};

/// The answer to `verify_values`.
struct values_verified {
  bool sound = false;  ///< The kept hash equals the recomputed one.
  state_hash hash;     ///< Equal between nodes whose subtrees hold the same writes.
  std::uint64_t entries = 0;
  std::uint64_t conflicts = 0;  ///< Paths with more than one competing write, in the whole tree.
  version_vector vector;
  static constexpr auto fields() {
    return std::tuple{required("sound", &values_verified::sound),
                      required("hash", &values_verified::hash),
                      required("entries", &values_verified::entries),
                      required("conflicts", &values_verified::conflicts),
                      required("vector", &values_verified::vector)};
  }
  friend bool operator==(const values_verified&, const values_verified&) = default;
};

}  // namespace troupe
