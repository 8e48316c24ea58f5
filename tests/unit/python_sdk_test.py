"""What the Python SDK promises. Run: python3 -B tests/unit/python_sdk_test.py"""

from __future__ import annotations

import contextlib
import io
import math
import os
import pathlib
import select
import socket
import subprocess
import sys
import threading
import time
import unittest
from typing import Any, Dict, List, Optional
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
SDK = ROOT / "plugins/sdk/python"
sys.path[:0] = [str(SDK), str(ROOT / "plugins/examples/wordcount")]

import msgpack  # noqa: E402
import troupe_plugin as sdk  # noqa: E402
import wordcount  # noqa: E402
from troupe_plugin import Cancelled, Parameter, Plugin, ProtocolViolation, TroupeError  # noqa: E402
from troupe_plugin_testing import FakeHost, MemoryContext  # noqa: E402


#: A good answer to `session.open`.
SESSION: Dict[str, Any] = {"protocol": 1, "node": bytes(16), "node_name": "n", "capabilities": ["state"]}


def frames_in(data: bytes) -> List[Any]:
    unpacker = msgpack.Unpacker(max_buffer_size=1 << 28)
    unpacker.feed(data)
    return list(unpacker)


def execute_frame(msgid: int, command: str = "p.run", **params: Any) -> bytes:
    return msgpack.packb([0, msgid, "command.execute", [{"command": command, "arguments": {}, **params}]])


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


class Frames(unittest.TestCase):
    def violation(self, data: bytes) -> str:
        session = sdk.Session()
        with self.assertRaises(ProtocolViolation) as caught:
            for start in range(0, len(data), 1 << 16):
                session.receive(data[start : start + (1 << 16)], 0.0)
        return str(caught.exception)

    def test_a_frame_may_arrive_byte_by_byte(self) -> None:
        session = sdk.Session()
        ping = msgpack.packb([0, 7, "ping", [{}]])
        for byte in ping[:-1]:
            session.receive(bytes([byte]), 0.0)
        self.assertEqual(session.outgoing, b"")
        session.receive(ping[-1:] + ping[:3], 0.0)
        self.assertEqual(frames_in(session.outgoing), [[1, 7, None, None]])

    def test_parameters_may_be_left_out(self) -> None:
        session = sdk.Session()
        session.receive(msgpack.packb([0, 7, "ping", []]), 0.0)
        self.assertEqual(frames_in(session.outgoing), [[1, 7, None, None]])

    def test_bytes_that_are_not_messagepack_end_the_session(self) -> None:
        self.assertIn("not MessagePack", self.violation(b"\xc1"))
        self.assertIn("not MessagePack", self.violation(b"\x91" * 5000))
        self.assertIn("malformed", self.violation(b"\x93\x02\xa1\xff\x90"))  # a method name that is no UTF-8
        self.assertIn("malformed", self.violation(b"\x93\x02\xa1x\x91\x81\x01\x02"))  # a map key that is no string
        self.assertIn("malformed", self.violation(b"\x93\x02\xa1x\xd6\xff\0\0\0\0"))  # a timestamp
        self.assertIn("ExtType", self.violation(b"\x93\x02\xa1x\xc7\x00\x05"))  # another extension

    def test_messages_that_are_no_frames_end_the_session(self) -> None:
        frames = (7, [], {}, ["x"], [3, 1, "m", []], [True, 1, None, None], [0, 1, "ping"], [2, "m", [], []], [1, 2])
        for frame in frames:
            self.assertIn("neither", self.violation(msgpack.packb(frame)))

    def test_wrong_types_inside_a_frame_end_the_session(self) -> None:
        for frame, text in (
            ([0, "1", "ping", [{}]], "message id"),
            ([0, -1, "ping", [{}]], "message id"),
            ([0, 1 << 32, "ping", [{}]], "message id"),
            ([0, True, "ping", [{}]], "message id"),
            ([1, None, None, None], "message id"),
            ([0, 1, 5, [{}]], "name of a method"),
            ([2, None, [{}]], "name of a method"),
            ([0, 1, "ping", {}], "parameters of 'ping'"),
            ([0, 1, "ping", [{}, {}]], "parameters of 'ping'"),
            ([2, "cancel", [1]], "parameters of 'cancel'"),
            ([1, 1, "no", None], "error of a response"),
            ([1, 1, ["not_found"], None], "error of a response"),
            ([1, 1, ["not_found", 3], None], "error of a response"),
        ):
            with self.subTest(frame=frame):
                self.assertIn(text, self.violation(msgpack.packb(frame)))

    def test_a_frame_may_have_8_mib_and_not_a_byte_more(self) -> None:
        def notice(size: int) -> bytes:
            frame = [2, "event", [{"data": b""}]]
            overhead = len(msgpack.packb([2, "event", [{"data": b"x" * (1 << 20)}]])) - (1 << 20)
            frame[2][0]["data"] = b"x" * (size - overhead)
            return msgpack.packb(frame)

        largest = notice(sdk.MAX_FRAME_BYTES)
        self.assertEqual(len(largest), sdk.MAX_FRAME_BYTES)
        session = sdk.Session()
        for start in range(0, len(largest), 1 << 16):
            session.receive(largest[start : start + (1 << 16)], 0.0)
        self.assertIn("larger than 8388608", self.violation(notice(sdk.MAX_FRAME_BYTES + 1)))

    def test_a_length_that_lies_costs_nothing(self) -> None:
        session = sdk.Session()
        session.receive(b"\x93\x02\xdb\xff\xff\xff\xff", 0.0)  # a string of 4 GiB
        session = sdk.Session()
        session.receive(b"\x93\x02\xa1x" + b"\xdd\xff\xff\xff\xff" * 50, 0.0)  # arrays of 4 Gi elements
        self.assertIn("larger than", self.violation(b"\x93\x02\xdb\xff\xff\xff\xff" + b"x" * (9 << 20)))

    def test_nesting_and_elements_are_bounded_both_ways(self) -> None:
        sdk.encode_frame(nested(64))
        with self.assertRaisesRegex(TroupeError, "nested deeper than 64"):
            sdk.encode_frame(nested(65))
        self.assertIn("nested deeper", self.violation(msgpack.packb([2, "x", [{"v": nested(62)}]])))
        with self.assertRaisesRegex(TroupeError, "more than 1048576 elements"):
            sdk.encode_frame([None] * (1 << 20))
        self.assertIn("elements", self.violation(msgpack.packb([2, "x", [{"v": [None] * (1 << 20)}]])))

    def test_a_structure_that_contains_itself_is_refused(self) -> None:
        loop: List[Any] = []
        loop.append(loop)
        with self.assertRaises(TroupeError):
            sdk.encode_frame(loop)

    def test_what_cannot_travel_is_named(self) -> None:
        for value, text in (
            (object(), "a object cannot travel"),
            ({1: 2}, "map key 1 is not a string"),
            (msgpack.ExtType(5, b""), "ExtType"),
            ("\ud800", "surrogates"),
            (1 << 64, "out of range"),
        ):
            with self.assertRaisesRegex(TroupeError, text) as caught:
                sdk.encode_frame([value])
            self.assertEqual(caught.exception.code, "invalid_argument")
        with self.assertRaises(TroupeError) as caught:
            sdk.encode_frame([b"x" * sdk.MAX_FRAME_BYTES])
        self.assertEqual(caught.exception.code, "limit_exceeded")


