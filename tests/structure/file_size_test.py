"""A file holds one concept, and few enough lines to keep in mind."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import CODE_FOLDERS, CODE_SUFFIXES, tracked  # noqa: E402

MOST_LINES = 500
SUFFIXES = (*CODE_SUFFIXES, ".py", ".mjs", ".js")
# The Python SDK is one module, because the author of a plugin reads and copies it as one.
LARGER = {"plugins/sdk/python/troupe_plugin.py": 800}


def too_large(files):
    found = []
    for name, content in files.items():
        if name.split("/")[0] in (*CODE_FOLDERS, "bench") and name.endswith(SUFFIXES):
            lines = content.count(b"\n")
            if lines > LARGER.get(name, MOST_LINES):
                found.append(f"{name} has {lines} lines")
    return found


class FileSize(unittest.TestCase):
    def test_no_source_has_more_than_500_lines(self):
        self.assertEqual(too_large(tracked()), [])

    def test_the_exceptions_are_needed(self):
        files = tracked()
        for name in LARGER:
            self.assertGreater(files[name].count(b"\n"), MOST_LINES)


class TheTestItself(unittest.TestCase):
    def test_a_file_that_is_too_large_is_caught(self):
        for name in ("actors/x/y.cpp", "bench/x.inl", "plugins/sdk/x.py"):
            self.assertEqual(too_large({name: b"x\n" * 501}), [f"{name} has 501 lines"])
        small = {"actors/x/y.cpp": b"x\n" * 500, "tests/unit/x.cpp": b"x\n" * 900}
        self.assertEqual(too_large(small), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
