"""Write a Troupe plugin in Python.

A plugin is an ordinary process that a Troupe node starts in a sandbox, with one open socket to the node. This module
speaks over that socket; a plugin only declares its commands and what they do::

    from troupe_plugin import Plugin

    plugin = Plugin("greeter", "1.0.0")

    @plugin.command("greet", summary="Greets someone")
    def greet(call, name: str, loud: bool = False):
        call.context.set("/plugins/greeter/last", name)
        return f"Hello, {name}{'!' if loud else '.'}"

    if __name__ == "__main__":
        raise SystemExit(plugin.run())

Everything happens on one thread: commands run one after another, and while one of them waits for the node, the plugin
still answers pings, queues further commands and learns of cancellations. A command that computes for long looks at
`call.cancelled` at least once a second; a plugin that is silent for 5 s after a call's deadline or a ping is taken for
hung and restarted. What is printed goes to the node's log, line by line. Durations are in seconds; a timeout of more than a day counts as a day.
Needs Python 3.9 and the ``msgpack`` package.

A package is a directory with the program and a ``plugin.toml``, whose keys are told in ``plugins/manifest.hpp``; these
are enough::

    name = "greeter"
    version = "1.0.0"
    entry = ["/usr/bin/python3", "-B", "greeter.py"]
    permission_level = "user"

``troupe plugin load <directory>`` starts it, with this module on its path. In the sandbox the package and ``/usr`` can
be read, and nothing else of the machine. A plugin of this level may use its own ``/plugins/greeter/**`` of the context;
what else it needs, it requests in the manifest. Tests need no node: see ``troupe_plugin_testing``, and run them with
this module's folder, ``plugins/sdk/python``, in ``PYTHONPATH``.
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
from typing import Any, Callable, Deque, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

import msgpack

__all__ = ["Call", "Cancelled", "Context", "Host", "Log", "Parameter", "Plugin", "TroupeError"]

SDK = "python/0.1"
PROTOCOL = 1
MAX_FRAME_BYTES = 8 << 20  #: One message, both ways.
MAX_DEPTH = 64  #: Containers within containers in one message, the message itself included.
MAX_ELEMENTS = 1 << 20  #: Everything in one message: scalars and containers.
MAX_QUEUED = 1024  #: Requests that wait while a command runs; beyond, the node is told "overloaded".
MAX_QUEUED_BYTES = 16 << 20  #: What those requests may weigh together.
DEFAULT_TIMEOUT = 10.0  #: Seconds to wait for one answer of the node.
MAX_TIMEOUT = 86400.0  #: Longer timeouts count as this long.

#: The words for failures, on the wire and in `TroupeError.code`.
ERROR_CODES = frozenset(
    "invalid_argument not_found already_exists permission_denied limit_exceeded overloaded deadline_exceeded cancelled "
    "unavailable plugin_crashed protocol_violation version_mismatch storage_failure corrupt_data handler_failed "
    "internal".split()
)

_READ_BYTES = 1 << 16
_DURABILITY = {True: "durable", False: "memory"}
_SCALARS = frozenset((str, int, float, bool, bytes, type(None)))
_TYPE_NAMES = {
    bool: "boolean", int: "integer", float: "floating", str: "string", bytes: "binary", list: "array", dict: "map",
}
_PARAMETER_TYPES = ("any", *_TYPE_NAMES.values())
_LATER = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
_VERB = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


class TroupeError(Exception):
    """A failure with a code of the protocol. The node's refusals arrive as this, and a command may raise it to choose
    the code that its caller sees; every other exception becomes "handler_failed"."""

    def __init__(self, code: str, message: str, data: Any = None) -> None:
        super().__init__(f"{code}: {message}")
        if code not in ERROR_CODES:
            raise ValueError(f"`{code}` is not an error code; the codes are {', '.join(sorted(ERROR_CODES))}")
        self.code, self.message, self.data = code, message, data


class Cancelled(TroupeError):
    """The caller cancelled the command that is running. Raised by the calls that this command makes to the node."""

    def __init__(self, message: str = "the caller cancelled the command") -> None:
        super().__init__("cancelled", message)


# What ends the plugin is no `Exception`, so that no command swallows it.


class ProtocolViolation(BaseException):
    """The node sent what the protocol does not allow. Ends the plugin with a line in the log."""


class Disconnected(BaseException):
    """The node closed the socket. Ends the plugin quietly."""


# -- frames ------------------------------------------------------------------------------------------------------------


def check_shape(message: Any) -> None:
    """Raises `ValueError` unless `message` is made of what travels: nil, booleans, numbers, strings, bytes, lists and
    maps with string keys, within the bounds on depth and elements."""
    level, depth, elements = [message], 0, 1
    while level:
        below: List[Any] = []
        for item in level:
            if type(item) in _SCALARS or isinstance(item, (str, int, float, bytes, bytearray, memoryview)):
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
                raise ValueError(f"a {kind} cannot travel; use None, numbers, strings, bytes, lists and maps")
            if depth == MAX_DEPTH:
                raise ValueError(f"containers are nested deeper than {MAX_DEPTH}")
        depth += 1
        elements += len(below)
        if elements > MAX_ELEMENTS:
            raise ValueError(f"it has more than {MAX_ELEMENTS} elements")
        level = below


def encode_frame(frame: Sequence[Any]) -> bytes:
    """The bytes of one frame. Raises `TroupeError`: "invalid_argument" for what cannot travel, "limit_exceeded" for
    what is too large."""
    try:
        check_shape(frame)
        data = msgpack.packb(frame)
    except (ValueError, OverflowError, TypeError) as problem:
        raise TroupeError("invalid_argument", f"the message cannot be sent: {problem}") from None
    if len(data) > MAX_FRAME_BYTES:
        raise TroupeError("limit_exceeded", f"the message takes {len(data)} bytes; one frame holds {MAX_FRAME_BYTES}")
    return data


class FrameReader:
    """Cuts a byte stream into frames. Nothing is built from a frame before all of it is here, so a length that lies
    costs nothing."""

    def __init__(self) -> None:
        self._scanner = msgpack.Unpacker(max_buffer_size=MAX_FRAME_BYTES + 2 * _READ_BYTES)
        self._buffer = bytearray()
        self._consumed = 0

    def feed(self, data: bytes) -> Iterator[Tuple[Any, int]]:
        """Takes at most 64 KiB; yields each frame that is complete now and its size in bytes.
        Raises `ProtocolViolation`."""
        self._buffer += data
        self._scanner.feed(data)
        while self._buffer:
            try:
                self._scanner.skip()
            except msgpack.OutOfData:
                break
            except msgpack.UnpackException as problem:
                raise ProtocolViolation(f"a frame is not MessagePack: {type(problem).__name__}") from None
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


# -- session -----------------------------------------------------------------------------------------------------------


class Request:
    """One request of the node, from its arrival until it is answered."""

    def __init__(self, msgid: int, method: str, params: Dict[str, Any], size: int, now: float) -> None:
        self.msgid, self.method, self.params, self.size = msgid, method, params, size
        deadline_ms = params.get("deadline_ms", 0)
        if type(deadline_ms) is not int or deadline_ms < 0:
            raise TroupeError("invalid_argument", "`deadline_ms` must be a whole number of milliseconds")
        self.deadline = now + deadline_ms / 1000 if deadline_ms else None  # 0 says that there is none
        trace = params.get("trace")
        if trace is not None and (type(trace) is not bytes or len(trace) != 16):
            raise TroupeError("invalid_argument", "`trace` must be 16 bytes")
        self.trace: Optional[bytes] = trace
        self.cancelled = False


class Session:
    """What is known about one connection, apart from the socket: bytes that came go in by `receive`, bytes to send wait
    in `outgoing`, requests of the node wait in `queue`. Knows no clock; the time is handed in."""

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

    # What the plugin says.

    def request(self, method: str, params: Mapping[str, Any]) -> int:
        """Sends a request; returns the id to ask `take_answer` for."""
        msgid = (self._last_msgid + 1) & 0xFFFFFFFF
        self.outgoing += encode_frame([0, msgid, method, [dict(params)]])
        self._last_msgid = msgid
        self._awaited.add(msgid)
        return msgid

    def take_answer(self, msgid: int) -> Optional[Tuple[Any, Any]]:
        """(error, result) of a request, or nothing yet."""
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
        self.outgoing += encode_frame([1, msgid, [failure.code, failure.message, failure.data], None])

    def next_request(self) -> Optional[Request]:
        """Takes the oldest request from the queue; it is the running one until the next is taken."""
        self.running = self.queue.popleft() if self.queue else None
        if self.running is not None:
            self._queued_bytes -= self.running.size
        return self.running

    # What the node says.

    def receive(self, data: bytes, now: float) -> None:
        """Acts on all frames that are complete with these bytes. Raises `ProtocolViolation`."""
        for frame, size in self._reader.feed(data):
            kind = frame[0] if isinstance(frame, list) and frame else None
            if type(kind) is int and kind == 0 and len(frame) == 4:
                self._on_request(frame[1], frame[2], frame[3], size, now)
            elif type(kind) is int and kind == 1 and len(frame) == 4:
                self._on_response(frame[1], frame[2], frame[3])
            elif type(kind) is int and kind == 2 and len(frame) == 3:
                self._on_notification(frame[1], frame[2])
            else:
                raise ProtocolViolation("a frame is neither a request, a response nor a notification")

    def _on_request(self, msgid: Any, method: Any, params: Any, size: int, now: float) -> None:
        self._check_msgid(msgid)
        named = self._named_parameters(method, params)
        try:
            request = Request(msgid, method, named, size, now)
            if method == "ping":
                self.respond(msgid, None)
            elif method == "command.execute":
                self._enqueue_command(request)
            elif method in ("plugin.start", "plugin.stop"):
                self._enqueue_control(request)
            else:
                raise TroupeError("not_found", f"a plugin has no method `{method[:80]}`")
        except TroupeError as failure:
            self.respond_error(msgid, failure)

    def _enqueue_command(self, request: Request) -> None:
        if self.stopping:
            raise TroupeError("unavailable", "the plugin is stopping")
        self._enqueue(request)

    def _enqueue_control(self, request: Request) -> None:
        if request.method == "plugin.stop":
            self.stopping = True
            for waiting in [each for each in self.queue if each.method == "command.execute"]:
                self._refuse(waiting, TroupeError("unavailable", "the plugin is stopping"))
        self._enqueue(request)

    def _enqueue(self, request: Request) -> None:
        if len(self.queue) >= MAX_QUEUED or self._queued_bytes + request.size > MAX_QUEUED_BYTES:
            raise TroupeError("overloaded", f"{len(self.queue)} requests are waiting for the plugin already")
        self.queue.append(request)
        self._queued_bytes += request.size

    def _refuse(self, waiting: Request, failure: TroupeError) -> None:
        self.queue.remove(waiting)
        self._queued_bytes -= waiting.size
        self.respond_error(waiting.msgid, failure)

    def _on_response(self, msgid: Any, error: Any, result: Any) -> None:
        self._check_msgid(msgid)
        if error is not None:
            if not isinstance(error, list) or len(error) < 2 or not all(isinstance(text, str) for text in error[:2]):
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
            raise ProtocolViolation(f"the message id {msgid!r:.80} is not an unsigned 32-bit integer")

    @staticmethod
    def _named_parameters(method: Any, params: Any) -> Dict[str, Any]:
        if not isinstance(method, str):
            raise ProtocolViolation("the name of a method is not a string")
        if not isinstance(params, list) or len(params) > 1 or not all(isinstance(each, dict) for each in params):
            raise ProtocolViolation(f"the parameters of {method!r:.80} are not an array that holds one map")
        return params[0] if params else {}


class Link:
    """A session on its socket: moves bytes both ways and waits, for the plugin's only thread."""

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self.session = Session()
        self.clock = clock
        self._socket = sock
        self._poll = select.poll()

    def turn(self, until: Optional[float]) -> None:
        """Sends and receives what it can; waits until then (None: for ever) when it can do neither."""
        outgoing = self.session.outgoing
        wanted = (select.POLLOUT if outgoing else 0) | (select.POLLIN if len(outgoing) < MAX_FRAME_BYTES else 0)
        self._poll.register(self._socket, wanted)
        wait_ms = None if until is None else max(0, math.ceil((until - self.clock()) * 1000))
        for _, ready in self._poll.poll(wait_ms):
            try:
                if ready & select.POLLOUT:
                    sent = self._socket.send(memoryview(outgoing)[:_READ_BYTES], socket.MSG_DONTWAIT)
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
        """Returns when everything to send is sent."""
        while self.session.outgoing:
            self.turn(None)

    def ask(self, method: str, params: Mapping[str, Any], timeout: float, caller: Optional[Request] = None) -> Any:
        """Asks the node and waits. Raises `TroupeError` when it refuses ("deadline_exceeded" when it does not answer in
        time), `Cancelled` when the command on whose behalf this is asked was cancelled."""
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
            raise TroupeError("deadline_exceeded", f"no time is left to ask the node for `{method}`")
        extra["deadline_ms"] = math.ceil((limit - now) * 1000)
        msgid = self.session.request(method, {**params, **extra})
        try:
            while (answer := self.session.take_answer(msgid)) is None:
                if caller is not None:
                    self._check_running(caller)
                if self.clock() >= limit:
                    raise TroupeError("deadline_exceeded", f"the node did not answer `{method}` in time")
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
            raise RuntimeError("this call is over: it may be used only until its command's function returns")

    def _check_running(self, caller: Request) -> None:
        self.check_current(caller)
        if caller.cancelled:
            raise Cancelled


