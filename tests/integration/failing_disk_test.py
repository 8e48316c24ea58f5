"""Nodes whose disk turns bad under the files that they have open: it becomes read-only, as a kernel
makes a disk that fails, or does not keep what it has taken. The node says so once, goes on reading,
answers no write with success that is not on the disk, and goes on by itself when the disk does."""

import json
import os
import pathlib
import random
import shutil
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import DAMAGED, FAILED, SUCCESS, NodeTest, environment, wait_until  # noqa: E402

FAULTY_DISK = os.environ["TROUPE_FAULTY_DISK"]
QUEUED = 5000


class FailingDisk(NodeTest):
    def setUp(self):
        super().setUp()
        self.served = self.node()
        self.switch = self.directory / "switch"
        self.start_on_disk()
        self.served.do("context", "set", "/before", "1")

    def start_on_disk(self, *options):
        sanitizer = os.environ.get("ASAN_OPTIONS", "")
        self.served.start("--no-discovery", *options, env=environment(
            LD_PRELOAD=FAULTY_DISK, FAULTY_DISK=str(self.served.data),
            FAULTY_DISK_SWITCH=str(self.switch),
            ASAN_OPTIONS=f"{sanitizer}:verify_asan_link_order=0"))

    def write(self, path):
        return self.served.run("context", "set", path, "1")

    def refused(self, words):
        """Writes are refused with these words, the first and the later ones, and reads go on."""
        for path in ("/first", "/second"):
            done = self.write(path)
            self.assertEqual(done.returncode, DAMAGED, done.stderr)
            self.assertIn(words, done.stderr)
        self.assertEqual(self.served.ask("context", "get", "/before"), 1)
        problems = self.served.ask("node", "info")["problems"]
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(words, problems[0])

    def goes_on(self):
        """The disk is well again, so writes are taken, and a kill loses none of them."""
        self.switch.unlink()
        wait_until(lambda: self.write("/after").returncode == SUCCESS)
        self.assertEqual(self.served.ask("node", "info")["problems"], [])
        self.served.stop(signal.SIGKILL)
        log = self.served.log_text()
        self.assertEqual(log.count("context.disk_refused"), 1)
        self.assertEqual(log.count("context.disk_recovered"), 1)
        self.served.start("--no-discovery")
        for path in ("/before", "/after"):
            self.assertEqual(self.served.ask("context", "get", path), 1)
        # The node had said that it would try again, and held the first one for that.
        self.assertEqual(self.served.ask("context", "get", "/first"), 1)
        self.stop_all()

    def test_a_disk_that_becomes_read_only(self):
        self.switch.write_text("read-only")
        self.refused("its disk is mounted read-only; mount it for writing")
        self.goes_on()

    def test_a_disk_that_does_not_keep_what_it_takes(self):
        self.switch.write_text("fails")
        self.refused("its disk fails, or a quota is used up; see what the system's log says")
        self.goes_on()

    def test_a_start_goes_on_without_what_the_disk_cannot_read(self):
        drawn = random.Random(1)
        values = self.directory / "values.json"
        values.write_text(json.dumps({"many": {f"key {n:05}": drawn.randbytes(50).hex()
                                               for n in range(2000)}}))
        self.served.do("context", "import", values)
        self.assertEqual(self.served.stop(), SUCCESS)
        original, self.served = self.served, None
        for eighth in range(8):
            with self.subTest(eighth=eighth):
                self.switch.unlink(missing_ok=True)
                self.served = self.node(f"node-{eighth}")
                shutil.copytree(original.data, self.served.data)
                database = (self.served.data / "context.db").stat()
                page = database.st_size * eighth // 8 // 4096 * 4096
                self.switch.write_text(f"unreadable {page} {database.st_ino}")
                self.start_on_disk()
                info = self.served.ask("node", "info")
                # The log lies before the checkpoint. A start does not read what that makes old.
                if not 1 <= eighth <= 4:
                    self.assertIn("is damaged", " ".join(info["problems"]))
                if eighth > 0:
                    # The log has what the checkpoint has, so nothing is lost with one page.
                    self.assertEqual(info["entries"], 2001)
                    self.assertEqual(self.served.ask("context", "get", "/before"), 1)
                self.assertEqual(self.served.stop(), SUCCESS)
        self.stop_all()

    def test_a_start_goes_on_without_what_cannot_be_read_of_the_write_ahead_file(self):
        for number in range(20):
            self.served.do("context", "set", f"/value {number}", f"{number}")
        self.served.stop(signal.SIGKILL)
        original, self.served = self.served, None
        frame = 24 + 4096
        # Without its header nothing of the file counts; otherwise what is before the place does.
        for name, lost in (("header", 21), ("middle", 12), ("end", 1)):
            with self.subTest(name):
                self.switch.unlink(missing_ok=True)
                self.served = self.node(f"node-{name}")
                shutil.copytree(original.data, self.served.data,
                                ignore=shutil.ignore_patterns("*.sock"))
                wal = self.served.data / "context.db-wal"
                found = wal.stat()
                place = {"header": 0, "middle": found.st_size // 2,
                         "end": found.st_size - frame // 2}[name]
                self.switch.write_text(f"unreadable {place} {found.st_ino}")
                self.start_on_disk()
                log = self.served.log_text()
                self.assertIn("the disk cannot read 512 bytes of the write-ahead file", log)
                kept = self.served.data / "context.damaged" / "unreadable-wal"
                self.assertEqual(kept.stat().st_ino, found.st_ino)
                entries = self.served.ask("node", "info")["entries"]
                self.assertGreaterEqual(entries, 21 - lost, log)
                self.assertEqual(self.served.stop(), SUCCESS)
        self.stop_all()

    def queue_on_slow_disk(self):
        """Many changes that the disk has not taken yet when this returns."""
        values = self.directory / "values.json"
        values.write_text(json.dumps({"many": {f"key {n:05}": n for n in range(QUEUED)}}))
        self.switch.write_text("slow")
        self.served.do("context", "import", values, "--durability", "memory")

    def test_a_stop_writes_what_is_queued_however_slow_the_disk_is(self):
        self.queue_on_slow_disk()
        self.assertEqual(self.served.stop(), SUCCESS)
        self.served.start("--no-discovery")
        self.assertEqual(self.served.ask("node", "info")["entries"], QUEUED + 1)
        self.stop_all()

    def test_a_stop_that_has_no_time_for_what_is_queued_says_what_remains(self):
        self.assertEqual(self.served.stop(), SUCCESS)
        settings = self.directory / "node.toml"
        settings.write_text("stop_deadline_ms = 300\n")
        self.start_on_disk("--config", settings)
        self.queue_on_slow_disk()
        stopped = self.served.run("node", "stop")
        self.assertEqual(stopped.returncode, DAMAGED, stopped.stderr)
        self.assertRegex(stopped.stderr, r"but [0-9,]+ changes are not on the disk")
        self.assertEqual(self.served.process.wait(timeout=20), FAILED)
        self.served.process.stdout.close()
        self.switch.unlink()
        self.served.start("--no-discovery")
        self.assertEqual(self.served.ask("context", "get", "/before"), 1)
        self.stop_all()

    def test_a_stop_beside_a_disk_that_fails_says_what_is_lost(self):
        self.switch.write_text("fails")
        self.assertEqual(self.write("/lost").returncode, DAMAGED)
        stopped = self.served.run("node", "stop")
        self.assertEqual(stopped.returncode, DAMAGED, stopped.stderr)
        self.assertIn("but 1 change is not on the disk", stopped.stderr)
        self.assertEqual(self.served.process.wait(timeout=20), FAILED)
        self.served.process.stdout.close()
        self.served.start("--no-discovery")
        self.assertEqual(self.served.ask("context", "get", "/before"), 1)
        self.stop_all()


if __name__ == "__main__":
    unittest.main()