class Sessions(unittest.TestCase):
    def setUp(self) -> None:
        self.session = sdk.Session()

    def receive(self, *frames: Any, now: float = 0.0) -> None:
        for frame in frames:
            self.session.receive(frame if isinstance(frame, bytes) else msgpack.packb(frame), now)

    def said(self) -> List[Any]:
        data = bytes(self.session.outgoing)
        self.session.outgoing.clear()
        return frames_in(data)

    def test_answers_may_come_in_any_order(self) -> None:
        first, second = self.session.request("a", {}), self.session.request("b", {})
        self.receive([1, second, None, "B"])
        self.assertIsNone(self.session.take_answer(first))
        self.receive([1, first, ["not_found", "no A", None], None])
        self.assertEqual(self.session.take_answer(second), (None, "B"))
        self.assertEqual(self.session.take_answer(first), (["not_found", "no A", None], None))

    def test_late_foreign_and_second_answers_are_dropped(self) -> None:
        msgid = self.session.request("a", {})
        self.receive([1, msgid + 1, None, "foreign"])
        self.assertIsNone(self.session.take_answer(msgid + 1))
        self.receive([1, msgid, None, "first"], [1, msgid, None, "second"])
        self.assertEqual(self.session.take_answer(msgid), (None, "first"))
        self.assertIsNone(self.session.take_answer(msgid))
        abandoned = self.session.request("a", {})
        self.session.abandon(abandoned)
        self.receive([1, abandoned, None, "late"])
        self.assertIsNone(self.session.take_answer(abandoned))

    def test_a_request_that_cannot_be_encoded_leaves_nothing_behind(self) -> None:
        with self.assertRaises(TroupeError):
            self.session.request("a", {"value": object()})
        self.assertEqual(self.said(), [])

    def test_unknown_requests_are_answered_and_unknown_notices_ignored(self) -> None:
        self.receive([2, "context.changed", [{}]], [0, 9, "state.save", [{}]])
        self.assertEqual(self.said(), [[1, 9, ["not_found", "a plugin has no method `state.save`", None], None]])

    def test_an_unknown_method_with_a_name_of_megabytes_is_answered_too(self) -> None:
        data = msgpack.packb([0, 9, "x" * (8 * 1024 * 1024 - 100), [{}]])
        for start in range(0, len(data), 1 << 16):
            self.receive(data[start : start + (1 << 16)])
        self.assertEqual(self.said()[0][2][0], "not_found")

    def test_envelope_parameters_of_the_wrong_type_are_refused(self) -> None:
        wrongs = [("deadline_ms", wrong) for wrong in ("1", -1, True)] + [("trace", wrong) for wrong in (b"short", 5)]
        for name, wrong in wrongs:
            self.receive(execute_frame(1, **{name: wrong}))
            [[_, _, error, _]] = self.said()
            self.assertEqual(error[0], "invalid_argument")
            self.assertIn(name, error[1])
        self.assertIsNone(self.session.next_request())

    def test_deadlines_count_from_the_arrival(self) -> None:
        self.receive(execute_frame(1, deadline_ms=250), execute_frame(2, deadline_ms=0), now=100.0)
        self.assertEqual(self.session.next_request().deadline, 100.25)
        self.assertIsNone(self.session.next_request().deadline)

    def test_the_queue_holds_1024_requests(self) -> None:
        self.receive(*(execute_frame(msgid) for msgid in range(1024)))
        self.assertEqual(self.said(), [])
        self.receive(execute_frame(1024))
        [[_, msgid, error, _]] = self.said()
        self.assertEqual((msgid, error[0]), (1024, "overloaded"))
        self.assertEqual(self.session.next_request().msgid, 0)
        self.receive(execute_frame(1025))
        self.assertEqual(self.said(), [])

    def test_the_queue_is_bounded_in_bytes(self) -> None:
        for msgid in (1, 2, 3):
            data = execute_frame(msgid, ballast=b"x" * (6 << 20))
            for start in range(0, len(data), 1 << 16):
                self.receive(data[start : start + (1 << 16)])
        [[_, msgid, error, _]] = self.said()
        self.assertEqual((msgid, error[0]), (3, "overloaded"))
        self.session.next_request()
        self.receive(execute_frame(4, ballast=b"x" * 100))
        self.assertEqual(self.said(), [])

    def test_cancel_answers_a_queued_request_and_marks_the_running_one(self) -> None:
        self.receive(execute_frame(1), execute_frame(2))
        running = self.session.next_request()
        self.receive([2, "cancel", [{"msgid": 2}]], [2, "cancel", [{"msgid": 1}]], [2, "cancel", [{"msgid": 2}]])
        [[_, msgid, error, _]] = self.said()
        self.assertEqual((msgid, error[0]), (2, "cancelled"))
        self.assertTrue(running.cancelled)
        self.assertIsNone(self.session.next_request())

    def test_cancel_of_what_is_not_there_is_ignored(self) -> None:
        self.receive([0, 5, "plugin.start", [{}]])
        self.receive(*([2, "cancel", [{"msgid": msgid}]] for msgid in (5, 6, None, "x", [])), [2, "cancel", []])
        self.assertEqual(self.said(), [])
        self.assertEqual(self.session.next_request().method, "plugin.start")

    def test_stop_refuses_what_waits_and_what_comes_after(self) -> None:
        self.receive(execute_frame(1), [0, 2, "plugin.stop", [{}]], execute_frame(3))
        self.assertEqual([(frame[1], frame[2][0]) for frame in self.said()], [(1, "unavailable"), (3, "unavailable")])
        self.assertEqual(self.session.next_request().method, "plugin.stop")

    def test_message_ids_wrap_at_32_bits(self) -> None:
        self.session._last_msgid = 0xFFFFFFFF
        self.assertEqual(self.session.request("a", {}), 0)


