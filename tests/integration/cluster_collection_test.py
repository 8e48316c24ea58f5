"""Real nodes whose logs do not keep everything: who comes late gets the state as a whole, who was
away loses nothing, and what was deleted leaves the disks."""

import json
import pathlib
import re
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import NodeTest, wait_until  # noqa: E402

VALUES = 12_000


class ClusterCollection(NodeTest):
    def start_with_short_log(self, name, *options):
        return self.start_configured(name, {"history": 50}, *options)

    def fill(self, node, text):
        file = self.directory / "values.json"
        file.write_text(json.dumps({f"key {i}": f"{text} {i}" for i in range(VALUES)}))
        node.do("context", "import", file)

    def tombstones_collected(self, node):
        return sum(map(int, re.findall(r"context.tombstones_collected tombstones=(\d+)",
                                       node.log_text())))

    def assert_equal_states(self, *nodes):
        wait_until(lambda: len({node.root_hash() for node in nodes}) == 1, 30)

    def test_who_comes_late_gets_the_state_that_no_log_has(self):
        a = self.start_with_short_log("a")
        for text in ("first", "second", "third"):
            self.fill(a, text)
        # A checkpoint is due every 20,000 changes; what it holds leaves the log.
        wait_until(lambda: a.changes_in_log() < 20_000, 30)
        b = self.start_with_short_log("b", "--join", a.address)
        self.assert_equal_states(a, b)
        self.assertIn("context.state_joined", b.log_text())
        self.assertEqual(b.ask("context", "get", "/key 7"), "third 7")
        self.assertEqual(b.ask("node", "info")["entries"], VALUES)
        # It is on the disk of the newcomer, and writes go on both ways.
        a.do("context", "set", "/key 7", "fourth")
        wait_until(lambda: b.ask("context", "get", "/key 7") == "fourth")
        b.do("context", "set", "/new", "1", "--durability", "all")
        b.stop(signal.SIGKILL)
        b.start("--no-discovery", "--listen", "127.0.0.1:0")
        self.assertEqual(b.ask("node", "info")["entries"], VALUES + 1)
        self.assertEqual(b.ask("context", "get", "/key 7"), "fourth")
        self.assertEqual(a.ask("context", "get", "/new"), 1)

    def test_who_was_away_gets_all_that_it_missed_from_the_log(self):
        a = self.start_with_short_log("a")
        b = self.start_with_short_log("b", "--join", a.address)
        wait_until(lambda: a.ask("node", "info")["members"] == 2)
        a.do("context", "set", "/old", "1", "--durability", "all")
        b.stop()
        self.fill(a, "first")
        self.fill(a, "second")
        a.do("context", "delete", "/old")
        b.start("--listen", "127.0.0.1:0", "--join", a.address, "--no-discovery")
        self.assert_equal_states(a, b)
        self.assertNotIn("context.state_joined", b.log_text())
        self.assertEqual(b.ask("node", "info")["entries"], VALUES)
        # Now that all members have it, the log lets it go.
        self.fill(a, "third")
        wait_until(lambda: a.changes_in_log() < 20_000, 30)

    def test_what_was_deleted_leaves_the_disks_of_all_members(self):
        a = self.start_with_short_log("a")
        b = self.start_with_short_log("b", "--join", a.address)
        wait_until(lambda: b.ask("node", "info")["members"] == 2)
        for i in range(20):
            a.do("context", "set", f"/gone/{i}", "1")
        a.do("context", "set", "/stays", "1", "--durability", "all")
        for i in range(20):
            (a if i % 2 else b).do("context", "delete", f"/gone/{i}")
        wait_until(lambda: all(self.tombstones_collected(node) == 20 for node in (a, b)), 60)
        self.assert_equal_states(a, b)
        # What is written where something was deleted is no conflict.
        b.do("context", "set", "/gone/1", "2", "--durability", "all")
        self.assertEqual(a.ask("node", "info")["conflicts"], 0)
        for node in (a, b):
            node.stop()
            head = node.query("SELECT bytes FROM meta WHERE key = 'checkpoint'")
            entries = head[head.index(b"\xa7entries") + len(b"\xa7entries")]
            self.assertEqual(entries, 4)  # two values and two members


if __name__ == "__main__":
    unittest.main()
