"""Hostile nodes: peers with an open session that lie."""

import pathlib
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from hostile_links import LinkTest  # noqa: E402
from nodes import wait_until  # noqa: E402
from raw_link import RawLink  # noqa: E402


class HostilePeers(LinkTest):
    """Nodes with an open session that lie."""

    def peer(self, node=None):
        link = RawLink.peer(self.served)
        link.open_peer(self.cluster(), node or uuid.uuid4().bytes)
        return link

    def test_nonsense_between_replicas_ends_the_exchange_and_changes_nothing(self):
        garbage = [{}, {"records": 5}, {"records": [{}]}, {"records": [{"path": "no"}]},
                   {"records": [None] * 1000}, {"number": -1},
                   {"vector": [["x", 1]]}, {"version": 99}, {"ranges": [[0, 1 << 63]]},
                   {"records": [{"dot": {"origin": b"x", "counter": 1}}]}]
        for method in ("sync.hello", "sync.push", "sync.pull", "sync.ack", "sync.heads",
                       "sync.stop"):
            for parameters in garbage:
                with self.subTest(method=method, parameters=str(parameters)[:60]):
                    with self.peer() as link:
                        link.send([2, method, [parameters]])
                        if method == "sync.stop":  # there is no such notification
                            self.assertIsNone(link.ask("ping", seconds=3)[0])
                        else:
                            told = [frame for frame in link.closed(5)
                                    if frame[:2] == [2, "session.closed"]]
                            self.assertEqual(len(told), 1)
        self.logged(r"context\.sync_ended")

    def test_addresses_that_lead_nowhere_are_bounded(self):
        with self.peer() as link:
            many = [f"127.0.0.1:{port}" for port in range(1, 3000)]
            link.send([2, "peers.known", [{"addresses": many}]])
            bad = ["no address", "", "x" * 10_000, "\x1b[31m:1", "127.0.0.1:0"]
            link.send([2, "peers.known", [{"addresses": bad}]])
            link.send([2, "peers.known", [{"addresses": 7}]])
            self.assertIsNone(link.ask("ping")[0])
            wait_until(lambda: len(self.served.ask("node", "peers")) > 10)
            self.assertLessEqual(len(self.served.ask("node", "peers")), 300)
            self.assertNotRegex(self.served.do("node", "peers"),
                                "[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]")

    def test_one_identity_on_many_links_is_one_peer(self):
        node = uuid.uuid4().bytes
        links = [self.peer(node) for _ in range(20)]
        wait_until(lambda: sum(p["connected"] for p in self.served.ask("node", "peers")) <= 1)
        for link in links:
            link.socket.close()
        wait_until(lambda: not any(p["connected"] for p in self.served.ask("node", "peers")))

    def test_a_name_with_control_sequences_cannot_command_the_terminal(self):
        with RawLink.peer(self.served) as link:
            link.open("peer", "\x1b[2Jowned\r\n\u009b31m", cluster=self.cluster(),
                      node=uuid.uuid4().bytes, incarnation=1)
            wait_until(lambda: any(p["connected"] for p in self.served.ask("node", "peers")))
            self.assertNotRegex(self.served.do("node", "peers"),
                                "[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]")


if __name__ == "__main__":
    unittest.main(verbosity=2)
