"""The tree speaks of Troupe alone, and of what is there: nothing unfinished, no host of a package registry, no path of
one machine."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import tracked  # noqa: E402

OWN = "tests/structure/speaks_of_itself_test.py"  # which has to spell what it looks for

UNFINISHED = re.compile(rb"\b(TODO|FIXME|XXX|HACK|TBD)\b|(?i:\bplace ?holder|(?<!refused )\bfor now\b|\bnot (yet )?implemented\b)")
REGISTRIES = re.compile(rb"\b([\w-]+\.)*(debian\.(org|net)|ubuntu\.com|pypi\.org|pythonhosted\.org|npmjs\.(org|com)|nodejs\.org|crates\.io|"
                        rb"conan\.io|docker\.(io|com)|ghcr\.io|quay\.io|brew\.sh|anaconda\.org|rubygems\.org|proxy\.golang\.org|"
                        rb"packages\.microsoft\.com|alpinelinux\.org|archlinux\.org|fedoraproject\.org)\b", re.IGNORECASE)
MACHINE_PATHS = re.compile(rb"(?<![\w.$})/-])/(work|root|home/[a-z]\w*|Users/\w+)/[\w.]")
BINARY = (".png", ".svg", ".ico")


def said(files):
    found = []
    for name, content in files.items():
        if name == OWN or name.endswith(BINARY):
            continue
        for what, pattern in (("unfinished", UNFINISHED), ("the host of a registry", REGISTRIES), ("a path of one machine", MACHINE_PATHS)):
            found += [f"{name}:{content.count(bytes([10]), 0, match.start()) + 1}: {what}: {match.group().decode()}"
                      for match in pattern.finditer(content)]
    return found


class SpeaksOfItself(unittest.TestCase):
    def test_no_file_says_what_it_should_not(self):
        self.assertEqual(said(tracked()), [])


class TheTestItself(unittest.TestCase):
    def test_each_bad_sample_is_caught(self):
        for text in ("// TODO: later", "# FIXME", "a placeholder", "good enough for now", "deb http://deb.debian.org/debian", "https://pypi.org/simple",
                     "registry.npmjs.org", "include /work/main/x", "cp /root/.cache/x", '"/home/ada/x"', "Not yet implemented"):
            with self.subTest(text=text):
                self.assertEqual(len(said({"x.cpp": f"line\n{text}\n".encode()})), 1)

    def test_good_samples_are_not(self):
        for text in ("troupe-XXXXXX", "https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md", "$HOME/.cache/troupe", "<troupe/work/x.hpp>",
                     "/app/theme", "a for-loop now", "${prefix}/root/x", "node.js.organisation", "Refused for now", "xxx"):
            with self.subTest(text=text):
                self.assertEqual(said({"x.cpp": text.encode()}), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