# -- what a command sees -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Host:
    """The node, as it introduced itself."""

    node: bytes  #: 16 bytes that name the node for good.
    node_name: str
    capabilities: Tuple[str, ...]  #: What the plugin was granted when it started.


class Context:
    """The replicated tree of values, on behalf of one command. Every method waits for the node, at most `timeout`
    seconds and at most until the command's deadline, and raises `TroupeError` when refused ("permission_denied")."""

    def __init__(self, link: Link, request: Request) -> None:
        self._link, self._request = link, request

    def get(self, path: str, default: Any = None, *, timeout: float = DEFAULT_TIMEOUT) -> Any:
        """The value at `path`, or `default` when there is none."""
        answer = self._link.ask("context.get", {"path": path}, timeout, self._request)
        found = _field(answer, "context.get", "found", bool)
        return _field(answer, "context.get", "value", object) if found else default

    def set(self, path: str, value: Any, *, durable: bool = True, timeout: float = DEFAULT_TIMEOUT) -> bytes:
        """Writes a value; returns the id of the change. It is on the node's disk then, unless `durable` is false."""
        params = {"path": path, "value": value, "durability": _DURABILITY[durable]}
        answer = self._link.ask("context.set", params, timeout, self._request)
        return _field(answer, "context.set", "id", bytes)

    def delete(self, path: str, *, durable: bool = True, timeout: float = DEFAULT_TIMEOUT) -> bytes:
        """Removes the value at `path`; returns the id of the change. `durable` as for `set`."""
        params = {"path": path, "durability": _DURABILITY[durable]}
        answer = self._link.ask("context.delete", params, timeout, self._request)
        return _field(answer, "context.delete", "id", bytes)

    def list(
        self, prefix: str, *, after: Optional[str] = None, limit: int = 1000, timeout: float = DEFAULT_TIMEOUT
    ) -> Tuple[List[Tuple[str, Any]], bool]:
        """One page of the paths at and below `prefix` with their values, from behind the path `after` on, and whether
        more follow. The node may send fewer than `limit`, at most 10,000."""
        params: Dict[str, Any] = {"prefix": prefix, "limit": limit}
        if after is not None:
            params["after"] = after
        answer = self._link.ask("context.list", params, timeout, self._request)
        entries = [
            (_field(entry, "context.list", "path", str), _field(entry, "context.list", "value", object))
            for entry in _field(answer, "context.list", "entries", list)
        ]
        return entries, _field(answer, "context.list", "more", bool)

    def items(self, prefix: str, *, page: int = 1000) -> Iterator[Tuple[str, Any]]:
        """All paths at and below `prefix` with their values, fetched page by page. Holds one page in memory; what
        changes meanwhile may or may not be seen."""
        after, more = None, True
        while more:
            entries, more = self.list(prefix, after=after, limit=page)
            yield from entries
            if more and not entries:
                raise TroupeError("internal", "the node promised more entries of a list but sent none")
            after = entries[-1][0] if entries else None


