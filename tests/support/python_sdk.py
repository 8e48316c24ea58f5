"""The Python SDK for its tests, and a node that sends a plugin any bytes."""

from __future__ import annotations

import contextlib
import io
import pathlib
import socket
import sys
import threading
import time
from typing import Any, Dict, List, Optional

ROOT = pathlib.Path(__file__).resolve().parents[2]
SDK = ROOT / "plugins/sdk/python"
sys.path.insert(0, str(SDK))

import msgpack  # noqa: E402
from troupe_plugin import Plugin  # noqa: E402

#: A good answer to `session.open`.
SESSION: Dict[str, Any] = {
    "protocol": 1, "node": bytes(16), "node_name": "n", "capabilities": ["state"]}


def frames_in(data: bytes) -> List[Any]:
    unpacker = msgpack.Unpacker(max_buffer_size=1 << 28)
    unpacker.feed(data)
    return list(unpacker)


def execute_frame(msgid: int, command: str = "p.run", **params: Any) -> bytes:
    fields = {"command": command, "arguments": {}, **params}
    return msgpack.packb([0, msgid, "command.execute", [fields]])


class ScriptedHost:
    """The node's end of the socket, for tests that choose every byte. A thread runs the plugin."""

    def __init__(self, plugin: Plugin, *, stopped_clock: bool = False) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(10)
        self.stderr = io.StringIO()
        self.status: Optional[int] = None
        self.now = 100.0  #: The plugin's clock, when it is stopped.
        self._unpacker = msgpack.Unpacker()
        self._thread = threading.Thread(target=self._run, args=(plugin, theirs, stopped_clock),
                                        daemon=True)
        self._thread.start()

    def _run(self, plugin: Plugin, theirs: socket.socket, stopped_clock: bool) -> None:
        clock = (lambda: self.now) if stopped_clock else time.monotonic
        with contextlib.redirect_stderr(self.stderr):
            self.status = plugin.run(theirs, clock=clock)

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
        assert not self._thread.is_alive(), "the plugin is still running"
        self.socket.close()
        return self.status
