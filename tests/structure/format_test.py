"""Lines have at most 100 columns, and C++ is formatted as .clang-format says."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import SOURCE, tracked  # noqa: E402

MOST_COLUMNS = 100
# Another release formats some code differently. Debian 12 has this one.
RELEASE = 14
CPP = (".hpp", ".cpp")
OTHERS = (".py", ".sh", ".cmake", "/CMakeLists.txt", "/Makefile")


def is_checked(name, content):
    return f"/{name}".endswith((*CPP, *OTHERS)) or content.startswith(b"#!")


def too_long(files):
    return [f"{name}:{number} has {len(line)} columns"
            for name, content in files.items() if is_checked(name, content)
            for number, line in enumerate(content.decode().expandtabs(8).split("\n"), 1)
            if len(line) > MOST_COLUMNS]


def unformatted(names, root):
    told = subprocess.run(["clang-format", "--dry-run", *names], cwd=root, capture_output=True,
                          text=True, check=True)
    return sorted({line.split(":")[0] for line in told.stderr.split("\n") if "warning:" in line})


def release():
    said = subprocess.run(["clang-format", "--version"], capture_output=True, text=True, check=True)
    return int(re.search(r"version (\d+)", said.stdout).group(1))


class Format(unittest.TestCase):
    def test_no_line_is_too_long(self):
        self.assertEqual(too_long(tracked()), [])

    def test_every_cpp_source_is_formatted(self):
        if release() != RELEASE:
            self.skipTest(f"clang-format is release {release()}; this test needs {RELEASE}")
        self.assertEqual(unformatted(sorted(n for n in tracked() if n.endswith(CPP)), SOURCE), [])


class TheTestItself(unittest.TestCase):
    def test_a_line_that_is_too_long_is_caught(self):
        for name in ("x.cpp", "a/x.hpp", "x.py", "a/setup.sh", "CMakeLists.txt", "a/CMakeLists.txt",
                     "a/commit.cmake", "Makefile"):
            with self.subTest(name=name):
                files = {name: b"x" * 100 + b"\n" + b"x" * 101}
                self.assertEqual(too_long(files), [f"{name}:2 has 101 columns"])

    def test_columns_are_counted_not_bytes(self):
        text = "…" * 100 + "\n\t" + "x" * 93
        self.assertEqual(too_long({"Makefile": text.encode()}), ["Makefile:2 has 101 columns"])

    def test_a_script_without_suffix_is_checked_and_other_files_are_not(self):
        line = b"x" * 101
        self.assertEqual(too_long({"run": b"#!/bin/sh\n" + line}), ["run:2 has 101 columns"])
        others = {"README.md": line, "x.json": line, "notCMakeLists.txt": line}
        self.assertEqual(too_long(others), [])

    def test_an_unformatted_file_is_caught(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / ".clang-format").write_bytes((SOURCE / ".clang-format").read_bytes())
            (folder / "good.cpp").write_text("int x = 1;\n")
            (folder / "bad.cpp").write_text("int   x=1;\n")
            self.assertEqual(unformatted(["good.cpp", "bad.cpp"], folder), ["bad.cpp"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