class Log:
    """Lines in the node's log, below the plugin's name."""

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
    """One execution of a command: who asked, how much time is left, and the way to the node. What asks the node raises
    `RuntimeError` once the command's function has returned, and must not be used from other threads."""

    def __init__(self, link: Link, host: Host, request: Request) -> None:
        self._link, self._request = link, request
        self.command: str = request.params["command"]  #: The full name, such as `"greeter.greet"`.
        self.principal: Any = request.params.get("principal")  #: On whose behalf, as the node says.
        self.trace = request.trace  #: 16 bytes shared by one request and all the work that it causes, or None.
        self.host = host
        self.context = Context(link, request)
        self.log = Log(link, request)

    @property
    def remaining(self) -> Optional[float]:
        """Seconds until the deadline, 0 when it has passed, None when there is none."""
        return None if self._request.deadline is None else max(0.0, self._request.deadline - self._link.clock())

    @property
    def cancelled(self) -> bool:
        """Whether to stop, as the caller has cancelled this command or the node asks the plugin to stop. Looks at the
        socket, so that a long computation that asks now and then learns of it, and the node's pings are answered. A
        command that goes on after `plugin.stop` may still ask the node and answer, until the manifest's `stop_ms`."""
        self._link.check_current(self._request)
        self._link.turn(self._link.clock())
        return self._request.cancelled or self._link.session.stopping

    def execute(
        self, command: str, arguments: Optional[Mapping[str, Any]] = None, *, timeout: float = DEFAULT_TIMEOUT
    ) -> Any:
        """Runs another command of the node and returns its result."""
        params = {"command": command, "arguments": dict(arguments or {})}
        return self._link.ask("command.execute", params, timeout, self._request)


