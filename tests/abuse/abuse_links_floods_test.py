"""Links that send more than a node accepts, or that do not read."""

import pathlib
import socket
import sys
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from hostile_links import LinkTest  # noqa: E402
from nodes import SUCCESS, wait_until  # noqa: E402
from raw_link import PROTOCOL, RawLink  # noqa: E402


class Counts(LinkTest):
    def test_more_requests_at_once_than_allowed_end_the_link(self):
        self.served.process.send_signal(19)  # stopped, so that requests accumulate
        try:
            link = RawLink.client(self.served)
            opening = {"protocol": PROTOCOL, "kind": "client", "name": "flood"}
            link.send([0, 1, "session.open", [opening]])
            link.send_bytes(b"".join(msgpack.packb([0, 10 + i, "context.verify", [{}]])
                                     for i in range(3000)))
        finally:
            self.served.process.send_signal(18)
        frames = link.closed(10)
        link.socket.close()
        self.logged(r"link\.ended .*more than 1024 requests at once")
        self.assertLess(len(frames), 3000)

    def test_requests_that_are_cancelled_at_once_are_all_answered_and_the_link_continues(self):
        with self.opened("client", RawLink.client) as link:
            link.send_bytes(b"".join(msgpack.packb([0, 10 + i, "context.verify", [{}]]) +
                                     msgpack.packb([2, "cancel", [{"msgid": 10 + i}]])
                                     for i in range(3000)))
            answers = {}
            while len(answers) < 3000:
                frame = link.receive()
                self.assertEqual(frame[0], 1)
                answers[frame[1]] = frame[2]
            self.assertLessEqual({failure[0] for failure in answers.values() if failure},
                                 {"cancelled", "overloaded"})
            wait_until(lambda: link.ask("context.get", path="/kept")[0] is None)

    def test_an_id_in_use_ends_the_link(self):
        with self.opened("client", RawLink.client) as link:
            link.send_bytes(2 * msgpack.packb([0, 5, "context.verify", [{}]]))
            link.closed(5)
        self.logged(r"link\.ended .*request id 5 is in use")

    def test_replies_without_a_request_are_violations_and_end_the_link(self):
        for label, make in self.links():
            with self.opened(label, make) as link:
                for i in range(200):
                    try:
                        link.send([1, 0xdead0000 + i, None, None])
                    except OSError:
                        break
                link.closed(5)
        self.logged(r"link\.ended .*too many violations, the last: a reply to no open call")

    def test_a_client_that_does_not_read_harms_only_itself(self):
        with self.opened("client", RawLink.client) as setup:
            setup.ask("context.set", path="/big", value="x" * 1_000_000)
            before = self.served.memory()
            with self.opened("client", RawLink.client) as link:
                link.socket.settimeout(3)
                try:
                    for i in range(2000):
                        link.send([0, 1000 + i, "context.get", [{"path": "/big"}]])
                except OSError:
                    pass  # as intended, the node reads no more
                self.assertLess(self.served.memory() - before, 200 << 20)
                self.assertEqual(self.served.do("context", "get", "/kept"), "value\n")
            self.assertIsNone(setup.ask("context.delete", path="/big")[0])
        self.before = self.served.root_hash()  # it includes the deletion

    def test_a_flood_of_notifications_does_not_flood_the_log(self):
        for label, make in self.links():
            with self.opened(label, make) as link:
                link.send_bytes(b"".join(msgpack.packb([2, f"no.such.{i}", [{}]])
                                         for i in range(20_000)))
                self.assertIsNone(link.ask("ping")[0])
                self.logged(rf'link\.notifications_refused link="{label}" more=\d+')
        self.assertLess(self.served.log_text().count("link.notification_refused"), 1000)

    def test_many_connections_are_refused_and_the_node_recovers(self):
        held, place = [], str(self.served.data / "troupe.sock")
        try:
            for _ in range(400):
                held.append(socket.socket(socket.AF_UNIX))
                held[-1].setblocking(False)
                wait_until(lambda: held[-1].connect_ex(place) == 0)  # the backlog may be full
            self.logged(r"link\.refused .*too many connections")
        finally:
            for probe in held:
                probe.close()
        wait_until(lambda: self.served.run("node", "info").returncode == SUCCESS)
        self.assertEqual(self.served.do("context", "get", "/kept"), "value\n")

    def test_single_bytes_add_up_to_a_frame(self):
        opening = {"protocol": PROTOCOL, "kind": "client", "name": "slow"}
        with RawLink.client(self.served) as link:
            for byte in msgpack.packb([0, 1, "session.open", [opening]]):
                link.send_bytes(bytes([byte]))
            self.assertEqual(link.receive()[:3], [1, 1, None])


if __name__ == "__main__":
    unittest.main(verbosity=2)
