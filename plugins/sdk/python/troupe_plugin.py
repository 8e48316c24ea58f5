"""Write a Troupe plugin in Python. The module is long because authors read and copy it as one.

A plugin is an ordinary process that a Troupe node starts in a sandbox, with one open socket to the
node. This module speaks the protocol; a plugin only declares its commands::

    from troupe_plugin import Plugin

    plugin = Plugin("greeter", "1.0.0")

    @plugin.command("greet", summary="Greets someone")
    def greet(call, name: str, loud: bool = False):
        call.context.set("/plugins/greeter/last", name)
        return f"Hello, {name}{'!' if loud else '.'}"

    if __name__ == "__main__":
        raise SystemExit(plugin.run())

Everything happens on one thread, so commands run one after another. While a command waits for the
node, the plugin still answers pings, queues further commands and receives cancellations. A command
that computes for long reads `call.cancelled` each second: the node restarts a plugin that is silent
for 5 s after a ping or a call's deadline. Output goes to the node's log, by line. Durations are in
seconds, at most a day. Needs Python 3.9 and ``msgpack``.

A package is a directory with the program and a ``plugin.toml``. ``plugins/manifest.hpp`` documents
all keys; these are enough::

    name = "greeter"
    version = "1.0.0"
    entry = ["/usr/bin/python3", "-B", "greeter.py"]
    permission_level = "user"

``troupe plugin load <directory>`` starts it, with this module on its path. In the sandbox a plugin
can read the package and ``/usr``, nothing else of the machine. At this level it may use its own
``/plugins/greeter/**`` of the context; it requests more in the manifest. Tests need no node: see
``troupe_plugin_testing``, and run them with the folder ``plugins/sdk/python`` in ``PYTHONPATH``.
"""

from __future__ import annotations

import inspect
import io
import math
import os
import re
import select
import socket
import sys
import time
import traceback
import typing
from collections import deque
from dataclasses import dataclass
from typing import (Any, Callable, Deque, Dict, Iterator, List, Mapping, Optional, Sequence, Set,
                    Tuple)

import msgpack

__all__ = ["Call", "Cancelled", "Context", "Host", "Log", "Parameter", "Plugin", "TroupeError"]

SDK = "python/0.1"
PROTOCOL = 1
MAX_FRAME_BYTES = 8 << 20  #: Of one message, both ways.
MAX_DEPTH = 64  #: Nested containers in one message, the message itself included.
MAX_ELEMENTS = 1 << 20  #: Scalars and containers in one message.
MAX_QUEUED = 1024  #: Requests that wait while a command runs. Further ones fail: "overloaded".
MAX_QUEUED_BYTES = 16 << 20  #: Size of those requests together.
DEFAULT_TIMEOUT = 10.0  #: Seconds to wait for one answer of the node.
MAX_TIMEOUT = 86400.0  #: Longer timeouts count as this long.

#: The kinds of failure, on the wire and in `TroupeError.code`.
ERROR_CODES = frozenset(
    "invalid_argument not_found already_exists failed_precondition permission_denied "
    "limit_exceeded overloaded deadline_exceeded cancelled unavailable plugin_crashed internal "
    "protocol_violation version_mismatch storage_failure corrupt_data handler_failed".split())

_READ_BYTES = 1 << 16
_DURABILITY = {True: "durable", False: "memory"}
_SCALARS = (str, int, float, type(None), bytes, bytearray, memoryview)
_TYPE_NAMES = {bool: "boolean", int: "integer", float: "floating", str: "string", bytes: "binary",
               list: "array", dict: "map"}
_PARAMETER_TYPES = ("any", *_TYPE_NAMES.values())
_LATER = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
_VERB = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


class TroupeError(Exception):
    """A failure with a code of the protocol. The node's refusals raise it. A command may raise it
    to choose the code for its caller; any other exception becomes "handler_failed"."""

    def __init__(self, code: str, message: str, data: Any = None) -> None:
        super().__init__(f"{code}: {message}")
        if code not in ERROR_CODES:
            known = ", ".join(sorted(ERROR_CODES))
            raise ValueError(f"`{code}` is not an error code; the codes are {known}")
        self.code, self.message, self.data = code, message, data


