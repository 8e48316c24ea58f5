"""Real nodes whose files have been damaged, lost or copied: what can be saved is, nothing else is
shown, and the messages say what to do."""

import json
import pathlib
import random
import shutil
import signal
import sqlite3
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (  # noqa: E402
    ALONE, DAMAGED, NOT_FOUND, SUCCESS, UNAVAILABLE, USAGE, NodeTest, troupe, wait_until)

VALUES = 3000


class DamagedStore(NodeTest):
    def configured(self, name, history, *options):
        return self.start_configured(name, {"history": history}, *options)

    def fill(self, node, text):
        file = self.directory / "values.json"
        file.write_text(json.dumps({f"key {i}": f"{text} {i}" for i in range(VALUES)}))
        node.do("context", "import", file)

    def change(self, node, statement):
        """Changes the database of a node that has stopped."""
        database = sqlite3.connect(node.data / "context.db")
        with database:
            self.assertGreater(database.execute(statement).rowcount, 0)
        database.close()

    def problems(self, node):
        return "\n".join(node.ask("node", "info").get("problems", []))

    def lose_key_7(self, node):
        """And its neighbours in the file, of which '/key 1' is none."""
        self.assertLess(node.query("SELECT min(first) FROM blocks"), "/key 1")
        self.change(node, """UPDATE blocks SET hash = hash + 1 WHERE first =
                             (SELECT max(first) FROM blocks WHERE first <= '/key 7')""")

    def test_a_damaged_value_comes_back_from_the_log(self):
        node = self.configured("a", 100_000)
        self.fill(node, "text")
        before = node.root_hash()
        self.assertEqual(node.stop(), SUCCESS)
        self.lose_key_7(node)
        node.start()
        self.assertEqual(node.root_hash(), before)
        self.assertEqual(node.ask("context", "get", "/key 7"), "text 7")
        self.assertIn("context.repaired", node.log_text())
        self.assertRegex(self.problems(node), "entries from '/key .*nothing is known to be missing")
        self.assertRegex(node.do("node", "info"), r"(?m)^problem +block \d+ \(entries from")
        self.assertTrue((node.data / "context.damaged" / "context.db").exists())
        self.assertEqual(node.stop(), SUCCESS)
        node.start()
        self.assertEqual(self.problems(node), "")
        self.assertEqual(node.root_hash(), before)
        self.stop_all()

    def test_without_a_log_the_values_come_back_from_another_member(self):
        a = self.configured("a", 0)
        b = self.configured("b", 0, "--join", a.address)
        wait_until(lambda: a.ask("node", "info")["members"] == 2)
        self.fill_until_collected(a, b)
        self.assertEqual(a.stop(), SUCCESS)
        b.do("context", "set", "/only here", "1")
        self.assertEqual(b.stop(), SUCCESS)
        self.lose_key_7(b)
        b.start("--config", self.directory / "b.toml", "--listen", "127.0.0.1:0",
                "--no-discovery")
        self.assert_refused(b.run("context", "get", "/key 1"), UNAVAILABLE,
                            "was damaged.*export --salvaged")
        self.assert_refused(b.run("context", "set", "/x", "1"), UNAVAILABLE, "takes no writes")
        self.assert_refused(b.run("context", "export"), UNAVAILABLE, "was damaged")
        self.assertEqual(b.ask("context", "get", "/key 1", "--salvaged"), "text 1")
        self.assertEqual(b.run("context", "get", "/key 7", "--salvaged").returncode, NOT_FOUND)
        self.assertRegex(self.problems(b), "could be read. It is read-only until")
        a.start("--no-discovery", "--join", b.address)
        wait_until(lambda: b.run("context", "get", "/key 7").returncode == SUCCESS, 30)
        wait_until(lambda: a.root_hash() == b.root_hash(), 30)
        self.assertIn("context.restored", b.log_text())
        self.assertEqual(b.ask("context", "get", "/only here"), 1)
        self.assertEqual(a.ask("context", "get", "/only here"), 1)
        self.assertEqual(b.ask("node", "info")["entries"], VALUES + 1)
        b.do("context", "set", "/again", "2", "--durability", "all")
        self.assertEqual(b.stop(), SUCCESS)
        b.start("--no-discovery", "--listen", "127.0.0.1:0")
        self.assertEqual(b.ask("context", "get", "/key 7"), "text 7")
        self.assertEqual(self.problems(b), "")
        self.stop_all()

    def fill_until_collected(self, node, on):
        """Until a log lacks what its checkpoint has. One is due after 20,000 changes."""
        for text in ("a", "b", "c", "d", "e", "f", "text"):
            self.fill(node, text)
        wait_until(lambda: on.query("SELECT count(*) FROM meta WHERE key = 'log_base'") > 0, 60)

    def test_without_log_and_members_what_is_left_can_be_saved(self):
        node = self.configured("a", 0)
        self.fill_until_collected(node, node)
        self.assertEqual(node.stop(), SUCCESS)
        self.lose_key_7(node)
        node.start()
        saved = self.directory / "saved.json"
        node.do("context", "export", "--salvaged", "--output", saved)
        values = json.loads(saved.read_text())
        self.assertIn("key 1", values)
        self.assertNotIn("key 7", values)
        self.assertGreater(len(values), VALUES / 3)
        other = self.start(name="other")
        other.do("context", "import", saved)
        self.assertEqual(other.ask("node", "info")["entries"], len(values))
        self.stop_all()

    def test_a_directory_without_its_database_is_not_begun_anew(self):
        node = self.start()
        node.do("context", "set", "/a", "1")
        self.assertEqual(node.stop(), SUCCESS)
        shutil.move(node.data / "context.db", self.directory / "kept.db")
        files = sorted(each.name for each in node.data.iterdir())
        for make in (lambda: None, (node.data / "context.db").touch):
            make()
            refused = troupe("run", "--data-dir", node.data)
            self.assertEqual(refused.returncode, DAMAGED, refused.stderr)
            self.assertRegex(refused.stderr, "Put the file back.*delete 'context.id'")
        (node.data / "context.db").unlink()
        self.assertEqual(sorted(each.name for each in node.data.iterdir()), files)
        shutil.move(self.directory / "kept.db", node.data / "context.db")
        node.start()
        self.assertEqual(node.ask("context", "get", "/a"), 1)
        self.stop_all()

    def test_a_copied_directory_does_not_run_beside_the_original(self):
        node = self.start(*ALONE)
        node.do("context", "set", "/a", "1")
        copy = self.directory / "copy"
        shutil.copytree(node.data, copy, ignore=shutil.ignore_patterns("*.sock"))
        refused = troupe("run", "--data-dir", copy, *ALONE, "--join", node.address)
        self.assertEqual(refused.returncode, USAGE, refused.stderr)
        self.assertRegex(refused.stderr, f"runs already, as process {node.pid}")
        node.do("context", "set", "/b", "2")
        self.assertEqual(node.stop(), SUCCESS)
        # A backup is taken when the original has ended. It knows what it knew.
        backup = self.node("copy").start(*ALONE)
        self.assertEqual(backup.ask("context", "get", "/a"), 1)
        self.assertEqual(backup.run("context", "get", "/b").returncode, NOT_FOUND)
        self.stop_all()

    def test_flipped_and_torn_bytes_lose_nothing_silently(self):
        node = self.configured("a", 100_000)
        self.fill(node, "text")
        self.assertEqual(node.stop(), SUCCESS)
        kept = self.directory / "kept"
        shutil.copytree(node.data, kept)
        whole = (kept / "context.db").read_bytes()
        drawn = random.Random(7)
        expected = {f"key {i}": f"text {i}" for i in range(VALUES)}
        for tried in range(12):
            at = drawn.randrange(len(whole))
            length = drawn.choice((1, 1, 64, 4096))
            if tried % 3 == 2:  # the disk has written only the first part of a page
                at, length = at // 4096 * 4096 + 512, 4096 - 512
            damage = drawn.randbytes(min(length, len(whole) - at))
            with self.subTest(at=at, length=length):
                shutil.rmtree(node.data)
                shutil.copytree(kept, node.data)
                (node.data / "context.db").write_bytes(
                    whole[:at] + damage + whole[at + len(damage):])
                node.log.unlink()
                node.start("--config", self.directory / "a.toml", *ALONE)
                problems = self.problems(node)
                salvaged = ["--salvaged"] if "read-only" in problems else []
                values = node.ask("context", "export", *salvaged)
                self.assertEqual({key: value for key, value in values.items()
                                  if expected.get(key) != value}, {})
                if len(values) < VALUES:
                    self.assertRegex(problems, "could be read|are lost|is missing")
                self.assertEqual(node.stop(), SUCCESS)
        self.stop_all()

    def test_a_damaged_write_ahead_file_is_reported_and_an_unfinished_one_is_not(self):
        node = self.start()
        for i in range(30):
            node.do("context", "set", f"/v{i}", "1")
        node.stop(signal.SIGKILL)
        wal = node.data / "context.db-wal"
        whole = wal.read_bytes()
        kept = self.directory / "kept"
        shutil.copytree(node.data, kept, ignore=shutil.ignore_patterns("*.sock"))
        wal.write_bytes(whole[:-3000])  # the last commit was cut off
        node.start()
        self.assertNotIn("context.wal_damaged", node.log_text())
        self.assertGreaterEqual(node.ask("node", "info")["entries"], 28)
        node.stop(signal.SIGKILL)
        shutil.rmtree(node.data)
        shutil.copytree(kept, node.data)
        middle = len(whole) // 2 // 4 * 4  # the lowest byte of a word
        wal.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:])
        node.start()  # one wrong bit can be told
        self.assertIn("context.wal_repaired", node.log_text())
        self.assertEqual(node.ask("node", "info")["entries"], 30)
        node.stop(signal.SIGKILL)
        shutil.rmtree(node.data)
        shutil.copytree(kept, node.data)
        wrong = bytes(each ^ 0xff for each in whole[middle:middle + 64])
        wal.write_bytes(whole[:middle] + wrong + whole[middle + 64:])
        node.start()
        self.assertIn("context.wal_damaged", node.log_text())
        self.assertRegex(self.problems(node), "write-ahead file was damaged at frame .*are lost")
        entries = node.ask("node", "info")["entries"]
        self.assertTrue(5 < entries < 28, entries)
        self.assertEqual((node.data / "context.damaged" / "copied-wal").stat().st_size, len(whole))
        self.stop_all()


if __name__ == "__main__":
    unittest.main()
