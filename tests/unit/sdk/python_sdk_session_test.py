"""The sessions of the Python SDK, without a socket.

Run: python3 -B tests/unit/sdk/python_sdk_session_test.py
"""

from __future__ import annotations

import pathlib
import sys
import unittest
from typing import Any, List

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from python_sdk import execute_frame, frames_in  # noqa: E402

import msgpack  # noqa: E402
import troupe_plugin as sdk  # noqa: E402
from troupe_plugin import ProtocolViolation, TroupeError  # noqa: E402


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
                session.receive(data[start:start + (1 << 16)], 0.0)
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
        for params, problem in ((b"\xa1\xff\x90", "malformed"),  # a method name that is not UTF-8
                                (b"\xa1x\x91\x81\x01\x02", "malformed"),  # a map key 1
                                (b"\xa1x\xd6\xff\0\0\0\0", "malformed"),  # a timestamp
                                (b"\xa1x\xc7\x00\x05", "ExtType")):  # another extension
            self.assertIn(problem, self.violation(b"\x93\x02" + params))

    def test_messages_that_are_no_frames_end_the_session(self) -> None:
        frames = (7, [], {}, ["x"], [3, 1, "m", []], [True, 1, None, None], [0, 1, "ping"],
                  [2, "m", [], []], [1, 2])
        for frame in frames:
            self.assertIn("no request", self.violation(msgpack.packb(frame)))

    def test_wrong_types_in_a_frame_end_the_session(self) -> None:
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

    def test_a_frame_may_have_8_mib_and_no_byte_more(self) -> None:
        def notification(size: int) -> bytes:
            frame = [2, "event", [{"data": b""}]]
            mib = 1 << 20
            overhead = len(msgpack.packb([2, "event", [{"data": b"x" * mib}]])) - mib
            frame[2][0]["data"] = b"x" * (size - overhead)
            return msgpack.packb(frame)

        largest = notification(sdk.MAX_FRAME_BYTES)
        self.assertEqual(len(largest), sdk.MAX_FRAME_BYTES)
        session = sdk.Session()
        for start in range(0, len(largest), 1 << 16):
            session.receive(largest[start:start + (1 << 16)], 0.0)
        too_large = notification(sdk.MAX_FRAME_BYTES + 1)
        self.assertIn("larger than 8388608", self.violation(too_large))

    def test_a_false_length_allocates_nothing(self) -> None:
        session = sdk.Session()
        session.receive(b"\x93\x02\xdb\xff\xff\xff\xff", 0.0)  # a string of 4 GiB
        session = sdk.Session()
        # Arrays of 4 Gi elements.
        session.receive(b"\x93\x02\xa1x" + b"\xdd\xff\xff\xff\xff" * 50, 0.0)
        string = b"\x93\x02\xdb\xff\xff\xff\xff" + b"x" * (9 << 20)
        self.assertIn("larger than", self.violation(string))

    def test_nesting_and_elements_are_bounded_both_ways(self) -> None:
        sdk.encode_frame(nested(64))
        with self.assertRaisesRegex(TroupeError, "nested deeper than 64"):
            sdk.encode_frame(nested(65))
        self.assertIn("nested deeper", self.violation(msgpack.packb([2, "x", [{"v": nested(62)}]])))
        with self.assertRaisesRegex(TroupeError, "more than 1048576 elements"):
            sdk.encode_frame([None] * (1 << 20))
        wide = msgpack.packb([2, "x", [{"v": [None] * (1 << 20)}]])
        self.assertIn("elements", self.violation(wide))

    def test_a_structure_that_contains_itself_is_refused(self) -> None:
        loop: List[Any] = []
        loop.append(loop)
        with self.assertRaises(TroupeError):
            sdk.encode_frame(loop)

    def test_a_value_that_cannot_be_sent_is_named(self) -> None:
        for value, text in ((object(), "a value of type object cannot be sent"),
                            ({1: 2}, "map key 1 is not a string"),
                            (msgpack.ExtType(5, b""), "ExtType"),
                            ("\ud800", "surrogates"),
                            (1 << 64, "out of range")):
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

    def test_unknown_requests_are_answered_and_unknown_notifications_ignored(self) -> None:
        self.receive([2, "context.changed", [{}]], [0, 9, "state.save", [{}]])
        error = ["not_found", "a plugin has no method `state.save`", None]
        self.assertEqual(self.said(), [[1, 9, error, None]])

    def test_an_unknown_method_with_a_name_of_megabytes_is_answered(self) -> None:
        data = msgpack.packb([0, 9, "x" * (8 * 1024 * 1024 - 100), [{}]])
        for start in range(0, len(data), 1 << 16):
            self.receive(data[start:start + (1 << 16)])
        self.assertEqual(self.said()[0][2][0], "not_found")

    def test_envelope_parameters_of_the_wrong_type_are_refused(self) -> None:
        for name, wrong in (("deadline_ms", "1"), ("deadline_ms", -1), ("deadline_ms", True),
                            ("trace", b"short"), ("trace", 5)):
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
                self.receive(data[start:start + (1 << 16)])
        [[_, msgid, error, _]] = self.said()
        self.assertEqual((msgid, error[0]), (3, "overloaded"))
        self.session.next_request()
        self.receive(execute_frame(4, ballast=b"x" * 100))
        self.assertEqual(self.said(), [])

    def test_cancel_answers_a_queued_request_and_marks_the_running_one(self) -> None:
        self.receive(execute_frame(1), execute_frame(2))
        running = self.session.next_request()
        self.receive(*([2, "cancel", [{"msgid": msgid}]] for msgid in (2, 1, 2)))
        [[_, msgid, error, _]] = self.said()
        self.assertEqual((msgid, error[0]), (2, "cancelled"))
        self.assertTrue(running.cancelled)
        self.assertIsNone(self.session.next_request())

    def test_cancel_of_anything_else_is_ignored(self) -> None:
        self.receive([0, 5, "plugin.start", [{}]])
        self.receive(*([2, "cancel", [{"msgid": msgid}]] for msgid in (5, 6, None, "x", [])),
                     [2, "cancel", []])
        self.assertEqual(self.said(), [])
        self.assertEqual(self.session.next_request().method, "plugin.start")

    def test_stop_refuses_waiting_and_later_requests(self) -> None:
        self.receive(execute_frame(1), [0, 2, "plugin.stop", [{}]], execute_frame(3))
        self.assertEqual([(frame[1], frame[2][0]) for frame in self.said()],
                         [(1, "unavailable"), (3, "unavailable")])
        self.assertEqual(self.session.next_request().method, "plugin.stop")

    def test_message_ids_wrap_at_32_bits(self) -> None:
        self.session._last_msgid = 0xFFFFFFFF
        self.assertEqual(self.session.request("a", {}), 0)


if __name__ == "__main__":
    unittest.main()
