"""C++ sources are formatted as .clang-format says, in lines of at most 100 columns."""

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


def sources():
    return {name: content for name, content in tracked().items() if name.endswith((".hpp", ".cpp"))}


def too_long(files):
    return [f"{name}:{number} has {len(line)} columns"
            for name, content in files.items()
            for number, line in enumerate(content.decode().split("\n"), 1)
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
        self.assertEqual(too_long(sources()), [])

    def test_every_source_is_formatted(self):
        if release() != RELEASE:
            self.skipTest(f"clang-format is release {release()}; the tree is checked with {RELEASE}")
        self.assertEqual(unformatted(sorted(sources()), SOURCE), [])


class TheTestItself(unittest.TestCase):
    def test_a_line_that_is_too_long_is_caught(self):
        files = {"x.cpp": b"x" * 100 + b"\n" + b"x" * 101}
        self.assertEqual(too_long(files), ["x.cpp:2 has 101 columns"])

    def test_an_unformatted_file_is_caught(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, ".clang-format").write_bytes((SOURCE / ".clang-format").read_bytes())
            pathlib.Path(folder, "good.cpp").write_text("int x = 1;\n")
            pathlib.Path(folder, "bad.cpp").write_text("int   x=1;\n")
            self.assertEqual(unformatted(["good.cpp", "bad.cpp"], folder), ["bad.cpp"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
