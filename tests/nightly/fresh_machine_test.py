"""`setup.sh` on a fresh machine: a minimal Debian 12, which debootstrap makes in a directory.

Takes about a quarter of an hour and some gigabytes of disk. `make nightly` runs it.
"""

import atexit
import functools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree import SOURCE, tracked  # noqa: E402

RELEASE = "bookworm"
BOOTSTRAP_SECONDS = 900
COMMAND_SECONDS = 5400
PROXIES = ("http_proxy", "https_proxy", "no_proxy")

# Mounts and processes in namespaces of their own end with the first process, however that ends. It
# dies with this test.
ALONE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc",
         "--fork", "--kill-child=KILL"]

# Makes the directory $1 the root and runs the rest there. Not chroot: the kernel allows no user
# namespace below one, and sandboxes are made of them.
ENTER = """
set -e
root=$1
shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
cd "$root"
mkdir -p outside
pivot_root . outside
umount -l outside
exec "$@"
"""


class Ended(AssertionError):
    """A command failed, or was not done in time."""


def run(command, log, seconds, until=None):
    """Runs a command in namespaces of its own with its output in the file `log`. Raises `Ended`
    unless it succeeds in time. With `until`, a pattern, kills it once its output has that."""
    deadline = time.monotonic() + seconds
    kept = {name: os.environ[name] for name in PROXIES if name in os.environ}
    with open(log, "w") as output:
        process = subprocess.Popen(
            [*ALONE, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                                         "LC_ALL": "C", **kept})
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if until and re.search(until, log.read_text(errors="replace")):
                return
            time.sleep(0.2)
        if process.returncode != 0:
            how = "ended with" if process.returncode else "was not done in time:"
            printed = log.read_text(errors="replace")[-6000:]
            raise Ended(f"{command[-1]} {how} {process.returncode}:\n{printed}")
        if until:
            raise Ended(f"{command[-1]} never printed {until}")
    finally:
        end(process)


def end(process):
    """Kills a process with all others of its namespace, and returns when they are gone."""
    if process.poll() is None:
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        # The first process in the namespace ends after the others.
        for first in children.read_text().split():
            os.kill(int(first), signal.SIGKILL)
            process.wait(timeout=60)
        process.kill()
        process.wait()


@functools.lru_cache(maxsize=None)
def place():
    """A directory that goes when this program ends, interrupted or not."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="troupe-nightly-"))

    def remove():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        assert str(made) not in pathlib.Path("/proc/self/mountinfo").read_text(), "a mount is left"
        shutil.rmtree(made)

    atexit.register(remove)
    return made


def mirrors():
    """The package servers that this machine's apt uses, those of the release first."""
    try:
        told = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"],
                              capture_output=True, text=True, timeout=60).stdout.split("\n")
    except OSError:
        return []
    pairs = {tuple(line.split()) for line in told if len(line.split()) == 2}
    pairs = sorted(pairs, key=lambda pair: (pair[1] != RELEASE, pair))
    return list(dict.fromkeys(address for address, _ in pairs))


def settings_of_apt():
    """How this machine's apt downloads: proxies, and whether it accepts an old index."""
    told = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    return "".join(line + "\n" for line in told.split("\n")
                   if re.fullmatch(r'Acquire::(https?::\S+|Check-\S+|Retries) ".+";', line))


@functools.lru_cache(maxsize=None)
def minimal_system():
    """A minimal Debian with a copy of the tree in /troupe, or why there is none, as text."""
    if os.geteuid() != 0:
        return "only root can make a minimal system"
    for name in ("debootstrap", "setpriv", "unshare", "pivot_root"):
        if not shutil.which(name):
            return f"this machine has no {name}"
    alone = subprocess.run([*ALONE, "true"], capture_output=True, text=True, timeout=60)
    if alone.returncode != 0:
        return f"this machine makes no namespaces: {alone.stderr.strip()}"
    unreachable = ["apt names no package server"]
    for mirror in mirrors():
        root = place() / "minimal"
        try:
            run(["debootstrap", "--variant=minbase", RELEASE, str(root), mirror],
                place() / "debootstrap.log", BOOTSTRAP_SECONDS)
        except Ended as problem:
            if "Failed getting release file" not in str(problem):
                raise
            unreachable = [line for line in str(problem).split("\n") if line.startswith("E: ")]
            shutil.rmtree(root, ignore_errors=True)
            continue
        (root / "etc/apt/apt.conf.d/90settings").write_text(settings_of_apt())
        for name in tracked():
            (root / "troupe" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(SOURCE / name, root / "troupe" / name)
        return root
    return f"no package server has {RELEASE}: {unreachable[-1]}"


def first_command():
    """The first command that the README shows."""
    readme = (SOURCE / "README.md").read_text()
    return re.search(r"^```console\n(.*?)(?:\s*#.*)?$", readme, re.MULTILINE).group(1)


def setUpModule():
    made = minimal_system()
    if isinstance(made, str):
        raise unittest.SkipTest(made)


class FreshMachine(unittest.TestCase):
    def setUp(self):
        self.root = place() / self._testMethodName
        subprocess.run(["cp", "-a", minimal_system(), self.root], check=True)
        self.addCleanup(shutil.rmtree, self.root)
        for name in ("make", "g++", "python3", "git", "sudo"):
            self.assertFalse((self.root / "usr/bin" / name).exists(), f"{name} is there already")

    def inside(self, line, **options):
        """Runs a line of shell in the tree on this machine; returns what it printed."""
        log = place() / f"{self._testMethodName}.log"
        enter = ["sh", "-c", ENTER, "enter", str(self.root)]
        run([*enter, "sh", "-c", f"cd /troupe && {line}"], log, COMMAND_SECONDS, **options)
        return log.read_text()

    def test_the_first_command_of_the_readme_works(self):
        command = first_command()
        self.assertEqual(command, "./setup.sh demo")
        self.assertIn("\nevery claim holds", self.inside(command))

    def test_a_missing_network_is_named(self):
        with self.assertRaisesRegex(Ended, "the package servers cannot be reached"):
            self.inside("unshare --net ./setup.sh demo")

    def test_an_installation_that_was_killed_is_completed(self):
        self.inside("./setup.sh packages", until="packages 60 %")
        self.assertNotEqual(self.inside("dpkg --audit"), "", "it was killed too late")
        self.assertIn("completing an earlier installation", self.inside("./setup.sh packages"))
        checks = "dpkg --audit && ./setup.sh packages && make -v >/dev/null"
        self.assertEqual(self.inside(checks), "")


def interrupt(number, _):
    raise KeyboardInterrupt(signal.Signals(number).name)


if __name__ == "__main__":
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, interrupt)
    unittest.main(verbosity=2)
