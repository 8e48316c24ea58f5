#include <troupe/runtime/cli/app.hpp>

#include <troupe/actors/context/queries/json_tree.hpp>
#include <troupe/messages/context_requests.hpp>
#include <troupe/messages/context_upkeep.hpp>
#include <troupe/runtime/cli/context_clock.hpp>
#include <troupe/runtime/cli/context_import.hpp>
#include <troupe/runtime/cli/output_file.hpp>

namespace troupe::cli {

namespace {

/// Reads a path. An empty word is not the root: it most often is a variable that was not set.
result<path> read_path(const std::string& word) {
  if (word.empty())
    return fail(error_code::invalid_argument, "the path is empty; the root is \"/\"");
  return path::parse(word);
}

/// Reads a value: JSON where it is JSON, otherwise text. `42` is a number, `dark` a string.
result<value> read_value(const std::string& word, bool as_string) {
  if (as_string) return value{word};
  auto json = value::from_json(word);
  if (json) return json;
  if (json.error().code == error_code::limit_exceeded)
    return fail(json.error().code, "the value cannot be kept: " + json.error().message +
                                       "; --string takes it as text");
  return value{word};
}

void print_value(const app_state& app, const value& shown) {
  if (app.json)
    print_json(shown);
  else if (const auto text = shown.as_string())
    std::printf("%s\n", safe_text(*text).c_str());
  else
    std::printf("%s\n", shown.to_json(json_style::pretty).c_str());
}

result<void> get(app_state& app, client& node, const path& where, bool salvaged) {
  auto found = node.call(get_value{.path = where, .salvaged = salvaged}, app.deadline);
  if (!found) return fail(std::move(found.error()));
  if (!found->found)
    return fail(error_code::not_found, "there is no value at " + show_path(where) +
                                           "; values below it: troupe context list " +
                                           show_path(where));
  print_value(app, found->value);
  return {};
}

result<void> print_change(app_state& app, result<change_accepted> accepted) {
  if (!accepted) return fail(std::move(accepted.error()));
  if (app.json) print_json(to_value(*accepted));
  return {};
}

/// Reads all entries of one state of the subtree. Starts again when it changes meanwhile.
result<std::vector<context_entry>> fetch(app_state& app, client& node, const path& prefix,
                                         bool salvaged) {
  constexpr int attempts = 10;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    std::vector<context_entry> all;
    list_values wanted{.prefix = prefix, .after = {}, .limit = 10'000, .salvaged = salvaged};
    std::optional<state_hash> state;
    bool steady = true;
    while (true) {
      auto page = node.call(wanted, app.deadline);
      if (!page) return fail(std::move(page.error()));
      steady = !state || *state == page->hash;
      state = page->hash;
      if (!steady) break;
      std::move(page->entries.begin(), page->entries.end(), std::back_inserter(all));
      if (!page->more) return all;
      wanted.after = all.back().path;
    }
  }
  return fail(error_code::overloaded, "the values below " + show_path(prefix) +
                                          " change too fast to be read as one state; try again");
}

result<void> list(app_state& app, client& node, const path& prefix, std::uint32_t limit,
                  bool salvaged) {
  std::vector<value> shown;
  list_values wanted{.prefix = prefix,
                     .after = {},
                     .limit = std::min<std::uint32_t>(limit, 10'000),
                     .salvaged = salvaged};
  std::uint32_t left = limit;
  while (true) {
    auto page = node.call(wanted, app.deadline);
    if (!page) return fail(std::move(page.error()));
    if (page->entries.size() > left) {  // the first page may have one more entry, for the root
      page->entries.erase(page->entries.begin() + left, page->entries.end());
      page->more = true;
    }
    for (const auto& entry : page->entries) {
      if (app.json)
        shown.push_back(to_value(entry));
      else
        std::printf("%s\t%s\n", safe_text(show_path(entry.path)).c_str(),
                    entry.value.to_json().c_str());
    }
    left -= static_cast<std::uint32_t>(page->entries.size());
    if (!page->more || left == 0) {
      if (app.json) print_json(value::array(shown));
      if (page->more)
        remark(app,
               std::string{limit == 1 ? "this is the first value"
                                      : "these are the first " + show_count(limit) + " values"} +
                   "; there are more; see them with --limit");
      return {};
    }
    wanted.after = page->entries.back().path;
    wanted.limit = std::min<std::uint32_t>(left, 10'000);
  }
}

result<void> write_output(const app_state& app, const std::optional<std::string>& file,
                          const std::string& text) {
  if (!file) return std::fwrite(text.data(), 1, text.size(), stdout), result<void>{};
  auto written = write_output_file(*file, text);
  if (written && app.json) print_json(value::map({}));
  return written;
}

result<void> export_values(app_state& app, client& node, const path& prefix,
                           const std::optional<std::string>& file, bool flat, bool salvaged) {
  auto entries = fetch(app, node, prefix, salvaged);
  if (!entries) return fail(std::move(entries.error()));
  if (flat) {
    std::vector<value::member> members;
    for (auto& entry : *entries)
      members.emplace_back(show_path(entry.path), std::move(entry.value));
    return write_output(app, file,
                        value::map(std::move(members)).to_json(json_style::pretty) + "\n");
  }
  auto whole = render(prefix, std::move(*entries));
  if (!whole) {
    const bool mixed = whole.error().code == error_code::invalid_argument;
    return fail(whole.error().code, whole.error().message + (mixed ? ", with --flat" : ""));
  }
  return write_output(app, file, whole->to_json(json_style::pretty) + "\n");
}

std::string show_write(const competing_write& write) {
  if (write.operation == operation::erase) return "(deleted)";
  const auto text = write.value.to_json();
  return write.operation == operation::increment ? "adds " + text : text;
}

result<void> explain(app_state& app, client& node, const path& where) {
  auto explained = node.call(explain_value{where}, app.deadline);
  if (!explained) return fail(std::move(explained.error()));
  if (app.json) return print_json(to_value(*explained)), result<void>{};
  std::printf("%s: %s\n", safe_text(show_path(where)).c_str(), safe_text(explained->rule).c_str());
  table rows{{"", "TIME (UTC)", "BY", "NODE", "VALUE"}};
  for (const auto& each : explained->writes)
    rows.add({each.wins ? "wins" : "", show_time(each.timestamp.milliseconds()),
              safe_text(each.principal), to_string(each.dot.origin), show_write(each)});
  rows.print("nothing was ever written there");
  return {};
}

result<void> verify(app_state& app, client& node, const path& prefix,
                    const std::optional<std::string>& against) {
  auto here = node.call(verify_values{prefix}, app.deadline);
  if (!here) return fail(std::move(here.error()));
  std::optional<values_verified> there;
  if (against) {
    auto other = client::connect(*against, app.deadline);
    if (!other) return fail(std::move(other.error()));
    auto answer = other->call(verify_values{prefix}, app.deadline);
    if (!answer) return fail(std::move(answer.error()));
    there = std::move(*answer);
  }
  const bool same = !there || there->hash == here->hash;
  if (!here->sound || !same) app.status = damaged;
  if (app.json) {
    std::vector<value::member> members{{"here", to_value(*here)}};
    if (there) members.insert(members.end(), {{"there", to_value(*there)}, {"equal", same}});
    return print_json(value::map(std::move(members))), result<void>{};
  }
  std::printf("%s: %s, %s, hash %s: %s\n", safe_text(show_path(prefix)).c_str(),
              show_count(here->entries, "value").c_str(),
              show_count(here->conflicts, "conflict").c_str(), to_string(here->hash).c_str(),
              here->sound ? "sound" : "DAMAGED: the hash does not match the values");
  if (there)
    std::printf("%s: hash %s: %s\n", safe_text(*against).c_str(), to_string(there->hash).c_str(),
                same ? "equal" : "DIFFERENT");
  return {};
}

result<void> show_quarantine(app_state& app, client& node, bool clear) {
  auto list = clear ? node.call(clear_quarantine{}, app.deadline)
                    : node.call(list_quarantine{}, app.deadline);
  if (!list) return fail(std::move(list.error()));
  if (app.json) return print_json(to_value(*list)), result<void>{};
  if (clear && list->total == 0)
    return confirm(app, "nothing is in quarantine now"), result<void>{};
  table changes{{"PATH", "NODE", "INCARNATION", "CHANGE"}};
  for (const auto& each : list->changes)
    for (const auto& where : each.paths)
      changes.add({safe_text(show_path(where)), to_string(each.node),
                   std::to_string(each.incarnation), std::to_string(each.seq)});
  changes.print("nothing is in quarantine");
  if (list->total > list->changes.size())
    remark(app, "and " + std::to_string(list->total - list->changes.size()) + " more");
  if (clear)
    remark(app, "these cannot be ended now; see 'troupe context explain PATH'");
  else if (list->total > 0)
    remark(app, "one number was given to several writes; end that with --clear");
  return {};
}

/// A subcommand with a path; the callback gets it parsed.
CLI::App* add_path_command(CLI::App& group, app_state& app, const std::string& name,
                           const std::string& summary, bool needed,
                           const std::function<result<void>(client&, const path&)>& act) {
  auto* command = add_client_command(group, app, name, summary);
  auto text = std::make_shared<std::string>("/");
  auto* option = command->add_option("path", *text, "A path such as /app/theme");
  if (needed) option->required();
  command->callback([&app, text, act] {
    auto where = read_path(*text);
    if (!where) return report(app, where.error());
    with_node(app, [&](client& node) { return act(node, *where); });
  });
  return command;
}

/// The option that says when a write is answered.
void add_durability(CLI::App& command, const std::shared_ptr<durability>& into) {
  command
      .add_option_function<std::string>(
          "--durability",
          [into](const std::string& name) { *into = parse_enum<durability>(name).value(); },
          "Return when the write is in memory, durable (on this node's disk; the default), or on "
          "the disks of a majority or of all members")
      ->check(CLI::IsMember(names<durability>()));
}

/// The option that reads what is left of a damaged context.
void add_salvaged(CLI::App& command, const std::shared_ptr<bool>& into) {
  command.add_flag("--salvaged", *into,
                   "While a damaged context is restored: read what could be saved of it");
}

void add_get(CLI::App& group, app_state& app) {
  auto salvaged = std::make_shared<bool>(false);
  auto* command = add_path_command(group, app, "get", "Prints a value", true,
                                   [&app, salvaged](client& node, const path& where) {
                                     return get(app, node, where, *salvaged);
                                   });
  add_salvaged(*command, salvaged);
}

void add_list(CLI::App& group, app_state& app) {
  auto salvaged = std::make_shared<bool>(false);
  auto limit = std::make_shared<std::uint32_t>(1000);
  auto* command =
      add_path_command(group, app, "list", "Lists the values at and below a path", false,
                       [&app, limit, salvaged](client& node, const path& prefix) {
                         return list(app, node, prefix, *limit, *salvaged);
                       });
  command->add_option("--limit", *limit, "The most values to list (default 1000)")
      ->check(CLI::Range(1, 100'000'000));
  add_salvaged(*command, salvaged);
}

void add_set(CLI::App& group, app_state& app) {
  auto given = std::make_shared<std::string>();
  auto as_string = std::make_shared<bool>(false);
  auto level = std::make_shared<durability>(durability::durable);
  auto* command = add_path_command(
      group, app, "set", "Writes a value; returns when it is durable", true,
      [&app, given, as_string, level](client& node, const path& where) -> result<void> {
        auto read = read_value(*given, *as_string);
        if (!read) return fail(std::move(read.error()));
        return print_change(app,
                            node.call(set_value{where, std::move(*read), *level}, app.deadline));
      });
  add_durability(*command, level);
  command->add_option("value", *given, "JSON, or text")->required();
  command->add_flag("--string", *as_string, "Take the value as text even if it is JSON");
}

void add_import(CLI::App& group, app_state& app) {
  auto* command = add_client_command(
      group, app, "import",
      "Writes a JSON file into the tree, a value for each leaf. The whole file is checked first; "
      "an interrupted import may be partly applied");
  auto file = std::make_shared<std::string>();
  auto below = std::make_shared<std::string>("/");
  auto level = std::make_shared<durability>(durability::durable);
  add_durability(*command, level);
  command->add_option("file", *file, "A JSON file")->required()->check(not_empty);
  command->add_option("path", *below, "The path to write below (default: the root)");
  command->callback([&app, file, below, level] {
    auto prefix = read_path(*below);
    if (!prefix) return report(app, prefix.error());
    with_node(app, [&](client& node) { return import_file(app, node, *file, *prefix, *level); });
  });
}

void add_export(CLI::App& group, app_state& app) {
  auto output = std::make_shared<std::optional<std::string>>();
  auto flat = std::make_shared<bool>(false);
  auto salvaged = std::make_shared<bool>(false);
  auto* command = add_path_command(
      group, app, "export", "Prints the values at and below a path as one JSON document", false,
      [&app, output, flat, salvaged](client& node, const path& prefix) {
        return export_values(app, node, prefix, *output, *flat, *salvaged);
      });
  command->add_option_function<std::string>("--output,-o", keep_in(*output), "Write to this file")
      ->check(not_empty);
  command->add_flag("--flat", *flat, "One member for each path instead of nesting");
  add_salvaged(*command, salvaged);
}

}  // namespace

void add_context(CLI::App& parent, app_state& app) {
  auto* group = parent.add_subcommand("context", "The tree of values that nodes share");
  group->require_subcommand(1);
  add_get(*group, app);
  add_set(*group, app);
  auto level = std::make_shared<durability>(durability::durable);
  auto* erase = add_path_command(
      *group, app, "delete", "Deletes a value", true,
      [&app, level](client& node, const path& where) {
        return print_change(app, node.call(erase_value{where, *level}, app.deadline));
      });
  add_durability(*erase, level);

  add_list(*group, app);
  add_import(*group, app);
  add_export(*group, app);
  add_path_command(*group, app, "explain",
                   "Shows which writes compete for a path, and which one wins", true,
                   [&app](client& node, const path& where) { return explain(app, node, where); });

  auto against = std::make_shared<std::optional<std::string>>();
  add_path_command(*group, app, "verify",
                   "Recomputes the hash of a subtree (exit code 8 when it differs)", false,
                   [&app, against](client& node, const path& prefix) {
                     return verify(app, node, prefix, *against);
                   })
      ->add_option_function<std::string>("--against", keep_in(*against),
                                         "Compare with the node of this data directory");

  auto clear = std::make_shared<bool>(false);
  auto* quarantine = add_client_command(
      *group, app, "quarantine", "Lists changes that do not count, because a node ran twice");
  quarantine->add_flag("--clear", *clear,
                       "Write anew what readers see at their paths, and end them");
  quarantine->callback([&app, clear] {
    with_node(app, [&](client& node) { return show_quarantine(app, node, *clear); });
  });

  auto correct = std::make_shared<bool>(false);
  auto* clock = add_client_command(*group, app, "clock",
                                   "Tells whether the clock and the times of changes are right");
  clock->add_flag("--correct", *correct,
                  "Give changes times by the clock again, from the next start of the node on");
  clock->callback([&app, correct] {
    with_node(app, [&](client& node) { return check_clock_of(app, node, *correct); });
  });
}

}  // namespace troupe::cli
