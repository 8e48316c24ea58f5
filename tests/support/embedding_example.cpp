// Troupe in a program of one's own: the lines that the README shows, and some that print what comes
// of them. Needs the package of the plugin `notes` in ./plugins/notes.

#include <iostream>

#include <troupe/runtime/host.hpp>

int main() {
  troupe::host host{troupe::config{.data_dir = "state"}};
  host.commands().add(
      troupe::command_spec{"greet"}.summary("Greets someone").param<std::string>("name"),
      [](const troupe::arguments& args) {
        return troupe::value{"Hello, " + args.get<std::string>("name")};
      });
  auto reply = host.execute("greet", {{"name", "Ada"}});
  std::cout << reply->to_json() << '\n';

  auto watch = host.context().watch("/app", [](const troupe::change_record& change) {
    std::cout << change.path.text() << " is now " << change.new_value.to_json() << std::endl;
  });
  host.context().set("/app/theme", "dark");

  host.plugins().load("plugins/notes");
  host.execute("notes.add", {{"text", "buy oranges"}});
  std::cout << host.execute("notes.count")->to_json() << '\n';
}
