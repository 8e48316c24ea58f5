"""What others say cannot forge a field of the log: text that is not ours is quoted by `printable_quoted`, which escapes quotes."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import code, line_of  # noqa: E402

BARE_QUOTES = re.compile(r'\b(\w+)=\\"\{[^{}]*\}\\"')
OURS = {"link", "listener"}  # labels that the program gives


def forgeable(files):
    return [f"{name}:{line_of(text, match.start())}: {match.group()}" for name, text in files.items()
            for match in BARE_QUOTES.finditer(text) if match.group(1) not in OURS]


class LogFields(unittest.TestCase):
    def test_no_field_is_quoted_by_its_format(self):
        self.assertEqual(forgeable(code("actors", "runtime")), [])


class TheTestItself(unittest.TestCase):
    def test_each_bad_sample_is_caught(self):
        for sample in (r'log->info("a.b line=\"{}\"", printable(line));', r'log->warn("a.b peer={} reason=\"{}\"", peer, why);',
                       r'log->warn("a.b name=\"{:>8}\"", name);'):
            with self.subTest(sample=sample):
                self.assertEqual(len(forgeable({"actors/x.cpp": sample})), 1)

    def test_good_samples_are_not(self):
        for sample in (r'log->info("a.b line={}", printable_quoted(line));', r'log->info("a.b link=\"{}\"", label);',
                       r'log->info("a.b reason=\"{} changes behind\"", count);'):
            with self.subTest(sample=sample):
                self.assertEqual(forgeable({"actors/x.cpp": sample}), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
