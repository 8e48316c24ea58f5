"""A node that is killed again and again while it writes at every level of durability: nothing that
was acknowledged as durable or better is ever lost."""

import os
import pathlib
import random
import signal
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import NodeTest, wait_until  # noqa: E402
from raw_link import RawLink  # noqa: E402

KILLS = int(os.environ.get("TROUPE_KILLS", "200"))
LEVELS = ("memory", "durable", "majority", "all")


class Writer(threading.Thread):
    """Counts up the value at a path of its own, and keeps the last one that was acknowledged."""

    def __init__(self, node, level):
        super().__init__()
        self.link = RawLink.client(node)
        self.link.open()
        self.level = level
        self.next = 1
        self.acknowledged = 0

    def begin(self, node, number):
        fresh = Writer(node, self.level)
        fresh.next = number
        fresh.acknowledged = self.acknowledged
        fresh.start()
        return fresh

    def run(self):
        try:
            with self.link:
                while True:
                    number = self.next
                    self.next += 1
                    answer = self.link.ask("context.set", path=f"/{self.level}", value=number,
                                           durability=self.level)
                    if answer is None:
                        return
                    if answer[0] is None:
                        self.acknowledged = number
        except OSError:
            pass  # the node was killed


class Kills(NodeTest):
    def test_nothing_acknowledged_is_lost(self):
        seed = int(os.environ.get("TROUPE_SEED", "7"))
        chance = random.Random(seed)
        stays = self.start("--listen", "127.0.0.1:0", "--no-discovery", name="stays")
        options = ("--listen", "127.0.0.1:0", "--no-discovery", "--join", stays.address)
        killed = self.start(*options, name="killed")
        wait_until(lambda: killed.ask("node", "info")["members"] == 2)
        writers = [Writer(killed, level) for level in LEVELS]
        for each in writers:
            each.start()
        answered = {level: 0 for level in LEVELS}
        for kill in range(KILLS):
            threading.Event().wait(chance.uniform(0.0, 0.15))  # seconds of load, not a wait
            killed.stop(signal.SIGKILL)
            for each in writers:
                each.join(20)
                self.assertFalse(each.is_alive(), each.level)
            killed.start(*options)
            for at, each in enumerate(writers):
                found = self.value_at(killed, each.level)
                if each.level != "memory":
                    self.assertGreaterEqual(found, each.acknowledged,
                                            f"{each.level}, kill {kill} of seed {seed}")
                self.assertLess(found, each.next)
                answered[each.level] = max(answered[each.level], each.acknowledged)
                if each.level in ("majority", "all"):
                    self.assertGreaterEqual(self.value_at(stays, each.level), each.acknowledged)
                writers[at] = each.begin(killed, each.next)
        killed.stop(signal.SIGKILL)
        for each in writers:
            each.join(20)
        killed.start(*options)
        wait_until(lambda: killed.root_hash() == stays.root_hash(), 30)
        self.assertTrue(all(answered.values()), answered)
        print(f"seed {seed}: {KILLS} kills, acknowledged {answered}")
        self.stop_all()

    def value_at(self, node, level):
        with RawLink.client(node) as link:
            link.open()
            error, found = link.ask("context.get", path=f"/{level}")
            self.assertIsNone(error)
            return found.get("value", 0) if found["found"] else 0


if __name__ == "__main__":
    unittest.main()