def _field(answer: Any, method: str, name: str, kind: type) -> Any:
    """One field of an answer of the node; raises when the node did not send what the protocol promises."""
    if not isinstance(answer, dict) or name not in answer or not isinstance(answer[name], kind):
        raise TroupeError("internal", f"the node's answer to `{method}` has no valid `{name}`")
    return answer[name]


# -- the plugin --------------------------------------------------------------------------------------------------------

_REQUIRED: Any = object()


@dataclass(frozen=True)
class Parameter:
    """One parameter of a command. The node checks what it describes before the command runs."""

    name: str
    type: str = "any"  #: any, boolean, integer, floating, string, binary, array or map.
    summary: str = ""
    default: Any = _REQUIRED  #: Without one, the parameter is required. None cannot be one.
    minimum: Optional[float] = None  #: Of a number, or of the length of a string, binary or array.
    maximum: Optional[float] = None
    choices: Sequence[str] = ()  #: When not empty, the strings that are accepted.
    pattern: str = ""  #: When not empty, an RE2 regular expression that a string matches whole.

    def __post_init__(self) -> None:
        if self.type not in _PARAMETER_TYPES:
            raise ValueError(f"`{self.name}` has type `{self.type}`; use one of {', '.join(_PARAMETER_TYPES)}")
        if self.default is None:  # a nil default does not travel: the node would take the parameter as required
            raise ValueError(f"the default of `{self.name}` cannot be None; use an empty value of its type")

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
        """The parameters that a command's annotations and defaults declare; the first one, the call, is left out."""
        hints = typing.get_type_hints(function)
        declared = []
        for each in list(inspect.signature(function).parameters.values())[1:]:
            if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
                raise TypeError(f"`{each.name}` of `{function.__name__}` cannot be passed by name; list the parameters")
            hint = hints.get(each.name, Any)
            kind = _TYPE_NAMES.get(typing.get_origin(hint) or hint, "any")
            declared.append(cls(each.name, kind, default=_REQUIRED if each.default is each.empty else each.default))
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

    def command(
        self,
        verb: str,
        *,
        summary: str = "",
        description: str = "",
        parameters: Optional[Sequence[Parameter]] = None,
        timeout: Optional[float] = None,
        concurrency: int = 1,
        queue: Optional[int] = None,
        capability: str = "",
        idempotent: bool = False,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declares a command, called `<plugin>.<verb>`. The function gets the `Call` and then its parameters by name.

        Without `parameters` they are those of the function, typed by its annotations; without `description` it is the
        function's docstring. `timeout` bounds one execution. `concurrency` is how many the node sends at once, `queue`
        (256) how many more wait there: a plugin runs one command at a time, so that what waits here would be measured
        as execution. `capability` is needed to run it, if not `command.execute:<plugin>.<verb>`. `idempotent` promises
        that running the command twice is the same as running it once.

        Raises `ValueError` for a bad or taken name, `TypeError` for a function that cannot be called like this.
        """
        full_name = f"{self.name}.{verb}"
        if not _VERB.fullmatch(verb):
            raise ValueError(f"`{verb}` cannot name a command; use a-z, 0-9, `_` and `-`, in words joined by dots")
        if full_name in self._commands:
            raise ValueError(f"the command `{full_name}` is declared twice")

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            declared = Parameter.of_function(function) if parameters is None else parameters
            _check_callable(full_name, function, [each.name for each in declared])
            spec: Dict[str, Any] = {"name": full_name, "parameters": [each.spec() for each in declared]}
            optional = {
                "summary": summary or None,
                "description": description or inspect.getdoc(function),
                "timeout_ms": None if timeout is None else math.ceil(timeout * 1000),
                "concurrency": concurrency,
                "queue": queue,
                "capability": capability or None,
                "idempotent": idempotent or None,
            }
            spec.update((name, given) for name, given in optional.items() if given is not None)
            self._commands[full_name] = _Command(function, spec)
            return function

        return declare

    @property
    def specs(self) -> List[Dict[str, Any]]:
        """The commands as the node learns them."""
        return [command.spec for command in self._commands.values()]

    def run(self, sock: Optional[socket.socket] = None, *, clock: Callable[[], float] = time.monotonic) -> int:
        """Serves the node until it says stop or closes the socket; returns the process's exit status. Without `sock`
        the descriptor is named by the environment variable TROUPE_SOCKET (3 when unset). Closes the socket."""
        if sock is None and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # a pipe to the node's log would hold lines back
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
            raise TroupeError("version_mismatch", f"the node chose protocol {agreed}; this plugin speaks {PROTOCOL}")
        return Host(
            _field(answer, "session.open", "node", bytes),
            _field(answer, "session.open", "node_name", str),
            tuple(_field(answer, "session.open", "capabilities", list)),
        )

    def _serve_next(self, link: Link, host: Host) -> bool:
        """Answers the next request; false when it was the last one."""
        request = link.session.next_request()
        if request is None:
            link.turn(None)
            return True
        try:
            self._respond(link, request, self._answer(link, host, request))
        except TroupeError as failure:
            self._fail(link, request, failure)
        except Exception as failure:  # a command may raise anything; its caller is told and the plugin lives on
            traceback.print_exc()
            message = f"`{request.params.get('command')}` raised {type(failure).__name__}: {failure}"
            self._fail(link, request, TroupeError("handler_failed", message))
        link.drain()
        return request.method != "plugin.stop"

    def _answer(self, link: Link, host: Host, request: Request) -> Any:
        if request.method == "plugin.start":
            return {"commands": self.specs}
        if request.method == "plugin.stop":
            return None
        name, given = request.params.get("command"), request.params.get("arguments", {})
        if not isinstance(name, str) or not isinstance(given, dict):
            raise TroupeError("invalid_argument", "`command` must be a string and `arguments` a map")
        command = self._commands.get(name)
        if command is None:
            known = ", ".join(self._commands)
            raise TroupeError("not_found", f"`{name[:80]}` is not a command of this plugin; it has {known}")
        if request.deadline is not None and link.clock() >= request.deadline:
            raise TroupeError("deadline_exceeded", f"the deadline of `{name}` passed while it waited for its turn")
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
            what = f"`{request.params.get('command')}` returned what cannot travel: {problem.message}"
            raise TroupeError("handler_failed", what) from None

    @staticmethod
    def _fail(link: Link, request: Request, failure: TroupeError) -> None:
        try:
            link.session.respond_error(request.msgid, failure)
        except TroupeError as problem:  # the error's own detail or text cannot travel
            link.session.respond_error(request.msgid, TroupeError(failure.code, problem.message))


def _check_callable(name: str, function: Callable[..., Any], parameters: Sequence[str]) -> None:
    if any(is_kind(function) for is_kind in _LATER):
        raise TypeError(f"the function of `{name}` is a coroutine or generator; a command returns its result")
    try:
        inspect.signature(function).bind(None, **dict.fromkeys(parameters))
    except TypeError as problem:
        known = ", ".join(parameters) or "no parameters"
        raise TypeError(f"the function of `{name}` does not take the call and {known}: {problem}") from None


def _inherited_socket() -> socket.socket:
    named = os.environ.get("TROUPE_SOCKET", "3")
    try:
        inherited = socket.socket(fileno=int(named))
    except (ValueError, OSError) as problem:
        raise OSError(
            f"a plugin is started by a Troupe node; TROUPE_SOCKET is {named!r}, which is no open socket ({problem})"
        ) from None
    inherited.set_inheritable(False)
    return inherited