class Cancelled(TroupeError):
    """The caller cancelled the running command. Raised by this command's calls to the node."""

    def __init__(self, message: str = "the caller cancelled the command") -> None:
        super().__init__("cancelled", message)


# The two that end the plugin are no `Exception`, so that no command catches them by accident.


class ProtocolViolation(BaseException):
    """The node broke the protocol. Ends the plugin with a line in the log."""


class Disconnected(BaseException):
    """The node closed the socket. Ends the plugin quietly."""


# -- frames ----------------------------------------------------------------------------------------


def check_shape(message: Any) -> None:
    """Raises `ValueError` unless `message` consists of nil, booleans, numbers, strings, bytes,
    lists and maps with string keys, within the bounds on depth and elements."""
    level, depth, elements = [message], 0, 1
    while level:
        below: List[Any] = []
        for item in level:
            if isinstance(item, _SCALARS):
                continue
            if isinstance(item, dict):
                for key in item:
                    if not isinstance(key, str):
                        raise ValueError(f"the map key {key!r} is not a string")
                elements += len(item)
                below.extend(item.values())
            elif isinstance(item, (list, tuple)) and not isinstance(item, msgpack.ExtType):
                below.extend(item)
            else:
                kind = type(item).__name__
                raise ValueError(f"a value of type {kind} cannot be sent; use None, numbers, "
                                 "strings, bytes, lists and maps")
            if depth == MAX_DEPTH:
                raise ValueError(f"containers are nested deeper than {MAX_DEPTH}")
        depth += 1
        elements += len(below)
        if elements > MAX_ELEMENTS:
            raise ValueError(f"it has more than {MAX_ELEMENTS} elements")
        level = below


def encode_frame(frame: Sequence[Any]) -> bytes:
    """The bytes of one frame. Raises `TroupeError`: "invalid_argument" for a type that cannot be
    sent, "limit_exceeded" for a frame that is too large."""
    try:
        check_shape(frame)
        data = msgpack.packb(frame)
    except (ValueError, OverflowError, TypeError) as problem:
        raise TroupeError("invalid_argument", f"the message cannot be sent: {problem}") from None
    if len(data) > MAX_FRAME_BYTES:
        raise TroupeError("limit_exceeded", f"{len(data)} bytes exceed a frame's {MAX_FRAME_BYTES}")
    return data


class FrameReader:
    """Cuts a byte stream into frames. Decodes a frame only when all of it is here, so that a false
    length allocates nothing."""

    def __init__(self) -> None:
        self._scanner = msgpack.Unpacker(max_buffer_size=MAX_FRAME_BYTES + 2 * _READ_BYTES)
        self._buffer = bytearray()
        self._consumed = 0

    def feed(self, data: bytes) -> Iterator[Tuple[Any, int]]:
        """Takes at most 64 KiB. Yields each complete frame and its size in bytes. Raises
        `ProtocolViolation`."""
        self._buffer += data
        self._scanner.feed(data)
        while self._buffer:
            try:
                self._scanner.skip()
            except msgpack.OutOfData:
                break
            except msgpack.UnpackException as problem:
                raise ProtocolViolation(f"a frame is not MessagePack: {problem!r}") from None
            size = self._scanner.tell() - self._consumed
            self._consumed += size
            self._check_size(size)
            encoded = bytes(self._buffer[:size])
            del self._buffer[:size]
            yield self._decode(encoded), size
        self._check_size(len(self._buffer))

    @staticmethod
    def _check_size(size: int) -> None:
        if size > MAX_FRAME_BYTES:
            raise ProtocolViolation(f"a frame is larger than {MAX_FRAME_BYTES} bytes")

    @staticmethod
    def _decode(encoded: bytes) -> Any:
        try:
            frame = msgpack.unpackb(encoded, max_ext_len=0)
            check_shape(frame)
        except (ValueError, msgpack.UnpackException) as problem:
            raise ProtocolViolation(f"a frame is malformed: {problem}") from None
        return frame


# -- session ---------------------------------------------------------------------------------------


