"""Nodes whose clock is wrong: they say so, their peers say so, and an operator ends it, so that
what was written at a wrong time does not win conflicts for years."""

import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (  # noqa: E402
    ALONE, FAILED, SUCCESS, NodeTest, environment, wait_until)

FAULTY_CLOCK = os.environ["TROUPE_FAULTY_CLOCK"]
TWO_HOURS = 7200


class WrongClock(NodeTest):
    def setUp(self):
        super().setUp()
        self.switch = self.directory / "clock"

    def start_with_clock(self, node, *options):
        sanitizer = os.environ.get("ASAN_OPTIONS", "")
        return node.start(*ALONE, *options, env=environment(
            LD_PRELOAD=FAULTY_CLOCK, FAULTY_CLOCK_SWITCH=str(self.switch),
            ASAN_OPTIONS=f"{sanitizer}:verify_asan_link_order=0"))

    def problems(self, node):
        return "\n".join(node.ask("node", "info")["problems"])

    def test_times_of_a_clock_that_was_wrong_are_told_and_corrected(self):
        node = self.node()
        self.assert_refused(self.start_with_clock(node).run("context", "clock", "--correct"),
                            FAILED, "there is nothing to correct")
        self.switch.write_text(str(TWO_HOURS))
        node.do("context", "set", "/a", "wrong")
        self.switch.unlink()
        wait_until(lambda: "ahead of its clock" in self.problems(node))
        node.do("context", "set", "/a", "still wrong")  # later than what it overwrites
        self.assertIn("context.clock_ahead", node.log_text())
        self.assertRegex(node.do("context", "clock"),
                         r"this node's changes are (2 h|1 h 59 min).* ahead of its clock")
        self.assertIn("ahead of this node's clock", node.do("context", "explain", "/a"))
        self.assertIn("stop the node and start it again",
                      node.run("context", "clock", "--correct").stdout)
        self.assertEqual(node.stop(), SUCCESS)
        self.start_with_clock(node)
        node.do("context", "set", "/b", "right")
        self.assertEqual(node.ask("context", "clock")["ahead_ms"], 0)
        self.assertEqual(self.problems(node), "")
        # A correction changes no value, and what overwrites one is there.
        self.assertEqual(node.ask("context", "get", "/a"), "still wrong")
        node.do("context", "set", "/a", "right")
        self.assertEqual(node.ask("context", "get", "/a"), "right")
        self.stop_all()

    def test_a_clock_that_turns_wrong_is_told_by_all(self):
        first = self.start(*ALONE, name="first")
        second = self.start(*ALONE, "--join", first.address, name="second")
        wrong = self.start_with_clock(self.node("wrong"), "--join", first.address,
                                      "--join", second.address)
        wait_until(lambda: all(node.ask("node", "info")["members"] == 3
                               for node in (first, second, wrong)))
        for node in (first, second, wrong):
            self.assertEqual(self.problems(node), "")
        self.switch.write_text(str(TWO_HOURS))
        wait_until(lambda: "set it right" in self.problems(wrong), 30)
        self.assertIn("ahead of those of most nodes", self.problems(wrong))
        for node in (first, second):
            wait_until(lambda: "the clock of node" in self.problems(node), 30)
        self.assertIn("set this machine's clock right", wrong.run("context", "clock").stderr)
        # Changes that come from the future are taken, and replicas agree.
        wrong.do("context", "set", "/a", "1", "--durability", "all")
        for node in (first, second):
            self.assertEqual(node.ask("context", "get", "/a"), 1)
        self.switch.unlink()
        for node in (first, second, wrong):
            wait_until(lambda: "set it right" not in self.problems(node) and
                       "set the one right" not in self.problems(node), 30)
        self.stop_all()


if __name__ == "__main__":
    unittest.main()
