"""A folder includes only folders above it. CAF and I/O stay where ARCHITECTURE allows them."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import CODE_FOLDERS, broken, code, cpp, without_text  # noqa: E402

# The folders that each folder may include beside itself.
FOLDERS = {"messages": (), "plugins": ("messages",), "actors": ("messages", "plugins"),
           "runtime": ("messages", "plugins", "actors")}
ACTORS = {"kernel": (), "links": ("kernel",), "commands": ("kernel", "links"),
          "context": ("kernel", "links"), "monitor": ("kernel", "links"),
          "plugins": ("kernel", "links", "commands", "context", "monitor")}

# Code in a plugin's own process, and the one header of plugins/ that it shares with the host.
SDKS = ("plugins/sdk/", "plugins/examples/")
FOR_SDKS = (*(f"troupe/{sdk}" for sdk in SDKS), "troupe/plugins/unique_fd.hpp")

# Headers of threads, files, processes and networks.
OUTSIDE_WORLD = re.compile(
    r"(fstream|iostream|filesystem|thread|mutex|future|condition_variable|unistd\.h|fcntl\.h|"
    r"poll\.h|signal\.h|stdlib\.h|pthread\.h|(sys|linux|net|netinet|arpa)/.*|sqlite3\.h|"
    r"SQLiteCpp/.*|openssl/.*|spdlog/.*)")
# Prints a violated invariant and aborts.
LAST_WORDS = "messages/assert.cpp"
IO = cpp(r"\b(FILE|f?printf|fopen|puts|getenv|system_clock::now|steady_clock::now|random_device)\b")
CAF = cpp(r"\bcaf::|\bnamespace\s+caf\b")

_INCLUDE = re.compile(r'^(?:[ \t]|/\*.*?\*/)*#[ \t]*include[ \t]*(<[^>\n]*>|"[^"\n]*"|\S+)',
                      re.MULTILINE)


def includes(text):
    return [match.group(1) for match in _INCLUDE.finditer(text.replace("\\\n", " "))]


def wrong_includes(files):
    """Every include that goes the wrong way, with the reason, as text."""
    wrong = []
    for name, text in files.items():
        folder = name.split("/")[0]
        for include in includes(text):
            where = f"{name} includes {include}"
            if not include.startswith("<"):
                wrong.append(where + ": it is spelled <troupe/...>")
                continue
            target = include[1:-1]
            if target.split("/")[0] in (*CODE_FOLDERS, "tests", "bench"):
                wrong.append(where + ": it is spelled <troupe/...>")
            if target.startswith("caf/") and folder in ("messages", "plugins"):
                wrong.append(where + f": {folder} does not use CAF")
            if folder == "messages" and OUTSIDE_WORLD.fullmatch(target):
                wrong.append(where + ": messages use no I/O and no threads")
            if not target.startswith("troupe/"):
                continue
            _, other, *rest = target.split("/")
            if other != folder and other not in FOLDERS[folder]:
                wrong.append(where + f": {folder} may include {listed(FOLDERS[folder])}")
            if name.startswith(SDKS) and other == "plugins" and not target.startswith(FOR_SDKS):
                wrong.append(where + ": code in the sandbox does not use the host's side")
            if folder == other == "actors":
                wrong += wrong_between_actors(name, rest, where)
    return wrong


def wrong_between_actors(name, target, where):
    own = name.split("/")[1]
    if "/" in name[len("actors/"):] and own not in ACTORS:
        return [where + f": add to this test what actors/{own} may include"]
    if len(target) > 1 and own in ACTORS and target[0] not in (own, *ACTORS[own]):
        return [where + f": actors/{own} may include {listed(ACTORS[own])}"]
    return []


def listed(folders):
    return ", ".join(folders) or "nothing else"


def containing(files, pattern):
    """Names of the files whose code, apart from comments and strings, contains the pattern."""
    return [name for name, text in files.items() if pattern.search(without_text(text))]


def reached(files, start):
    """All that a header includes, directly or not: include -> the file that contains it."""
    found, open_files = {}, [start]
    while open_files:
        name = open_files.pop()
        for include in includes(files[name]):
            target = include.strip('<>"')
            if target in found:
                continue
            found[target] = name
            if target.startswith("troupe/"):
                open_files.append(target[len("troupe/"):])
    return found


class IncludeDirection(unittest.TestCase):
    def setUp(self):
        self.files = code(*CODE_FOLDERS)

    def test_every_include_goes_upwards(self):
        self.assertEqual(wrong_includes(self.files), [])

    def test_neither_messages_nor_plugins_use_caf(self):
        self.assertEqual(containing(code("messages", "plugins"), CAF), [])

    def test_messages_do_no_io(self):
        self.assertEqual(containing(code("messages"), IO), [LAST_WORDS])

    def test_the_embedding_header_leads_to_no_caf_header(self):
        found = reached(self.files, "runtime/host.hpp")
        self.assertIn("troupe/messages/value.hpp", found)
        caf = {include: name for include, name in found.items() if include.startswith("caf/")}
        self.assertEqual(caf, {})

    def test_every_include_of_the_project_exists(self):
        there = {f"<troupe/{name}>" for name in self.files}
        missing = [f"{name} includes {include}"
                   for name, text in self.files.items() for include in includes(text)
                   if include.startswith("<troupe/") and include not in there]
        self.assertEqual(missing, [])


class TheTestItself(unittest.TestCase):
    def test_each_wrong_include_is_caught(self):
        for name, line in [
                ("messages/a.hpp", "#include <troupe/plugins/x.hpp>"),
                ("messages/a.hpp", "#include \\\n  <troupe/plugins/x.hpp>"),
                ("messages/a.hpp", "# \\\n  include <troupe/plugins/x.hpp>"),
                ("messages/a.hpp", "/* x */ #include <troupe/plugins/x.hpp>"),
                ("plugins/a.cpp", "#include <troupe/actors/x/y.hpp>"),
                ("actors/links/a.cpp", "  # include <troupe/runtime/host.hpp>"),
                ("messages/a.cpp", "#include <caf/all.hpp>"),
                ("plugins/sdk/a.cpp", "#include <caf/actor.hpp>"),
                ("plugins/sdk/cpp/a.cpp", "#include <troupe/plugins/manifest.hpp>"),
                ("plugins/examples/x/a.cpp", "#include <troupe/plugins/sandbox/launch.hpp>"),
                ("messages/a.cpp", "#include <fstream>"),
                ("messages/a.cpp", "#include <sys/socket.h>"),
                ("runtime/a.cpp", '#include "host.hpp"'),
                ("runtime/a.cpp", "#include <messages/value.hpp>"),
                ("actors/kernel/a.hpp", "#include <troupe/actors/links/link.hpp>"),
                ("actors/context/a.hpp", "#include <troupe/actors/commands/registry.hpp>"),
                ("actors/novel/a.hpp", "#include <troupe/actors/kernel/shell.hpp>"),
                ("messages/a.hpp", "#include HEADER")]:
            with self.subTest(name=name, line=line):
                self.assertEqual(len(wrong_includes({name: f"#pragma once\n{line}\n"})), 1)

    def test_a_right_include_is_not(self):
        for name, line in [
                ("messages/a.hpp", "#include <troupe/messages/x.hpp>"),
                ("actors/plugins/a.cpp", "#include <troupe/actors/links/x.hpp>"),
                ("runtime/cli/a.cpp", "#include <troupe/plugins/manifest.hpp>"),
                ("actors/pch.hpp", "#include <caf/actor.hpp>"),
                ("plugins/sdk/cpp/a.hpp", "#include <troupe/plugins/unique_fd.hpp>"),
                ("plugins/examples/x/a.cpp", "#include <troupe/plugins/sdk/cpp/plugin.hpp>"),
                ("plugins/a.cpp", "#include <sys/socket.h>"),
                ("messages/a.cpp", "// #include <fstream>")]:
            with self.subTest(name=name, line=line):
                self.assertEqual(wrong_includes({name: line + "\n"}), [])

    def test_caf_and_io_are_caught_in_the_text(self):
        for pattern, samples in ((CAF, ("caf::actor x;", "using namespace caf;", "namespace caf {}",
                                        "f(::caf::make_error(e));")),
                                 (IO, ("FILE* f;", "std::fopen(x);", 'printf("x");',
                                       "std::chrono::steady_clock::now();"))):
            for sample in samples:
                for written in {sample, broken(sample)}:
                    with self.subTest(written=written):
                        self.assertEqual(containing({"messages/a.cpp": written}, pattern),
                                         ["messages/a.cpp"])
            self.assertEqual(containing({"messages/a.cpp": f"// {samples[0]}"}, pattern), [])

    def test_an_indirect_caf_header_is_found(self):
        files = {"runtime/host.hpp": "#include <troupe/messages/a.hpp>",
                 "messages/a.hpp": "#include <caf/fwd.hpp>"}
        self.assertEqual(reached(files, "runtime/host.hpp")["caf/fwd.hpp"], "messages/a.hpp")


if __name__ == "__main__":
    unittest.main(verbosity=2)
