"""The Python SDK for the author of a plugin.

Run: python3 -B tests/unit/sdk/python_sdk_command_test.py
"""

from __future__ import annotations

import contextlib
import io
import math
import pathlib
import sys
import threading
import unittest
from typing import Any, Dict

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from python_sdk import ScriptedHost  # noqa: E402

from troupe_plugin import Cancelled, Parameter, Plugin, TroupeError  # noqa: E402
from troupe_plugin_testing import FakeHost, MemoryContext  # noqa: E402


class Commands(unittest.TestCase):
    """A plugin as its author tests it."""

    def setUp(self) -> None:
        self.plugin = Plugin("demo", "1.0.0")

    def test_parameters_come_from_annotations_and_defaults(self) -> None:
        @self.plugin.command("go", summary="Goes", timeout=1.5, concurrency=2, idempotent=True)
        def go(call: Any, a: bool, b: int, c: float, d: str, e: bytes, f: list, g: Dict[str, int],
               h=4, *, i: Any):
            """How it goes."""

        [spec] = self.plugin.specs
        types = {each["name"]: each["type"] for each in spec.pop("parameters")}
        kinds = ["boolean", "integer", "floating", "string", "binary", "array", "map", "any", "any"]
        self.assertEqual(types, dict(zip("abcdefghi", kinds)))
        self.assertEqual(spec, {
            "name": "demo.go", "summary": "Goes", "description": "How it goes.", "timeout_ms": 1500,
            "concurrency": 2, "idempotent": True})

    def test_a_command_runs_once_at_a_time_unless_declared_otherwise(self) -> None:
        self.plugin.command("one")(lambda call: None)
        self.plugin.command("wide", concurrency=8, queue=0, capability="admin")(lambda call: None)
        one, wide = self.plugin.specs
        # With a concurrency of 1, a burst waits at the node.
        self.assertEqual(one, {"name": "demo.one", "parameters": [], "concurrency": 1})
        self.assertEqual((wide["concurrency"], wide["queue"], wide["capability"]), (8, 0, "admin"))

    def test_a_falsy_default_is_a_default(self) -> None:
        parameters = [Parameter("a"), Parameter("b", default=0),
                      Parameter("c", "string", "C", "x", 1, 2, ["x"], "x+")]
        self.plugin.command("go", parameters=parameters)(lambda call, **given: None)
        self.assertEqual(self.plugin.specs[0]["parameters"], [
            {"name": "a", "type": "any"},
            {"name": "b", "type": "any", "default": 0},
            {"name": "c", "type": "string", "summary": "C", "default": "x", "minimum": 1,
             "maximum": 2, "choices": ["x"], "pattern": "x+"}])

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
        for function in (lambda: None, lambda call, a: None, lambda call, a, b, c: None,
                         lambda call, a, *, c: None):
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
            self.assertEqual(host.execute("demo.go"),
                             [new, "gone", {"/d/a": 2, "/d/a/b": 3, "/d/new": new}])
        self.assertEqual(host.context, {"/d/a": 2, "/d/a/b": 3, "/da": 4, "/d/new": new})
        self.assertEqual(host.status, 0)

    def test_lists_come_in_pages(self) -> None:
        @self.plugin.command("go")
        def go(call: Any, after: str) -> Any:
            entries, more = call.context.list("/d", after=after, limit=2)
            return [entries, more]

        with FakeHost(self.plugin, context={f"/d/{i}": i for i in range(5)}) as host:
            for after, page in (("/d/0", [[["/d/1", 1], ["/d/2", 2]], True]),
                                ("/d/2", [[["/d/3", 3], ["/d/4", 4]], False]),
                                ("/a", [[["/d/0", 0], ["/d/1", 1]], True])):
                self.assertEqual(host.execute("demo.go", {"after": after}), page)

    def test_a_list_ends_when_the_node_announces_entries_and_sends_none(self) -> None:
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

    def test_a_list_of_a_part_that_is_denied_is_denied_as_by_a_node(self) -> None:
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
            self.assertEqual(host.execute("demo.go"), 3)
            self.assertEqual(host.execute("demo.go", {"times": 4}), 4)

    def test_the_clock_of_the_fake_host_may_stand_still_and_its_patience_be_infinite(self) -> None:
        @self.plugin.command("go")
        def go(call: Any) -> Any:
            return call.remaining

        with FakeHost(self.plugin, clock=lambda: 5.0, patience=math.inf) as host:
            self.assertEqual(host.execute("demo.go", deadline=2), 2)
            self.assertEqual(host.execute("demo.go", deadline=math.inf), 86400)

    def test_a_plugin_that_neither_sends_reads_nor_ends_fails_the_test(self) -> None:
        released = threading.Event()
        self.addCleanup(released.set)

        @self.plugin.command("hang")
        def hang(call: Any, ballast: str = "") -> None:
            released.wait()

        with self.assertRaisesRegex(AssertionError, "still runs after 0.2 s"):
            with FakeHost(self.plugin, patience=0.2) as host:
                running = host.begin("demo.hang")
                with self.assertRaisesRegex(AssertionError, "sent nothing for 0.2 s"):
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

    def test_a_command_sees_its_caller_and_its_remaining_time(self) -> None:
        @self.plugin.command("go")
        def go(call: Any) -> Any:
            host = call.host
            return [call.command, call.principal, call.remaining, host.node_name, host.node]

        with FakeHost(self.plugin) as host:
            name, principal, remaining, node_name, node = host.execute("demo.go", deadline=5)
            self.assertEqual((name, principal), ("demo.go", "tester"))
            self.assertEqual((node_name, node), ("test", b"troupe-test-node"))
            self.assertTrue(0 < remaining <= 5)
            self.assertIsNone(host.execute("demo.go")[2])

    def test_failures_become_errors_and_the_plugin_continues(self) -> None:
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
            self.assertEqual((failed.code, failed.message),
                             ("handler_failed", "`demo.fail` raised ValueError: bad"))
            chosen = failure_of(host, "demo.fail", how="chosen")
            self.assertEqual((chosen.code, chosen.message, chosen.data),
                             ("already_exists", "taken", {"by": "x"}))
            self.assertEqual(failure_of(host, "demo.fail", how="unsendable").code, "not_found")
            self.assertEqual(failure_of(host, "demo.fail", how="surrogate").code, "handler_failed")
            unsent = failure_of(host, "demo.return", size=0)
            self.assertEqual(unsent.code, "handler_failed")
            self.assertRegex(unsent.message,
                             r"\A`demo.return` returned a bad value: .* a value of type object ")
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
        self.assertEqual(host.logs, [
            ("debug", "DEBUG"), ("info", "INFO"), ("warning", "WARNING"), ("error", "ERROR")])

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

    def test_the_fake_host_refuses_a_malformed_path(self) -> None:
        @self.plugin.command("go")
        def go(call: Any, path: str) -> Any:
            return call.context.get(path)

        with FakeHost(self.plugin, context={"": "root"}) as host:
            self.assertEqual(host.execute("demo.go", {"path": "/"}), "root")
            for wrong in ("a", "/a/"):
                with self.assertRaisesRegex(TroupeError, "not a path"):
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
        sizes = {f"/{i}": 1 for i in range(9)} | {"/9": 5}
        context = MemoryContext({path: "x" * (size << 20) for path, size in sizes.items()})

        def paths(after: Any) -> Any:
            return [entry["path"] for entry in context.page("", after, 99)[0]]

        self.assertEqual(paths(None), ["/0", "/1", "/2"])
        self.assertEqual(paths("/8"), ["/9"])


if __name__ == "__main__":
    unittest.main()