class Request:
    """One request of the node, until it is answered."""

    def __init__(self, msgid: int, method: str, params: Dict[str, Any], size: int,
                 now: float) -> None:
        self.msgid, self.method, self.params, self.size = msgid, method, params, size
        deadline_ms = params.get("deadline_ms", 0)
        if type(deadline_ms) is not int or deadline_ms < 0:
            raise TroupeError("invalid_argument", "`deadline_ms` must be whole milliseconds")
        self.deadline = now + deadline_ms / 1000 if deadline_ms else None
        trace = params.get("trace")
        if trace is not None and (type(trace) is not bytes or len(trace) != 16):
            raise TroupeError("invalid_argument", "`trace` must be 16 bytes")
        self.trace: Optional[bytes] = trace
        self.cancelled = False


class Session:
    """The state of one connection, apart from the socket. `receive` takes the bytes that came;
    `outgoing` has bytes to send, `queue` the node's waiting requests. The time is an argument."""

    def __init__(self) -> None:
        self.outgoing = bytearray()
        self.queue: Deque[Request] = deque()
        self.running: Optional[Request] = None
        self.stopping = False
        self._queued_bytes = 0
        self._reader = FrameReader()
        self._last_msgid = 0
        self._awaited: Set[int] = set()
        self._answers: Dict[int, Tuple[Any, Any]] = {}

    # From the plugin to the node.

    def request(self, method: str, params: Mapping[str, Any]) -> int:
        """Sends a request; returns the id to ask `take_answer` for."""
        msgid = (self._last_msgid + 1) & 0xFFFFFFFF
        self.outgoing += encode_frame([0, msgid, method, [dict(params)]])
        self._last_msgid = msgid
        self._awaited.add(msgid)
        return msgid

    def take_answer(self, msgid: int) -> Optional[Tuple[Any, Any]]:
        """(error, result) of a request; None until it is answered."""
        return self._answers.pop(msgid, None)

    def abandon(self, msgid: int) -> None:
        """Forgets a request, and cancels it when it has not been answered."""
        if msgid in self._awaited:
            self._awaited.remove(msgid)
            self.notify("cancel", {"msgid": msgid})
        self._answers.pop(msgid, None)

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        self.outgoing += encode_frame([2, method, [dict(params)]])

    def respond(self, msgid: int, result: Any) -> None:
        self.outgoing += encode_frame([1, msgid, None, result])

    def respond_error(self, msgid: int, failure: TroupeError) -> None:
        error = [failure.code, failure.message, failure.data]
        self.outgoing += encode_frame([1, msgid, error, None])

    def next_request(self) -> Optional[Request]:
        """Takes the oldest request from the queue. It is the running one until the next call."""
        self.running = self.queue.popleft() if self.queue else None
        if self.running is not None:
            self._queued_bytes -= self.running.size
        return self.running

    # From the node to the plugin.

    def receive(self, data: bytes, now: float) -> None:
        """Handles all frames that these bytes complete. Raises `ProtocolViolation`."""
        for frame, size in self._reader.feed(data):
            kind = frame[0] if isinstance(frame, list) and frame else None
            if type(kind) is int and kind == 0 and len(frame) == 4:
                self._on_request(frame[1], frame[2], frame[3], size, now)
            elif type(kind) is int and kind == 1 and len(frame) == 4:
                self._on_response(frame[1], frame[2], frame[3])
            elif type(kind) is int and kind == 2 and len(frame) == 3:
                self._on_notification(frame[1], frame[2])
            else:
                raise ProtocolViolation("a frame is no request, response or notification")

    def _on_request(self, msgid: Any, method: Any, params: Any, size: int, now: float) -> None:
        self._check_msgid(msgid)
        named = self._named_parameters(method, params)
        try:
            request = Request(msgid, method, named, size, now)
            handler = self._HANDLERS.get(method)
            if handler is None:
                raise TroupeError("not_found", f"a plugin has no method `{method[:80]}`")
            handler(self, request)
        except TroupeError as failure:
            self.respond_error(msgid, failure)

    def _on_execute(self, request: Request) -> None:
        if self.stopping:
            raise TroupeError("unavailable", "the plugin is stopping")
        self._enqueue(request)

    def _on_stop(self, request: Request) -> None:
        self.stopping = True
        for waiting in [each for each in self.queue if each.method == "command.execute"]:
            self._refuse(waiting, TroupeError("unavailable", "the plugin is stopping"))
        self._enqueue(request)

    def _enqueue(self, request: Request) -> None:
        if len(self.queue) >= MAX_QUEUED or self._queued_bytes + request.size > MAX_QUEUED_BYTES:
            raise TroupeError("overloaded", f"the plugin has {len(self.queue)} waiting requests")
        self.queue.append(request)
        self._queued_bytes += request.size

    _HANDLERS = {"ping": lambda self, request: self.respond(request.msgid, None),
                 "command.execute": _on_execute, "plugin.start": _enqueue, "plugin.stop": _on_stop}

    def _refuse(self, waiting: Request, failure: TroupeError) -> None:
        self.queue.remove(waiting)
        self._queued_bytes -= waiting.size
        self.respond_error(waiting.msgid, failure)

    def _on_response(self, msgid: Any, error: Any, result: Any) -> None:
        self._check_msgid(msgid)
        if error is not None and not (isinstance(error, list) and len(error) > 1 and
                                      all(isinstance(text, str) for text in error[:2])):
            raise ProtocolViolation("the error of a response is not [code, message, data]")
        if msgid in self._awaited:
            self._awaited.remove(msgid)
            self._answers[msgid] = (error, result)

    def _on_notification(self, method: Any, params: Any) -> None:
        named = self._named_parameters(method, params)
        if method == "cancel":
            self._cancel(named.get("msgid"))

    def _cancel(self, msgid: Any) -> None:
        if self.running is not None and self.running.msgid == msgid:
            self.running.cancelled = True
            return
        for waiting in self.queue:
            if waiting.msgid == msgid and waiting.method == "command.execute":
                self._refuse(waiting, Cancelled())
                return

    @staticmethod
    def _check_msgid(msgid: Any) -> None:
        if type(msgid) is not int or not 0 <= msgid <= 0xFFFFFFFF:
            raise ProtocolViolation(f"the message id {msgid!r:.80} is no unsigned 32-bit integer")

    @staticmethod
    def _named_parameters(method: Any, params: Any) -> Dict[str, Any]:
        if not isinstance(method, str):
            raise ProtocolViolation("the name of a method is not a string")
        if not isinstance(params, list) or len(params) > 1 or \
                not all(isinstance(each, dict) for each in params):
            raise ProtocolViolation(f"the parameters of {method!r:.80} are not an array of one map")
        return params[0] if params else {}


