"""A program that starts, writes once and stops, again and again, while another member is away: it
is as fast at the end as at the beginning, and nothing is lost."""

import os
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import SUCCESS, NodeTest, wait_until  # noqa: E402

STARTS = int(os.environ.get("TROUPE_REAL_STARTS", "2000"))
PART = STARTS // 10  # is compared: the first starts with the last ones


class RealStarts(NodeTest):
    def test_starts_cost_the_same_however_many_came_before(self):
        away = self.start("--listen", "127.0.0.1:0", "--no-discovery", name="away")
        options = ("--listen", "127.0.0.1:0", "--no-discovery", "--join", away.address)
        node = self.start(*options, name="node")
        wait_until(lambda: node.ask("node", "info")["members"] == 2)
        self.assertEqual(away.stop(), SUCCESS)
        self.assertEqual(node.stop(), SUCCESS)
        seconds = []
        for number in range(STARTS):
            began = time.monotonic()
            node.start(*options)
            node.do("context", "set", f"/starts/{number % 100}", str(number))
            self.assertEqual(node.stop(), SUCCESS)
            seconds.append(time.monotonic() - began)
        first, last = (sum(part) / PART for part in (seconds[:PART], seconds[-PART:]))
        print(f"{STARTS} starts: the first {PART} took {first:.3f} s each, the last {last:.3f} s")
        self.assertLess(last, 1.5 * first)
        away.start("--listen", away.address, "--no-discovery")
        node.start(*options)
        wait_until(lambda: away.root_hash() == node.root_hash(), 120)
        self.assertEqual(away.ask("context", "get", f"/starts/{(STARTS - 1) % 100}"), STARTS - 1)
        self.assertEqual(away.ask("node", "info")["entries"], min(STARTS, 100))
        self.stop_all()


if __name__ == "__main__":
    unittest.main()
