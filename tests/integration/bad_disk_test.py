"""Nodes on disks that have no room, take no more files or cannot be written: they say what to do,
go on where they can, and lose nothing that they have acknowledged."""

import ctypes
import os
import pathlib
import signal
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import DAMAGED, FAILED, SUCCESS, USAGE, NodeTest, wait_until  # noqa: E402

_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000
_READ_ONLY, _REMOUNT, _RECURSIVE, _PRIVATE, _DETACH = 1, 32, 16384, 1 << 18, 2
_LIBC = ctypes.CDLL(None, use_errno=True)


def mount(kind, where, flags, options=""):
    done = _LIBC.mount(b"none", os.fsencode(where), kind, flags, options.encode())
    if done != 0:
        raise OSError(ctypes.get_errno(), f"{where} cannot be mounted")


def enter_namespace():
    """Gives this process mounts of its own, as a user who may make them. An OSError where none
    may."""
    user, group = os.getuid(), os.getgid()
    if _LIBC.unshare(_NEW_MOUNTS) != 0:
        if _LIBC.unshare(_NEW_USERS | _NEW_MOUNTS) != 0:
            raise OSError(ctypes.get_errno(), "mounts of its own are forbidden")
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    mount(None, "/", _RECURSIVE | _PRIVATE)


class BadDisk(NodeTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            enter_namespace()
            with tempfile.TemporaryDirectory() as place:
                mount(b"tmpfs", place, 0)
                _LIBC.umount2(os.fsencode(place), _DETACH)
        except OSError as why:
            raise unittest.SkipTest(f"no disks of its own: {why}")

    def disk(self, options):
        """Mounts a small disk; a node's data goes there."""
        self.mounted = self.directory / "disk"
        self.mounted.mkdir()
        mount(b"tmpfs", self.mounted, 0, options)
        self.addCleanup(_LIBC.umount2, os.fsencode(self.mounted), _DETACH)
        node = self.node("disk/node")
        node.log = self.directory / "node.log"
        return node

    def remount(self, flags):
        mount(None, self.mounted, _REMOUNT | flags)

    def fill(self):
        """Leaves no room. Returns the file that takes it."""
        filler = self.mounted / "filler"
        with open(filler, "ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                return filler

    def take_all_files(self):
        """Leaves no room for one more file. Returns one that can go."""
        for number in range(10_000):
            try:
                (self.mounted / f"file {number}").touch()
            except OSError:
                return self.mounted / "file 0"
        self.fail("the disk takes files without end")

    def refused(self, node, words, status=DAMAGED):
        """The node must not start, with these words."""
        with self.assertRaises(AssertionError) as ended:
            node.start("--no-discovery")
        self.assertIn(f"ended with {status}", str(ended.exception))
        self.assertIn(words, str(ended.exception))

    def test_a_full_disk_stops_writes_only_until_there_is_room(self):
        node = self.disk("size=3m")
        node.start("--no-discovery")
        node.do("context", "set", "/before", "1")
        filler = self.fill()
        for path in ("/first", "/second"):
            done = node.run("context", "set", path, '"not yet"')
            self.assertEqual(done.returncode, DAMAGED)
            self.assertIn("its disk is full; free some room", done.stderr)
        self.assertEqual(node.ask("context", "get", "/before"), 1)
        self.assertIn("free some room", " ".join(node.ask("node", "info")["problems"]))
        filler.unlink()
        wait_until(lambda: node.run("context", "set", "/after", "2").returncode == SUCCESS)
        self.assertEqual(node.ask("node", "info")["problems"], [])
        node.stop(signal.SIGKILL)
        node.start("--no-discovery")
        self.assertEqual(node.ask("context", "get", "/before"), 1)
        self.assertEqual(node.ask("context", "get", "/after"), 2)
        self.assertEqual(node.log_text().count("context.disk_refused"), 1)

    def test_a_stop_says_what_a_full_disk_has_not_taken(self):
        node = self.disk("size=3m")
        node.start("--no-discovery")
        node.do("context", "set", "/before", "1")
        filler = self.fill()
        self.assertEqual(node.run("context", "set", "/lost", "1").returncode, DAMAGED)
        stopped = node.run("node", "stop")
        self.assertEqual(stopped.returncode, DAMAGED, stopped.stderr)
        self.assertIn("the node has stopped, but 1 change is not on the disk",
                      stopped.stderr)
        self.assertIn("free some room", stopped.stderr)
        self.assertEqual(node.process.wait(timeout=20), FAILED)
        node.process.stdout.close()
        # What it had acknowledged can be read all the same, and a clean stop is one.
        node.start("--no-discovery")
        self.assertEqual(node.ask("context", "get", "/before"), 1)
        node.do("node", "stop")
        self.assertEqual(node.process.wait(timeout=20), SUCCESS)
        node.process.stdout.close()
        filler.unlink()

    def test_a_disk_without_room_for_a_file(self):
        node = self.disk("size=10m,nr_inodes=60")
        node.start("--no-discovery")
        spare = self.take_all_files()
        node.do("context", "set", "/one", "1")
        self.assertEqual(node.stop(), SUCCESS)
        for number in range(10):  # what the node has removed
            try:
                (self.mounted / f"more {number}").touch()
            except OSError:
                break
        self.refused(node, "its disk has no room for one more file; remove some")
        for each in self.mounted.glob("more *"):
            each.unlink()
        spare.unlink()
        node.start("--no-discovery")
        self.assertEqual(node.ask("context", "get", "/one"), 1)
        self.assertEqual(node.stop(), SUCCESS)

    def test_a_disk_that_is_read_only(self):
        node = self.disk("size=10m")
        node.start("--no-discovery")
        node.do("context", "set", "/one", "1")
        self.assertEqual(node.stop(), SUCCESS)
        self.remount(_READ_ONLY)
        self.refused(node, "Read-only file system", USAGE)
        self.remount(0)
        node.start("--no-discovery")
        self.assertEqual(node.ask("context", "get", "/one"), 1)


if __name__ == "__main__":
    unittest.main()