class ScriptedHost:
    """The node's end of the socket in a test that decides about every byte; the plugin runs on a thread."""

    def __init__(self, plugin: Plugin, *, stopped_clock: bool = False) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(10)
        self.stderr = io.StringIO()
        self.status: Optional[int] = None
        self.now = 100.0  #: The plugin's clock, for tests that stop it.
        self._unpacker = msgpack.Unpacker()
        self._thread = threading.Thread(target=self._run, args=(plugin, theirs, stopped_clock), daemon=True)
        self._thread.start()

    def _run(self, plugin: Plugin, theirs: socket.socket, stopped_clock: bool) -> None:
        with contextlib.redirect_stderr(self.stderr):
            self.status = plugin.run(theirs, clock=(lambda: self.now) if stopped_clock else time.monotonic)

    def send(self, *frames: Any) -> None:
        self.socket.sendall(b"".join(msgpack.packb(frame) for frame in frames))

    def receive(self) -> Any:
        while True:
            for frame in self._unpacker:
                return frame
            data = self.socket.recv(1 << 16)
            assert data, "the plugin closed its socket"
            self._unpacker.feed(data)

    def open(self, **changes: Any) -> None:
        _, msgid, method, [hello] = self.receive()
        assert method == "session.open"
        self.hello = hello
        self.send([1, msgid, None, {**SESSION, **changes}])

    def end(self) -> Optional[int]:
        self.socket.close()
        return self.join()

    def join(self) -> Optional[int]:
        self._thread.join(10)
        assert not self._thread.is_alive(), "the plugin goes on running"
        self.socket.close()
        return self.status


