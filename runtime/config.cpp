#include <troupe/runtime/config.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include <troupe/actors/links/sockets.hpp>
#include <troupe/messages/text/spelling.hpp>
#include <troupe/messages/text/utf8.hpp>
#include <troupe/plugins/toml_reader.hpp>

namespace troupe {

namespace {

constexpr std::size_t max_text = 4096;
constexpr std::size_t max_list = 256;
constexpr std::uint64_t max_history = 1'000'000'000;
constexpr std::int64_t max_lease_ms = std::int64_t{10} * 366 * 24 * 60 * 60 * 1000;

bool is_lease(std::chrono::milliseconds length) {
  return length.count() == 0 || (length.count() >= 1000 && length.count() <= max_lease_ms);
}
constexpr std::size_t max_file_bytes = std::size_t{1} << 20;

template <named_enum E>
result<E> parse_choice(std::string_view key, std::string_view text) {
  if (const auto value = parse_enum<E>(text)) return *value;
  std::string known;
  for (const auto& each : enum_names<E>::names)
    known += (known.empty() ? "" : ", ") + std::string{each.name};
  return fail(
      error_code::invalid_argument,
      std::string{key} + ": \"" + std::string{utf8_prefix(text, 64)} + "\" is not one of " + known);
}

// -- checks of values; the caller adds the place to these messages --------------------------------

result<void> check_name(const std::string& text) {
  if (text.empty() || text.size() > 64 || !is_utf8(text))
    return fail(error_code::invalid_argument, "must be 1 to 64 bytes of UTF-8");
  return {};
}

result<void> check_listen(const std::string& text) {
  if (text.empty()) return {};
  const auto where = parse_endpoint(text);
  if (!where) return fail(where.error());
  if (!is_loopback(where->host))
    return fail(error_code::invalid_argument,
                "\"" + where->host +
                    "\" is not a loopback address; links between nodes are neither encrypted nor "
                    "authenticated, so a node listens on 127.0.0.1, ::1 or localhost only");
  return {};
}

result<void> check_join(const std::string& text) {
  if (const auto where = parse_endpoint(text); !where) return fail(where.error());
  return {};
}

result<void> at(std::string_view key, result<void> checked) {
  if (!checked)
    return fail(checked.error().code, std::string{key} + ": " + checked.error().message);
  return checked;
}

// -- reading --------------------------------------------------------------------------------------

void read_into(config& settings, const toml_table& table,
               const std::filesystem::path& relative_to) {
  const auto text = [&](std::string_view key, std::string& into,
                        result<void> (*check)(const std::string&)) {
    const auto entry = table.find(key);
    if (!entry) return;
    into = entry->text(0, max_text);
    entry->unwrap(check(into));
  };
  const auto place = [&](std::string_view key, std::filesystem::path& into) {
    if (const auto entry = table.find(key)) into = relative_to / entry->text(1, max_text);
  };
  place("data_dir", settings.data_dir);
  text("name", settings.name, check_name);
  text("cluster", settings.cluster, check_name);
  text("listen", settings.listen, check_listen);
  place("plugin_init", settings.plugin_init);
  place("python_sdk", settings.python_sdk);
  if (const auto entry = table.find("join"))
    for (const auto& each : entry->elements(max_list)) {
      settings.join.push_back(each.text(1, max_text));
      each.unwrap(check_join(settings.join.back()));
    }
  if (const auto entry = table.find("plugins"))
    for (const auto& each : entry->elements(max_list))
      settings.plugins.push_back(relative_to / each.text(1, max_text));
  if (const auto entry = table.find("plugin_level"))
    settings.plugin_level = entry->enumeration<permission_level>();
  if (const auto entry = table.find("discover")) settings.discover = entry->boolean();
  if (const auto entry = table.find("sandbox"))
    settings.sandbox = entry->enumeration<sandbox_kind>();
  if (const auto entry = table.find("sandbox_allow"))
    for (const auto& each : entry->elements(max_list))
      settings.sandbox_allow.push_back(each.enumeration<weaker_mode>());
  if (const auto entry = table.find("log_level")) settings.level = entry->enumeration<log_level>();
  if (const auto entry = table.find("log_format"))
    settings.format = entry->enumeration<log_format>();
  if (const auto entry = table.find("stop_deadline_ms"))
    settings.stop_deadline = std::chrono::milliseconds{entry->integer(100, 600'000)};
  if (const auto entry = table.find("worker_threads"))
    settings.worker_threads = static_cast<std::size_t>(entry->integer(1, 1024));
  if (const auto entry = table.find("history"))
    settings.history = static_cast<std::uint64_t>(entry->integer(0, max_history));
  if (const auto entry = table.find("member_lease_ms"))
    settings.member_lease = std::chrono::milliseconds{entry->integer(0, max_lease_ms)};
}

}  // namespace

result<config> parse_config(std::string_view text, std::string_view file_name,
                            const std::filesystem::path& relative_to, config base) {
  const toml_reporter report{file_name};
  try {
    const auto parsed = parse_toml(text, report);
    const toml_table table{
        report,
        parsed,
        "",
        {"data_dir", "name", "cluster", "listen", "join", "discover", "plugins", "plugin_level",
         "sandbox", "sandbox_allow", "plugin_init", "python_sdk", "log_level", "log_format",
         "stop_deadline_ms", "worker_threads", "history", "member_lease_ms"}};
    read_into(base, table, relative_to);
    return base;
  } catch (const toml_mistake& mistake) {
    return fail(mistake.failure);
  }
}

result<config> read_config(const std::filesystem::path& file, config base) {
  const auto unreadable = [&](const char* why) {
    return fail(error_code::not_found,
                "the configuration file " + file.native() + " cannot be read: " + why);
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) return unreadable("it is not a file");
  errno = 0;
  std::ifstream in{file, std::ios::binary};
  if (!in) return unreadable(std::strerror(errno));
  std::string text(max_file_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_file_bytes)
    return fail(error_code::limit_exceeded,
                "the configuration file " + file.native() + " is larger than 1 MiB");
  const auto directory = std::filesystem::absolute(file).parent_path();
  return parse_config(text, file.native(), directory, std::move(base));
}

result<config> apply_environment(config base,
                                 const std::function<const char*(const char*)>& variable) {
  const auto text = [&](const char* name, auto&& use) {
    if (const char* given = variable(name); given != nullptr && *given != '\0')
      use(std::string{given});
  };
  result<void> outcome;  // the first error
  const auto check = [&](const char* name, const std::string& given,
                         result<void> (*how)(const std::string&)) {
    if (auto checked = at(name, how(given)); !checked && outcome) outcome = std::move(checked);
  };
  const auto set = [&](const char* name, std::string& into,
                       result<void> (*how)(const std::string&)) {
    text(name, [&](const std::string& given) { check(name, into = given, how); });
  };
  const auto choose = [&](const char* name, auto& into) {
    text(name, [&](const std::string& given) {
      auto chosen = parse_choice<std::remove_reference_t<decltype(into)>>(name, given);
      if (chosen)
        into = *chosen;
      else if (outcome)
        outcome = fail(chosen.error());
    });
  };
  text("TROUPE_DATA_DIR", [&](std::string given) { base.data_dir = std::move(given); });
  set("TROUPE_NAME", base.name, check_name);
  set("TROUPE_CLUSTER", base.cluster, check_name);
  set("TROUPE_LISTEN", base.listen, check_listen);
  text("TROUPE_JOIN", [&](const std::string& given) {
    std::istringstream in{given};
    for (std::string each; std::getline(in, each, ',');)
      check("TROUPE_JOIN", base.join.emplace_back(each), check_join);
  });
  choose("TROUPE_SANDBOX", base.sandbox);
  choose("TROUPE_LOG_LEVEL", base.level);
  choose("TROUPE_LOG_FORMAT", base.format);
  if (!outcome) return fail(outcome.error());
  return base;
}

result<void> check_spelling_of_variables(const std::vector<std::string_view>& environment) {
  constexpr std::string_view prefix = "TROUPE_";
  std::vector<std::string_view> variables;  // all that apply_environment reads
  (void)apply_environment({}, [&](const char* name) -> const char* {
    variables.emplace_back(name);
    return nullptr;
  });
  for (const auto entry : environment) {
    const auto name = entry.substr(0, entry.find('='));
    if (!name.starts_with(prefix) || std::ranges::find(variables, name) != variables.end())
      continue;
    const auto slips = std::min<std::size_t>((name.size() - prefix.size()) / 3, 2);
    if (const auto meant = nearest(name, variables, slips, 1); !meant.empty())
      return fail(error_code::invalid_argument,
                  "there is no environment variable " + repaired_utf8(name) + did_you_mean(meant));
  }
  return {};
}

result<void> check_config(const config& settings) {
  if (settings.data_dir.empty())
    return fail(error_code::invalid_argument,
                "data_dir: is missing; name the directory where the node keeps its state");
  if (auto checked = at("name", check_name(settings.name)); !checked) return checked;
  if (auto checked = at("cluster", check_name(settings.cluster)); !checked) return checked;
  if (auto checked = at("listen", check_listen(settings.listen)); !checked) return checked;
  for (const auto& each : settings.join)
    if (auto checked = at("join", check_join(each)); !checked) return checked;
  for (const auto& each : settings.plugins)
    if (each.empty())
      return fail(error_code::invalid_argument,
                  "plugins: the name of a package directory is empty");
  if (settings.stop_deadline < std::chrono::milliseconds{100} ||
      settings.stop_deadline > std::chrono::minutes{10})
    return fail(error_code::invalid_argument, "stop_deadline_ms: must be 100 to 600000");
  if (settings.worker_threads < 1 || settings.worker_threads > 1024)
    return fail(error_code::invalid_argument, "worker_threads: must be 1 to 1024");
  if (settings.history > max_history)
    return fail(error_code::invalid_argument, "history: must be 0 to 1000000000");
  if (!is_lease(settings.member_lease))
    return fail(error_code::invalid_argument,
                "member_lease_ms: must be 0, or 1000 to " + std::to_string(max_lease_ms));
  return {};
}

}  // namespace troupe
