#include <troupe/plugins/manifest.hpp>

#include <algorithm>
#include <array>
#include <optional>

#include <unistd.h>

#include <troupe/plugins/integrity.hpp>
#include <troupe/plugins/toml_reader.hpp>

namespace troupe {

namespace {

/// The node uses these names for other parties. In logs and in the audit trail a plugin of such a
/// name would pass for one of them.
constexpr std::array<std::string_view, 5> reserved_names{"system", "host", "client", "peer",
                                                         "plugin"};
/// The package in the plugin's sandbox.
constexpr std::string_view seen_package = "/plugin/";
constexpr std::size_t max_manifest_bytes = 256 * 1024;
constexpr std::size_t max_capabilities = 64;
constexpr std::size_t max_text_bytes = 1024;
constexpr std::size_t max_entry_words = 64;
constexpr std::size_t max_integrity_files = 4096;
constexpr std::int64_t mebibyte = std::int64_t{1} << 20;
constexpr std::int64_t tebibyte = std::int64_t{1} << 40;
constexpr std::int64_t second = 1000, minute = 60 * second, hour = 60 * minute;  // in milliseconds

template <class Integer>
void read_limit(const toml_table& table, std::string_view key, std::int64_t least,
                std::int64_t most, Integer& limit) {
  if (const auto entry = table.find(key)) limit = static_cast<Integer>(entry->integer(least, most));
}

void read_time(const toml_table& table, std::string_view key, std::int64_t least, std::int64_t most,
               std::chrono::milliseconds& time) {
  if (const auto entry = table.find(key))
    time = std::chrono::milliseconds{entry->integer(least, most)};
}

resource_limits read_limits(const toml_table& root, permission_level level) {
  auto limits = default_limits(level);
  const auto table = root.find_table("resource_limits",
                                     {"max_memory_bytes", "max_cpu_percent", "max_storage_bytes",
                                      "max_network_bytes", "max_processes", "max_open_files"});
  if (!table) return limits;
  read_limit(*table, "max_memory_bytes", 4 * mebibyte, tebibyte, limits.max_memory_bytes);
  read_limit(*table, "max_cpu_percent", 1, 6400, limits.max_cpu_percent);
  read_limit(*table, "max_storage_bytes", 0, tebibyte, limits.max_storage_bytes);
  if (const auto entry = table->find("max_network_bytes"))
    entry->reject("is not enforced by this build: it has no network for plugins yet; leave it out");
  read_limit(*table, "max_processes", 1, 4096, limits.max_processes);
  read_limit(*table, "max_open_files", 8, 65536, limits.max_open_files);
  return limits;
}

restart_spec read_restart(const toml_table& root) {
  restart_spec restart;
  const auto table = root.find_table("restart", {"mode", "intensity", "period_ms"});
  if (!table) return restart;
  if (const auto entry = table->find("mode")) restart.mode = entry->enumeration<restart_mode>();
  read_limit(*table, "intensity", 0, 100, restart.intensity);
  read_time(*table, "period_ms", second, 24 * hour, restart.period);
  return restart;
}

plugin_deadlines read_deadlines(const toml_table& root) {
  plugin_deadlines deadlines;
  const auto table = root.find_table("deadlines", {"start_ms", "call_ms", "stop_ms"});
  if (!table) return deadlines;
  read_time(*table, "start_ms", 1, std::chrono::milliseconds{max_start_deadline}.count(),
            deadlines.start);
  read_time(*table, "call_ms", 1, hour, deadlines.call);
  read_time(*table, "stop_ms", 1, minute, deadlines.stop);
  return deadlines;
}

std::string read_name(const toml_entry& entry) {
  auto name = entry.text(0, max_text_bytes);
  if (!is_plugin_name(name))
    entry.reject(
        "\"" + name +
        "\" is not a plugin name; one has 1 to 32 of a-z, 0-9, '_' and '-', a letter first");
  if (std::ranges::find(reserved_names, name) != reserved_names.end())
    entry.reject(
        "\"" + name +
        "\" is reserved, as are system, host, client, peer and plugin; choose another name");
  return name;
}

std::vector<std::string> read_entry(const toml_entry& entry) {
  if (entry.is_string()) return {entry.text(1, max_text_bytes)};
  std::vector<std::string> words;
  for (const auto& element : entry.elements(max_entry_words))
    words.push_back(element.text(words.empty() ? 1 : 0, max_text_bytes));
  if (words.empty()) entry.reject("must name a program");
  return words;
}

std::vector<requested_capability> read_capabilities(const toml_table& root) {
  std::vector<requested_capability> all;
  const auto entry = root.find("capabilities");
  if (!entry) return all;
  for (const auto& element : entry->elements(max_capabilities)) {
    const toml_table table{element, {"capability", "reason"}};
    const auto written = table.require("capability");
    auto asked = written.unwrap(capability::parse(written.text(0, max_text_bytes)));
    written.unwrap(check_enforced(asked));
    all.push_back({std::move(asked), table.require("reason").text(1, max_text_bytes)});
  }
  return all;
}

std::vector<capability> read_denied(const toml_table& root) {
  std::vector<capability> all;
  if (const auto entry = root.find("denied"))
    for (const auto& element : entry->elements(max_capabilities))
      all.push_back(element.unwrap(capability::parse(element.text(0, max_text_bytes))));
  return all;
}

std::map<std::string, std::string> read_integrity(const toml_table& root,
                                                  const std::string& program) {
  std::map<std::string, std::string> sums;
  const auto entry = root.find("integrity");
  if (!entry) return sums;
  const auto& table = entry->table();
  if (table.size() > max_integrity_files)
    entry->reject("must list at most " + std::to_string(max_integrity_files) + " files, not " +
                  std::to_string(table.size()));
  for (const auto& [key, node] : table) {
    const toml_entry file{entry->reporter(), node, "integrity.\"" + std::string{key.str()} + '"'};
    auto sum = file.text(0, max_text_bytes);
    if (!is_sha256(sum)) file.reject("must be a SHA-256 of 64 lower-case hexadecimal digits");
    sums.emplace(key.str(), std::move(sum));
  }
  if (!program.starts_with('/') && !sums.contains(program))
    entry->reject("must list the entry \"" + program + "\" too");
  return sums;
}

/// Checks the files that the manifest names.
void check_package(const std::filesystem::path& package, const plugin_manifest& manifest,
                   const toml_table& root) {
  const auto entry = root.require("entry");
  const auto& program = manifest.entry.front();
  const auto file = program.starts_with('/') ? std::filesystem::path{program}
                                             : entry.unwrap(file_in_package(package, program));
  std::error_code problem;
  if (!std::filesystem::is_regular_file(file, problem))
    entry.reject("there is no program \"" + program + '"');
  if (::access(file.c_str(), X_OK) != 0)
    entry.reject("\"" + program + "\" may not be executed; set its mode with chmod +x");
  if (const auto integrity = root.find("integrity")) {
    // An interpreter is only as trustworthy as the script that it reads from the package.
    for (const std::string_view word : manifest.entry) {
      const auto name = word.starts_with(seen_package) ? word.substr(seen_package.size()) : word;
      if (!manifest.integrity.contains(std::string{name}) && file_in_package(package, name))
        integrity->reject("must list the file \"" + std::string{name} + "\" of the entry too");
    }
    const auto verified = verify_integrity(package, manifest.integrity);
    if (!verified) integrity->reject(verified.error().message, verified.error().code);
  }
}

plugin_manifest read_manifest(const toml_table& root) {
  plugin_manifest manifest;
  manifest.name = read_name(root.require("name"));
  const auto version = root.require("version");
  manifest.version = version.unwrap(semver::parse(version.text(0, max_text_bytes)));
  if (const auto entry = root.find("description"))
    manifest.description = entry->text(0, max_text_bytes);
  manifest.entry = read_entry(root.require("entry"));
  if (const auto entry = root.find("permission_level"))
    manifest.permission_level = entry->enumeration<permission_level>();
  manifest.capabilities = read_capabilities(root);
  manifest.denied = read_denied(root);
  manifest.resource_limits = read_limits(root, manifest.permission_level);
  manifest.restart = read_restart(root);
  manifest.deadlines = read_deadlines(root);
  manifest.integrity = read_integrity(root, manifest.entry.front());
  return manifest;
}

/// @param package where the rest of the package is, or null to read the text alone.
result<plugin_manifest> parse(std::string_view text, std::string_view file_name,
                              const std::filesystem::path* package) {
  const toml_reporter report{file_name};
  try {
    if (text.size() > max_manifest_bytes)
      report.reject({}, "",
                    "a manifest has at most " + std::to_string(max_manifest_bytes) + " bytes");
    const auto parsed = parse_toml(text, report);
    const toml_table root{
        report,
        parsed,
        "",
        {"name", "version", "description", "entry", "permission_level", "capabilities", "denied",
         "resource_limits", "restart", "deadlines", "integrity"}};
    auto manifest = read_manifest(root);
    if (package) check_package(*package, manifest, root);
    return manifest;
  } catch (toml_mistake& first) {
    return fail(std::move(first.failure));
  }
}

}  // namespace

bool is_plugin_name(std::string_view text) noexcept {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && text.size() <= 32 && is_letter(text.front()) &&
         std::ranges::all_of(text, [&](char c) {
           return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

result<plugin_manifest> parse_manifest(std::string_view text, std::string_view file_name) {
  return parse(text, file_name, nullptr);
}

result<plugin_manifest> load_manifest(const std::filesystem::path& package) {
  const auto file = package / "plugin.toml";
  const auto fd = open_regular(file);
  if (!fd)
    return fail(error_code::not_found,
                "the package " + package.string() + " has no readable file plugin.toml");
  // One byte more than the limit, to notice a longer file.
  std::string text(max_manifest_bytes + 1, '\0');
  std::size_t used = 0;
  ssize_t count = 1;
  while (used < text.size() &&
         (count = ::read(fd->get(), text.data() + used, text.size() - used)) > 0)
    used += static_cast<std::size_t>(count);
  if (count < 0)
    return fail(error_code::storage_failure, "the file " + file.string() + " could not be read");
  text.resize(used);
  return parse(text, file.string(), &package);
}

}  // namespace troupe
