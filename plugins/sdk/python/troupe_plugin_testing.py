"""Test a Troupe plugin without a node.

`FakeHost` runs a plugin in a thread and is its node over a socket pair, with a context in memory::

    from troupe_plugin_testing import FakeHost
    from greeter import plugin

    def test_greets():
        with FakeHost(plugin, context={"/app/theme": "dark"}) as host:
            assert host.execute("greeter.greet", {"name": "Ada"}) == "Hello, Ada."
            assert host.context["/plugins/greeter/last"] == "Ada"

The host acts only while a test waits in one of its methods, in the test's own thread, so that tests
are repeatable. Like a node, it fills in the defaults of the commands that the plugin announced.
Unlike a node, it does not check arguments, and `denied` is all that it forbids.
"""

from __future__ import annotations

import bisect
import socket
import threading
import time
from collections import deque
from types import TracebackType
from typing import Any, Callable, Deque, Dict, List, Mapping, Optional, Sequence, Tuple, Type

import msgpack
from troupe_plugin import MAX_TIMEOUT, Cancelled, FrameReader, Plugin, TroupeError, encode_frame

__all__ = ["FakeHost", "MemoryContext"]

_PAGE_ENTRIES, _PAGE_BYTES = 10_000, 4 << 20  # a node's bounds for one page of a list


def _segments(path: str) -> List[str]:
    """The sorting key of a path. Keeps each subtree together."""
    return path.split("/")