class Link:
    """A session on its socket. Moves bytes both ways and waits, on the plugin's only thread."""

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self.session = Session()
        self.clock = clock
        self._socket = sock
        self._poll = select.poll()

    def turn(self, until: Optional[float]) -> None:
        """Sends and receives what it can now. When that is nothing, waits for the socket, at most
        until the time given (None: without end)."""
        outgoing = self.session.outgoing
        reading = select.POLLIN if len(outgoing) < MAX_FRAME_BYTES else 0
        self._poll.register(self._socket, reading | (select.POLLOUT if outgoing else 0))
        wait_ms = None if until is None else max(0, math.ceil((until - self.clock()) * 1000))
        for _, ready in self._poll.poll(wait_ms):
            try:
                if ready & select.POLLOUT:
                    sent = self._socket.send(
                        memoryview(outgoing)[:_READ_BYTES], socket.MSG_DONTWAIT)
                    del outgoing[:sent]
                if ready & ~select.POLLOUT:
                    self._read()
            except BlockingIOError:
                pass
            except (ConnectionResetError, BrokenPipeError):
                raise Disconnected from None

    def _read(self) -> None:
        data = self._socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        if not data:
            raise Disconnected
        self.session.receive(data, self.clock())

    def drain(self) -> None:
        """Returns when everything is sent."""
        while self.session.outgoing:
            self.turn(None)

    def ask(self, method: str, params: Mapping[str, Any], timeout: float,
            caller: Optional[Request] = None) -> Any:
        """Asks the node and waits. Raises `TroupeError` when the node refuses or does not answer in
        time ("deadline_exceeded"), `Cancelled` when the command `caller` is cancelled."""
        now = self.clock()
        limit = now + min(timeout, MAX_TIMEOUT)
        extra: Dict[str, Any] = {}
        if caller is not None:
            self._check_running(caller)
            if caller.deadline is not None:
                limit = min(limit, caller.deadline)
            if caller.trace is not None:
                extra["trace"] = caller.trace
        if limit <= now:
            raise TroupeError("deadline_exceeded", f"no time is left to ask the node `{method}`")
        extra["deadline_ms"] = math.ceil((limit - now) * 1000)
        msgid = self.session.request(method, {**params, **extra})
        try:
            while (answer := self.session.take_answer(msgid)) is None:
                if caller is not None:
                    self._check_running(caller)
                if self.clock() >= limit:
                    raise TroupeError("deadline_exceeded",
                                      f"the node did not answer `{method}` in time")
                self.turn(limit)
        finally:
            self.session.abandon(msgid)
        error, result = answer
        if error is not None:
            code = error[0] if error[0] in ERROR_CODES else "handler_failed"
            raise TroupeError(code, error[1], error[2] if len(error) > 2 else None)
        return result

    def check_current(self, caller: Request) -> None:
        """Raises `RuntimeError` when the function of this command has returned."""
        if caller is not self.session.running:
            raise RuntimeError("this call is over: use it only until its function returns")

    def _check_running(self, caller: Request) -> None:
        self.check_current(caller)
        if caller.cancelled:
            raise Cancelled


