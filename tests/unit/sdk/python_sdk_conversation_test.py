"""A plugin with the Python SDK on its socket, with a node that may send anything.

Run: python3 -B tests/unit/sdk/python_sdk_conversation_test.py
"""

from __future__ import annotations

import math
import pathlib
import socket
import sys
import time
import unittest
from typing import Any, List

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from python_sdk import ScriptedHost  # noqa: E402

import troupe_plugin as sdk  # noqa: E402
from troupe_plugin import Cancelled, Plugin, TroupeError  # noqa: E402


class Conversations(unittest.TestCase):
    """A plugin on its socket. The test is the node."""

    def setUp(self) -> None:
        self.plugin = Plugin("p", "1.2.3")
        self.seen: List[Any] = []

        @self.plugin.command("get")
        def get(call: Any, path: str = "/a") -> Any:
            try:
                return call.context.get(path)
            except TroupeError as failure:
                self.seen.append(failure)
                raise

        @self.plugin.command("poll")
        def poll(call: Any) -> Any:
            call.log.info("polling")
            while not call.cancelled:
                pass
            return "stopped early"

        @self.plugin.command("patient")
        def patient(call: Any) -> Any:
            for _ in range(2):
                try:
                    return call.context.get("/a", timeout=0.001)
                except TroupeError as failure:
                    self.seen.append(failure.code)
            return call.context.get("/b")

    def begin(self, *, stopped_clock: bool = False) -> ScriptedHost:
        host = ScriptedHost(self.plugin, stopped_clock=stopped_clock)
        self.addCleanup(host.socket.close)
        host.open()
        return host

    @staticmethod
    def execute(host: ScriptedHost, msgid: int, command: str = "p.get", **params: Any) -> None:
        host.send([0, msgid, "command.execute", [{"command": command, "arguments": {}, **params}]])

    def test_the_plugin_introduces_itself(self) -> None:
        host = self.begin()
        expected = {"protocol": [1, 1], "kind": "plugin", "name": "p", "version": "1.2.3",
                    "sdk": "python/0.1"}
        self.assertEqual({name: host.hello[name] for name in expected}, expected)
        host.end()

    def test_the_end_of_the_socket_ends_the_plugin_quietly(self) -> None:
        host = self.begin()
        self.assertEqual(host.end(), 0)
        self.assertEqual(host.stderr.getvalue(), "")

    def test_the_end_of_the_socket_ends_a_command_that_waits(self) -> None:
        host = self.begin()
        self.execute(host, 1)
        host.receive()
        self.assertEqual(host.end(), 0)
        self.assertEqual((self.seen, host.stderr.getvalue()), ([], ""))

    def test_sending_to_a_node_that_has_gone_ends_the_plugin(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            link = sdk.Link(theirs, time.monotonic)
            ours.close()
            link.session.notify("log", {})
            with self.assertRaises(sdk.Disconnected):
                link.drain()

    def test_a_malformed_frame_ends_the_plugin_with_one_line(self) -> None:
        host = self.begin()
        host.socket.sendall(b"\xc1")
        self.assertEqual(host.join(), 1)
        self.assertRegex(host.stderr.getvalue(), r"\Aplugin p: .*not MessagePack.*\n\Z")

    def test_a_malformed_frame_during_a_command_is_not_the_commands_failure(self) -> None:
        host = self.begin()
        self.execute(host, 1)
        host.receive()
        host.send([9])
        self.assertEqual(host.join(), 1)
        self.assertEqual(host.stderr.getvalue().count("\n"), 1)

    def test_a_refused_session_ends_the_plugin_with_the_reason(self) -> None:
        host = ScriptedHost(self.plugin)
        _, msgid, _, _ = host.receive()
        host.send([1, msgid, ["version_mismatch", "speak 2", None], None])
        self.assertEqual(host.join(), 1)
        self.assertEqual(host.stderr.getvalue(), "plugin p: version_mismatch: speak 2\n")

    def test_a_wrong_answer_to_session_open_ends_the_plugin(self) -> None:
        wrongs = (("protocol", 2, "protocol 2"), ("node", "x", "`node`"),
                  ("capabilities", None, "`capabilities`"))
        for name, wrong, text in wrongs:
            host = ScriptedHost(self.plugin)
            host.open(**{name: wrong})
            self.assertEqual(host.join(), 1)
            self.assertIn(text, host.stderr.getvalue())

    def test_a_waiting_command_lets_pings_through_and_queues_commands(self) -> None:
        host = self.begin()
        self.execute(host, 1, trace=b"t" * 16, deadline_ms=5000)
        kind, asked, method, [params] = host.receive()
        self.assertEqual((kind, method, params["path"], params["trace"]),
                         (0, "context.get", "/a", b"t" * 16))
        self.assertTrue(0 < params["deadline_ms"] <= 5000)
        self.execute(host, 2, arguments={"path": "/b"})
        host.send([0, 3, "ping", [{}]])
        self.assertEqual(host.receive(), [1, 3, None, None])
        host.send([1, asked, None, {"found": True, "value": 5}])
        self.assertEqual(host.receive(), [1, 1, None, 5])
        _, asked, _, [params] = host.receive()
        self.assertEqual(params["path"], "/b")
        self.assertTrue(9000 < params["deadline_ms"] <= 10000)
        self.assertNotIn("trace", params)
        host.send([1, asked, None, {"found": False, "value": None}])
        self.assertEqual(host.receive(), [1, 2, None, None])
        host.end()

    def test_a_cancelled_command_ends_while_it_waits_for_the_node(self) -> None:
        host = self.begin()
        self.execute(host, 1)
        asked = host.receive()
        host.send([2, "cancel", [{"msgid": 1}]])
        self.assertEqual(host.receive(), [2, "cancel", [{"msgid": asked[1]}]])
        _, msgid, error, _ = host.receive()
        self.assertEqual((msgid, error[0]), (1, "cancelled"))
        self.assertIsInstance(self.seen[0], Cancelled)
        host.end()

    def test_a_computation_can_poll_whether_it_is_cancelled(self) -> None:
        host = self.begin()
        self.execute(host, 1, "p.poll")
        self.assertEqual(host.receive(), [2, "log", [{"level": "info", "message": "polling"}]])
        host.send([0, 2, "ping", [{}]])
        self.assertEqual(host.receive(), [1, 2, None, None])
        host.send([2, "cancel", [{"msgid": 1}]])
        self.assertEqual(host.receive(), [1, 1, None, "stopped early"])
        host.end()

    def test_late_answers_are_not_mistaken_for_others(self) -> None:
        host = self.begin()
        self.execute(host, 1, "p.patient")
        first, first_gone, second, second_gone, third = (host.receive() for _ in range(5))
        paths = [each[3][0]["path"] for each in (first, second, third)]
        self.assertEqual(paths, ["/a", "/a", "/b"])
        self.assertEqual([first_gone, second_gone],
                         [[2, "cancel", [{"msgid": each[1]}]] for each in (first, second)])
        for asked, value in ((second, "late"), (first, "later"), (third, "right")):
            host.send([1, asked[1], None, {"found": True, "value": value}])
        self.assertEqual(host.receive(), [1, 1, None, "right"])
        self.assertEqual(self.seen, ["deadline_exceeded"] * 2)
        host.end()

    def test_the_deadline_of_a_command_bounds_its_requests(self) -> None:
        host = self.begin(stopped_clock=True)
        self.execute(host, 1, deadline_ms=500)
        asked = host.receive()
        host.now += 0.5
        host.send([0, 2, "ping", [{}]])  # wakes it, and it reads the clock
        said = [host.receive() for _ in range(3)]
        self.assertIn([2, "cancel", [{"msgid": asked[1]}]], said)
        errors = dict(each[1:3] for each in said if each[0] == 1)
        self.assertEqual((errors[1][0], errors[2]), ("deadline_exceeded", None))
        host.end()

    def test_a_timeout_may_be_infinite_or_negative(self) -> None:
        @self.plugin.command("wait")
        def wait(call: Any, seconds: float) -> Any:
            return call.context.get("/a", timeout=seconds)

        host = self.begin(stopped_clock=True)
        for seconds in (math.inf, 1e300):
            self.execute(host, 1, "p.wait", arguments={"seconds": seconds})
            _, asked, _, [params] = host.receive()
            self.assertEqual(params["deadline_ms"], 86_400_000)
            host.send([1, asked, None, {"found": True, "value": 1}])
            self.assertEqual(host.receive(), [1, 1, None, 1])
        self.execute(host, 1, "p.wait", arguments={"seconds": -math.inf})
        self.assertEqual(host.receive()[2][0], "deadline_exceeded")
        host.end()

    def test_a_call_is_useless_after_its_command(self) -> None:
        kept: List[Any] = []

        @self.plugin.command("keep")
        def keep(call: Any) -> None:
            kept.append(call)

        @self.plugin.command("use")
        def use(call: Any) -> Any:
            uses = (lambda old: old.context.get("/a"), lambda old: old.execute("x.y"),
                    lambda old: old.log.info("x"), lambda old: old.cancelled)
            for each in uses:
                with self.assertRaisesRegex(RuntimeError, "this call is over"):
                    each(kept[0])
            return "well"

        host = self.begin()
        self.execute(host, 1, "p.keep")
        self.assertEqual(host.receive(), [1, 1, None, None])
        self.execute(host, 2, "p.use")
        self.assertEqual(host.receive(), [1, 2, None, "well"])
        host.end()

    def test_a_computation_can_poll_whether_the_plugin_stops(self) -> None:
        host = self.begin()
        self.execute(host, 1, "p.poll")
        host.receive()
        host.send([0, 2, "plugin.stop", [{}]])
        self.assertEqual(host.receive(), [1, 1, None, "stopped early"])
        self.assertEqual(host.receive(), [1, 2, None, None])
        self.assertEqual(host.join(), 0)

    def test_a_command_whose_deadline_passed_in_the_queue_does_not_run(self) -> None:
        host = self.begin(stopped_clock=True)
        self.execute(host, 1)
        asked = host.receive()
        self.execute(host, 2, deadline_ms=500)
        host.send([0, 3, "ping", [{}]])
        host.receive()  # the deadline is running
        host.now += 0.5
        host.send([1, asked[1], None, {"found": False, "value": None}])
        host.receive()
        _, msgid, error, _ = host.receive()
        self.assertEqual((msgid, error[0]), (2, "deadline_exceeded"))
        self.assertIn("passed in the queue", error[1])
        host.end()

    def test_stop_lets_the_running_command_finish(self) -> None:
        host = self.begin()
        self.execute(host, 1)
        asked = host.receive()
        self.execute(host, 2)
        host.send([0, 3, "plugin.stop", [{}]])
        self.assertEqual(host.receive()[1:3], [2, ["unavailable", "the plugin is stopping", None]])
        host.send([1, asked[1], None, {"found": True, "value": 1}])
        self.assertEqual(host.receive(), [1, 1, None, 1])
        self.assertEqual(host.receive(), [1, 3, None, None])
        self.assertEqual(host.join(), 0)

    def test_malformed_commands_are_answered(self) -> None:
        host = self.begin()
        for params, code in (
            ({"command": 5, "arguments": {}}, "invalid_argument"),
            ({"arguments": {}}, "invalid_argument"),
            ({"command": "p.get", "arguments": []}, "invalid_argument"),
            ({"command": "p.get", "arguments": {"pth": "/a"}}, "invalid_argument"),
            ({"command": "p.got", "arguments": {}}, "not_found"),
        ):
            host.send([0, 4, "command.execute", [params]])
            self.assertEqual(host.receive()[2][0], code)
        host.end()

    def test_answers_of_the_node_without_a_field_are_errors(self) -> None:
        host = self.begin()
        for answer in (None, {}, {"found": 1, "value": 2}, {"found": True}):
            self.execute(host, 1)
            host.send([1, host.receive()[1], None, answer])
            self.assertEqual(host.receive()[2][0], "internal")
        host.end()

    def test_error_codes_of_a_newer_node_are_errors(self) -> None:
        host = self.begin()
        self.execute(host, 1)
        host.send([1, host.receive()[1], ["brand_new", "what"], None])
        self.assertEqual(host.receive()[2], ["handler_failed", "what", None])
        host.end()

    def test_a_node_that_writes_before_it_reads_does_not_block_the_plugin(self) -> None:
        @self.plugin.command("big")
        def big(call: Any) -> Any:
            return b"x" * (4 << 20)

        host = self.begin()
        self.execute(host, 1, "p.big")
        for msgid in range(2, 3000):  # more than the socket's buffers hold
            self.execute(host, msgid, "p.nothing", ballast=b"y" * 2000)
        self.assertEqual(host.receive()[3], b"x" * (4 << 20))
        refusals = {host.receive()[2][0] for _ in range(2, 3000)}
        self.assertEqual(refusals, {"not_found", "overloaded"})
        host.end()


if __name__ == "__main__":
    unittest.main()
