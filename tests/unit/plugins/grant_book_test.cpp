// What a plugin may do, and how the operator changes it.

#include <doctest/doctest.h>

#include <memory>

#include <troupe/actors/plugins/policy/grant_book.hpp>
#include <troupe/tests/support/plugin_manifests.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

using strings = std::vector<std::string>;
using paths = std::vector<std::filesystem::path>;

plugin_manifest requesting(const strings& capabilities,
                           permission_level level = permission_level::user) {
  auto manifest = notes_manifest();
  manifest.permission_level = level;
  for (const auto& text : capabilities)
    manifest.capabilities.push_back({capability{text}, "for a test"});
  return manifest;
}

result<grant_book> open(plugin_manifest manifest, const strings& grants = {}) {
  return grant_book::open(std::make_shared<const plugin_manifest>(std::move(manifest)), grants);
}

bool allows(const grant_book& book, std::string_view operation) {
  return book.policy().check(operation).value().allowed;
}

}  // namespace

// -- how it begins --------------------------------------------------------------------------------

TEST_CASE(
    "the policy of a plugin is what its manifest requests and the operator grants, without what is "
    "denied") {
  auto manifest = requesting({"context.read:/app/**", "context.read:/logs/**"});
  manifest.denied.emplace_back("context.read:/app/secret/**");
  const auto all = open(manifest).value();
  CHECK(allows(all, "context.read:/app/x"));
  CHECK(allows(all, "context.read:/logs/x"));
  CHECK_FALSE(allows(all, "context.read:/app/secret/x"));
  const auto some = open(manifest, {"context.read:/app/**"}).value();
  CHECK(allows(some, "context.read:/app/x"));
  CHECK_FALSE(allows(some, "context.read:/logs/x"));
}

TEST_CASE("grants that are malformed, not enforced or too many are refused") {
  CHECK(open(notes_manifest(), {"nonsense"}).error().code == error_code::invalid_argument);
  CHECK(open(notes_manifest(), {"state"}).error().message ==
        "the capability \"state\" is not enforced by this build: it keeps no state for plugins "
        "yet; leave it out");
  strings too_many;
  for (std::size_t i = 0; i <= permissions::max_rules; ++i)
    too_many.push_back("context.read:/n/" + std::to_string(i));
  CHECK(open(notes_manifest(), too_many).error().code == error_code::limit_exceeded);
}

TEST_CASE("the security context says how far a plugin is trusted, and what it may use and do") {
  auto manifest = requesting({"context.read:/app/**"});
  manifest.resource_limits.max_processes = 7;
  const auto book = open(manifest).value();
  CHECK(book.context().permission_level == permission_level::user);
  CHECK(book.context().resource_limits == manifest.resource_limits);
  CHECK(book.context().allowed_capabilities ==
        std::set<std::string>{"log", "command.provide:notes.**", "command.execute:notes.**",
                              "context.read:/plugins/notes/**", "context.write:/plugins/notes/**",
                              "context.read:/app/**"});
  const auto system = open(requesting({}, permission_level::system)).value();
  CHECK(system.context().allowed_capabilities == std::set<std::string>{"*"});
}

// -- changes --------------------------------------------------------------------------------------

TEST_CASE("a grant gives what was not requested, and a revocation takes it away") {
  auto book = open(notes_manifest()).value();
  REQUIRE_FALSE(allows(book, "context.read:/app/theme"));
  const auto granted = book.grant("context.read:/app/**").value();
  CHECK(granted.event == "plugin.granted");
  CHECK(granted.rule == "operator");
  CHECK(allows(book, "context.read:/app/theme"));
  CHECK(book.context().allowed_capabilities.contains("context.read:/app/**"));
  const auto revoked = book.revoke("context.read:/app/**").value();
  CHECK(revoked.event == "plugin.revoked");
  CHECK(revoked.rule == "operator");
  CHECK_FALSE(allows(book, "context.read:/app/theme"));
  CHECK_FALSE(book.context().allowed_capabilities.contains("context.read:/app/**"));
}

TEST_CASE("what a level gives can be taken away, and given back") {
  auto book = open(notes_manifest()).value();
  REQUIRE(book.revoke("context.read:/plugins/notes/**"));
  CHECK_FALSE(allows(book, "context.read:/plugins/notes/x"));
  REQUIRE(book.grant("context.read:/plugins/notes/**"));
  CHECK(allows(book, "context.read:/plugins/notes/x"));
}

TEST_CASE("what is revoked is gone, also where a wider grant or a default covers it") {
  auto book = open(notes_manifest()).value();
  for (const char* given : {"context.read:/app/**", "context.read:/app/notes/**"})
    REQUIRE(book.grant(given));
  REQUIRE(book.revoke("context.read:/app/notes/**"));
  CHECK_FALSE(allows(book, "context.read:/app/notes/x"));
  CHECK(allows(book, "context.read:/app/x"));
  // A grant beside the default, and the default.
  REQUIRE(book.grant("context.read:/plugins/notes/x"));
  REQUIRE(book.revoke("context.read:/plugins/notes/x"));
  CHECK_FALSE(allows(book, "context.read:/plugins/notes/x"));
  CHECK(allows(book, "context.read:/plugins/notes/y"));
  // What nothing else gives needs no denial.
  REQUIRE(book.grant("context.read:/logs/**"));
  REQUIRE(book.revoke("context.read:/logs/**"));
  CHECK(book.policy().denied().size() == 2);
  REQUIRE(book.grant("context.read:/logs/a"));
  CHECK(allows(book, "context.read:/logs/a"));
}