class MemoryContext(Dict[str, Any]):
    """A context tree: a dictionary of paths and values that also lists subtrees in order."""

    def __init__(self, entries: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__()
        self._order: List[List[str]] = sorted(_segments(path) for path in entries or {})
        super().update(entries or {})

    def __setitem__(self, path: str, value: Any) -> None:
        if path not in self:
            bisect.insort(self._order, _segments(path))
        super().__setitem__(path, value)

    def __delitem__(self, path: str) -> None:
        super().__delitem__(path)
        self._order.pop(bisect.bisect_left(self._order, _segments(path)))

    def page(self, prefix: str, after: Optional[str],
             limit: int) -> Tuple[List[Dict[str, Any]], bool]:
        """Entries at and below `prefix` and behind `after`, and whether more follow. At most
        `limit`, and about 4 MiB."""
        below = _segments(prefix)
        start = bisect.bisect_left(self._order, below)
        if after is not None:
            start = max(start, bisect.bisect(self._order, _segments(after)))
        found: List[Dict[str, Any]] = []
        size = 0
        for segments in self._order[start:start + min(limit, _PAGE_ENTRIES) + 1]:
            if segments[:len(below)] != below:
                break
            path = "/".join(segments)
            size += len(msgpack.packb([path, self[path]]))
            if len(found) == min(limit, _PAGE_ENTRIES) or (size > _PAGE_BYTES and found):
                return found, True
            found.append({"path": path, "value": self[path]})
        return found, False


class FakeHost:
    """A node for one plugin. A `with` statement opens the session and starts the plugin, and stops
    it at the end. A wait for the plugin to send, read or end raises an AssertionError after
    `patience` seconds, at most a day."""

    def __init__(self, plugin: Plugin, *, context: Optional[Mapping[str, Any]] = None,
                 denied: Sequence[str] = (),
                 commands: Optional[Mapping[str, Callable[[Dict[str, Any]], Any]]] = None,
                 node: bytes = b"troupe-test-node", node_name: str = "test",
                 patience: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        """The plugin can neither read nor write at and below the paths `denied`, nor list above
        them. `commands` are the node's commands that it can execute, as functions of their
        arguments. `clock` is the plugin's clock."""
        self.context = MemoryContext(context)
        self.denied = list(denied)
        self.node_commands = dict(commands or {})
        self.node, self.node_name = node, node_name
        self.logs: List[Tuple[str, str]] = []  #: (level, message) of each line that it logged.
        self.hello: Dict[str, Any] = {}  #: The parameters of the plugin's `session.open`.
        self.commands: List[Dict[str, Any]] = []  #: The commands that the plugin announced.
        self.status: Optional[int] = None  #: The plugin's exit status, once it has ended.
        self._socket, self._plugin_socket = socket.socketpair()
        self._patience = min(patience, MAX_TIMEOUT)
        self._socket.settimeout(self._patience)
        self._plugin, self._clock = plugin, clock
        self._thread = threading.Thread(target=self._run_plugin, daemon=True)
        self._reader = FrameReader()
        self._inbox: Deque[Any] = deque()
        self._answers: Dict[int, Tuple[Any, Any]] = {}
        self._last_msgid = 0
        self._changes = 0

    def __enter__(self) -> "FakeHost":
        self._thread.start()
        try:
            while not self.hello:
                self._serve(self.receive())
            self.commands = self.call("plugin.start", {})["commands"]
        except BaseException:
            self._socket.close()
            self._thread.join(self._patience)
            raise
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], failure: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        try:
            if kind is None and self.status is None:
                self.stop()
        finally:
            self._socket.close()
            self._join()

    # Requests of a test to the plugin.

    def execute(self, command: str, arguments: Optional[Mapping[str, Any]] = None, *,
                deadline: Optional[float] = None, principal: str = "tester") -> Any:
        """Runs a command and returns its result. Raises the plugin's `TroupeError`. `deadline` is
        in seconds."""
        return self.wait(self.begin(command, arguments, deadline=deadline, principal=principal))

    def begin(self, command: str, arguments: Optional[Mapping[str, Any]] = None, *,
              deadline: Optional[float] = None, principal: str = "tester") -> int:
        """Starts a command without waiting; returns the id for `wait` and `cancel`."""
        complete = self._with_defaults(command, arguments or {})
        params: Dict[str, Any] = {
            "command": command, "arguments": complete, "principal": principal}
        if deadline is not None:
            params["deadline_ms"] = int(min(deadline, MAX_TIMEOUT) * 1000)
        return self.request("command.execute", params)

    def _with_defaults(self, command: str, arguments: Mapping[str, Any]) -> Dict[str, Any]:
        parameters = next(
            (spec["parameters"] for spec in self.commands if spec["name"] == command), ())
        defaults = {each["name"]: each["default"] for each in parameters if "default" in each}
        return {**defaults, **arguments}

    def cancel(self, msgid: int) -> None:
        """Cancels a command."""
        self.send([2, "cancel", [{"msgid": msgid}]])

    def ping(self) -> None:
        """Returns when the plugin has answered."""
        self.call("ping", {})

    def stop(self) -> int:
        """Stops the plugin; returns its exit status."""
        self.call("plugin.stop", {})
        self._join()
        assert self.status is not None, "the plugin ended with an exception"
        return self.status

    def _join(self) -> None:
        self._thread.join(self._patience)
        assert not self._thread.is_alive(), f"the plugin still runs after {self._patience} s"

    # The protocol, for tests that look closer.

    def call(self, method: str, params: Dict[str, Any]) -> Any:
        """Sends a request and waits for its answer."""
        return self.wait(self.request(method, params))

    def request(self, method: str, params: Dict[str, Any]) -> int:
        """Sends a request; returns its id."""
        self._last_msgid += 1
        self.send([0, self._last_msgid, method, [params]])
        return self._last_msgid

    def wait(self, msgid: int) -> Any:
        """Serves the plugin until it answers this request."""
        while msgid not in self._answers:
            self._serve(self.receive())
        error, result = self._answers.pop(msgid)
        if error is not None:
            raise Cancelled(error[1]) if error[0] == "cancelled" else TroupeError(*error)
        return result

    def send(self, frame: Sequence[Any]) -> None:
        """Sends one frame as it is."""
        try:
            self._socket.sendall(encode_frame(frame))
        except socket.timeout:
            raise AssertionError(f"the plugin read nothing for {self._patience} s") from None

    def receive(self) -> Any:
        """The next frame of the plugin, of any kind."""
        while not self._inbox:
            try:
                data = self._socket.recv(1 << 16)
            except socket.timeout:
                raise AssertionError(f"the plugin sent nothing for {self._patience} s") from None
            assert data, "the plugin closed its socket"
            self._inbox.extend(frame for frame, _ in self._reader.feed(data))
        return self._inbox.popleft()

    def _serve(self, frame: Any) -> None:
        if frame[0] == 0:
            try:
                self.send([1, frame[1], None, self._answer(frame[2], frame[3][0])])
            except TroupeError as refusal:
                self.send([1, frame[1], [refusal.code, refusal.message, refusal.data], None])
        elif frame[0] == 1:
            self._answers[frame[1]] = (frame[2], frame[3])
        elif frame[1] == "log":
            self.logs.append((frame[2][0]["level"], frame[2][0]["message"]))

    def _answer(self, method: str, params: Dict[str, Any]) -> Any:
        if method == "session.open":
            self.hello = params
            return {"protocol": 1, "node": self.node, "node_name": self.node_name,
                    "capabilities": []}
        if method == "command.execute":
            return self._answer_command(params)
        handler = {
            "context.get": self._answer_get,
            "context.set": self._answer_set,
            "context.delete": self._answer_delete,
            "context.list": self._answer_list,
        }.get(method)
        if handler is None:
            raise TroupeError("not_found", f"there is no method `{method}`")
        return handler(params)

    def _answer_command(self, params: Dict[str, Any]) -> Any:
        command = self.node_commands.get(params["command"])
        if command is None:
            raise TroupeError("not_found", f"there is no command `{params['command']}`")
        return command(params["arguments"])

    def _answer_get(self, params: Dict[str, Any]) -> Any:
        path = self._permitted(params["path"])
        return {"found": path in self.context, "value": self.context.get(path)}

    def _answer_set(self, params: Dict[str, Any]) -> Any:
        self.context[self._permitted(params["path"])] = params["value"]
        return self._change()

    def _answer_delete(self, params: Dict[str, Any]) -> Any:
        path = self._permitted(params["path"])
        if path in self.context:
            del self.context[path]
        return self._change()

    def _answer_list(self, params: Dict[str, Any]) -> Any:
        prefix = self._permitted(params["prefix"], subtree=True)
        entries, more = self.context.page(prefix, params.get("after"), params.get("limit", 1000))
        return {"entries": entries, "more": more}

    def _permitted(self, path: str, *, subtree: bool = False) -> str:
        """The path as it is stored. Raises when it is not a path, or when the plugin may not use it
        or, with `subtree`, all below it."""
        if (path and not path.startswith("/")) or (len(path) > 1 and path.endswith("/")):
            raise TroupeError("invalid_argument", f"`{path}` is not a path; a path starts with `/` "
                                                  "and does not end with it")
        stored = "" if path == "/" else path
        asked = stored + "/"
        for denied in (each.rstrip("/") + "/" for each in self.denied):
            if asked.startswith(denied) or (subtree and denied.startswith(asked)):
                raise TroupeError("permission_denied", f"the plugin may not use `{path}`")
        return stored

    def _change(self) -> Dict[str, bytes]:
        self._changes += 1
        return {"id": self._changes.to_bytes(16, "big")}

    def _run_plugin(self) -> None:
        self.status = self._plugin.run(self._plugin_socket, clock=self._clock)
