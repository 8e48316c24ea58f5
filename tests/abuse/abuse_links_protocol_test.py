"""Links that break the protocol: broken frames, wrong openings and wrong requests. The node tells
them why, ends their links where it must, and continues."""

import os
import pathlib
import random
import sys
import time
import unittest
import uuid

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from hostile_links import LinkTest  # noqa: E402
from raw_link import PROTOCOL, RawLink  # noqa: E402


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
        self.check_refused(RawLink.peer, "invalid_argument", "a peer must send its node id",
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
