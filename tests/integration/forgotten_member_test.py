"""Real members that do not come back, or too late: the cluster goes on without them, and who
comes back takes its state. Nothing that was deleted meanwhile comes back, and nothing is lost
silently."""

import json
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from nodes import (  # noqa: E402
    ALONE, FAILED, NOT_FOUND, SUCCESS, USAGE, NodeTest, wait_until)


class ForgottenMember(NodeTest):
    def configured(self, name, *options, lease_ms=600_000):
        return self.start_configured(name, {"history": 0, "member_lease_ms": lease_ms}, *options)

    def restart(self, node, *options):
        return node.start("--config", self.directory / f"{node.data.name}.toml", *ALONE, *options)

    def pair(self):
        a = self.configured("a")
        b = self.configured("b", "--join", a.address)
        wait_until(lambda: self.count(a) == 2 and self.count(b) == 2)
        return a, b

    def count(self, node):
        return len(node.ask("node", "members")["members"])

    def id_of(self, node):
        return node.ask("node", "info")["id"]

    def values(self, node):
        return node.ask("context", "export")

    def unsent(self, node):
        files = sorted((node.data / "context.unsent").glob("*.ndjson"))
        self.assertEqual(len(files), 1, files)
        self.assertEqual(files[0].stat().st_mode & 0o777, 0o600)
        self.assertEqual(files[0].parent.stat().st_mode & 0o777, 0o700)
        return files[0], [json.loads(line) for line in files[0].read_text().splitlines()]

    def test_a_forgotten_member_comes_back_without_what_was_deleted(self):
        a, b = self.pair()
        for name in ("kept", "deleted", "changed by both"):
            a.do("context", "set", f"/{name}", "old", "--durability", "all")
        b_id = self.id_of(b)
        self.assertEqual(b.stop(), SUCCESS)
        a.do("context", "delete", "/deleted")
        self.restart(b)
        b.do("context", "set", "/deleted", "late")
        b.do("context", "set", "/only here", '{"a": 1}')
        b.do("context", "delete", "/kept")
        self.assertEqual(b.stop(), SUCCESS)

        self.assertIn(f"the cluster goes on without node {b_id}", a.do("node", "forget", b_id))
        self.assertRegex(a.do("node", "members"), rf"(?m)^{b_id} +forgotten .* said by ")
        self.assertEqual(self.count(a), 1)
        # Nobody else may need the tombstone now.
        wait_until(lambda: "tombstones_collected" in a.log_text(), 30)

        self.restart(b, "--join", a.address)
        wait_until(lambda: self.count(a) == 2, 30)
        wait_until(lambda: b.run("node", "members").returncode == 0 and self.count(b) == 2, 30)
        wait_until(lambda: a.root_hash() == b.root_hash(), 30)
        expected = {"kept": "old", "changed by both": "old"}
        self.assertEqual(self.values(a), expected)
        self.assertEqual(self.values(b), expected)
        file, lines = self.unsent(b)
        self.assertEqual({line["path"]: line.get("value", line.get("erased")) for line in lines},
                         {"/deleted": "late", "/only here": {"a": 1}, "/kept": True})
        self.assertRegex("\n".join(b.ask("node", "info")["problems"]),
                         f"what only this node had is in '{file}'")
        for event in ("context.overruled", "context.unsent_kept", "context.restored"):
            self.assertIn(event, b.log_text())

        # It is a member like any other again, also after a restart.
        b.do("context", "set", "/new", "1", "--durability", "all")
        self.assertEqual(a.ask("context", "get", "/new"), 1)
        self.assertEqual(b.stop(), SUCCESS)
        self.restart(b, "--join", a.address)
        wait_until(lambda: a.root_hash() == b.root_hash())
        self.assertEqual(self.values(b), {**expected, "new": 1})
        self.assertEqual(len(list((b.data / "context.unsent").iterdir())), 1)
        self.stop_all()

    def test_a_lease_ends_by_itself_where_most_members_are_there(self):
        a = self.configured("a", lease_ms=2000)
        b = self.configured("b", "--join", a.address, lease_ms=2000)
        c = self.configured("c", "--join", a.address, "--join", b.address, lease_ms=2000)
        nodes = (a, b, c)
        wait_until(lambda: all(self.count(each) == 3 for each in nodes))
        a.do("context", "set", "/x", "1", "--durability", "all")
        gone = self.id_of(c)
        c.stop(signal.SIGKILL)
        wait_until(lambda: self.count(a) == 2 and self.count(b) == 2, 30)
        self.assertIn("context.lease_ended", a.log_text() + b.log_text())
        self.assertIn(f"{gone} ", a.do("node", "members"))
        a.do("context", "set", "/x", "2", "--durability", "all")

        # Of two members neither can know that it is not the one that is cut off.
        b_id = self.id_of(b)
        least, other = sorted(((self.id_of(a), a), (b_id, b)))
        least[1].stop(signal.SIGKILL)
        problem = wait_until(
            lambda: other[1].ask("node", "info").get("problems", []), 30)
        self.assertRegex(problem[0],
                         f"member {least[0]} has been away for .*node forget {least[0]}")
        self.assertEqual(self.count(other[1]), 2)

    def test_what_cannot_be_forgotten_is_refused_with_advice(self):
        a, b = self.pair()
        a_id, b_id = self.id_of(a), self.id_of(b)
        self.assert_refused(a.run("node", "forget", a_id), USAGE, "cannot forget itself")
        self.assert_refused(a.run("node", "forget", b_id), FAILED, "is connected.*stop it first")
        self.assert_refused(a.run("node", "forget", "b"), USAGE, "not the id of a node.*members")
        stranger = "00000000-0000-4000-8000-000000000000"
        self.assert_refused(a.run("node", "forget", stranger), NOT_FOUND, "is no member")
        self.assertEqual(b.stop(), SUCCESS)
        wait_until(lambda: a.run("node", "forget", b_id).returncode == SUCCESS)
        self.assert_refused(a.run("node", "forget", b_id), USAGE, "is forgotten already")
        self.stop_all()

    def test_nodes_that_have_forgotten_each_other_keep_what_they_have(self):
        a, b = self.pair()
        a.do("context", "set", "/both", "1", "--durability", "all")
        a_id, b_id = self.id_of(a), self.id_of(b)
        self.assertEqual(b.stop(), SUCCESS)
        a.do("node", "forget", b_id)
        a.do("context", "set", "/a", "1")
        address = a.address
        self.assertEqual(a.stop(), SUCCESS)
        self.restart(b)
        b.do("node", "forget", a_id)
        b.do("context", "set", "/b", "1")
        self.assertEqual(b.stop(), SUCCESS)
        a.start("--config", self.directory / "a.toml", "--listen", address, "--no-discovery")
        self.restart(b, "--join", address)
        wait_until(lambda: any(each["connected"] for each in b.ask("node", "peers")))
        wait_until(lambda: a.log_text().count("context.opened") == 2)
        self.assertEqual(self.values(a), {"both": 1, "a": 1})
        self.assertEqual(self.values(b), {"both": 1, "b": 1})
        for node in (a, b):
            self.assertNotIn("context.overruled ", node.log_text())
        self.stop_all()


if __name__ == "__main__":
    unittest.main()
