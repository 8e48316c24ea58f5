"""What `setup.sh` does before it downloads or builds anything, with stand-ins for the programs that it runs."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import SOURCE  # noqa: E402

COMPILER = '[ "$1" = -dM ] && exit; echo 12.2.0'


class SetupTest(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="troupe-test-"))
        self.addCleanup(shutil.rmtree, self.place)
        (self.place / "bin").mkdir()
        self.stand_in("g++", COMPILER)

    def stand_in(self, name, script):
        program = self.place / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def setup(self, *words, **variables):
        return subprocess.Popen([str(SOURCE / "setup.sh"), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={"PATH": f"{self.place}/bin:/usr/bin:/bin", "TMPDIR": str(self.place), **variables})

    def built(self, cache):
        """Where a build of CAF is, which this pretends is complete."""
        prefix = cache / f"caf-0.18.7-r1-gcc-12.2.0-{os.uname().machine}"
        prefix.mkdir(parents=True)
        (prefix / "complete").touch()
        return prefix


class Cache(SetupTest):
    def test_it_is_the_variable_s_the_cache_s_or_the_home_s(self):
        self.stand_in("getent", f"echo somebody:x:1:1::{self.place}/passwd:/bin/sh")
        for cache, variables in [(self.place / "own", {"TROUPE_CACHE": f"{self.place}/own", "HOME": "/nowhere"}),
                                 (self.place / "xdg/troupe", {"XDG_CACHE_HOME": f"{self.place}/xdg", "HOME": "/nowhere"}),
                                 (self.place / "home/.cache/troupe", {"HOME": f"{self.place}/home"}),
                                 (self.place / "passwd/.cache/troupe", {})]:
            with self.subTest(variables=variables):
                prefix = self.built(cache)
                said, complaint = self.setup("caf", **variables).communicate(timeout=60)
                self.assertEqual((said, complaint), (f"{prefix}\n", ""))

    def test_without_any_home_the_variable_is_named(self):
        self.stand_in("getent", "exit 2")
        setup = self.setup("caf")
        said, complaint = setup.communicate(timeout=60)
        self.assertEqual((setup.returncode, said), (1, ""))
        self.assertEqual(complaint, "troupe setup: there is no home directory to keep CAF in; set TROUPE_CACHE to a directory\n")

    def test_who_waits_for_another_build_is_told_and_uses_it(self):
        cache = self.place / "cache"
        cache.mkdir()
        with open(cache / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            setup = self.setup("caf", TROUPE_CACHE=str(cache))
            self.assertEqual(setup.stderr.readline(), f"troupe setup: waiting for somebody else who builds CAF in {cache}\n")
            prefix = self.built(cache)
        said, _ = setup.communicate(timeout=60)
        self.assertEqual((setup.returncode, said), (0, f"{prefix}\n"))


class Packages(SetupTest):
    def setUp(self):
        super().setUp()
        self.stand_in("dpkg-query", "exit 1")
        self.stand_in("id", "echo 1000")
        self.stand_in("sudo", f'echo "$*" >> {self.place}/asked; exec "$@"')

    def test_they_are_installed_as_root_without_questions_and_with_progress(self):
        self.stand_in("apt-get", """[ "$DEBIAN_FRONTEND" = noninteractive ] || exit 1
case "$*" in
  *install*) echo "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend."
             echo "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded."
             echo "Unpacking a ..."; echo "Unpacking b ..."; echo "Setting up a ..."; echo "Setting up b ..." ;;
esac""")
        setup = self.setup("packages", "extra")
        said, complaint = setup.communicate(timeout=60)
        self.assertEqual((setup.returncode, said), (0, ""), complaint)
        lines = complaint.splitlines()
        self.assertRegex(lines[0], r"\Atroupe setup: installing \d+ packages: g\+\+ .* extra\Z")
        self.assertEqual(lines[1:], ["troupe setup: Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend."] +
                         [f"troupe setup: packages {part} %" for part in (20, 40, 60, 100)])
        for line in (self.place / "asked").read_text().splitlines():
            self.assertIn("DEBIAN_FRONTEND=noninteractive", line)
            self.assertIn("-o DPkg::Lock::Timeout=300", line)

    def test_what_apt_says_is_shown_when_it_fails(self):
        for failing in ("update", "install"):
            with self.subTest(failing=failing):
                self.stand_in("apt-get", f'case "$*" in *{failing}*) echo "E: no network" >&2; exit 100 ;; esac')
                setup = self.setup("packages")
                _, complaint = setup.communicate(timeout=60)
                self.assertEqual(setup.returncode, 1)
                self.assertTrue(complaint.endswith("E: no network\ntroupe setup: the packages could not be installed; see the lines above\n"),
                                complaint)
        self.assertEqual([each.name for each in self.place.glob("tmp*")], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
