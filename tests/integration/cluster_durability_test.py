"""Three real nodes: writes that wait for other members."""

import pathlib
import re
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import TIMEOUT, USAGE, NodeTest, wait_until  # noqa: E402


class ClusterDurability(NodeTest):
    def start_three(self):
        a = self.start("--listen", "127.0.0.1:0", "--no-discovery", name="a")
        b = self.start("--listen", "127.0.0.1:0", "--join", a.address, "--no-discovery", name="b")
        c = self.start("--listen", "127.0.0.1:0", "--join", a.address, "--join", b.address,
                       "--no-discovery", name="c")
        for node in (a, b, c):
            wait_until(lambda: node.ask("node", "info")["members"] == 3)
        return a, b, c

    def test_a_write_waits_for_members_and_says_when_it_does_not_know(self):
        a, b, c = self.start_three()
        a.do("context", "set", "/all", "1", "--durability", "all")
        # It is on their disks: they have it after a kill at once.
        b.stop(signal.SIGKILL)
        b.start("--no-discovery")
        self.assertEqual(b.ask("context", "get", "/all"), 1)
        b.stop(signal.SIGKILL)
        a.do("context", "set", "/most", "2", "--durability", "majority")
        self.assertEqual(c.ask("context", "get", "/most"), 2)
        late = a.run("context", "set", "/late", "3", "--durability", "all", "--deadline", 1500)
        self.assert_refused(late, TIMEOUT, "on the disk of this node.*unknown: 1 of the 2")
        self.assertEqual(a.ask("context", "get", "/late"), 3)
        c.stop(signal.SIGKILL)
        late = a.run("context", "delete", "/most", "--durability", "majority", "--deadline", 1500)
        self.assert_refused(late, TIMEOUT, "unknown: 0 of the 1")
        a.do("context", "set", "/own", "4", "--durability", "durable")

    def test_members_are_hidden_from_those_who_do_not_ask_for_them(self):
        a, b, _ = self.start_three()
        a.do("context", "set", "/v", "1", "--durability", "all")
        self.assertEqual([each["path"] for each in b.ask("context", "list", "/")], ["/v"])
        self.assertEqual(b.ask("node", "info")["entries"], 1)
        members = [each["path"] for each in b.ask("context", "list", "/_sys/members")]
        self.assertEqual(len(members), 3)
        self.assertIn("/_sys/members/" + a.ask("node", "info")["id"], members)

    def test_a_node_alone_waits_for_nobody(self):
        alone = self.start()
        alone.do("context", "set", "/v", "1", "--durability", "all")
        self.assertEqual(alone.ask("node", "info")["members"], 1)
        wrong = alone.run("context", "set", "/v", "1", "--durability", "most")
        self.assertEqual(wrong.returncode, USAGE)
        self.assertTrue(re.search("memory.*durable.*majority.*all", wrong.stderr), wrong.stderr)


if __name__ == "__main__":
    unittest.main()
