"""A file is a room: one concept, which fits in the head."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import CODE_FOLDERS, CODE_SUFFIXES, tracked  # noqa: E402

MOST_LINES = 500
# The Python SDK is one module, because a plugin's author reads and copies it as one.
LARGER = {"plugins/sdk/python/troupe_plugin.py": 800}


def too_large(files):
    found = []
    for name, content in files.items():
        if name.split("/")[0] not in (*CODE_FOLDERS, "bench") or not name.endswith((*CODE_SUFFIXES, ".py", ".mjs", ".js")):
            continue
        lines = content.decode().split("\n")
        if len(lines) - 1 > LARGER.get(name, MOST_LINES):
            found.append(f"{name} has {len(lines) - 1} lines")
    return found


class FileSize(unittest.TestCase):
    def test_no_file_of_code_has_more_than_500_lines(self):
        self.assertEqual(too_large(tracked()), [])

    def test_the_exceptions_are_needed(self):
        files = tracked()
        for name in LARGER:
            self.assertGreater(files[name].count(b"\n"), MOST_LINES)


class TheTestItself(unittest.TestCase):
    def test_a_file_that_is_too_large_is_caught(self):
        self.assertEqual(too_large({"actors/x/y.cpp": b"x\n" * 501}), ["actors/x/y.cpp has 501 lines"])
        self.assertEqual(len(too_large({"actors/x/y.inl": b"x\n" * 501})), 1)
        self.assertEqual(too_large({"actors/x/y.cpp": b"x\n" * 500, "tests/unit/x.cpp": b"x\n" * 900}), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
