"""A node for tests that break the protocol of links.

After each test the node still runs, answers and has the same context, and its memory and log are
sound.
"""

import re
import uuid

from nodes import PACKAGES, SUCCESS, NodeTest, wait_until
from raw_link import RawLink


class LinkTest(NodeTest):
    OPTIONS = ()

    def setUp(self):
        super().setUp()
        self.served = self.start("--listen", "127.0.0.1:0", "--plugin", PACKAGES / "notes",
                                 *self.OPTIONS)
        self.served.do("context", "set", "/kept", "value")
        self.before = self.served.root_hash()
        self.member = "/_sys/members/" + self.served.ask("node", "info")["id"]

    def assert_nothing_changed(self):
        """The context is as before, but that the node may have become a member of its cluster."""
        if self.served.root_hash() == self.before:
            return
        members = self.served.ask("context", "list", "/_sys")
        self.assertEqual([each["path"] for each in members], [self.member])
        self.assertEqual(self.served.ask("context", "export", "/"), {"kept": "value"})

    def tearDown(self):
        self.assertIsNone(self.served.process.poll(), self.served.log_text()[-2000:])
        self.assertEqual(self.served.do("context", "get", "/kept"), "value\n")
        self.served.do("exec", "notes.count")
        self.assert_nothing_changed()
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
