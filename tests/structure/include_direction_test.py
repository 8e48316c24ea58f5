"""A folder includes only folders above it, and CAF and I/O stay where the architecture has them."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import CODE_FOLDERS, code, without_text  # noqa: E402

# What each folder may include, beside itself.
FOLDERS = {"messages": (), "plugins": ("messages",), "actors": ("messages", "plugins"),
           "runtime": ("messages", "plugins", "actors")}
ACTORS = {"kernel": (), "links": ("kernel",), "commands": ("kernel", "links"), "context": ("kernel", "links"),
          "monitor": ("kernel", "links"), "plugins": ("kernel", "links", "commands", "context", "monitor")}

# What is in a plugin's own process, and the one header of its folder that it shares with the host.
SDKS = ("plugins/sdk/", "plugins/examples/")
HANDLE = "troupe/plugins/unique_fd.hpp"

# Logic without a thread, a file or a process.
SPEECH_ONLY = re.compile(r"(fstream|iostream|filesystem|thread|mutex|future|condition_variable|unistd\.h|fcntl\.h|poll\.h|"
                         r"signal\.h|stdlib\.h|pthread\.h|(sys|linux|net|netinet|arpa)/.*|sqlite3\.h|openssl/.*|spdlog/.*)")

# Prints the violated invariant and aborts.
LAST_WORDS = "messages/assert.cpp"

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(<[^>\n]*>|"[^"\n]*"|\S+)', re.MULTILINE)


def includes(text):
    return [match.group(1) for match in _INCLUDE.finditer(text)]


def wrong_includes(files):
    """Every include that goes the wrong way, as text."""
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
                wrong.append(where + f": {folder} knows nothing of CAF")
            if folder == "messages" and SPEECH_ONLY.fullmatch(target):
                wrong.append(where + ": messages do no I/O and know no threads")
            if not target.startswith("troupe/"):
                continue
            _, other, *rest = target.split("/")
            if other != folder and other not in FOLDERS[folder]:
                wrong.append(where + f": {folder} may include {', '.join(FOLDERS[folder]) or 'nothing else'}")
            if name.startswith(SDKS) and other == "plugins" and not target.startswith((*(f"troupe/{sdk}" for sdk in SDKS), HANDLE)):
                wrong.append(where + ": what runs in the sandbox knows nothing of manifest and sandbox")
            own = name.split("/")[1]
            if folder == other == "actors" and len(rest) > 1 and own in ACTORS and rest[0] != own and rest[0] not in ACTORS[own]:
                wrong.append(where + f": actors/{own} may include {', '.join(ACTORS[own]) or 'nothing else'}")
            if folder == other == "actors" and "/" in name[len("actors/"):] and own not in ACTORS:
                wrong.append(where + f": say in this test what actors/{own} may include")
    return wrong


def reached(files, start):
    """Everything that a header includes, directly or not: include -> the file that has it."""
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

    def test_neither_messages_nor_plugins_speak_to_caf(self):
        speaking = [name for name, text in self.files.items()
                    if name.startswith(("messages/", "plugins/")) and re.search(r"^(?!\s*//).*\bcaf::", text, re.MULTILINE)]
        self.assertEqual(speaking, [])

    def test_messages_do_no_io(self):
        doing = [name for name, text in code("messages").items()
                 if name != LAST_WORDS and re.search(r"\b(FILE|f?printf|fopen|puts|getenv|system_clock::now|steady_clock::now|random_device)\b", without_text(text))]
        self.assertEqual(doing, [])

    def test_the_embedding_header_leads_to_no_caf_header(self):
        found = reached(self.files, "runtime/host.hpp")
        self.assertIn("troupe/messages/value.hpp", found)
        self.assertEqual({include: name for include, name in found.items() if include.startswith("caf/")}, {})

    def test_every_include_of_the_project_exists(self):
        missing = [f"{name} includes {include}" for name, text in self.files.items() for include in includes(text)
                   if include.startswith("<troupe/") and include[len("<troupe/"):-1] not in self.files]
        self.assertEqual(missing, [])


class TheTestItself(unittest.TestCase):
    def test_each_wrong_include_is_caught(self):
        for name, line in [("messages/a.hpp", "#include <troupe/plugins/x.hpp>"), ("plugins/a.cpp", "#include <troupe/actors/x/y.hpp>"),
                           ("actors/links/a.cpp", "  # include <troupe/runtime/host.hpp>"), ("messages/a.cpp", "#include <caf/all.hpp>"),
                           ("plugins/sdk/a.cpp", "#include <caf/actor.hpp>"), ("plugins/sdk/cpp/a.cpp", "#include <troupe/plugins/manifest.hpp>"),
                           ("plugins/examples/x/a.cpp", "#include <troupe/plugins/sandbox/launch.hpp>"), ("messages/a.cpp", "#include <fstream>"),
                           ("messages/a.cpp", "#include <sys/socket.h>"), ("runtime/a.cpp", '#include "host.hpp"'),
                           ("runtime/a.cpp", "#include <messages/value.hpp>"), ("actors/kernel/a.hpp", "#include <troupe/actors/links/link.hpp>"),
                           ("actors/context/a.hpp", "#include <troupe/actors/commands/registry.hpp>"),
                           ("actors/novel/a.hpp", "#include <troupe/actors/kernel/shell.hpp>"), ("messages/a.hpp", "#include HEADER")]:
            with self.subTest(name=name, line=line):
                self.assertEqual(len(wrong_includes({name: f"#pragma once\n{line}\n"})), 1)

    def test_a_right_include_is_not(self):
        for name, line in [("messages/a.hpp", "#include <troupe/messages/x.hpp>"), ("actors/plugins/a.cpp", "#include <troupe/actors/links/x.hpp>"),
                           ("runtime/cli/a.cpp", "#include <troupe/plugins/manifest.hpp>"), ("actors/pch.hpp", "#include <caf/actor.hpp>"),
                           ("plugins/sdk/cpp/a.hpp", "#include <troupe/plugins/unique_fd.hpp>"),
                           ("plugins/examples/x/a.cpp", "#include <troupe/plugins/sdk/cpp/plugin.hpp>"),
                           ("plugins/a.cpp", "#include <sys/socket.h>"), ("messages/a.cpp", "// #include <fstream>")]:
            with self.subTest(name=name, line=line):
                self.assertEqual(wrong_includes({name: line + "\n"}), [])

    def test_an_indirect_caf_header_is_found(self):
        files = {"runtime/host.hpp": "#include <troupe/messages/a.hpp>", "messages/a.hpp": "#include <caf/fwd.hpp>"}
        self.assertEqual(reached(files, "runtime/host.hpp")["caf/fwd.hpp"], "messages/a.hpp")


if __name__ == "__main__":
    unittest.main(verbosity=2)
