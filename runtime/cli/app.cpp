#include <troupe/runtime/cli/app.hpp>

#include <cerrno>
#include <cstring>

#include <troupe/messages/text/utf8.hpp>

namespace troupe::cli {

void report(app_state& app, const error& why) {
  app.status = exit_code_of(why.code);
  const auto message = repaired_utf8(why.message);
  if (!app.json) {
    std::fprintf(stderr, "troupe: %s\n", safe_text(message).c_str());
    return;
  }
  std::vector<value::member> members{{"code", std::string{to_string(why.code)}},
                                     {"message", message}};
  if (auto detail = value::from_msgpack(why.detail))
    members.emplace_back("detail", std::move(*detail));
  std::fprintf(stderr, "%s\n",
               value::map({{"error", value::map(std::move(members))}}).to_json().c_str());
}

void remark(const app_state& app, const std::string& text) {
  if (app.json)
    std::fprintf(stderr, "%s\n", value::map({{"remark", text}}).to_json().c_str());
  else
    std::fprintf(stderr, "troupe: %s\n", safe_text(text).c_str());
}

void print_json(const value& document) { std::printf("%s\n", document.to_json().c_str()); }

void confirm(const app_state& app, const std::string& text) {
  if (app.json)
    print_json(value::map({}));
  else
    std::printf("%s\n", safe_text(text).c_str());
}

void end_output(app_state& app) {
  errno = 0;
  const bool sent = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (sent || app.ran_node || app.status != success) return;
  report(app, {error_code::storage_failure,
               std::string{"the output cannot be written"} +
                   (errno == 0 ? "" : std::string{": "} + std::strerror(errno)),
               {}});
}

void with_node(app_state& app, const std::function<result<void>(client&)>& act) {
  auto connected = client::connect(app.data_dir, app.deadline);
  if (!connected) return report(app, connected.error());
  if (auto done = act(*connected); !done) report(app, done.error());
}

CLI::App* add_client_command(CLI::App& parent, app_state& app, const std::string& name,
                             const std::string& summary) {
  auto* command = parent.add_subcommand(name, summary);
  command->add_option("--data-dir", app.data_dir,
                      "Data directory of the node (environment: TROUPE_DATA_DIR)");
  command->add_flag("--json", app.json, "Print JSON");
  command
      ->add_option_function<std::uint32_t>(
          "--deadline", [&app](std::uint32_t ms) { app.deadline = std::chrono::milliseconds{ms}; },
          "Milliseconds to wait for an answer (default 30000)")
      ->check(CLI::Range(1, 86'400'000));
  return command;
}

}  // namespace troupe::cli