# -- the view of a command -------------------------------------------------------------------------


@dataclass(frozen=True)
class Host:
    """The node, as it introduced itself."""

    node: bytes  #: 16 bytes, the same for the node's whole life.
    node_name: str
    capabilities: Tuple[str, ...]  #: The plugin's grants when it started.


class Context:
    """The replicated tree of values, for one command. Each method waits at most `timeout` seconds
    and until the command's deadline. Raises `TroupeError` when the node refuses."""

    def __init__(self, link: Link, request: Request) -> None:
        self._link, self._request = link, request

    def get(self, path: str, default: Any = None, *, timeout: float = DEFAULT_TIMEOUT) -> Any:
        """The value at `path`, or `default` when there is none."""
        answer = self._link.ask("context.get", {"path": path}, timeout, self._request)
        found = _field(answer, "context.get", "found", bool)
        return _field(answer, "context.get", "value", object) if found else default

    def set(self, path: str, value: Any, *, durable: bool = True,
            timeout: float = DEFAULT_TIMEOUT) -> bytes:
        """Writes a value; returns the id of the change. If `durable`, it is on the node's disk."""
        params = {"path": path, "value": value, "durability": _DURABILITY[durable]}
        answer = self._link.ask("context.set", params, timeout, self._request)
        return _field(answer, "context.set", "id", bytes)

    def delete(self, path: str, *, durable: bool = True, timeout: float = DEFAULT_TIMEOUT) -> bytes:
        """Removes the value at `path`; returns the id of the change. `durable` as for `set`."""
        params = {"path": path, "durability": _DURABILITY[durable]}
        answer = self._link.ask("context.delete", params, timeout, self._request)
        return _field(answer, "context.delete", "id", bytes)

    def list(self, prefix: str, *, after: Optional[str] = None, limit: int = 1000,
             timeout: float = DEFAULT_TIMEOUT) -> Tuple[List[Tuple[str, Any]], bool]:
        """One page of the paths at and below `prefix` with their values, and whether more follow.
        It begins behind the path `after`. The node may send fewer than `limit`, at most 10,000."""
        params: Dict[str, Any] = {"prefix": prefix, "limit": limit}
        if after is not None:
            params["after"] = after
        answer = self._link.ask("context.list", params, timeout, self._request)
        entries = [(_field(entry, "context.list", "path", str),
                    _field(entry, "context.list", "value", object))
                   for entry in _field(answer, "context.list", "entries", list)]
        return entries, _field(answer, "context.list", "more", bool)

    def items(self, prefix: str, *, page: int = 1000) -> Iterator[Tuple[str, Any]]:
        """All paths at and below `prefix` with their values. Fetches one page after another, and
        may or may not see changes made meanwhile."""
        after, more = None, True
        while more:
            entries, more = self.list(prefix, after=after, limit=page)
            yield from entries
            if more and not entries:
                raise TroupeError("internal", "the node announced more entries but sent none")
            after = entries[-1][0] if entries else None


