"""Hostile clients and hostile nodes: links that break the protocol. The node tells them why, ends
their links, and continues."""

import os
import pathlib
import random
import re
import socket
import sys
import time
import unittest
import uuid

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import PACKAGES, SUCCESS, NodeTest, wait_until  # noqa: E402
from raw_link import PROTOCOL, RawLink  # noqa: E402


class LinkTest(NodeTest):
    OPTIONS = ()

    def setUp(self):
        super().setUp()
        self.served = self.start("--listen", "127.0.0.1:0", "--plugin", PACKAGES / "notes",
                                 *self.OPTIONS)
        self.served.do("context", "set", "/kept", "value")
        self.before = self.served.root_hash()

    def tearDown(self):
        self.assertIsNone(self.served.process.poll(), self.served.log_text()[-2000:])
        self.assertEqual(self.served.do("context", "get", "/kept"), "value\n")
        self.served.do("exec", "notes.count")
        self.assertEqual(self.served.root_hash(), self.before)
        self.assertEqual(self.served.run("context", "verify").returncode, SUCCESS)
        self.assertLess(self.served.memory(), 400 << 20)
        self.assertNotRegex(self.served.log_text(), "[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")
        self.stop_all()
        super().tearDown()

    def cluster(self):
        return uuid.UUID(self.served.ask("node", "info")["cluster"]).bytes

    def logged(self, pattern):
        wait_until(lambda: re.search(pattern, self.served.log_text()))

    def links(self):
        """Links to the client socket and to the peer port, each with its label in the log."""
        return [("client", RawLink.client), ("peer", RawLink.peer)]

    def opened(self, label, make):
        link = make(self.served)
        if label == "client":
            link.open()
        else:
            link.open_peer(self.cluster(), uuid.uuid4().bytes)
        return link