class Conversations(unittest.TestCase):
    """A plugin on its socket, the test playing a node that may do anything."""

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

    def execute(self, host: ScriptedHost, msgid: int, command: str = "p.get", **params: Any) -> None:
        host.send([0, msgid, "command.execute", [{"command": command, "arguments": {}, **params}]])

    def test_the_plugin_introduces_itself(self) -> None:
        host = self.begin()
        expected = {"protocol": [1, 1], "kind": "plugin", "name": "p", "version": "1.2.3", "sdk": "python/0.1"}
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

    def test_what_is_sent_to_a_node_that_has_gone_ends_the_plugin(self) -> None:
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

    def test_a_session_answer_that_is_not_one_ends_the_plugin(self) -> None:
        wrongs = (("protocol", 2, "protocol 2"), ("node", "x", "`node`"), ("capabilities", None, "`capabilities`"))
        for name, wrong, text in wrongs:
            host = ScriptedHost(self.plugin)
            host.open(**{name: wrong})
            self.assertEqual(host.join(), 1)
            self.assertIn(text, host.stderr.getvalue())

    def test_a_waiting_command_lets_pings_through_and_queues_commands(self) -> None:
        host = self.begin()
        self.execute(host, 1, trace=b"t" * 16, deadline_ms=5000)
        kind, asked, method, [params] = host.receive()
        self.assertEqual((kind, method, params["path"], params["trace"]), (0, "context.get", "/a", b"t" * 16))
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

    def test_a_cancelled_command_learns_of_it_in_its_next_answerless_wait(self) -> None:
        host = self.begin()
        self.execute(host, 1)
        host.receive()
        host.send([2, "cancel", [{"msgid": 1}]])
        _, msgid, error, _ = host.receive()
        self.assertEqual((msgid, error[0]), (1, "cancelled"))
        self.assertIsInstance(self.seen[0], Cancelled)
        host.end()

    def test_a_computation_can_look_whether_it_is_cancelled(self) -> None:
        host = self.begin()
        self.execute(host, 1, "p.poll")
        self.assertEqual(host.receive(), [2, "log", [{"level": "info", "message": "polling"}]])
        host.send([0, 2, "ping", [{}]])
        self.assertEqual(host.receive(), [1, 2, None, None])
        host.send([2, "cancel", [{"msgid": 1}]])
        self.assertEqual(host.receive(), [1, 1, None, "stopped early"])
        host.end()

    def test_answers_that_come_too_late_are_not_taken_for_others(self) -> None:
        host = self.begin()
        self.execute(host, 1, "p.patient")
        first, second, third = host.receive(), host.receive(), host.receive()
        self.assertEqual([each[3][0]["path"] for each in (first, second, third)], ["/a", "/a", "/b"])
        for asked, value in ((second, "late"), (first, "later"), (third, "right")):
            host.send([1, asked[1], None, {"found": True, "value": value}])
        self.assertEqual(host.receive(), [1, 1, None, "right"])
        self.assertEqual(self.seen, ["deadline_exceeded"] * 2)
        host.end()

    def test_the_deadline_of_a_command_bounds_what_it_asks(self) -> None:
        host = self.begin(stopped_clock=True)
        self.execute(host, 1, deadline_ms=500)
        host.receive()
        host.now += 0.5
        host.send([0, 2, "ping", [{}]])  # it wakes up and looks at the clock
        errors = dict(host.receive()[1:3] for _ in range(2))
        self.assertEqual((errors[1][0], errors[2]), ("deadline_exceeded", None))
        host.end()

    def test_a_timeout_of_any_length_is_one(self) -> None:
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

    def test_a_call_that_was_kept_beyond_its_command_is_of_no_use(self) -> None:
        kept: List[Any] = []

        @self.plugin.command("keep")
        def keep(call: Any) -> None:
            kept.append(call)

        @self.plugin.command("use")
        def use(call: Any) -> Any:
            uses = (
                lambda old: old.context.get("/a"), lambda old: old.execute("x.y"), lambda old: old.log.info("x"),
                lambda old: old.cancelled,
            )  # fmt: skip
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

    def test_a_computation_learns_that_the_plugin_is_to_stop(self) -> None:
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
        host.receive()  # the deadline has begun to run
        host.now += 0.5
        host.send([1, asked[1], None, {"found": False, "value": None}])
        host.receive()
        _, msgid, error, _ = host.receive()
        self.assertEqual((msgid, error[0]), (2, "deadline_exceeded"))
        self.assertIn("waited for its turn", error[1])
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

    def test_commands_that_are_not_well_formed_are_answered(self) -> None:
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

    def test_answers_of_the_node_that_lack_a_field_are_errors(self) -> None:
        host = self.begin()
        for answer in (None, {}, {"found": 1, "value": 2}, {"found": True}):
            self.execute(host, 1)
            host.send([1, host.receive()[1], None, answer])
            self.assertEqual(host.receive()[2][0], "internal")
        host.end()

    def test_error_codes_of_a_newer_node_are_errors_still(self) -> None:
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


