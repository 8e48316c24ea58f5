"""Plugins that break the protocol: broken frames, wrong replies and false identities."""

import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from hostile import PRELUDE, QUICK, AbuseTest  # noqa: E402
from nodes import DENIED, SUCCESS, TIMEOUT, UNAVAILABLE, write_package  # noqa: E402


class BrokenFrames(AbuseTest):
    def check(self, content, pattern):
        self.load(f"start(); wait_for_call(); link.sendall({content}); time.sleep(60)")
        begin = time.monotonic()
        self.assertEqual(self.call().returncode, UNAVAILABLE)
        self.violated(pattern)
        self.assertLess(time.monotonic() - begin, 3)

    def test_a_length_of_4_gib_is_refused_at_once(self):
        self.check(r'b"\x94\x00\x01\xdb\xff\xff\xff\xff" + b"x" * 1000',
                   "string|bytes|long|large|accepted")

    def test_an_array_of_4_gi_elements_is_refused_at_once(self):
        self.check(r'b"\xdd\xff\xff\xff\xff"', "element|large|accepted")

    def test_deep_nesting_is_refused(self):
        self.check(r'b"\x91" * 100000', "deep|depth|nest")

    def test_text_that_is_not_utf8_is_refused(self):
        self.check(r'b"\x94\x00\x05\xa4\xff\xfe\xfd\xfc\x91\x80"', "UTF-8")

    def test_bytes_that_are_not_a_frame_are_refused(self):
        self.check(r'b"\xc1\xc1\xc1"', "MessagePack|msgpack|never used|not a|0xc1")

    def test_a_frame_of_another_kind_is_refused(self):
        self.check('msgpack.packb([7, 1, "x", []])', "request|frame|type|kind")

    def test_a_frame_beyond_the_bound_is_refused(self):
        value = '{"path": "/plugins/hostile/x", "value": "x" * (9 << 20)}'
        self.check(f'msgpack.packb([0, 5, "context.set", [{value}]])', "bytes|long|large")


class Replies(AbuseTest):
    def test_a_few_replies_without_a_call_are_tolerated_and_many_end_the_plugin(self):
        self.load("start()\n"
                  "for turn in range(2):\n"
                  "    call = wait_for_call()\n"
                  "    for i in range(20 if turn == 0 else 200):\n"
                  "        send([1, 0xdead0000 + i, None, None])\n"
                  "    answer(call, 'done')\n"
                  "serve()")
        self.assertEqual(self.ask(), "done")
        self.call()
        self.violated("too many violations, the last: a reply to no open call")

    def test_a_second_reply_is_not_mistaken_for_that_of_another_call(self):
        self.load("start()\nanswer_for = wait_for_call()\n"
                  "for i in range(10): answer(answer_for, 'first')\n"
                  "while True:\n"
                  "    call = wait_for_call()\n"
                  "    answer(answer_for, 'old')\n"
                  "    answer(call, 'new')\n")
        self.assertEqual(self.ask(), "first")
        for _ in range(5):
            self.assertEqual(self.ask(), "new")

    def test_a_late_reply_is_dropped(self):
        self.load("start()\nlate = wait_for_call()\nnext_call = wait_for_call()\n"
                  "answer(late, 'late')\nanswer(next_call, 'in time')\nserve()")
        self.assertEqual(self.call().returncode, TIMEOUT)
        self.assertEqual(self.ask(), "in time")

    def test_a_malformed_answer_fails_only_its_call(self):
        self.load("start('hostile.go', 'hostile.other')\n"
                  "send([1, wait_for_call(), ['no_such_code', 17, {}], None])\n"
                  "send([1, wait_for_call(), 'text', None])\n"
                  "serve()")
        for _ in range(2):
            done = self.call()
            self.assertNotEqual(done.returncode, SUCCESS)
            if self.served.plugin("hostile")["phase"] != "running":
                return  # ending the plugin is typed too
        self.assertEqual(self.ask(), "served")