TEST_CASE("what is revoked from a system plugin is gone, also when it was granted before") {
  auto book = open(requesting({}, permission_level::system)).value();
  REQUIRE(book.grant("context.read:/app/**"));
  REQUIRE(book.revoke("context.read:/app/**"));
  CHECK_FALSE(allows(book, "context.read:/app/x"));
}

TEST_CASE("a change that fails changes nothing, so that a denial stays") {
  auto book = open(notes_manifest()).value();
  REQUIRE(book.revoke("context.read:/plugins/notes/x"));
  for (std::size_t i = 0; i < permissions::max_rules; ++i)
    REQUIRE(book.grant("context.read:/n/" + std::to_string(i)));
  CHECK(book.grant("context.read:/plugins/notes/x").error().code == error_code::limit_exceeded);
  CHECK_FALSE(allows(book, "context.read:/plugins/notes/x"));
}

TEST_CASE("a malformed capability is neither given nor taken, one that is not enforced not given") {
  auto book = open(notes_manifest()).value();
  CHECK(book.grant("context.raed:/app/**").error().message.find("context.read") !=
        std::string::npos);
  CHECK(book.revoke("").error().code == error_code::invalid_argument);
  CHECK(book.grant("net.connect:**").error().code == error_code::invalid_argument);
  CHECK(book.revoke("net.connect:**"));
}

TEST_CASE("a snapshot of the policy stays as it was") {
  auto book = open(notes_manifest()).value();
  const auto before = book.snapshot();
  REQUIRE(book.grant("context.read:/app/**"));
  CHECK_FALSE(before->check("context.read:/app/x")->allowed);
  CHECK(book.snapshot()->check("context.read:/app/x")->allowed);
}

// -- what others need of it -----------------------------------------------------------------------

TEST_CASE("requests go on in the plugin's name, with what it may do and what it is denied") {
  auto book = open(notes_manifest()).value();
  REQUIRE(book.revoke("context.read:/plugins/notes/secret"));
  const auto caller = *book.caller();
  CHECK(caller.name == "notes");
  CHECK(caller.kind == principal_kind::plugin);
  CHECK(caller.capabilities == book.policy().effective());
  CHECK(caller.denied == strings{"context.read:/plugins/notes/secret"});
  const auto system = open(requesting({}, permission_level::system)).value();
  CHECK(system.caller()->capabilities ==
        strings{"command.execute:**", "context.read:/**", "context.write:/**"});
}

TEST_CASE("trees that the manifest asks for are shown, files by their own names, nothing else") {
  auto manifest = requesting({"fs.read:/usr/share/dict/**", "fs.read:/etc/passwd", "fs.read:/usr",
                              "fs.read:/etc/group", "fs.read:/home/*/x", "context.read:/app/**"});
  manifest.denied.emplace_back("fs.read:/etc/group");
  const auto shown = open(manifest).value().visible();
  CHECK(shown.required == paths{"/usr/share/dict"});
  // The launcher shows these where they are files: a directory has more below it.
  CHECK(shown.files == paths{"/etc/passwd", "/usr"});
  CHECK(shown.trees.empty());
}

TEST_CASE("of a wide grant the plugin sees what it asked for") {
  const auto book = open(requesting({"fs.read:/usr/share/dict/**", "fs.read:/etc/hostname"}),
                         {"fs.read:/usr/share/**"})
                        .value();
  CHECK(book.visible().required == paths{"/usr/share/dict"});
  CHECK(book.visible().files.empty());
}

TEST_CASE("files that are granted or revoked later are shown or hidden from the next start on") {
  auto book = open(requesting({"fs.read:/usr/share/dict/**"})).value();
  CHECK(book.revoke("fs.read:/usr/share/dict/**")->rule == "operator, from its next start on");
  CHECK(book.grant("fs.read:/usr/share/zoneinfo/**")->rule == "operator, from its next start on");
  CHECK(book.visible().required.empty());
  CHECK(book.visible().trees == paths{"/usr/share/zoneinfo"});
}

TEST_CASE("a tree with a denial in it is not shown, nor are the sandbox's own places") {
  auto manifest = requesting({"fs.read:/usr/share/**", "fs.read:/proc/cpuinfo", "fs.read:/dev/null",
                              "fs.read:/sys/x", "fs.read:/plugin/x"});
  manifest.denied.emplace_back("fs.read:/usr/share/secret");
  const auto shown = open(manifest).value().visible();
  CHECK(shown.required.empty());
  CHECK(shown.files.empty());
}

TEST_CASE("a system plugin sees the files that it asked for") {
  const auto book =
      open(requesting({"fs.read:/usr/share/dict/**"}, permission_level::system)).value();
  CHECK(book.visible().required == paths{"/usr/share/dict"});
}