class Commands(unittest.TestCase):
    """A plugin as its author tests it."""

    def setUp(self) -> None:
        self.plugin = Plugin("demo", "1.0.0")

    def test_parameters_come_from_annotations_and_defaults(self) -> None:
        @self.plugin.command("go", summary="Goes", timeout=1.5, concurrency=2, idempotent=True)
        def go(call: Any, a: bool, b: int, c: float, d: str, e: bytes, f: list, g: Dict[str, int], h=4, *, i: Any):
            """How it goes."""

        [spec] = self.plugin.specs
        types = {each["name"]: each["type"] for each in spec.pop("parameters")}
        kinds = ["boolean", "integer", "floating", "string", "binary", "array", "map", "any", "any"]
        self.assertEqual(types, dict(zip("abcdefghi", kinds)))
        self.assertEqual(
            spec,
            {
                "name": "demo.go", "summary": "Goes", "description": "How it goes.", "timeout_ms": 1500,
                "concurrency": 2, "idempotent": True,
            },
        )  # fmt: skip

    def test_a_command_runs_once_at_a_time_unless_its_author_says_otherwise(self) -> None:
        self.plugin.command("one")(lambda call: None)
        self.plugin.command("wide", concurrency=8, queue=0, capability="admin")(lambda call: None)
        one, wide = self.plugin.specs
        self.assertEqual(one, {"name": "demo.one", "parameters": [], "concurrency": 1})  # a burst waits at the node
        self.assertEqual((wide["concurrency"], wide["queue"], wide["capability"]), (8, 0, "admin"))

    def test_defaults_are_told_apart_from_their_absence(self) -> None:
        parameters = [Parameter("a"), Parameter("b", default=0), Parameter("c", "string", "C", "x", 1, 2, ["x"], "x+")]
        self.plugin.command("go", parameters=parameters)(lambda call, **given: None)
        self.assertEqual(
            self.plugin.specs[0]["parameters"],
            [
                {"name": "a", "type": "any"},
                {"name": "b", "type": "any", "default": 0},
                {
                    "name": "c", "type": "string", "summary": "C", "default": "x", "minimum": 1, "maximum": 2,
                    "choices": ["x"], "pattern": "x+",
                },
            ],
        )  # fmt: skip

    def test_declarations_that_cannot_work_are_refused(self) -> None:
        self.plugin.command("go")(lambda call: None)
        with self.assertRaisesRegex(ValueError, "declared twice"):
            self.plugin.command("go")
        with self.assertRaisesRegex(ValueError, "cannot name a command"):
            self.plugin.command("Go!")
        with self.assertRaisesRegex(TypeError, "cannot be passed by name"):
            self.plugin.command("all")(lambda call, *rest: None)
        with self.assertRaisesRegex(ValueError, "cannot be None"):
            self.plugin.command("maybe")(lambda call, x=None: None)
        fitting = [Parameter("a"), Parameter("b", default=1)]
        for function in (lambda: None, lambda call, a: None, lambda call, a, b, c: None, lambda call, a, *, c: None):
            with self.assertRaisesRegex(TypeError, "does not take the call and a, b: "):
                self.plugin.command("odd", parameters=fitting)(function)
        self.plugin.command("even", parameters=fitting)(lambda call, a, b, c=0: None)

        async def later(call: Any) -> None:
            pass

        def piecemeal(call: Any) -> Any:
            yield 1

        async def both(call: Any) -> Any:
            yield 1

        for never in (later, piecemeal, both):
            with self.assertRaisesRegex(TypeError, "`demo.odd` is a coroutine or generator"):
                self.plugin.command("odd")(never)
        self.assertEqual([spec["name"] for spec in self.plugin.specs], ["demo.go", "demo.even"])
        with self.assertRaisesRegex(ValueError, "use one of any, boolean"):
            Parameter("a", "str")
        with self.assertRaisesRegex(ValueError, "not an error code"):
            TroupeError("oops", "x")

    def test_a_command_works_with_the_context(self) -> None:
        @self.plugin.command("go")
        def go(call: Any) -> Any:
            call.context.set("/d/new", {"x": [1, 2.5, None, True, b"\0"]}, durable=True)
            call.context.delete("/d/old")
            every = dict(call.context.items("/d", page=1))
            return [call.context.get("/d/new"), call.context.get("/d/old", "gone"), every]

        with FakeHost(self.plugin, context={"/d/old": 1, "/d/a": 2, "/d/a/b": 3, "/da": 4}) as host:
            new = {"x": [1, 2.5, None, True, b"\0"]}
            self.assertEqual(host.execute("demo.go"), [new, "gone", {"/d/a": 2, "/d/a/b": 3, "/d/new": new}])
        self.assertEqual(host.context, {"/d/a": 2, "/d/a/b": 3, "/da": 4, "/d/new": new})
        self.assertEqual(host.status, 0)

    def test_lists_come_in_pages(self) -> None:
        @self.plugin.command("go")
        def go(call: Any, after: str) -> Any:
            entries, more = call.context.list("/d", after=after, limit=2)
            return [entries, more]

        with FakeHost(self.plugin, context={f"/d/{i}": i for i in range(5)}) as host:
            self.assertEqual(host.execute("demo.go", {"after": "/d/0"}), [[["/d/1", 1], ["/d/2", 2]], True])
            self.assertEqual(host.execute("demo.go", {"after": "/d/2"}), [[["/d/3", 3], ["/d/4", 4]], False])
            self.assertEqual(host.execute("demo.go", {"after": "/a"}), [[["/d/0", 0], ["/d/1", 1]], True])

    def test_a_node_that_promises_entries_for_ever_is_not_believed(self) -> None:
        @self.plugin.command("go")
        def go(call: Any) -> Any:
            return list(call.context.items("/d"))

        host = ScriptedHost(self.plugin)
        host.open()
        host.send([0, 1, "command.execute", [{"command": "demo.go", "arguments": {}}]])
        host.send([1, host.receive()[1], None, {"entries": [], "more": True}])
        self.assertEqual(host.receive()[2][0], "internal")
        host.end()

    def test_a_denied_call_carries_its_code(self) -> None:
        @self.plugin.command("go")
        def go(call: Any) -> Any:
            return call.context.get("/secret/key")

        with FakeHost(self.plugin, denied=["/secret"]) as host:
            with self.assertRaises(TroupeError) as caught:
                host.execute("demo.go")
        self.assertEqual(caught.exception.code, "permission_denied")

    def test_a_list_that_reaches_what_is_denied_is_denied_as_by_a_node(self) -> None:
        @self.plugin.command("go")
        def go(call: Any, path: str) -> Any:
            return len(call.context.list(path)[0])

        with FakeHost(self.plugin, context={"/a/b/c": 1, "/d": 2}, denied=["/a/b"]) as host:
            for denied in (["/a/b"], ["/a/b/"]):
                host.denied = denied
                for above in ("/", "", "/a", "/a/b", "/a/b/c"):
                    with self.assertRaisesRegex(TroupeError, "permission_denied"):
                        host.execute("demo.go", {"path": above})
                self.assertEqual(host.execute("demo.go", {"path": "/d"}), 1)
                self.assertEqual(host.execute("demo.go", {"path": "/a/bc"}), 0)
            for root in ("/", ""):
                host.denied = [root]
                with self.assertRaisesRegex(TroupeError, "permission_denied"):
                    host.execute("demo.go", {"path": "/d"})

    def test_the_fake_host_fills_in_defaults(self) -> None:
        @self.plugin.command("go", parameters=[Parameter("times", "integer", default=3)])
        def go(call: Any, times: int) -> int:
            return times

        with FakeHost(self.plugin) as host:
            self.assertEqual((host.execute("demo.go"), host.execute("demo.go", {"times": 4})), (3, 4))

    def test_the_fake_host_may_stop_the_clock_and_have_all_the_time_there_is(self) -> None:
        @self.plugin.command("go")
        def go(call: Any) -> Any:
            return call.remaining

        with FakeHost(self.plugin, clock=lambda: 5.0, patience=math.inf) as host:
            self.assertEqual(host.execute("demo.go", deadline=2), 2)
            self.assertEqual(host.execute("demo.go", deadline=math.inf), 86400)

    def test_a_plugin_that_neither_speaks_reads_nor_ends_fails_the_test(self) -> None:
        released = threading.Event()
        self.addCleanup(released.set)

        @self.plugin.command("hang")
        def hang(call: Any, ballast: str = "") -> None:
            released.wait()

        with self.assertRaisesRegex(AssertionError, "goes on running after 0.2 s"):
            with FakeHost(self.plugin, patience=0.2) as host:
                running = host.begin("demo.hang")
                with self.assertRaisesRegex(AssertionError, "said nothing for 0.2 s"):
                    host.wait(running)
                with self.assertRaisesRegex(AssertionError, "read nothing for 0.2 s"):
                    while True:
                        host.begin("demo.hang", {"ballast": "x" * (1 << 20)})
        self.assertEqual(host._socket.fileno(), -1)

    def test_a_plugin_that_does_not_start_leaves_nothing_behind(self) -> None:
        self.plugin.command("go", description="x" * (9 << 20))(lambda call: None)
        host = FakeHost(self.plugin)
        with self.assertRaisesRegex(TroupeError, "limit_exceeded"):
            host.__enter__()
        self.assertEqual(host._socket.fileno(), -1)
        self.assertFalse(host._thread.is_alive())

    def test_a_command_may_run_others(self) -> None:
        @self.plugin.command("go")
        def go(call: Any) -> Any:
            return [call.execute("math.double", {"n": 21}), call.execute("math.none")]

        with FakeHost(self.plugin, commands={"math.double": lambda given: given["n"] * 2}) as host:
            with self.assertRaisesRegex(TroupeError, "math.none") as caught:
                host.execute("demo.go")
        self.assertEqual(caught.exception.code, "not_found")

    def test_a_command_sees_who_asks_and_how_much_time_is_left(self) -> None:
        @self.plugin.command("go")
        def go(call: Any) -> Any:
            return [call.command, call.principal, call.remaining, call.host.node_name, call.host.node]

        with FakeHost(self.plugin) as host:
            name, principal, remaining, node_name, node = host.execute("demo.go", deadline=5)
            self.assertEqual((name, principal, node_name, node), ("demo.go", "tester", "test", b"troupe-test-node"))
            self.assertTrue(0 < remaining <= 5)
            self.assertIsNone(host.execute("demo.go")[2])

    def test_failures_become_errors_and_the_plugin_lives_on(self) -> None:
        failures = {
            "value": ValueError("bad"),
            "chosen": TroupeError("already_exists", "taken", {"by": "x"}),
            "unsendable": TroupeError("not_found", "gone", object()),
            "surrogate": ValueError("\ud800"),
        }

        @self.plugin.command("fail")
        def fail(call: Any, how: str) -> Any:
            raise failures[how]

        @self.plugin.command("return")
        def give(call: Any, size: int) -> Any:
            return b"x" * size if size else object()

        def failure_of(host: FakeHost, command: str, **arguments: Any) -> TroupeError:
            with self.assertRaises(TroupeError) as caught:
                host.execute(command, arguments)
            return caught.exception

        with contextlib.redirect_stderr(io.StringIO()) as stderr, FakeHost(self.plugin) as host:
            failed = failure_of(host, "demo.fail", how="value")
            self.assertEqual((failed.code, failed.message), ("handler_failed", "`demo.fail` raised ValueError: bad"))
            chosen = failure_of(host, "demo.fail", how="chosen")
            self.assertEqual((chosen.code, chosen.message, chosen.data), ("already_exists", "taken", {"by": "x"}))
            self.assertEqual(failure_of(host, "demo.fail", how="unsendable").code, "not_found")
            self.assertEqual(failure_of(host, "demo.fail", how="surrogate").code, "handler_failed")
            unsent = failure_of(host, "demo.return", size=0)
            self.assertEqual(unsent.code, "handler_failed")
            self.assertRegex(unsent.message, r"\A`demo.return` returned what cannot travel: .* a object cannot travel")
            self.assertEqual(failure_of(host, "demo.return", size=9 << 20).code, "limit_exceeded")
            self.assertEqual(host.execute("demo.return", {"size": 3}), b"xxx")
            host.ping()
        self.assertIn("raise failures[how]", stderr.getvalue())

    def test_logs_reach_the_node(self) -> None:
        @self.plugin.command("go")
        def go(call: Any) -> None:
            for level in ("debug", "info", "warning", "error"):
                getattr(call.log, level)(level.upper())

        with FakeHost(self.plugin) as host:
            host.execute("demo.go")
        self.assertEqual(host.logs, [(level, level.upper()) for level in ("debug", "info", "warning", "error")])

    def test_the_fake_host_cancels(self) -> None:
        host: FakeHost

        @self.plugin.command("go")
        def go(call: Any) -> Any:
            call.execute("node.cancel")
            return call.context.get("/never/asked")

        def cancel(given: Dict[str, Any]) -> None:
            host.cancel(running)

        with FakeHost(self.plugin, commands={"node.cancel": cancel}) as host:
            running = host.begin("demo.go")
            with self.assertRaises(Cancelled):
                host.wait(running)

    def test_the_fake_host_refuses_what_is_no_path(self) -> None:
        @self.plugin.command("go")
        def go(call: Any, path: str) -> Any:
            return call.context.get(path)

        with FakeHost(self.plugin, context={"": "root"}) as host:
            self.assertEqual(host.execute("demo.go", {"path": "/"}), "root")
            for wrong in ("a", "/a/"):
                with self.assertRaisesRegex(TroupeError, "no path"):
                    host.execute("demo.go", {"path": wrong})
            with self.assertRaisesRegex(TroupeError, "not_found"):
                host.call("state.save", {})

    def test_a_memory_context_lists_whole_subtrees(self) -> None:
        context = MemoryContext({"/a-b": 1, "/a": 2})
        context["/a/c"] = 3
        context["/a"] = 4
        del context["/a-b"]
        first, second = {"path": "/a", "value": 4}, {"path": "/a/c", "value": 3}
        self.assertEqual(context.page("/a", None, 9), ([first, second], False))
        self.assertEqual(context.page("", None, 1), ([first], True))

    def test_a_page_has_about_4_mib(self) -> None:
        context = MemoryContext({f"/{i}": "x" * (1 << 20) for i in range(9)} | {"/9": "x" * (5 << 20)})
        self.assertEqual([entry["path"] for entry in context.page("", None, 99)[0]], ["/0", "/1", "/2"])
        self.assertEqual([entry["path"] for entry in context.page("", "/8", 99)[0]], ["/9"])