class Identity(AbuseTest):
    def test_a_plugin_cannot_open_a_session_in_the_name_of_another(self):
        done = self.served.run("plugin", "load",
                               self.hostile("print(open_session('notes'), flush=True)\nserve()"))
        self.assert_refused(done, DENIED, "this connection is for the plugin hostile")
        self.assertIsNone(self.served.plugin("hostile"))

    def test_a_plugin_is_neither_client_nor_peer(self):
        for kind in ("client", "peer"):
            opening = f'{{"protocol": [1, 1], "kind": "{kind}", "name": "hostile"}}'
            package = write_package(self.directory / kind, "hostile", PRELUDE +
                                    f'ask(1, "session.open", {opening})\nserve()', tables=QUICK)
            done = self.served.run("plugin", "load", package)
            self.assert_refused(done, DENIED, "this connection is for the plugin hostile")

    def test_a_plugin_cannot_provide_the_commands_of_another(self):
        done = self.served.run("plugin", "load", self.hostile(
            "open_session('hostile'); tell_commands('hostile.go', 'notes.add'); serve()"))
        self.assert_refused(done, DENIED,
                            "the plugin hostile may not provide the command notes.add")
        records = self.served.audit("hostile", "plugin.denied")
        self.assertEqual([record["subject"] for record in records], ["command.provide:notes.add"])
        self.served.do("exec", "notes.add", "text=still mine")

    def test_the_claims_of_a_plugin_about_itself_are_ignored(self):
        self.load("""
start()
call = wait_for_call()
first = ask(7, "context.set", {"path": "/plugins/hostile/x", "value": 1, "kind": "host",
                               "principal": "operator", "caller": "host"})
second = ask(8, "session.open", {"protocol": [1, 1], "kind": "client", "name": "cli"})
answer(call, [first[0], second[0][0]])
serve()
""")
        self.assertEqual(self.ask(), [None, "protocol_violation"])
        writes = self.served.ask("context", "explain", "/plugins/hostile/x")["writes"]
        self.assertEqual([write["principal"] for write in writes], ["hostile"])

    def test_no_request_beyond_the_grants_is_answered(self):
        self.served.do("context", "set", "/secret/key", "hunter2")
        self.load("""
start()
call = wait_for_call()
asked = [("context.get", {"path": "/secret/key"}), ("context.get", {"path": "/plugins/notes/x"}),
         ("context.list", {"prefix": "/"}), ("context.list", {}),
         ("context.list", {"prefix": "/plugins"}),
         ("context.set", {"path": "/secret/key", "value": "mine"}),
         ("context.set", {"path": "/plugins/hostile/../notes/x", "value": 1}),
         ("context.delete", {"path": "/secret/key"}), ("context.explain", {"path": "/secret/key"}),
         ("context.import", {"entries": []}), ("context.verify", {}),
         ("command.execute", {"command": "notes.count", "arguments": {}}),
         ("node.stop", {}), ("node.info", {}), ("node.peers", {}),
         ("plugin.grant", {"plugin": "hostile", "capability": "context.read:/**"}),
         ("plugin.unload", {"plugin": "notes"}), ("plugin.load", {"package": "/"}),
         ("audit.search", {}), ("metrics.get", {}), ("metrics.reset", {}), ("sync.push", {}),
         ("peers.known", {}),
         ("context.get", {"path": "/plugins/hostile/x", "path ": "/secret/key"})]
failures = [ask(100 + i, *each)[0] for i, each in enumerate(asked)]
answer(call, [(failure or ["answered"])[0] for failure in failures])
serve()
""")
        refused = self.ask()
        # The last request is within its own prefix, whatever else is written beside it.
        self.assertEqual(refused[-1], "answered")
        own = refused.pop(6)
        self.assertIn(own, ("answered", "permission_denied"))
        self.assertEqual(set(refused[:-1]), {"permission_denied"})
        self.assertEqual(self.served.ask("context", "get", "/secret/key"), "hunter2")
        self.assertEqual(self.served.ask("context", "list", "/plugins/notes"), [])
        subjects = {record["subject"] for record in self.served.audit("hostile", "plugin.denied")}
        self.assertGreaterEqual(subjects, {"context.read:/secret/key", "context.write:/secret/key",
                                           "context.read:/", "command.execute:notes.count"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