class BrokenFrames(LinkTest):
    BROKEN = [(b"\x94\x00\x01\xdb\xff\xff\xff\xff" + b"x" * 100, "a string of 4 GiB"),
              (b"\xdd\xff\xff\xff\xff", "an array of 4 Gi elements"),
              (b"\xdf\xff\xff\xff\xff", "a map of 4 Gi members"),
              (b"\xc6\xff\xff\xff\xff", "a binary of 4 GiB"),
              (b"\x91" * 100_000, "deep nesting"),
              (b"\x94\x00\x05\xa4\xff\xfe\xfd\xfc\x91\x80", "text that is not UTF-8"),
              (b"\xc1", "a byte without a meaning"),
              (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "another protocol"),
              (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
              (msgpack.packb([7, 1, "x", []]), "a frame of no kind"),
              (msgpack.packb([0, 1, "x"]), "a request that is too short"),
              (msgpack.packb([0, -1, "ping", [{}]]), "a negative id"),
              (msgpack.packb([0, 1 << 40, "ping", [{}]]), "an id that is too long"),
              (msgpack.packb([0, 1, 5, [{}]]), "a method that is a number"),
              (msgpack.packb([0, 1, "node.info", {}]), "parameters that are not an array"),
              (msgpack.packb([0, 1, "node.info", [1, 2]]), "parameters that are not a map"),
              (msgpack.packb({"a": 1}), "a map"),
              (msgpack.packb("x" * 9_000_000), "a frame beyond the bound")]

    def send(self, link, content):
        try:
            link.send_bytes(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the node ended the link during the send

    def test_each_ends_its_link_before_and_after_the_session_is_open(self):
        for label, make in self.links():
            for content, what in self.BROKEN:
                for is_open in (False, True):
                    with self.subTest(link=label, what=what, is_open=is_open):
                        with (self.opened(label, make) if is_open else make(self.served)) as link:
                            self.send(link, content)
                            frames = link.closed(5)
                            self.assertTrue(all(frame[0] != 1 or frame[2] for frame in frames),
                                            frames)
        self.logged(r"link\.ended .*code=(protocol_violation|limit_exceeded)")

    FRAMES = {0: [int, str, list], 1: [int, object, object], 2: [str, list]}

    def is_broken(self, content):
        """Whether these bytes begin with anything but a frame or a part of one."""
        reader = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=1 << 20)
        reader.feed(content)
        try:
            frame = reader.unpack()
        except msgpack.OutOfData:
            return False
        except Exception:  # msgpack has many exceptions for malformed bytes
            return True
        if not isinstance(frame, list) or not frame or type(frame[0]) is not int:
            return True
        kinds = self.FRAMES.get(frame[0])
        return kinds is None or len(kinds) != len(frame) - 1 or not all(
            isinstance(part, kind) for part, kind in zip(frame[1:], kinds))

    def test_noise_ends_its_link(self):
        noise = random.Random(20260101)
        broken = 0
        for turn in range(150):
            label, make = self.links()[turn % 2]
            with (self.opened(label, make) if turn % 4 > 1 else make(self.served)) as link:
                value = [1, "x" * 50, {"a": None}]
                written = [{"path": "/noise", "value": value}]
                frame = bytearray(msgpack.packb([0, 7, "context.set", written]))
                if turn % 3 == 0:
                    frame = bytearray(noise.randbytes(noise.randrange(1, 400)))
                else:
                    for _ in range(noise.randrange(1, 8)):
                        frame[noise.randrange(0, 12)] = noise.randrange(256)
                self.send(link, bytes(frame))
                if self.is_broken(bytes(frame)):
                    broken += 1
                    with self.subTest(turn=turn, frame=bytes(frame)):
                        link.closed(5)
        self.assertGreater(broken, 75)
        # Some may have been valid writes by chance. Deleting them makes the rest comparable.
        for entry in self.served.ask("context", "list"):
            if entry["path"] not in ("/kept",) and not entry["path"].startswith("/plugins"):
                self.served.do("context", "delete", entry["path"])
        self.before = self.served.root_hash()
        self.assertEqual(self.served.ask("context", "list", "/kept"),
                         [{"path": "/kept", "value": "value"}])


class Sessions(LinkTest):
    def check_refused(self, make, code, pattern, method="session.open", **parameters):
        with make(self.served) as link:
            answer = link.ask(method, **parameters)
            self.assertIsNotNone(answer, "the link ended without an answer")
            self.assertEqual(answer[0][0], code, answer)
            self.assertRegex(answer[0][1], pattern)
            self.assertEqual(link.closed(5), [])

    def test_a_wrong_opening_is_answered_with_the_reason(self):
        client = {"protocol": PROTOCOL, "kind": "client", "name": "test"}
        for make in (RawLink.client, RawLink.peer):
            self.check_refused(make, "protocol_violation", "first request must be session.open",
                               method="node.info")
            self.check_refused(make, "protocol_violation", "first request must be session.open",
                               method="ping")
            self.check_refused(make, "invalid_argument", "at most 64",
                               **{**client, "name": "n" * 65})
            self.check_refused(make, "version_mismatch", "7", **{**client, "protocol": [7, 9]})
            self.check_refused(make, "invalid_argument", "kind", **{**client, "kind": "king"})
            self.check_refused(make, "invalid_argument", "name", protocol=PROTOCOL, kind="client")
            self.check_refused(make, "permission_denied", "is for", **{**client, "kind": "plugin"})
        self.check_refused(RawLink.client, "permission_denied", "this socket is for clients",
                           **{**client, "kind": "peer"})
        self.check_refused(RawLink.peer, "permission_denied",
                           "this address is for peers; clients use the unix socket", **client)

    def test_a_node_of_another_cluster_or_without_an_id_is_refused(self):
        peer = {"protocol": PROTOCOL, "kind": "peer", "name": "evil", "incarnation": 1}
        own = self.served.ask("node", "info")
        self.check_refused(RawLink.peer, "permission_denied",
                           "the cluster id .* is not this node's",
                           **peer, cluster=bytes(16), node=uuid.uuid4().bytes)
        self.check_refused(RawLink.peer, "invalid_argument", "a peer must tell its node id",
                           **peer, cluster=self.cluster())
        self.check_refused(RawLink.peer, "already_exists", "the data directory was copied",
                           **peer, cluster=self.cluster(), node=uuid.UUID(own["id"]).bytes)
        for wrong in (b"short", b"x" * 17, "text", 5):
            self.check_refused(RawLink.peer, "invalid_argument", "cluster",
                               **peer, cluster=wrong, node=uuid.uuid4().bytes)
        self.assertEqual(self.served.ask("node", "peers"), [])

    def test_notifications_and_replies_before_the_session_end_the_link(self):
        for make in (RawLink.client, RawLink.peer):
            for message in ([2, "log", [{}]], [2, "cancel", [{"msgid": 1}]], [1, 1, None, None]):
                with self.subTest(message=message), make(self.served) as link:
                    link.send(message)
                    self.assertEqual(link.closed(3), [])
        self.logged(r"link\.ended .*the first message must be session\.open")

    def test_a_silent_link_is_ended(self):
        silent = [RawLink.client(self.served), RawLink.peer(self.served)]
        half = RawLink.peer(self.served)
        half.send_bytes(b"\x94\x00\x01\xacsession.open\x91\x84")
        begin = time.monotonic()
        for link in (*silent, half):
            self.assertEqual(link.closed(15), [])
            link.socket.close()
        self.assertLess(time.monotonic() - begin, 12)

    def test_another_user_cannot_reach_the_socket(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        os.chmod(self.directory, 0o755)
        child = os.fork()
        if child == 0:
            os.setgid(65534)
            os.setuid(65534)
            try:
                RawLink.client(self.served)
                os._exit(1)
            except OSError:
                os._exit(0)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual((self.served.data / "troupe.sock").stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.served.data.stat().st_mode & 0o077, 0)


class Methods(LinkTest):
    def test_a_peer_is_no_client(self):
        with self.opened("peer", RawLink.peer) as link:
            for method in ("context.get", "context.set", "context.import", "command.execute",
                           "command.list", "node.info", "node.stop", "node.peers",
                           "plugin.load", "plugin.grant", "plugin.unload", "audit.search",
                           "metrics.reset"):
                failure, _ = link.ask(method, path="/kept", value="mine", command="notes.count")
                self.assertEqual(failure[0], "permission_denied", method)
                self.assertIn("a peer may not call", failure[1])
            failure, _ = link.ask("session.open", protocol=PROTOCOL, kind="client", name="x")
            self.assertEqual(failure[0], "protocol_violation")

    def test_a_client_is_neither_peer_nor_plugin(self):
        with self.opened("client", RawLink.client) as link:
            for method in ("sync.hello", "sync.push", "sync.pull", "peers.known", "log"):
                self.assertEqual(link.ask(method)[0][0], "permission_denied", method)
            failure, _ = link.ask("context.gte", path="/kept")
            self.assertEqual(failure[0], "not_found")
            self.assertIn('did you mean "context.get"', failure[1])

    def test_wrong_parameters_are_named_and_change_nothing(self):
        with self.opened("client", RawLink.client) as link:
            for method, parameters, pattern in [
                    ("context.get", {}, "path"), ("context.get", {"path": 3}, "path"),
                    ("context.get", {"path": "kept"}, "must start with '/'"),
                    ("context.set", {"path": "/x"}, "value"),
                    ("context.set", {"path": "/x", "value": 1, "durability": "maybe"},
                     "durability"),
                    ("context.list", {"limit": -1}, "limit"),
                    ("context.list", {"limit": "many"}, "limit"),
                    ("context.import", {"entries": [{"path": "/x"}]}, "value"),
                    ("context.import", {"entries": 5}, "entries"),
                    ("command.execute", {}, "command"),
                    ("command.execute", {"command": "notes.count", "arguments": 5}, "arguments"),
                    ("plugin.load", {"package": 5}, "package"),
                    ("audit.search", {"limit": 1 << 40}, "limit"),
                    ("node.info", {"deadline_ms": "soon"}, "deadline"),
                    ("node.info", {"trace": b"short"}, "trace")]:
                with self.subTest(method=method, parameters=parameters):
                    failure, result = link.ask(method, **parameters)
                    self.assertEqual((failure[0], result), ("invalid_argument", None))
                    self.assertRegex(failure[1], pattern)
            self.assertIsNone(link.ask("ping")[0])

    def test_too_many_arguments_are_refused_by_their_number(self):
        with self.opened("client", RawLink.client) as link:
            failure, result = link.ask("command.execute", command="notes.count",
                                       arguments={f"p{i}": 0 for i in range(500_000)})
            self.assertEqual((failure[0], result), ("invalid_argument", None))
            self.assertRegex(failure[1], "500000 arguments; at most 256")
            self.assertIsNone(link.ask("ping")[0])

    def test_an_import_with_one_bad_entry_writes_none(self):
        with self.opened("client", RawLink.client) as link:
            failure, _ = link.ask("context.import",
                                  entries=[{"path": "/a", "value": 1}, {"path": "no", "value": 2}])
            self.assertEqual(failure[0], "invalid_argument")


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
