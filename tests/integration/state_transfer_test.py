"""A real node that is killed while it takes the whole state of another one: its next start goes on
with what had come."""

import json
import pathlib
import random
import re
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import ALONE, NodeTest, wait_until  # noqa: E402

VALUES = 30_000
SETTINGS = {"history": 0}


class StateTransfer(NodeTest):
    def filled(self):
        """A node whose log lacks most of what it has."""
        giver = self.start_configured("a", SETTINGS)
        seeded = random.Random(1)
        file = self.directory / "values.json"
        file.write_text(json.dumps({f"key {i}": f"{seeded.getrandbits(1600):x}"
                                    for i in range(VALUES)}))
        giver.do("context", "import", file)
        wait_until(lambda: giver.changes_in_log() < VALUES, 30)
        return giver

    def start_taker(self, giver):
        return self.start_configured("b", SETTINGS, "--join", giver.address)

    def file_of(self, node):
        return node.data / "context.transfer"

    def bytes_kept(self, node):
        try:
            return self.file_of(node).stat().st_size
        except FileNotFoundError:
            return 0

    def numbers(self, node, event):
        return list(map(int, re.findall(rf"{event} .*?entries=(\d+)", node.log_text())))

    def kill_on_the_way(self, giver):
        taker = self.start_taker(giver)
        wait_until(lambda: self.bytes_kept(taker) > 1_000_000, 30)
        taker.stop(signal.SIGKILL)
        self.assertEqual(self.numbers(taker, "context.state_joined"), [])
        return taker

    def restart(self, taker, giver):
        taker.start("--config", self.directory / "b.toml", *ALONE, "--join", giver.address)
        wait_until(lambda: taker.root_hash() == giver.root_hash(), 60)

    def test_a_transfer_goes_on_after_a_kill(self):
        giver = self.filled()
        taker = self.kill_on_the_way(giver)
        # What changes meanwhile is what comes again.
        giver.do("context", "set", "/key 7", "new")
        self.restart(taker, giver)
        found = self.numbers(taker, "context.transfer_found")
        came = self.numbers(taker, "context.state_joined")
        self.assertEqual((len(found), len(came)), (1, 1), taker.log_text())
        self.assertGreater(found[0], 1_000)
        self.assertLess(came[0], VALUES - found[0] + 500)
        self.assertEqual(taker.ask("context", "get", "/key 7"), "new")
        wait_until(lambda: not self.file_of(taker).exists())
        self.stop_all()

    def test_a_file_that_cannot_be_read_costs_nothing_but_time(self):
        giver = self.filled()
        taker = self.kill_on_the_way(giver)
        file = self.file_of(taker)
        file.write_bytes(b"\xff" + file.read_bytes()[1:])
        self.restart(taker, giver)
        self.assertEqual(self.numbers(taker, "context.transfer_found"), [])
        self.assertGreaterEqual(self.numbers(taker, "context.state_joined")[0], VALUES)
        wait_until(lambda: not file.exists())
        self.stop_all()


if __name__ == "__main__":
    unittest.main()
