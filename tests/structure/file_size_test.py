"""A file holds one concept, and few enough lines to keep in mind. A longer one says why."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import CODE_FOLDERS, CODE_SUFFIXES, tracked  # noqa: E402

MOST_LINES = 400  # without a reason
LONGEST = 500  # with one
# The Python SDK is one module, because the author of a plugin reads and copies it as one.
LONGER = {"plugins/sdk/python/troupe_plugin.py": 800}
FOLDERS = (*CODE_FOLDERS, "bench", "tests")
SUFFIXES = (*CODE_SUFFIXES, ".py", ".mjs", ".js")

FIRST_LINES = 25
# Line comments, and the docstring of a module, which may end beyond the first lines.
_LINE_COMMENT = re.compile(r"^[ \t]*(?://+|#)(.*)$", re.MULTILINE)
_DOCSTRING = re.compile(r'^"""(.*?)(?:"""|\Z)', re.MULTILINE | re.DOTALL)
_REASON = re.compile(r"\blong\b[^.]*\bbecause\b")


def says_why(content):
    """Whether a sentence of the first comments names the reason: `This file is long because …`."""
    begin = "\n".join(content.decode().splitlines()[:FIRST_LINES])
    comments = [*_LINE_COMMENT.findall(begin), ".", *_DOCSTRING.findall(begin)]
    return _REASON.search(" ".join(comments)) is not None


def too_large(files):
    found = []
    for name, content in files.items():
        if name.split("/")[0] not in FOLDERS or not name.endswith(SUFFIXES):
            continue
        lines = content.count(b"\n")
        longest = LONGER.get(name, LONGEST)
        if lines > longest:
            found.append(f"{name} has {lines} lines, more than {longest}")
        elif lines > MOST_LINES and not says_why(content):
            found.append(f"{name} has {lines} lines and does not say why it is long")
    return found


class FileSize(unittest.TestCase):
    def test_a_file_is_short_or_says_why_it_is_long(self):
        self.assertEqual(too_large(tracked()), [])

    def test_the_exception_is_needed(self):
        files = tracked()
        for name in LONGER:
            self.assertGreater(files[name].count(b"\n"), LONGEST)


class TheTestItself(unittest.TestCase):
    REASON = b"// This file is long\n// because its table is one.\n"

    def test_a_file_that_is_too_large_is_caught(self):
        for name in ("actors/x/y.cpp", "bench/x.inl", "plugins/sdk/x.py", "tests/unit/x_test.cpp",
                     "tests/support/x.hpp", "tests/integration/x_test.py"):
            self.assertEqual(too_large({name: b"x\n" * 401}),
                             [f"{name} has 401 lines and does not say why it is long"])

    def test_a_file_that_is_small_or_no_source_is_not(self):
        files = {"actors/x/y.cpp": 400, "tests/unit/x.json": 900, "setup.py": 900}
        self.assertEqual(too_large({name: b"x\n" * lines for name, lines in files.items()}), [])

    def test_a_reason_at_the_beginning_counts(self):
        for reason in (self.REASON, b"# It is long because x.\n", b'"""X.\n\nLong x. It is long,\n'
                       b'because x.\n"""\n', b"x\n" * 23 + self.REASON):
            with self.subTest(reason=reason):
                self.assertEqual(too_large({"tests/x.py": reason + b"x\n" * 450}), [])

    def test_a_reason_elsewhere_does_not(self):
        for text in (b"x\n" * 25 + self.REASON, b"// It is long. Because x.\n",
                     b'auto x = "long because";\n', b"// It is longer because x.\n"):
            with self.subTest(text=text):
                self.assertEqual(len(too_large({"tests/x.cpp": text + b"x\n" * 500})), 1)

    def test_no_reason_is_enough_for_a_file_beyond_all_bounds(self):
        self.assertEqual(too_large({"actors/x.cpp": self.REASON + b"x\n" * 500}),
                         ["actors/x.cpp has 502 lines, more than 500"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
