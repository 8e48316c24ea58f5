"""`setup.sh` up to its downloads and builds, with stand-ins for the programs that it runs."""

import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import SOURCE  # noqa: E402

COMPILER = '[ "$1" = -dM ] && exit; echo 12.2.0'
# A minimal Debian has these. The tests run setup.sh with these and their stand-ins alone.
ESSENTIAL = ("awk bash cat cut dirname env flock getent grep id mkdir mktemp rm sed sh sort tail "
             "tee uname").split()


class SetupTest(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="troupe-test-"))
        self.addCleanup(shutil.rmtree, self.place)
        (self.place / "bin").mkdir()
        for name in ESSENTIAL:
            (self.place / "bin" / name).symlink_to(shutil.which(name))
        self.stand_in("g++", COMPILER)

    def stand_in(self, name, script):
        program = self.place / "bin" / name
        program.unlink(missing_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def setup(self, *words, **variables):
        return subprocess.Popen(
            [str(SOURCE / "setup.sh"), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=self.place, start_new_session=True,
            env={"PATH": f"{self.place}/bin", "TMPDIR": str(self.place), **variables})

    def run_setup(self, *words, **variables):
        """(exit status, stdout, stderr)"""
        setup = self.setup(*words, **variables)
        output, errors = setup.communicate(timeout=60)
        return setup.returncode, output, errors

    def complete_build(self, cache):
        """Pretends that CAF is built in this cache; returns where."""
        prefix = cache / f"caf-0.18.7-r1-gcc-12.2.0-{os.uname().machine}"
        prefix.mkdir(parents=True)
        (prefix / "complete").touch()
        return prefix


class Words(SetupTest):
    def test_it_lists_its_words_when_asked_and_without_any(self):
        for words in ([], ["--help"], ["-h"], ["help"]):
            with self.subTest(words=words):
                status, output, errors = self.run_setup(*words)
                self.assertEqual((status, errors), (0, ""))
                for word in ("demo  .*nodes", "test  .*tests", "packages", "caf", "--help"):
                    self.assertRegex(output, rf"(?m)^( +| +\./setup\.sh ){word}")

    def test_a_wrong_word_is_named_beside_the_right_ones(self):
        _, usage, _ = self.run_setup()
        for word in ("demmo", "", "de", "clean", "-x", "packages caf"):
            with self.subTest(word=word):
                status, output, errors = self.run_setup(word)
                self.assertEqual((status, output), (2, ""))
                self.assertEqual(errors, f"troupe setup: '{word}' is none of these\n{usage}")

    def test_any_shell_can_start_it(self):
        done = subprocess.run(["sh", str(SOURCE / "setup.sh"), "--help"], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Cache(SetupTest):
    def test_it_is_the_variable_s_the_cache_s_or_the_home_s(self):
        self.stand_in("getent", f"echo somebody:x:1:1::{self.place}/passwd:/bin/sh")
        for cache, variables in [
                ("own", {"TROUPE_CACHE": f"{self.place}/own", "HOME": "/nowhere"}),
                ("xdg/troupe", {"XDG_CACHE_HOME": f"{self.place}/xdg", "HOME": "/nowhere"}),
                ("home/.cache/troupe", {"HOME": f"{self.place}/home"}),
                ("passwd/.cache/troupe", {})]:
            with self.subTest(variables=variables):
                prefix = self.complete_build(self.place / cache)
                self.assertEqual(self.run_setup("caf", **variables), (0, f"{prefix}\n", ""))

    def test_without_any_home_the_variable_is_named(self):
        self.stand_in("getent", "exit 2")
        self.assertEqual(self.run_setup("caf"), (
            1, "", "troupe setup: there is no home directory for CAF. "
                   "Set TROUPE_CACHE to a directory\n"))

    def test_it_waits_for_another_build_and_uses_the_result(self):
        cache = self.place / "cache"
        cache.mkdir()
        with open(cache / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            setup = self.setup("caf", TROUPE_CACHE=str(cache))
            self.assertEqual(setup.stderr.readline(),
                             f"troupe setup: waiting for another build of CAF in {cache}\n")
            prefix = self.complete_build(cache)
        output, _ = setup.communicate(timeout=60)
        self.assertEqual((setup.returncode, output), (0, f"{prefix}\n"))

    def test_without_a_compiler_it_says_how_to_get_one(self):
        (self.place / "bin" / "g++").unlink()
        status, _, errors = self.run_setup("caf", TROUPE_CACHE=str(self.place))
        self.assertEqual((status, errors), (
            1, "troupe setup: there is no C++ compiler 'g++' on the path. "
               "Run: ./setup.sh packages\n"))


# What apt-get prints, one word of it the package that it installs.
APT = """[ "$DEBIAN_FRONTEND" = noninteractive ] || exit 1
case "$*" in
  *install*) echo "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend."
             echo "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded."
             echo "Unpacking a ..."; echo "Unpacking b ..."
             echo "Setting up a ..."; echo "Setting up b ..." ;;
esac"""


class Packages(SetupTest):
    def setUp(self):
        super().setUp()
        self.stand_in("dpkg-query", "exit 1")
        self.stand_in("id", "echo 1000")
        self.stand_in("sudo", f'echo "$*" >> {self.place}/asked; exec "$@"')

    def asked(self):
        """What was run as root, one command a line."""
        return (self.place / "asked").read_text().splitlines()

    def test_they_are_installed_as_root_without_questions_and_with_progress(self):
        self.stand_in("apt-get", APT)
        status, output, errors = self.run_setup("packages", "extra")
        self.assertEqual((status, output), (0, ""), errors)
        lines = errors.splitlines()
        self.assertRegex(lines[0],
                         r"\Atroupe setup: installing \d+ packages: make g\+\+ .* extra\Z")
        self.assertEqual(lines[1:], [
            "troupe setup: Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend.",
            *(f"troupe setup: packages {part} %" for part in (20, 40, 60, 100))])
        self.assertEqual(len(self.asked()), 2)
        for line in self.asked():
            self.assertIn("DEBIAN_FRONTEND=noninteractive", line)
            self.assertIn("-o DPkg::Lock::Timeout=300", line)

    def test_nothing_is_asked_for_when_nothing_is_missing(self):
        # The first three words are options.
        self.stand_in("dpkg-query", 'shift 3; for package; do echo "$package installed"; done')
        self.stand_in("apt-get", "exit 1")
        self.assertEqual(self.run_setup("packages"), (0, "", ""))

    def test_an_interrupted_installation_is_completed(self):
        for state in ("half-installed", "half-configured", "unpacked", "triggers-pending"):
            with self.subTest(state=state):
                self.stand_in("dpkg-query", f"[ $# = 3 ] && echo installed && echo {state}; exit 0")
                self.stand_in("dpkg", "echo noise; exit 1")
                self.stand_in("apt-get", "exit 0")
                (self.place / "asked").unlink(missing_ok=True)
                status, output, errors = self.run_setup("packages")
                self.assertEqual((status, output), (0, ""))
                self.assertEqual(errors.splitlines()[1:], [
                    "troupe setup: completing an earlier installation that was interrupted"])
                self.assertRegex(self.asked()[0], r"\Aenv .* dpkg --configure -a\Z")
                self.assertIn("--fix-broken", self.asked()[2])

    def test_the_output_of_apt_is_shown_when_it_fails(self):
        for failing in ("update", "install"):
            with self.subTest(failing=failing):
                self.stand_in(
                    "apt-get", f'case "$*" in *{failing}*) echo "E: disk full"; exit 100;; esac')
                status, _, errors = self.run_setup("packages")
                self.assertEqual(status, 1)
                self.assertTrue(errors.endswith(
                    "E: disk full\ntroupe setup: the packages could not be installed; "
                    "the lines above say why\n"), errors)
        self.assertEqual([each.name for each in self.place.glob("tmp*")], [])

    def test_a_network_that_is_missing_is_named(self):
        for line in ("W: Failed to fetch x  Temporary failure resolving 'mirror'",
                     "Err:1 x  Could not connect to mirror:80 (127.0.0.1), connection timed out",
                     "E: Unable to connect to mirror:80:", "Could not resolve 'mirror'"):
            with self.subTest(line=line):
                # apt-get update succeeds when it cannot download an index.
                self.stand_in(
                    "apt-get", f'echo "{line}"; case "$*" in *install*) '
                               'echo "E: Unable to locate package make"; exit 100;; esac')
                status, _, errors = self.run_setup("packages")
                self.assertEqual(status, 1)
                self.assertIn(line, errors)
                self.assertTrue(errors.endswith(
                    "troupe setup: the package servers cannot be reached. Check the network and "
                    "apt's proxy, then run this again\n"), errors)

    def test_a_user_without_sudo_is_told_what_root_must_run(self):
        (self.place / "bin" / "sudo").unlink()
        self.stand_in("apt-get", "exit 1")
        for word in ("packages", "demo"):
            with self.subTest(word=word):
                status, output, errors = self.run_setup(word)
                self.assertEqual((status, output), (1, ""))
                self.assertRegex(
                    errors, r"\Atroupe setup: only root can install packages, and there is no "
                            r"sudo\. Run as root: apt-get install make g\+\+ .*\n\Z")

    def test_an_interruption_says_how_to_continue(self):
        os.mkfifo(self.place / "started")
        self.stand_in("apt-get", f"trap 'exit 1' TERM; echo > {self.place}/started; "
                                 f"read line < {self.place}/started")
        for number, said, status in ((signal.SIGINT, "interrupted", 130),
                                     (signal.SIGTERM, "terminated", 143),
                                     (signal.SIGHUP, "terminated", 143)):
            with self.subTest(number=number):
                setup = self.setup("demo")
                (self.place / "started").read_text()
                os.killpg(setup.pid, number)
                _, errors = setup.communicate(timeout=60)
                self.assertEqual(setup.returncode, status)
                self.assertTrue(errors.endswith(
                    f"troupe setup: {said}. Run the same command again; it continues where it can"
                    "\n"), errors)
                self.assertEqual([each.name for each in self.place.glob("tmp*")], [])


class Targets(SetupTest):
    def setUp(self):
        super().setUp()
        self.stand_in("dpkg-query", "exit 1")
        self.stand_in("id", "echo 0")

    def test_make_runs_once_the_packages_are_there(self):
        make, chmod = self.place / "bin" / "make", shutil.which("chmod")
        self.stand_in("apt-get", f"""case "$*" in *install*)
  printf '%s\\n' '#!/bin/sh' 'pwd; echo "$@"' > {make}; {chmod} +x {make} ;; esac""")
        for words in (["demo"], ["test", "JOBS=3", "BUILD=a b"], ["bench"], ["coverage"]):
            with self.subTest(words=words):
                make.unlink(missing_ok=True)
                status, output, errors = self.run_setup(*words)
                self.assertEqual((status, output), (0, f"{SOURCE}\n{' '.join(words)}\n"), errors)

    def test_its_exit_status_is_that_of_make(self):
        self.stand_in("apt-get", "exit 0")
        self.stand_in("make", "exit 2")
        self.assertEqual(self.run_setup("test")[0], 2)

    def test_make_does_not_run_when_the_packages_cannot_be_installed(self):
        self.stand_in("apt-get", "exit 100")
        self.stand_in("make", "echo made")
        status, output, _ = self.run_setup("test")
        self.assertEqual((status, output), (1, ""))

    def test_without_apt_get_it_names_the_packages_and_uses_what_is_there(self):
        for there, expected in ((True, (0, "made\n")), (False, (1, ""))):
            with self.subTest(make=there):
                (self.place / "bin" / "make").unlink(missing_ok=True)
                if there:
                    self.stand_in("make", "echo made")
                status, output, errors = self.run_setup("demo")
                self.assertEqual((status, output), expected)
                lines = errors.splitlines()
                self.assertRegex(lines[0], r"\Atroupe setup: there is no apt-get, so nothing was "
                                           r"installed\. Troupe needs .*: make g\+\+ .*")
                self.assertEqual(lines[1],
                                 "troupe setup: continuing; the build names what is missing")
                self.assertEqual(lines[2:], [] if there else [
                    "troupe setup: there is no make. Install it, then run this again"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
