#include <troupe/runtime/cli/context_import.hpp>

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include <troupe/actors/context/queries/json_tree.hpp>
#include <troupe/messages/context_requests.hpp>

namespace troupe::cli {

namespace {

constexpr std::size_t max_import_bytes = std::size_t{256} << 20;
constexpr std::size_t chunk_entries = 1000;
constexpr std::size_t chunk_bytes = std::size_t{2} << 20;

result<value> read_json_file(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  std::error_code problem;
  if (!in || std::filesystem::is_directory(file, problem))
    return fail(error_code::not_found, "the file " + file + " cannot be read: " +
                                           (in ? "it is a directory" : std::strerror(errno)));
  std::string text;
  for (char block[64 * 1024]; in.read(block, sizeof block) || in.gcount() > 0;) {
    text.append(block, static_cast<std::size_t>(in.gcount()));
    if (text.size() > max_import_bytes)
      return fail(error_code::limit_exceeded, "the file " + file + " is larger than " +
                                                  std::to_string(max_import_bytes >> 20) +
                                                  " MiB; split it");
  }
  codec_limits generous;
  generous.frame_bytes = generous.string_bytes = max_import_bytes;
  generous.elements = max_import_bytes;
  auto parsed = value::from_json(text, generous);
  if (!parsed) {
    const bool is_json = parsed.error().code == error_code::limit_exceeded;
    return fail(parsed.error().code,
                file + " is " + (is_json ? "not imported: " : "") + parsed.error().message);
  }
  return parsed;
}

/// Shows progress on a terminal, in one line.
class progress_line {
public:
  progress_line(const app_state& app, const char* what, std::size_t all)
      : seen_(!app.json && isatty(STDERR_FILENO) != 0), what_(what), all_(all) {}
  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;
  /// Ends the line.
  ~progress_line() {
    if (begun_) std::fprintf(stderr, "\n");
  }

  void show(std::size_t done) {
    if (!seen_) return;
    begun_ = true;
    std::fprintf(stderr, "\r%s %s of %s", what_, show_count(done).c_str(),
                 show_count(all_, "value").c_str());
  }

private:
  bool seen_;
  bool begun_ = false;
  const char* what_;
  std::size_t all_;
};

/// Sends the entries in several messages.
result<values_imported> send_entries(app_state& app, client& node,
                                     const std::vector<context_entry>& entries,
                                     enum durability level, bool only_check) {
  values_imported total;
  progress_line progress{app, only_check ? "checked" : "imported", entries.size()};
  for (std::size_t at = 0; at < entries.size();) {
    import_values chunk{.durability = level, .only_check = only_check};
    const auto first = at;
    for (std::size_t bytes = 0;
         at < entries.size() && chunk.entries.size() < chunk_entries && bytes < chunk_bytes; ++at) {
      bytes += entries[at].path.text().size() + entries[at].value.msgpack().size();
      chunk.entries.push_back(entries[at]);
    }
    auto written = node.call(chunk, app.deadline);
    if (!written) {
      const auto before = " (" + show_count(total.written, "value") +
                          (total.written == 1 ? " was" : " were") + " imported before)";
      return fail(written.error().code,
                  written.error().message + (only_check || first == 0 ? "" : before));
    }
    total.written += written->written;
    total.unchanged += written->unchanged;
    progress.show(at);
  }
  return total;
}

}  // namespace

result<void> import_file(app_state& app, client& node, const std::string& file, const path& prefix,
                         enum durability level) {
  auto json = read_json_file(file);
  if (!json) return fail(std::move(json.error()));
  const auto entries = flatten(prefix, *json);
  // The node writes each message completely or not at all. Check all of them before the first
  // write.
  if (auto checked = send_entries(app, node, entries, level, true); !checked)
    return fail(std::move(checked.error()));
  const auto total = send_entries(app, node, entries, level, false);
  if (!total) return fail(total.error());
  if (app.json)
    print_json(to_value(*total));
  else
    std::printf("%s written below %s, %s unchanged\n", show_count(total->written, "value").c_str(),
                safe_text(show_path(prefix)).c_str(), show_count(total->unchanged).c_str());
  return {};
}

}  // namespace troupe::cli