class Log:
    """Lines in the node's log, under the plugin's name."""

    def __init__(self, link: Link, request: Request) -> None:
        self._link, self._request = link, request

    def debug(self, message: str) -> None:
        self._write("debug", message)

    def info(self, message: str) -> None:
        self._write("info", message)

    def warning(self, message: str) -> None:
        self._write("warning", message)

    def error(self, message: str) -> None:
        self._write("error", message)

    def _write(self, level: str, message: str) -> None:
        self._link.check_current(self._request)
        self._link.session.notify("log", {"level": level, "message": message})
        self._link.drain()


class Call:
    """One execution of a command: its caller, its time, and the way to the node. Methods that ask
    the node raise `RuntimeError` once the command's function has returned. For one thread."""

    def __init__(self, link: Link, host: Host, request: Request) -> None:
        self._link, self._request = link, request
        self.command: str = request.params["command"]  #: The full name, such as `"greeter.greet"`.
        self.principal: Any = request.params.get("principal")  #: The caller, according to the node.
        self.trace = request.trace  #: 16 bytes of a request and all work that it causes, or None.
        self.host = host
        self.context = Context(link, request)
        self.log = Log(link, request)

    @property
    def remaining(self) -> Optional[float]:
        """Seconds until the deadline: 0 when it has passed, None when there is none."""
        deadline = self._request.deadline
        return None if deadline is None else max(0.0, deadline - self._link.clock())

    @property
    def cancelled(self) -> bool:
        """Whether to stop, because the caller cancelled the command or the node stops the plugin.
        Reads the socket, which also answers pings. After `plugin.stop` a command may still ask the
        node and return a result, until the manifest's `stop_ms`."""
        self._link.check_current(self._request)
        self._link.turn(self._link.clock())
        return self._request.cancelled or self._link.session.stopping

    def execute(self, command: str, arguments: Optional[Mapping[str, Any]] = None, *,
                timeout: float = DEFAULT_TIMEOUT) -> Any:
        """Runs another command of the node and returns its result."""
        params = {"command": command, "arguments": dict(arguments or {})}
        return self._link.ask("command.execute", params, timeout, self._request)


def _field(answer: Any, method: str, name: str, kind: type) -> Any:
    """One field of the node's answer. Raises when it is missing or has another type."""
    if not isinstance(answer, dict) or name not in answer or not isinstance(answer[name], kind):
        raise TroupeError("internal", f"the node's answer to `{method}` has no valid `{name}`")
    return answer[name]


# -- the plugin ------------------------------------------------------------------------------------

_REQUIRED: Any = object()