class Processes(unittest.TestCase):
    """A plugin as a node starts it."""

    COMMAND = ["/usr/bin/python3", "-B", str(ROOT / "plugins/examples/wordcount/wordcount.py")]

    def test_the_socket_comes_as_an_inherited_descriptor(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            environment = {"PYTHONPATH": str(SDK), "TROUPE_SOCKET": str(theirs.fileno())}
            process = subprocess.Popen(
                self.COMMAND, env=environment, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE
            )
            theirs.close()
            ours.settimeout(30)
            unpacker = msgpack.Unpacker()

            def receive() -> Any:
                while True:
                    for frame in unpacker:
                        return frame
                    unpacker.feed(ours.recv(1 << 16))

            _, msgid, method, [hello] = receive()
            self.assertEqual((method, hello["name"], hello["sdk"]), ("session.open", "wordcount", "python/0.1"))
            ours.sendall(msgpack.packb([1, msgid, None, SESSION]) + msgpack.packb([0, 1, "plugin.start", [{}]]))
            commands = [spec["name"] for spec in receive()[3]["commands"]]
            self.assertEqual(commands, ["wordcount.count", "wordcount.store", "wordcount.peek"])
            ours.sendall(msgpack.packb([0, 2, "plugin.stop", [{}]]))
            self.assertEqual(receive(), [1, 2, None, None])
            _, stderr = process.communicate(timeout=30)
            self.assertEqual((process.returncode, stderr), (0, b""))

    def test_what_it_prints_goes_out_line_by_line(self) -> None:
        script = (
            "from troupe_plugin import Plugin\n"
            "plugin = Plugin('p', '1.0.0')\n"
            "plugin.command('say')(lambda call: print('said'))\n"
            "raise SystemExit(plugin.run())\n"
        )
        ours, theirs = socket.socketpair()
        with theirs:
            environment = {"PYTHONPATH": str(SDK), "TROUPE_SOCKET": str(theirs.fileno())}
            with subprocess.Popen(
                ["/usr/bin/python3", "-B", "-c", script], env=environment, pass_fds=[theirs.fileno()],
                stdout=subprocess.PIPE,
            ) as process:  # fmt: skip
                theirs.close()
                with ours:  # closed, it ends the process
                    ours.settimeout(30)
                    [[_, msgid, _, _]] = frames_in(ours.recv(1 << 16))
                    ours.sendall(msgpack.packb([1, msgid, None, SESSION]) + execute_frame(1, "p.say"))
                    self.assertEqual(frames_in(ours.recv(1 << 16)), [[1, 1, None, None]])
                    ready, _, _ = select.select([process.stdout], [], [], 10)  # while the plugin runs
                    self.assertEqual([each.readline() for each in ready], [b"said\n"])

    def test_started_by_hand_it_says_what_is_missing(self) -> None:
        for named in ("3", "x", "-1"):
            environment = {"PYTHONPATH": str(SDK), "TROUPE_SOCKET": named}
            done = subprocess.run(self.COMMAND, env=environment, capture_output=True, timeout=30)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr.decode(), r"\Aplugin wordcount: a plugin is started by a Troupe node.*\n\Z")

    def test_its_children_do_not_inherit_the_socket(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, mock.patch.dict(os.environ, {"TROUPE_SOCKET": str(theirs.detach())}):
            with sdk._inherited_socket() as inherited:
                self.assertFalse(inherited.get_inheritable())


class WordCount(unittest.TestCase):
    CONTEXT = {
        "/iso/a": "One two, TWO.",
        "/iso/b/c": {"name": "two three", "codes": ["one", 2, None]},
        "/iso/n": 17,
        "/other": "secret",
    }

    def test_it_counts_words_in_all_strings_below_a_prefix(self) -> None:
        with FakeHost(wordcount.plugin, context=self.CONTEXT) as host:
            counted = host.execute("wordcount.count", {"prefix": "/iso", "top": 2})
        top = [{"word": "two", "count": 3}, {"word": "one", "count": 2}]
        self.assertEqual(counted, {"values": 3, "words": 6, "distinct": 3, "top": top})

    def test_it_stores_the_result(self) -> None:
        with FakeHost(wordcount.plugin, context=self.CONTEXT) as host:
            stored = host.execute("wordcount.store", {"prefix": "/iso"})
            self.assertEqual(stored.pop("path"), "/plugins/wordcount/results/iso")
            self.assertEqual(host.context["/plugins/wordcount/results/iso"], stored)
            # Seven words of the context and the three that the first result lists.
            self.assertEqual(host.execute("wordcount.store", {"into": "/x"})["words"], 10)
        self.assertIn("/x", host.context)

    def test_storing_twice_is_the_same_as_storing_once(self) -> None:
        with FakeHost(wordcount.plugin, context=self.CONTEXT) as host:
            for into in ("/iso/counted", "/", ""):
                with self.subTest(into=into):
                    once = host.execute("wordcount.store", {"into": into})
                    self.assertEqual(host.execute("wordcount.store", {"into": into}), once)

    def test_words_of_all_languages_are_whole(self) -> None:
        for text, words in (
            ("İstanbul, istanbul", ["i\u0307stanbul", "istanbul"]),
            ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
            ("Straße STRASSE", ["strasse", "strasse"]),
            ("caf\u00e9 CAFE\u0301", ["caf\u00e9", "caf\u00e9"]),
            ("q\u0323y \u0301 \u2764\ufe0f", ["q\u0323y"]),
            ("snake_case a1, b-2", ["snake_case", "a1", "b", "2"]),
            ("", []),
        ):
            with self.subTest(text=text):
                self.assertEqual(list(wordcount.words_in(text)), words)

    def test_short_words_count_but_may_be_left_out_of_the_list(self) -> None:
        with FakeHost(wordcount.plugin, context={"/a": "i i I may, maybe"}) as host:
            counted = host.execute("wordcount.count", {"min_length": 4})
            self.assertEqual(counted, {"values": 1, "words": 5, "distinct": 3, "top": [{"word": "maybe", "count": 1}]})
            self.assertEqual(host.execute("wordcount.count")["top"][0], {"word": "i", "count": 3})

    def test_what_it_may_not_read_is_denied(self) -> None:
        with FakeHost(wordcount.plugin, context=self.CONTEXT, denied=["/other"]) as host:
            self.assertEqual(host.execute("wordcount.peek", {"path": "/iso/n"}), 17)
            self.assertIsNone(host.execute("wordcount.peek", {"path": "/iso/nothing"}))
            with self.assertRaises(TroupeError) as caught:
                host.execute("wordcount.peek", {"path": "/other"})
        self.assertEqual(caught.exception.code, "permission_denied")

    def test_its_memory_is_bounded(self) -> None:
        with mock.patch.object(wordcount, "MAX_DISTINCT_WORDS", 2):
            with FakeHost(wordcount.plugin, context=self.CONTEXT) as host:
                with self.assertRaisesRegex(TroupeError, "limit_exceeded.*choose a smaller part"):
                    host.execute("wordcount.count", {"prefix": "/iso"})

    def test_54000_values_take_54_pages(self) -> None:
        context = {f"/iso/{i % 300}/{i}/name": f"name of number {i}" for i in range(54_000)}
        with FakeHost(wordcount.plugin, context=context) as host:
            with mock.patch.object(host.context, "page", wraps=host.context.page) as page:
                counted = host.execute("wordcount.count", {"prefix": "/iso", "top": 3}, deadline=30)
        self.assertEqual((counted["values"], counted["words"], counted["distinct"]), (54_000, 216_000, 54_003))
        self.assertEqual([entry["word"] for entry in counted["top"]], ["name", "number", "of"])
        self.assertEqual(page.call_count, 54)


if __name__ == "__main__":
    unittest.main()
