"""Text from outside cannot forge a field of the log: `printable_quoted` quotes and escapes it."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import code, line_of  # noqa: E402

# A string that goes on in the next line, perhaps after a comment.
_NEXT = r'(?:"(?:\s|//[^\n]*|/\*.*?\*/)*")?'
BARE_QUOTES = re.compile(rf'\b(\w+){_NEXT}={_NEXT}\\?"{_NEXT}\{{[^{{}}]*\}}{_NEXT}\\?"', re.DOTALL)
OURS = {"link", "listener"}  # labels that the program gives


def forgeable(files):
    return [f"{name}:{line_of(text, match.start())}: {match.group()}"
            for name, text in files.items() for match in BARE_QUOTES.finditer(text)
            if match.group(1) not in OURS]


class LogFields(unittest.TestCase):
    def test_no_field_is_quoted_by_its_format(self):
        self.assertEqual(forgeable(code("actors", "runtime")), [])


class TheTestItself(unittest.TestCase):
    def test_each_bad_sample_is_caught(self):
        for sample in (r'log->info("a.b line=\"{}\"", printable(line));',
                       r'log->warn("a.b peer={} reason=\"{}\"", peer, why);',
                       r'log->warn("a.b name=\"{:>8}\"", name);',
                       r'log->warn(R"(a.b name="{}")", name);',
                       'log->info("a.b line="\n          "\\"{}\\"", line);',
                       'log->info("a.b line"\n          "=\\"{}\\"", line);',
                       'log->info("a.b line=\\""  // its text\n          "{}\\"", line);',
                       'log->info("a.b line=\\"{}" /* its\ntext */ "\\"", line);',
                       'log->info("a.b line=\\"{:>"\n          "8}\\"", line);'):
            with self.subTest(sample=sample):
                self.assertEqual(len(forgeable({"actors/x.cpp": sample})), 1)

    def test_good_samples_are_not(self):
        for sample in (r'log->info("a.b line={}", printable_quoted(line));',
                       r'log->info("a.b link=\"{}\"", label);',
                       r'log->info("a.b reason=\"{} changes behind\"", count);',
                       'std::string text = "{}"; auto other ="{}";',
                       'log->info("a.b line={}"\n          " more={}", a, b);'):
            with self.subTest(sample=sample):
                self.assertEqual(forgeable({"actors/x.cpp": sample}), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