@dataclass(frozen=True)
class Parameter:
    """One parameter of a command. The node checks arguments against it before the command runs."""

    name: str
    type: str = "any"  #: any, boolean, integer, floating, string, binary, array or map.
    summary: str = ""
    default: Any = _REQUIRED  #: Makes the parameter optional. Cannot be None.
    minimum: Optional[float] = None  #: Of a number, or of the length of a string, binary or array.
    maximum: Optional[float] = None
    choices: Sequence[str] = ()  #: The strings that are accepted; all when empty.
    pattern: str = ""  #: An RE2 regular expression for the whole string; any string when empty.

    def __post_init__(self) -> None:
        if self.type not in _PARAMETER_TYPES:
            known = ", ".join(_PARAMETER_TYPES)
            raise ValueError(f"`{self.name}` has type `{self.type}`; use one of {known}")
        if self.default is None:  # on the wire, nil means that there is no default
            raise ValueError(f"the default of `{self.name}` cannot be None; use an empty value of "
                             "its type")

    def spec(self) -> Dict[str, Any]:
        """The parameter as the node reads it."""
        spec: Dict[str, Any] = {"name": self.name, "type": self.type}
        if self.default is not _REQUIRED:
            spec["default"] = self.default
        for name in ("summary", "minimum", "maximum", "pattern"):
            if getattr(self, name) not in ("", None):
                spec[name] = getattr(self, name)
        if self.choices:
            spec["choices"] = list(self.choices)
        return spec

    @classmethod
    def of_function(cls, function: Callable[..., Any]) -> List["Parameter"]:
        """The parameters that the annotations and defaults of a command's function declare, without
        the first, the call."""
        hints = typing.get_type_hints(function)
        declared = []
        for each in list(inspect.signature(function).parameters.values())[1:]:
            if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
                raise TypeError(f"`{each.name}` of `{function.__name__}` cannot be passed by name; "
                                "list the parameters")
            hint = hints.get(each.name, Any)
            kind = _TYPE_NAMES.get(typing.get_origin(hint) or hint, "any")
            default = _REQUIRED if each.default is each.empty else each.default
            declared.append(cls(each.name, kind, default=default))
        return declared


@dataclass(frozen=True)
class _Command:
    function: Callable[..., Any]
    spec: Dict[str, Any]


