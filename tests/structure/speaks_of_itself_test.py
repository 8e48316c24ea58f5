"""The tree contains only Troupe, and only what exists: no unfinished work, no host of a package
registry, no path of one machine. This file is checked too, so it assembles what it looks for."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import tracked  # noqa: E402

# Domains of package registries: name -> its top-level domains.
REGISTRIES = {
    "debian": "org net", "ubuntu": "com", "pypi": "org", "pythonhosted": "org", "npmjs": "org com",
    "nodejs": "org", "crates": "io", "conan": "io", "docker": "io com", "ghcr": "io", "quay": "io",
    "brew": "sh", "anaconda": "org", "rubygems": "org", "proxy.golang": "org",
    "packages.microsoft": "com", "alpinelinux": "org", "archlinux": "org", "fedoraproject": "org"}
DOMAINS = [f"{name}.{top}" for name, tops in REGISTRIES.items() for top in tops.split()]

FORBIDDEN = {
    "unfinished": re.compile(
        r"\b(T[O]DO|F[I]XME|X[X]X|H[A]CK|T[B]D)\b|(?i:\bplace ?[h]older|(?<!refused )\bfor [n]ow\b|"
        r"\bnot (yet )?[i]mplemented\b)"),
    "the host of a registry": re.compile(
        rf"\b([\w-]+\.)*({'|'.join(map(re.escape, DOMAINS))})\b", re.IGNORECASE),
    "a path of one machine": re.compile(
        r"(?<![\w.$})/-])/(work|root|home/[a-z]\w*|Users/\w+)/[\w.]"),
}
BINARY = (".png", ".svg", ".ico")


def said(files):
    found = []
    for name, content in files.items():
        if name.endswith(BINARY):
            continue
        text = content.decode(errors="replace")
        for what, pattern in FORBIDDEN.items():
            found += [f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match.group()}"
                      for match in pattern.finditer(text)]
    return found


class SpeaksOfItself(unittest.TestCase):
    def test_no_file_says_what_it_should_not(self):
        self.assertEqual(said(tracked()), [])


class TheTestItself(unittest.TestCase):
    def test_unfinished_work_and_a_path_of_one_machine_are_caught(self):
        for start, end in (("// TO", "DO: later"), ("# FIX", "ME"), ("// X", "XX"), ("HA", "CK"),
                           ("a place", "holder"), ("place ", "Holder"), ("good enough for ", "now"),
                           ("Not yet ", "implemented"), ("not ", "implemented"), ("TB", "D"),
                           ("include /", "work/main/x"), ("cp /", "root/.cache/x"),
                           ('"/', 'home/ada/x"'), ("/", "Users/Ada/x")):
            with self.subTest(text=start + end):
                self.assertEqual(len(said({"x.cpp": f"line\n{start}{end}\n".encode()})), 1)

    def test_the_host_of_each_registry_is_caught(self):
        self.assertEqual(len(DOMAINS), 22)
        for domain in DOMAINS:
            for text in (domain, f"https://{domain}/simple", f"deb http://a.b-c.{domain}/x y",
                         domain.upper(), f'"{domain}"', f"ftp.{domain}:80"):
                with self.subTest(text=text):
                    self.assertEqual(len(said({"x.cpp": f"line\n{text}\n".encode()})), 1)

    def test_good_samples_are_not(self):
        for text in ("troupe-XXXXXX", "$HOME/.cache/troupe", "<troupe/work/x.hpp>", "/app/theme",
                     "https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md",
                     "a for-loop now", "${prefix}/root/x", "node.js.organisation", "xxx",
                     "Refused for now", "debian organises", "a debian.organisation"):
            with self.subTest(text=text):
                self.assertEqual(said({"x.cpp": text.encode()}), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