class Plugin:
    """A plugin: its name, its version and its commands."""

    def __init__(self, name: str, version: str) -> None:
        self.name, self.version = name, version
        self._commands: Dict[str, _Command] = {}

    def command(self, verb: str, *, summary: str = "", description: str = "",
                parameters: Optional[Sequence[Parameter]] = None, timeout: Optional[float] = None,
                concurrency: int = 1, queue: Optional[int] = None, capability: str = "",
                idempotent: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declares the command `<plugin>.<verb>`. Its function takes the `Call`, and its parameters
        by name. Raises `ValueError` for a bad or taken name, `TypeError` for a wrong function.

        Without `parameters`, the function's annotations declare them; without `description`, its
        docstring describes it. `timeout` bounds one execution. The node sends at most `concurrency`
        executions at once and keeps `queue` (256) more: a plugin runs one command at a time, and
        waiting here would count as execution. The caller needs `capability`, by default
        `command.execute:<plugin>.<verb>`. An `idempotent` command may run twice without harm."""
        full_name = f"{self.name}.{verb}"
        if not _VERB.fullmatch(verb):
            raise ValueError(f"`{verb}` cannot name a command; use a-z, 0-9, `_` and `-`, in words "
                             "joined by dots")
        if full_name in self._commands:
            raise ValueError(f"the command `{full_name}` is declared twice")

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            declared = Parameter.of_function(function) if parameters is None else parameters
            _check_callable(full_name, function, [each.name for each in declared])
            spec: Dict[str, Any] = {
                "name": full_name, "parameters": [each.spec() for each in declared]}
            optional = {
                "summary": summary or None, "description": description or inspect.getdoc(function),
                "timeout_ms": None if timeout is None else math.ceil(timeout * 1000),
                "concurrency": concurrency, "queue": queue, "capability": capability or None,
                "idempotent": idempotent or None}
            spec.update((name, given) for name, given in optional.items() if given is not None)
            self._commands[full_name] = _Command(function, spec)
            return function

        return declare

    @property
    def specs(self) -> List[Dict[str, Any]]:
        """The commands as the node receives them."""
        return [command.spec for command in self._commands.values()]

    def run(self, sock: Optional[socket.socket] = None, *,
            clock: Callable[[], float] = time.monotonic) -> int:
        """Serves the node until it stops the plugin or closes the socket; returns the exit status.
        Without `sock`, uses the descriptor in TROUPE_SOCKET, or 3. Closes the socket."""
        if sock is None and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # a pipe would hold lines back
        try:
            with sock or _inherited_socket() as used:
                link = Link(used, clock)
                host = self._open(link)
                while self._serve_next(link, host):
                    pass
                link.drain()
        except Disconnected:
            return 0
        except (ProtocolViolation, TroupeError, OSError) as problem:
            print(f"plugin {self.name}: {problem}", file=sys.stderr, flush=True)
            return 1
        return 0

    def _open(self, link: Link) -> Host:
        hello = {"protocol": [PROTOCOL, PROTOCOL], "kind": "plugin"}
        hello.update(name=self.name, version=self.version, sdk=SDK)
        answer = link.ask("session.open", hello, DEFAULT_TIMEOUT)
        agreed = _field(answer, "session.open", "protocol", int)
        if agreed != PROTOCOL:
            raise TroupeError("version_mismatch",
                              f"the node chose protocol {agreed}; this plugin speaks {PROTOCOL}")
        return Host(_field(answer, "session.open", "node", bytes),
                    _field(answer, "session.open", "node_name", str),
                    tuple(_field(answer, "session.open", "capabilities", list)))

    def _serve_next(self, link: Link, host: Host) -> bool:
        """Answers the next request; false after the last one."""
        request = link.session.next_request()
        if request is None:
            link.turn(None)
            return True
        try:
            self._respond(link, request, self._answer(link, host, request))
        except TroupeError as failure:
            self._fail(link, request, failure)
        except Exception as failure:  # the caller receives it; the plugin continues
            traceback.print_exc()
            name, kind = request.params.get("command"), type(failure).__name__
            raised = TroupeError("handler_failed", f"`{name}` raised {kind}: {failure}")
            self._fail(link, request, raised)
        link.drain()
        return request.method != "plugin.stop"

    def _answer(self, link: Link, host: Host, request: Request) -> Any:
        if request.method == "plugin.start":
            return {"commands": self.specs}
        if request.method == "plugin.stop":
            return None
        name, given = request.params.get("command"), request.params.get("arguments", {})
        if not isinstance(name, str) or not isinstance(given, dict):
            raise TroupeError("invalid_argument", "`command` must be a string, `arguments` a map")
        command = self._commands.get(name)
        if command is None:
            known = ", ".join(self._commands)
            raise TroupeError("not_found",
                              f"`{name[:80]}` is not a command of this plugin; it has {known}")
        if request.deadline is not None and link.clock() >= request.deadline:
            raise TroupeError("deadline_exceeded", f"the deadline of `{name}` passed in the queue")
        call = Call(link, host, request)
        try:
            inspect.signature(command.function).bind(call, **given)
        except TypeError as problem:
            raise TroupeError("invalid_argument", f"`{name}`: {problem}") from None
        return command.function(call, **given)

    @staticmethod
    def _respond(link: Link, request: Request, result: Any) -> None:
        try:
            link.session.respond(request.msgid, result)
        except TroupeError as problem:
            if problem.code != "invalid_argument":
                raise
            what = f"`{request.params.get('command')}` returned a bad value: {problem.message}"
            raise TroupeError("handler_failed", what) from None

    @staticmethod
    def _fail(link: Link, request: Request, failure: TroupeError) -> None:
        try:
            link.session.respond_error(request.msgid, failure)
        except TroupeError as problem:  # the failure itself cannot be sent
            link.session.respond_error(request.msgid, TroupeError(failure.code, problem.message))


def _check_callable(name: str, function: Callable[..., Any], parameters: Sequence[str]) -> None:
    if any(is_kind(function) for is_kind in _LATER):
        raise TypeError(f"the function of `{name}` is a coroutine or generator; it must return its "
                        "result")
    try:
        inspect.signature(function).bind(None, **dict.fromkeys(parameters))
    except TypeError as problem:
        known = ", ".join(parameters) or "no parameters"
        raise TypeError(
            f"the function of `{name}` does not take the call and {known}: {problem}") from None


def _inherited_socket() -> socket.socket:
    named = os.environ.get("TROUPE_SOCKET", "3")
    try:
        inherited = socket.socket(fileno=int(named))
    except (ValueError, OSError) as problem:
        raise OSError("only a Troupe node can start a plugin: TROUPE_SOCKET is "
                      f"{named!r}, which is no open socket ({problem})") from None
    inherited.set_inheritable(False)
    return inherited
